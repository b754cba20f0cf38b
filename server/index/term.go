package index

import (
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/query"
)

// term is the part of a search that answers a term: the union of the things of
// all values that satisfy its condition. Looking it up says which those are, as
// far as single values or whole fields answer it, and where to look for others.
type term struct {
	sight
	node *query.Term

	after    string // the last field that was looked up, of a term without a field
	postings []*posting
	sets     []*roaring.Bitmap
	runs     []run
	estimate int
	price    int

	next  int // of postings, then sets, then runs
	union gathered
	found *roaring.Bitmap // nil until all is in the union
}

// prepare looks the term up, in pieces if it names no field, and reports
// whether that is done.
func (t *term) prepare(b *budget) bool {
	b.spend(2 * unitsOfValue)
	_, exists := t.node.Cond.(*query.Exists)
	switch {
	case exists:
		t.exists(b)
	case t.node.Field == "":
		return t.everywhere(b)
	default:
		if f := t.ix.field(t.node.Field); f != nil {
			t.lookUp(f, b)
		}
		if joined := t.joined(); joined != nil && t.node.Field == groupNamesField {
			t.lookUp(joined, b)
		}
	}
	return true
}

// exists takes in the things that have a field, or one below it.
func (t *term) exists(b *budget) {
	path := t.node.Field
	below := path + "."
	if f := t.ix.field(path); f != nil {
		t.whole(f, b)
	}
	t.ix.fields.AscendGreaterOrEqual(&field{name: below}, func(f *field) bool {
		if !strings.HasPrefix(f.name, below) {
			return false
		}
		t.whole(f, b)
		return true
	})
	if joined := t.joined(); joined != nil && path == groupNamesField {
		t.whole(joined, b)
	}
}

func (t *term) whole(f *field, b *budget) {
	if f.has.IsEmpty() {
		return
	}
	b.spend(unitsOfValue)
	t.sets = append(t.sets, f.has)
	t.estimate += int(f.has.GetCardinality())
	t.price += bitmapWork(f.has)
}

// everywhere looks the term up in all fields that it may look at. There are few
// fields, and so no dictionary of the words of all fields: it would be the
// largest part of the index and every change would have to maintain it.
func (t *term) everywhere(b *budget) bool {
	done := true
	t.ix.fields.AscendGreaterOrEqual(&field{name: t.after}, func(f *field) bool {
		if f.hidden || f.name == t.after {
			return true
		}
		done = !b.spent()
		if done {
			t.after = f.name
			t.lookUp(f, b)
		}
		return done
	})
	if joined := t.joined(); joined != nil && done {
		t.lookUp(joined, b)
	}
	return done
}

// lookUp finds the values of a field that satisfy the condition.
func (t *term) lookUp(f *field, b *budget) {
	b.spend(4 * unitsOfValue)
	switch c := t.node.Cond.(type) {
	case *query.Words:
		t.words(f, c)
	case *query.Wildcard:
		t.wildcard(f, c, b)
	case *query.Comparison:
		t.interval(f, c.Interval(), b)
	case *query.Range:
		t.bounds(f, c, b)
	}
}

// words finds a word, as a value or in one, or a phrase.
func (t *term) words(f *field, c *query.Words) {
	words := c.Lower()
	switch len(words) {
	case 0:
		t.exact(&f.words, equalTo(""))
	case 1:
		t.exact(&f.words, equalTo(words[0]))
		v := query.NewValue(words[0])
		n, isNumber := c.Number()
		switch {
		case isNumber:
			t.exact(&f.numbers, span{
				from:   func(v *query.Value) bool { return v.Num >= n },
				inside: func(v *query.Value) bool { return v.Num <= n },
			})
		case v.IsNum:
			t.exact(&f.numbers, span{
				from:   func(w *query.Value) bool { return w.Num > v.Num || w.Num == v.Num && w.Lower() >= v.Lower() },
				inside: func(w *query.Value) bool { return w.Num == v.Num && w.Lower() == v.Lower() },
			})
		default:
			t.exact(&f.texts, equalTo(words[0]))
		}
	default:
		t.run(f, run{list: &f.phrases, match: t.match}, &budget{})
	}
}

// match asks the condition about a value.
func (t *term) match(v *query.Value) bool { return t.node.Cond.Match(*v) }

func (t *term) wildcard(f *field, c *query.Wildcard, b *budget) {
	prefix, all := c.Prefix()
	match := t.match
	if all {
		match = nil
	}
	texts := span{
		from:   func(v *query.Value) bool { return v.Lower() >= prefix && v.Lower() != "" },
		inside: func(v *query.Value) bool { return strings.HasPrefix(v.Lower(), prefix) },
	}
	t.run(f, run{list: &f.texts, span: texts, match: match}, b)
	t.run(f, run{list: &f.words, span: texts, match: match}, b)
	t.run(f, run{list: &f.numbers, match: t.match}, b)
}

// interval finds numbers.
func (t *term) interval(f *field, i query.Interval, b *budget) {
	t.run(f, run{list: &f.numbers, span: span{
		from:   func(v *query.Value) bool { return v.Num > i.Low || v.Num == i.Low && !i.LowExclusive },
		inside: func(v *query.Value) bool { return v.Num < i.High || v.Num == i.High && !i.HighExclusive },
	}}, b)
}

// bounds finds what lies in a range of numbers or of texts.
func (t *term) bounds(f *field, c *query.Range, b *budget) {
	if i, numeric := c.Interval(); numeric {
		t.interval(f, i, b)
		return
	}
	if c.Low.Open && c.High.Open {
		t.whole(f, b)
		return
	}
	low, high := c.Low.Lower(), c.High.Lower()
	texts := span{
		from: func(v *query.Value) bool {
			w := v.Lower()
			return w != "" && (c.Low.Open || w > low || w == low && !c.Low.Exclusive)
		},
		inside: func(v *query.Value) bool {
			return c.High.Open || v.Lower() < high || v.Lower() == high && !c.High.Exclusive
		},
	}
	t.run(f, run{list: &f.texts, span: texts}, b)
	t.run(f, run{list: &f.words, span: texts}, b)
	t.run(f, run{list: &f.numbers, match: t.match}, b)
}

// exact takes in the few entries of a span.
func (t *term) exact(list *ordered, s span) {
	for e := range list.entries(s) {
		t.postings = append(t.postings, &e.things)
		t.estimate += e.things.len()
		t.price += e.things.work()
	}
}

// run takes in a run, if there is anything in it.
func (t *term) run(f *field, r run, b *budget) {
	estimate, price := r.estimate(int(f.has.GetCardinality()), b)
	if price == 0 {
		return
	}
	t.runs = append(t.runs, r)
	t.estimate += estimate
	t.price += price
}

func (t *term) order()    {}
func (t *term) most() int { return min(t.ix.Len(), t.estimate) }

func (t *term) cost() int {
	if t.ready() {
		return unitsOfValue
	}
	return t.price
}

// lone returns the set that is the whole answer, nil if there is no such.
func (t *term) lone() *roaring.Bitmap {
	switch {
	case len(t.runs) > 0 || len(t.postings)+len(t.sets) != 1:
		return nil
	case len(t.sets) == 1:
		return t.sets[0]
	}
	return t.postings[0].bitmap()
}

// ready reports whether the term is answered without further work.
func (t *term) ready() bool { return t.lone() != nil }

func (t *term) step(b *budget) bool {
	if t.found != nil || t.ready() {
		return true
	}
	sets, runs := len(t.postings), len(t.postings)+len(t.sets)
	for ; t.next < runs+len(t.runs); t.next++ {
		switch {
		case b.spent():
			return false
		case t.next < sets:
			t.union.posting(t.postings[t.next], b)
		case t.next < runs:
			t.union.set(t.sets[t.next-sets], b)
		case !t.runs[t.next-runs].step(&t.union, b):
			return false
		}
	}
	t.found = t.union.bitmap(b)
	return true
}

func (t *term) answer() answer {
	if lone := t.lone(); lone != nil {
		return answer{lone, true}
	}
	return answer{ids: t.found}
}
