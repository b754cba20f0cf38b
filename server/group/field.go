package group

import (
	"iter"
	"slices"
	"strings"

	"github.com/muster-iot/muster/server/query"
)

// field finds the literals of one field that a value satisfies. The field
// without a name has the literals that name none.
type field struct {
	name   string
	number int // its place in the views of a change
	uses   int // literals

	words    map[string]*spelled
	numbers  map[float64][]*literal // of words that are numbers
	prefixes map[string]*begun
	lengths  []length   // of the prefixes, in order
	rest     []*literal // to be tried
	// moved are the conjunctions with a literal of numbers on this field.
	moved paths

	changed uint64 // the round in which it is among the changed fields
	turn    uint64 // numbers the values that it was asked about
}

// spelled are the literals that a word in lower case leads to.
type spelled struct {
	word    *literal
	phrases []*literal // that begin with it
	turn    uint64     // of the last value that has the word: it may have it often
}

// begun are the literals that a beginning of a word leads to.
type begun struct {
	prefix   *literal
	patterns []*literal // that ask for more
	tried    uint64     // the pass that has met the patterns
}

// length is how many bytes long prefixes are, and how many of them.
type length struct{ bytes, uses int }

func newField(name string, number int) *field {
	return &field{name: name, number: number, words: map[string]*spelled{}, numbers: map[float64][]*literal{}, prefixes: map[string]*begun{}}
}

// add files a literal of the field.
func (f *field) add(l *literal) {
	f.uses++
	switch c := l.cond.(type) {
	case *query.Words:
		if l.kind == ofWords {
			f.addWords(l, c)
			return
		}
	case *query.Wildcard:
		f.addPrefix(l, c)
		return
	}
	if l.kind == ofRest {
		f.rest = append(f.rest, l)
	}
}

func (f *field) addWords(l *literal, c *query.Words) {
	first := c.Lower()[0]
	s := f.words[first]
	if s == nil {
		s = &spelled{}
		f.words[first] = s
	}
	if len(c.Lower()) > 1 {
		s.phrases = append(s.phrases, l)
		return
	}
	s.word = l
	if n, ok := c.Number(); ok {
		f.numbers[n] = append(f.numbers[n], l)
	}
}

func (f *field) addPrefix(l *literal, c *query.Wildcard) {
	text, whole := c.Prefix()
	b := f.prefixes[text]
	if b == nil {
		b = &begun{}
		f.prefixes[text] = b
		i, found := f.length(len(text))
		if !found {
			f.lengths = slices.Insert(f.lengths, i, length{bytes: len(text)})
		}
		f.lengths[i].uses++
	}
	if whole {
		b.prefix = l
	} else {
		b.patterns = append(b.patterns, l)
	}
}

func (f *field) length(bytes int) (int, bool) {
	return slices.BinarySearchFunc(f.lengths, bytes, func(l length, bytes int) int { return l.bytes - bytes })
}

// remove undoes add.
func (f *field) remove(l *literal) {
	f.uses--
	switch c := l.cond.(type) {
	case *query.Words:
		if l.kind == ofWords {
			f.removeWords(l, c)
			return
		}
	case *query.Wildcard:
		f.removePrefix(l, c)
		return
	}
	if l.kind == ofRest {
		f.rest = without(f.rest, l)
	}
}

func (f *field) removeWords(l *literal, c *query.Words) {
	first := c.Lower()[0]
	s := f.words[first]
	if len(c.Lower()) > 1 {
		s.phrases = without(s.phrases, l)
	} else {
		s.word = nil
	}
	if s.word == nil && len(s.phrases) == 0 {
		delete(f.words, first)
	}
	if n, ok := c.Number(); ok {
		if f.numbers[n] = without(f.numbers[n], l); len(f.numbers[n]) == 0 {
			delete(f.numbers, n)
		}
	}
}

func (f *field) removePrefix(l *literal, c *query.Wildcard) {
	text, whole := c.Prefix()
	b := f.prefixes[text]
	if whole {
		b.prefix = nil
	} else {
		b.patterns = without(b.patterns, l)
	}
	if b.prefix != nil || len(b.patterns) > 0 {
		return
	}
	delete(f.prefixes, text)
	i, _ := f.length(len(text))
	if f.lengths[i].uses--; f.lengths[i].uses == 0 {
		f.lengths = slices.Delete(f.lengths, i, i+1)
	}
}

// without takes an element out of a list whose order says nothing.
func without[T comparable](list []T, x T) []T {
	i, last := slices.Index(list, x), len(list)-1
	list[i] = list[last]
	clear(list[last:])
	return list[:last]
}

// selected appends the literals of words and prefixes that the values satisfy,
// each once: pass is a number that no pass before has had.
func (f *field) selected(values []query.Value, pass uint64, into []*literal) []*literal {
	for i := range values {
		v := &values[i]
		f.turn++
		if v.IsNum && len(f.numbers) > 0 {
			for _, l := range f.numbers[v.Num] {
				into = l.meet(pass, into)
			}
		}
		if !v.Phrase() {
			into = f.selectedByWord(v.Lower(), v, pass, into)
			continue
		}
		for word := range v.Words {
			into = f.selectedByWord(word, v, pass, into)
		}
	}
	return into
}

func (f *field) selectedByWord(word string, v *query.Value, pass uint64, into []*literal) []*literal {
	if s := f.words[word]; s != nil && s.turn != f.turn {
		s.turn = f.turn
		if s.word != nil {
			into = s.word.meet(pass, into)
		}
		for _, l := range s.phrases {
			if l.mark != pass && l.cond.Match(*v) {
				into = l.meet(pass, into)
			}
		}
	}
	for _, n := range f.lengths {
		if n.bytes > len(word) {
			break
		}
		if b := f.prefixes[word[:n.bytes]]; b != nil && b.prefix != nil {
			into = b.prefix.meet(pass, into)
		}
	}
	return into
}

// tried appends the literals that selected leaves out, as far as the values
// may satisfy them: patterns that begin as one of their words does, and the
// rest.
func (f *field) tried(values []query.Value, pass uint64, into []*literal) []*literal {
	for _, l := range f.rest {
		into = l.meet(pass, into)
	}
	for i := range values {
		for word := range values[i].Words {
			into = f.triedByWord(word, pass, into)
		}
	}
	return into
}

func (f *field) triedByWord(word string, pass uint64, into []*literal) []*literal {
	for _, n := range f.lengths {
		if n.bytes > len(word) {
			break
		}
		b := f.prefixes[word[:n.bytes]]
		if b == nil || b.tried == pass {
			continue
		}
		b.tried = pass
		for _, l := range b.patterns {
			into = l.meet(pass, into)
		}
	}
	return into
}

// meet appends the literal unless this pass has met it already.
func (l *literal) meet(pass uint64, into []*literal) []*literal {
	if l.mark == pass {
		return into
	}
	l.mark = pass
	return append(into, l)
}

// upwards yields a path and the paths above it.
func upwards(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := len(path); i >= 0; i = strings.LastIndexByte(path[:i], '.') {
			if !yield(path[:i]) {
				return
			}
		}
	}
}
