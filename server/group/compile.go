package group

import (
	"encoding/binary"
	"slices"

	"github.com/muster-iot/muster/server/query"
)

// catalog holds what the queries of all groups are made of: each literal and
// each conjunction once, filed where a change finds it.
type catalog struct {
	literals     map[string]*literal // by key
	conjunctions map[string]*conjunction
	fields       map[string]*field   // by name; "" has the literals without a field
	exists       map[string]*literal // of paths, by path
	// unconditional are the conjunctions that need no literal to be true: a
	// thing that comes may satisfy them though nothing flips to true.
	unconditional []*conjunction
	residual      int // conjunctions
	lastID        uint64
	freeNumbers   []int // of fields
	numbers       int   // of fields given so far
}

func newCatalog() catalog {
	return catalog{
		literals: map[string]*literal{}, conjunctions: map[string]*conjunction{},
		fields: map[string]*field{}, exists: map[string]*literal{},
	}
}

// own makes a group an owner of the conjunctions of its query.
func (k *catalog) own(e *entry) {
	n := normalize(e.query.Root())
	literals := make([]*literal, len(n.terms))
	for i, t := range n.terms {
		literals[i] = k.literal(t)
		literals[i].uses++
	}
	for _, signs := range n.any {
		c := k.conjunction(signs, literals, n.residual)
		c.owners = append(c.owners, e)
		e.conjunctions = append(e.conjunctions, c)
	}
	for _, l := range literals {
		k.release(l)
	}
}

// disown undoes own.
func (k *catalog) disown(e *entry) {
	for _, c := range e.conjunctions {
		if c.owners = without(c.owners, e); len(c.owners) == 0 {
			k.unfile(c)
		}
	}
	e.conjunctions = nil
}

// literal returns the literal of a term, made if needed.
func (k *catalog) literal(t *query.Term) *literal {
	key := keyOf(t)
	if l := k.literals[key]; l != nil {
		return l
	}
	f := k.fields[t.Field]
	if f == nil {
		f = newField(t.Field, k.number())
		k.fields[t.Field] = f
	}
	k.lastID++
	l := &literal{id: k.lastID, key: key, field: f, cond: t.Cond}
	l.kind, l.span = kindOf(t)
	k.literals[key] = l
	f.add(l)
	if l.kind == ofPath {
		k.exists[t.Field] = l
	}
	return l
}

// number returns a number for a field.
func (k *catalog) number() int {
	if last := len(k.freeNumbers) - 1; last >= 0 {
		n := k.freeNumbers[last]
		k.freeNumbers = k.freeNumbers[:last]
		return n
	}
	k.numbers++
	return k.numbers - 1
}

// release gives one use of a literal up; it goes with the last.
func (k *catalog) release(l *literal) {
	if l.uses--; l.uses > 0 {
		return
	}
	delete(k.literals, l.key)
	f := l.field
	if l.kind == ofPath {
		delete(k.exists, f.name)
	}
	if f.remove(l); f.uses == 0 {
		delete(k.fields, f.name)
		k.freeNumbers = append(k.freeNumbers, f.number)
	}
}

// conjunction returns the conjunction of these signs, made and filed if
// needed. A residual one is filed under all the literals of its query.
func (k *catalog) conjunction(signs all, literals []*literal, residual bool) *conjunction {
	c := &conjunction{residual: residual}
	for _, s := range signs {
		c.signs = append(c.signs, signed{literals[s.term()], s.negated()})
	}
	if residual {
		c.triggers = literals
	} else {
		for _, s := range c.signs {
			c.triggers = append(c.triggers, s.literal)
		}
	}
	c.key = c.keyOf()
	if known := k.conjunctions[c.key]; known != nil {
		return known
	}
	k.conjunctions[c.key] = c
	k.file(c)
	return c
}

// keyOf returns what tells conjunctions apart: the order of their literals
// means nothing.
func (c *conjunction) keyOf() string {
	ids := make([]uint64, 0, len(c.signs)+len(c.triggers)+1)
	for _, s := range c.signs {
		id := 2 * s.id
		if s.negated {
			id++
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if c.residual {
		ids = append(ids, 0)
		for _, l := range c.triggers {
			ids = append(ids, l.id)
		}
	}
	var key []byte
	for _, id := range ids {
		key = binary.AppendUvarint(key, id)
	}
	return string(key)
}

// file puts a conjunction where a flip of each of its triggers finds it.
func (k *catalog) file(c *conjunction) {
	for _, l := range c.triggers {
		l.uses++
		at := c.under(l)
		for _, ps := range c.pathsOf(l) {
			ps.add(at, c)
		}
	}
	if c.residual {
		k.residual++
	}
	if c.unconditional() {
		k.unconditional = append(k.unconditional, c)
	}
}

// unfile undoes file.
func (k *catalog) unfile(c *conjunction) {
	delete(k.conjunctions, c.key)
	for _, l := range c.triggers {
		at := c.under(l)
		for _, ps := range c.pathsOf(l) {
			ps.remove(at, c)
		}
	}
	if c.residual {
		k.residual--
	}
	if c.unconditional() {
		k.unconditional = without(k.unconditional, c)
	}
	for _, l := range c.triggers {
		k.release(l)
	}
}

// pathsOf returns where a conjunction is filed under a trigger: with the
// numbers of the field, or with the literal, as what it has to be. What the
// rest of a residual one needs of it is not known.
func (c *conjunction) pathsOf(l *literal) []*paths {
	if l.kind == ofNumber {
		return []*paths{&l.field.moved}
	}
	if c.residual {
		return []*paths{&l.decides[0], &l.decides[1]}
	}
	for _, s := range c.signs {
		if s.literal == l && s.negated {
			return []*paths{&l.decides[1]}
		}
	}
	return []*paths{&l.decides[0]}
}

// unconditional reports whether the conjunction needs no literal to be true.
func (c *conjunction) unconditional() bool {
	for _, s := range c.signs {
		if !s.negated {
			return false
		}
	}
	return true
}
