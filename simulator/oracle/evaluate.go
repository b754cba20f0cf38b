package oracle

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/query"
)

// Thing is a thing as a search answers it.
type Thing struct {
	Name       protocol.ThingName
	ID, Type   string
	Groups     []string
	Attributes map[string]string
	// Shadow is a JSON document; empty when there is none.
	Shadow string
	// Indexed says that connectivity is; the rest is about it. Since is in
	// milliseconds of Unix time, 0 for never.
	Indexed, Connected bool
	Since              int64
	Reason             string
}

// same reports whether nothing about a thing that queries see has changed.
// Connectivity has the time of its last change and the shadow a version, so
// there and back again is not the same.
func (t Thing) same(o Thing) bool {
	return t.Name == o.Name && t.ID == o.ID && t.Type == o.Type && t.Shadow == o.Shadow && maps.Equal(t.Attributes, o.Attributes) &&
		t.Indexed == o.Indexed && t.Connected == o.Connected && t.Since == o.Since && t.Reason == o.Reason
}

// value is a leaf of a thing: a text that may be a number, or a boolean.
type value struct {
	text   string
	isBool bool
}

// values returns the leaves of a thing by field. open has those that terms
// without a field look at.
func (t Thing) values() (all map[string][]value, open map[string]bool) {
	all, open = map[string][]value{}, map[string]bool{}
	add := func(field string, shown bool, v value) {
		all[field] = append(all[field], v)
		if shown {
			open[field] = true
		}
	}
	for field, text := range map[string]string{"thingName": string(t.Name), "thingId": t.ID, "thingTypeName": t.Type} {
		if text != "" {
			add(field, true, value{text: text})
		}
	}
	for _, g := range t.Groups {
		add("thingGroupNames", true, value{text: g})
	}
	for name, text := range t.Attributes {
		add("attributes."+name, true, value{text: text})
	}
	if t.Indexed {
		add("connectivity.connected", false, value{strconv.FormatBool(t.Connected), true})
		if t.Since != 0 {
			add("connectivity.timestamp", false, value{text: strconv.FormatInt(t.Since, 10)})
		}
		if t.Reason != "" {
			add("connectivity.disconnectReason", false, value{text: t.Reason})
		}
	}
	if t.Shadow != "" {
		t.shadow(add)
	}
	return all, open
}

// shadow adds the leaves of the shadows.
func (t Thing) shadow(add func(field string, shown bool, v value)) {
	var doc map[string]any
	dec := json.NewDecoder(strings.NewReader(t.Shadow))
	dec.UseNumber()
	if dec.Decode(&doc) != nil {
		return
	}
	named, _ := doc["name"].(map[string]any)
	delete(doc, "name")
	section(doc, "shadow", add)
	for name, one := range named {
		if sections, ok := one.(map[string]any); ok {
			section(sections, "shadow.name."+name, add)
		}
	}
}

// section adds what is in one shadow; its version is not searchable. A time
// is there for what is there itself.
func section(doc map[string]any, prefix string, add func(field string, shown bool, v value)) {
	there := map[string]bool{}
	for _, name := range []string{"reported", "desired", "delta"} {
		leaves(doc[name], name, func(path string, v value) {
			there[path] = true
			add(prefix+"."+path, true, v)
		})
	}
	if has, ok := doc["hasDelta"].(bool); ok {
		add(prefix+".hasDelta", false, value{strconv.FormatBool(has), true})
	}
	if meta, ok := doc["metadata"].(map[string]any); ok {
		for name, member := range meta {
			stamps(member, name, func(path string, v value) {
				if there[strings.TrimSuffix(path, ".timestamp")] {
					add(prefix+".metadata."+path, false, v)
				}
			})
		}
	}
}

// stamps walks metadata, in which an array has one object for each element.
func stamps(v any, path string, add func(string, value)) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			stamps(member, path+"."+name, add)
		}
	case []any:
		for _, element := range v {
			stamps(element, path, add)
		}
	case json.Number:
		add(path, value{text: v.String()})
	}
}

// leaves walks a JSON value; an array of simple values is one field with
// several values, any other array is none.
func leaves(v any, path string, add func(string, value)) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			leaves(member, path+"."+name, add)
		}
	case []any:
		for _, element := range v {
			switch element.(type) {
			case map[string]any, []any:
				return
			}
		}
		for _, element := range v {
			leaves(element, path, add)
		}
	case bool:
		add(path, value{strconv.FormatBool(v), true})
	case json.Number:
		add(path, value{text: v.String()})
	case string:
		add(path, value{text: v})
	}
}

// matches evaluates a query the slow way: by walking it.
func matches(n query.Node, t Thing) bool {
	all, open := t.values()
	return eval(n, all, open)
}

func eval(n query.Node, all map[string][]value, open map[string]bool) bool {
	switch n := n.(type) {
	case *query.And:
		for _, child := range n.Nodes {
			if !eval(child, all, open) {
				return false
			}
		}
		return true
	case *query.Or:
		for _, child := range n.Nodes {
			if eval(child, all, open) {
				return true
			}
		}
		return false
	case *query.Not:
		return !eval(n.Node, all, open)
	case *query.Everything:
		return true
	case *query.Term:
		return term(n, all, open)
	}
	panic(fmt.Sprintf("unknown part of a query: %T", n))
}

func term(n *query.Term, all map[string][]value, open map[string]bool) bool {
	if _, ok := n.Cond.(*query.Exists); ok {
		for field := range all {
			if field == n.Field || strings.HasPrefix(field, n.Field+".") {
				return true
			}
		}
		return false
	}
	for field, values := range all {
		if n.Field != "" && field != n.Field || n.Field == "" && !open[field] {
			continue
		}
		for _, v := range values {
			if holds(n.Cond, v) {
				return true
			}
		}
	}
	return false
}

// holds asks one value.
func holds(c query.Cond, v value) bool {
	words := strings.Fields(strings.ToLower(v.text))
	number, isNumber := v.number()
	switch c := c.(type) {
	case *query.Words:
		return holdsWords(c.Text, v, words)
	case *query.Wildcard:
		form := patternOf(c.Pattern())
		for _, w := range words {
			if form.MatchString(w) {
				return true
			}
		}
		return v.text == "" && form.MatchString("")
	case *query.Comparison:
		return isNumber && compare(c.Op, number, c.Number)
	case *query.Range:
		return inRange(c, v, words)
	}
	panic(fmt.Sprintf("unknown condition of a query: %T", c))
}

func holdsWords(want []string, v value, words []string) bool {
	if len(want) == 0 {
		return len(words) == 0
	}
	if len(want) == 1 {
		a, aOK := numberOf(want[0])
		b, bOK := v.number()
		const exact = 1<<53 - 1
		if aOK && bOK && a == b && a <= exact && a >= -exact {
			return true
		}
	}
	phrase := " " + strings.ToLower(strings.Join(want, " ")) + " "
	if len(want) == 1 && strings.ContainsAny(want[0], " \t\n") {
		return false // an escaped space is part of a word, and no word has one
	}
	return strings.Contains(" "+strings.Join(words, " ")+" ", phrase)
}

// patternOf makes the regular expression of a word with wildcards.
func patternOf(pattern []rune) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("(?s)^")
	for _, r := range pattern {
		switch r {
		case query.AnyRun:
			b.WriteString(".*")
		case query.AnyOne:
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(strings.ToLower(string(r))))
		}
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

func compare(op string, a, b float64) bool {
	return map[string]bool{"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]
}

func inRange(c *query.Range, v value, words []string) bool {
	if c.Low.Open && c.High.Open {
		return true
	}
	low, lowOK := numberOf(c.Low.Text)
	high, highOK := numberOf(c.High.Text)
	if (lowOK || c.Low.Open) && (highOK || c.High.Open) {
		n, ok := v.number()
		return ok && (c.Low.Open || n > low || n == low && !c.Low.Exclusive) &&
			(c.High.Open || n < high || n == high && !c.High.Exclusive)
	}
	from, to := strings.ToLower(c.Low.Text), strings.ToLower(c.High.Text)
	for _, w := range words {
		if (c.Low.Open || w > from || w == from && !c.Low.Exclusive) && (c.High.Open || w < to || w == to && !c.High.Exclusive) {
			return true
		}
	}
	return false
}

func (v value) number() (float64, bool) {
	if v.isBool {
		return 0, false
	}
	return numberOf(v.text)
}

// numberOf reads a JSON number.
func numberOf(s string) (float64, bool) {
	if s == "" || strings.TrimSpace(s) != s || !json.Valid([]byte(s)) || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
