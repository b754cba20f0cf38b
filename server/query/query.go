package query

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Version is the only version of the language (AWS IoT reference 3.4).
const Version = "2017-09-30"

// Document is a thing as a query sees it. A document does not change while it
// is asked.
type Document interface {
	// Values returns the values of exactly this field, nil when it has none.
	// The caller must not change them.
	Values(field string) []Value
	// Has reports whether there is a value at path or below it: a has one
	// below when a.b has one.
	Has(path string) bool
	// Each yields all registry, shadow and Device Defender values until yield
	// returns false; connectivity is left out.
	Each(yield func(Value) bool)
}

// Query is a parsed query. It is immutable and safe for concurrent use.
type Query struct {
	source    string
	root      Node
	terms     int
	fields    []string
	below     []string
	fieldless bool
}

// Parse reads a query of the index of things. The error is a [*protocol.Error] of code InvalidQuery
// that names the column, what was found there and what is legal. Nothing but
// memory bounds the length: what a client sends goes through [ParseWithin].
func Parse(s string) (*Query, error) { return ParseFor(Things, s) }

// ParseFor is Parse for a query of any index.
func ParseFor(schema Schema, s string) (*Query, error) { return ParseWithin(schema, s, Limits{}) }

// ParseWithin is ParseFor for a query within limits. The length is looked at
// first, and reading ends where another limit is exceeded, so that a refusal
// costs no more than the largest query that is allowed.
func ParseWithin(schema Schema, s string, limits Limits) (*Query, error) {
	if err := limits.checkLength(s); err != nil {
		return nil, err
	}
	if !utf8.ValidString(s) {
		return nil, syntaxError(validPrefix(s)+1, "found bytes that are not UTF-8")
	}
	root, err := parse(schema, s, limits)
	if err != nil {
		return nil, err
	}
	q := &Query{source: s, root: root}
	walk(root, q.note)
	q.fields = sortedSet(q.fields)
	q.below = sortedSet(q.below)
	return q, nil
}

// note takes down what there is to know of a leaf.
func (q *Query) note(leaf Node) {
	q.terms++
	t, ok := leaf.(*Term)
	if !ok {
		return
	}
	if t.Field == "" {
		q.fieldless = true
	} else {
		q.fields = append(q.fields, t.Field)
	}
	if _, ok := t.Cond.(*Exists); ok {
		q.below = append(q.below, t.Field)
	}
}

// Match reports whether the query is true of the document.
func (q *Query) Match(d Document) bool { return q.root.match(d) }

// Root returns the tree of the query.
func (q *Query) Root() Node { return q.root }

// Source returns the query as it was given to Parse.
func (q *Query) Source() string { return q.source }

// String returns the query in canonical form: Parse(q.String()) is equivalent
// to q, and equal to it node by node.
func (q *Query) String() string {
	var p printer
	q.root.print(&p, levelOr)
	return p.String()
}

// Fields returns the names of the fields that the query mentions, sorted, each
// once, aliases resolved. The caller owns the slice.
func (q *Query) Fields() []string { return slices.Clone(q.fields) }

// PathsBelow returns those of the Fields that the query asks to exist
// (field:*), sorted: values of fields below them count too.
func (q *Query) PathsBelow() []string { return slices.Clone(q.below) }

// HasFieldless reports whether a term of the query names no field, so that
// any value outside connectivity may decide it. The bare * is no such term:
// no value decides it.
func (q *Query) HasFieldless() bool { return q.fieldless }

// Terms returns the number of terms: every leaf counts one, the bare * and
// each alternative of a field group included.
func (q *Query) Terms() int { return q.terms }

// FieldTerms returns the values that terms on the field ask for word by word,
// sorted, in the case they were written in (values compare without regard to
// case), and whether another term (a wildcard, a range, a comparison or field:*)
// asks for more than can be listed. A dynamic group's caller uses it to refuse
// queries on thingGroupNames that would depend on themselves.
func (q *Query) FieldTerms(field string) (exact []string, hasPattern bool) {
	walk(q.root, func(leaf Node) {
		t, ok := leaf.(*Term)
		if !ok || t.Field != field {
			return
		}
		if words, ok := t.Cond.(*Words); ok {
			exact = append(exact, strings.Join(words.Text, " "))
			return
		}
		hasPattern = true
	})
	return sortedSet(exact), hasPattern
}

func sortedSet(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

// validPrefix returns the number of characters before the first byte that is not UTF-8.
func validPrefix(s string) int {
	n := 0
	for i, r := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
			break
		}
		n++
	}
	return n
}
