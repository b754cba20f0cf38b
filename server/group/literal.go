package group

import (
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/muster-iot/muster/server/query"
)

// kind is how the literals that a value satisfies are found.
type kind uint8

const (
	ofWords  kind = iota // a word or a phrase: by its words and its number
	ofPrefix             // the beginning of a word: by that
	ofNumber             // a comparison or a range of numbers: by its bounds
	ofPath               // field:*: by the paths above a field
	ofRest               // anything else: by trying
)

// literal is a term that queries ask, whatever their number. It says nothing
// about whether the term is to be true.
type literal struct {
	id    uint64 // never given twice
	key   string
	kind  kind
	field *field // without a name: the term names no field
	cond  query.Cond
	span  query.Interval // of ofNumber
	uses  int            // conjunctions that are filed under it

	// decides are the conjunctions that a flip of this literal may make true or
	// false; those that need it true and those that need it false.
	decides [2]paths

	// Scratch of the change that is being looked at.
	mark  uint64    // the pass that has met it
	asked [2]uint64 // the round that has evaluated it, by side
	holds [2]bool   // what came of that
}

// keyOf returns what tells terms apart: terms of one key are true of the same
// documents.
func keyOf(t *query.Term) string {
	var b strings.Builder
	b.WriteString(strconv.Quote(t.Field))
	switch c := t.Cond.(type) {
	case *query.Words:
		b.WriteByte('w')
		for _, word := range c.Lower() {
			b.WriteString(strconv.Quote(word))
		}
	case *query.Wildcard:
		b.WriteByte('p')
		for _, r := range c.Pattern() {
			b.WriteString(strconv.Itoa(int(unicode.ToLower(r))))
			b.WriteByte(',')
		}
	case *query.Exists:
		b.WriteByte('e')
	case *query.Comparison:
		writeSpan(&b, c.Interval())
	case *query.Range:
		if span, numeric := c.Interval(); numeric {
			writeSpan(&b, span)
			break
		}
		b.WriteByte('r')
		writeBound(&b, c.Low)
		writeBound(&b, c.High)
	}
	return b.String()
}

func writeSpan(b *strings.Builder, s query.Interval) {
	b.WriteByte('n')
	for _, end := range []float64{s.Low, s.High} {
		b.WriteByte(' ')
		b.WriteString(strconv.FormatFloat(end+0, 'g', -1, 64)) // +0: both zeros are one number
	}
	b.WriteString(strconv.FormatBool(s.LowExclusive))
	b.WriteString(strconv.FormatBool(s.HighExclusive))
}

func writeBound(b *strings.Builder, x query.Bound) {
	b.WriteString(strconv.FormatBool(x.Open))
	b.WriteString(strconv.FormatBool(x.Exclusive))
	b.WriteString(strconv.Quote(x.Lower()))
}

// kindOf classifies a term; span is set of numbers.
func kindOf(t *query.Term) (k kind, span query.Interval) {
	switch c := t.Cond.(type) {
	case *query.Words:
		if len(c.Lower()) > 0 {
			return ofWords, span
		}
	case *query.Wildcard:
		if _, all := c.Prefix(); all {
			return ofPrefix, span
		}
	case *query.Exists:
		return ofPath, span
	case *query.Comparison:
		if t.Field != "" {
			return ofNumber, c.Interval()
		}
	case *query.Range:
		if span, numeric := c.Interval(); numeric && t.Field != "" {
			return ofNumber, span
		}
	}
	return ofRest, query.Interval{}
}

// selects reports whether the documents that satisfy the literal are few as a
// rule and can be told by what is in its field: conjunctions are grouped by
// such literals.
func (l *literal) selects() bool {
	return (l.kind == ofWords || l.kind == ofPrefix) && l.field.name != ""
}

// lowest and highest are the finite bounds of a literal of numbers.
func (l *literal) lowest() (float64, bool)  { return l.span.Low, !math.IsInf(l.span.Low, 0) }
func (l *literal) highest() (float64, bool) { return l.span.High, !math.IsInf(l.span.High, 0) }
