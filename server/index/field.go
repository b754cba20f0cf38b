package index

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/query"
)

// field is the dictionary of a field: every value that some thing has, each
// once, with the things that have it. A value is filed by what it is, so that
// each condition finds what it asks for in an order of its own: numbers by what
// they are worth, single words as text, and longer texts by each of their words
// besides.
type field struct {
	name   string
	hidden bool            // from terms without a field
	shapes int             // that have the field
	has    *roaring.Bitmap // the things that have a value

	numbers ordered // single words that are numbers
	texts   ordered // other single words
	phrases ordered // values that are not a single word
	words   ordered // of phrases; the empty word stands for values without words
}

func newField(name string, hidden bool, s sizes) *field {
	return &field{
		name: name, hidden: hidden, has: roaring.New(),
		numbers: ordered{compare: byNumber, most: s.entries},
		texts:   ordered{compare: byText, most: s.entries},
		phrases: ordered{compare: byText, most: s.entries},
		words:   ordered{compare: byText, most: s.entries},
	}
}

// order returns the order in which a value is filed.
func (f *field) order(v *query.Value) *ordered {
	switch {
	case v.Phrase():
		return &f.phrases
	case v.IsNum:
		return &f.numbers
	}
	return &f.texts
}

// add gives a thing a value; the entry is that of the value.
func (f *field) add(v *query.Value, id uint32) *entry {
	if v.Phrase() {
		for _, w := range wordsOf(v) {
			f.words.add(&w, id)
		}
	}
	return f.order(v).add(v, id)
}

// remove takes values from a thing: all that it has of the field.
func (f *field) remove(values []query.Value, id uint32) {
	for i := range values {
		v := &values[i]
		f.order(v).remove(v, id)
		if v.Phrase() {
			for _, w := range wordsOf(v) {
				f.words.remove(&w, id)
			}
		}
	}
}

// keep makes sure of the words of what a thing keeps of a field, of which it
// has lost one value.
func (f *field) keep(values []query.Value, id uint32) {
	for i := range values {
		if values[i].Phrase() {
			f.add(&values[i], id)
		}
	}
}

// wordsOf returns the words of a phrase as values.
func wordsOf(v *query.Value) []query.Value {
	var words []query.Value
	for w := range v.Words {
		words = append(words, word(w))
	}
	if words == nil {
		words = []query.Value{word("")}
	}
	return words
}

// word returns a word as words are filed.
func word(lower string) query.Value { return query.NewValue(lower) }
