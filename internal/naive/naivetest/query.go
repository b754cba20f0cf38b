// Package naivetest draws queries and things at random for property tests that
// compare a fast way of answering queries with package naive: queries over the
// whole grammar, and things whose values are made of the same few words, so
// that queries and things meet often. It owns the draws and nothing else; what
// has to hold is said by the tests that use it. What is drawn depends on rapid
// alone, so that a failure can be shrunk and replayed.
package naivetest

import (
	"strings"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/server/query"
)

// Words are the strings that values are made of, in things and in queries
// alike: numbers that are equal and written differently, numbers beyond what
// floating point tells apart, cases, several words, none, and the characters
// of the language itself.
func Words() []string {
	return []string{
		"1", "1.0", "2", "3", "10", "-1", "1e2", "100", "05", "true", "false", "red", "RED", "blue", "Blue Whale", "whale blue",
		"gw-200", "gw-2000", "a:b", "9007199254740993", "9007199254740992", "1e400", "", " ", `x"y\`, "É", "*", "AND",
	}
}

// Plain are those of the words that may be the value of an attribute.
func Plain() []string {
	return []string{"1", "1.0", "2", "3", "10", "-1", "1e2", "100", "05", "true", "red", "RED", "blue", "gw-200", "a:b", "9007199254740993", "9007199254740992", "1e400"}
}

// Fields are the names that queries ask, those that a thing of [Source] may
// have and some that no thing has.
func Fields() []string {
	return []string{
		"thingName", "thingTypeName", "registry.thingTypeName", "thingId",
		"attributes", "attributes.a", "attributes.a", "attributes.a", "attributes.a", "attributes.a", "attributes.b", "attributes.b", "attributes.b", "attributes.a.b", "attributes.none",
		"connectivity", "connectivity.connected", "connectivity.connected", "connectivity.timestamp", "connectivity.disconnectReason",
		"shadow", "shadow.hasDelta", "shadow.reported", "shadow.reported.a", "shadow.reported.a", "shadow.reported.a", "shadow.reported.a.b", "shadow.reported.b",
		"shadow.desired.a", "shadow.desired.b", "shadow.delta", "shadow.delta.a", "shadow.version",
		"shadow.metadata", "shadow.metadata.reported.a.timestamp", "shadow.metadata.desired.b.timestamp",
		"shadow.name", "shadow.name.s1.reported.a", "shadow.name.s1.hasDelta", "shadow.name.$package.reported.b", "shadow.name.s1.metadata.reported.a.timestamp",
		"deviceDefender", "registry.version",
	}
}

// Queries says what the queries that are drawn may ask.
type Queries struct {
	// Fields are the names of fields to ask.
	Fields []string
	// Groups are names to ask thingGroupNames for, one by one: the query of a
	// dynamic group may do no more.
	Groups []string
	// Patterns allows any term on thingGroupNames.
	Patterns bool
	// Depth bounds operators within each other.
	Depth int
}

// Draw draws a query; it fails the test when the parser does not take it.
func (g Queries) Draw(t *rapid.T) *query.Query {
	text := g.Text(t)
	q, err := query.Parse(text)
	if err != nil {
		t.Fatalf("query %q: %v", text, err)
	}
	return q
}

// Text draws the text of a query.
func (g Queries) Text(t *rapid.T) string { return g.node(t, g.Depth) }

// node draws a query whose operators are at most so many within each other.
func (g Queries) node(t *rapid.T, depth int) string {
	if depth == 0 {
		return g.term(t)
	}
	switch rapid.IntRange(0, 8).Draw(t, "shape") {
	case 0:
		return "(" + g.node(t, depth-1) + " OR " + g.node(t, depth-1) + ")"
	case 1:
		return g.node(t, depth-1) + " OR " + g.node(t, depth-1) // AND binds tighter
	case 2:
		return "(" + g.node(t, depth-1) + " AND " + g.node(t, depth-1) + ")"
	case 3:
		return g.node(t, depth-1) + " " + g.node(t, depth-1)
	case 4:
		return "NOT (" + g.node(t, depth-1) + ")"
	case 5:
		return "-(" + g.node(t, depth-1) + ")"
	}
	return g.term(t)
}

// term draws a term, of which some are about groups and some about no field.
func (g Queries) term(t *rapid.T) string {
	kind := rapid.IntRange(0, 11).Draw(t, "kind")
	if kind == 0 {
		return g.value(t)
	}
	if kind == 1 && len(g.Groups) > 0 {
		name := rapid.SampledFrom(g.Groups).Draw(t, "group")
		if g.Patterns && rapid.Bool().Draw(t, "pattern") {
			return "thingGroupNames:" + g.value(t)
		}
		return rapid.SampledFrom([]string{"thingGroupNames:", "registry.thingGroupNames:", "-thingGroupNames:"}).Draw(t, "names") + escape(name)
	}
	return g.fieldTerm(t, rapid.SampledFrom(g.Fields).Draw(t, "field"))
}

func (g Queries) fieldTerm(t *rapid.T, field string) string {
	switch rapid.IntRange(0, 7).Draw(t, "condition") {
	case 0:
		return field + ":*"
	case 1, 2:
		operator := rapid.SampledFrom([]string{"<", ">", "<=", ">=", " > "}).Draw(t, "operator")
		return field + operator + rapid.SampledFrom([]string{"0", "1", "1.0", "2", "-1", "1e2", "99.5", "9007199254740992"}).Draw(t, "number")
	case 3:
		return field + ":(" + g.values(t, 2) + ")"
	case 4:
		return "NOT " + field + " : " + g.value(t)
	}
	return field + ":" + g.value(t)
}

// values draws the inside of a field group.
func (g Queries) values(t *rapid.T, depth int) string {
	if depth == 0 {
		return g.value(t)
	}
	switch rapid.IntRange(0, 4).Draw(t, "values") {
	case 0:
		return g.values(t, depth-1) + " OR " + g.values(t, depth-1)
	case 1:
		return g.values(t, depth-1) + rapid.SampledFrom([]string{" ", " AND "}).Draw(t, "and") + g.values(t, depth-1)
	case 2:
		return "NOT " + g.value(t)
	case 3:
		return "(" + g.values(t, depth-1) + ")"
	}
	return g.value(t)
}

// value draws what may stand behind the colon, and alone.
func (g Queries) value(t *rapid.T) string {
	switch rapid.IntRange(0, 9).Draw(t, "value") {
	case 0:
		return rapid.SampledFrom([]string{"*", "t*", "t1*", "gw-2*", "gw\\-2*", "1*", "s*", "*e", "*", "b**", "r*d", "?lue", "?", "1?", "?*?", "??d", "t?", "*2*"}).Draw(t, "wildcard")
	case 1:
		return g.between(t)
	case 2:
		return quote(rapid.SampledFrom(Words()).Draw(t, "phrase"))
	}
	return escape(rapid.SampledFrom(Words()).Draw(t, "word"))
}

// between draws a range: of numbers, of words, open, reversed, mixed.
func (g Queries) between(t *rapid.T) string {
	bounds := rapid.SampledFrom([]string{"*", "*", "1", "2", "10", "-1", "1e2", "a", "blue", `"RED"`, `"a b"`, "gw-200", "true", "9007199254740993", `""`})
	return rapid.SampledFrom([]string{"[", "{"}).Draw(t, "from") + bounds.Draw(t, "low") + " TO " +
		bounds.Draw(t, "high") + rapid.SampledFrom([]string{"]", "}"}).Draw(t, "up to")
}

// escape writes text as a word, with a backslash where it needs one; text that
// is no word is quoted.
func escape(text string) string {
	if text == "" || strings.ContainsAny(text, " \t") || text == "AND" {
		return quote(text)
	}
	var b strings.Builder
	for i, r := range text {
		number := i == 0 && r == '-' && len(text) > 1 && text[1] >= '0' && text[1] <= '9'
		if strings.ContainsRune(`\"()[]{}:<>=,*?`, r) || r == '-' && i == 0 && !number {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
