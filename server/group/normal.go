package group

import (
	"slices"

	"github.com/muster-iot/muster/server/query"
)

// The bounds of a normal form. A query that would exceed one is residual: the
// literals that it needs in any case are kept, and the rest is asked of the
// query itself.
const (
	maxConjunctions = 64
	maxLiterals     = 256
)

// sign is a term of a query that a document has to satisfy, or, negated, must
// not: its position among the terms of the normal form, doubled, and one more
// when it is negated.
type sign int

func signOf(term int, negated bool) sign {
	if negated {
		return sign(2*term + 1)
	}
	return sign(2 * term)
}

func (s sign) term() int     { return int(s) / 2 }
func (s sign) negated() bool { return s%2 == 1 }

// all is a conjunction: signs, sorted, each term once. The empty one is true.
type all []sign

// normal is a query as a disjunction of conjunctions.
type normal struct {
	terms []*query.Term // each once, as far as their keys tell
	any   []all
	// residual says that the query is too large: any has one conjunction then,
	// which is necessary and not sufficient.
	residual bool
}

// normalize writes a query as a disjunction of conjunctions. No conjunction
// contradicts itself or contains another one.
func normalize(root query.Node) normal {
	n := normalizer{position: map[string]int{}}
	conjunctions, ok := n.expand(root, false)
	if !ok {
		return normal{terms: n.everyTerm(root), any: []all{n.necessary(root)}, residual: true}
	}
	return normal{terms: n.terms, any: conjunctions}
}

type normalizer struct {
	terms    []*query.Term
	position map[string]int // by the key of the term
}

func (n *normalizer) term(t *query.Term, negated bool) sign {
	key := keyOf(t)
	i, known := n.position[key]
	if !known {
		i = len(n.terms)
		n.position[key] = i
		n.terms = append(n.terms, t)
	}
	return signOf(i, negated)
}

// expand returns the conjunctions of a part of the query, or of its negation;
// false if they are too many.
func (n *normalizer) expand(part query.Node, negated bool) ([]all, bool) {
	switch part := part.(type) {
	case *query.Not:
		return n.expand(part.Node, !negated)
	case *query.And:
		return n.join(part.Nodes, negated, negated)
	case *query.Or:
		return n.join(part.Nodes, negated, !negated)
	case *query.Term:
		return []all{{n.term(part, negated)}}, true
	}
	if negated { // of *query.Everything
		return nil, true
	}
	return []all{{}}, true
}

// join expands parts that are joined by OR (either), or by AND.
func (n *normalizer) join(parts []query.Node, negated, either bool) ([]all, bool) {
	var joined []all
	if !either {
		joined = []all{{}}
	}
	for _, part := range parts {
		more, ok := n.expand(part, negated)
		if !ok {
			return nil, false
		}
		if either {
			joined = append(joined, more...)
		} else if joined, ok = product(joined, more); !ok {
			return nil, false
		}
		if joined = minimal(joined); tooMany(joined) {
			return nil, false
		}
	}
	return joined, true
}

func tooMany(conjunctions []all) bool {
	literals := 0
	for _, c := range conjunctions {
		literals += len(c)
	}
	return len(conjunctions) > maxConjunctions || literals > maxLiterals
}

// product joins each of a with each of b, without those that contradict
// themselves; false if it is hopeless to try.
func product(a, b []all) (joined []all, ok bool) {
	const hopeless = 8 * maxConjunctions
	if len(a)*len(b) > hopeless {
		return nil, false
	}
	for _, x := range a {
		for _, y := range b {
			both := slices.Concat(x, y)
			slices.Sort(both)
			if both = slices.Compact(both); !contradicts(both) {
				joined = append(joined, both)
			}
		}
	}
	return joined, true
}

// contradicts reports whether a term and its negation stand in a conjunction.
func contradicts(c all) bool {
	for i := 1; i < len(c); i++ {
		if c[i].term() == c[i-1].term() {
			return true
		}
	}
	return false
}

// minimal drops conjunctions that contain another one: they add nothing.
func minimal(conjunctions []all) []all {
	slices.SortFunc(conjunctions, func(a, b all) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return slices.Compare(a, b)
	})
	var kept []all
	for _, c := range conjunctions {
		if !slices.ContainsFunc(kept, func(k all) bool { return contains(c, k) }) {
			kept = append(kept, c)
		}
	}
	return kept
}

// contains reports whether the sorted c has all of the sorted part.
func contains(c, part all) bool {
	for _, s := range c {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		}
	}
	return len(part) == 0
}

// necessary returns the literals without which the query is not true: those
// that stand in its outermost AND.
func (n *normalizer) necessary(root query.Node) all {
	parts := []query.Node{root}
	if and, ok := root.(*query.And); ok {
		parts = and.Nodes
	}
	needed := all{}
	for _, part := range parts {
		negated := false
		for not, ok := part.(*query.Not); ok; not, ok = part.(*query.Not) {
			part, negated = not.Node, !negated
		}
		if t, ok := part.(*query.Term); ok {
			needed = append(needed, n.term(t, negated))
		}
	}
	slices.Sort(needed)
	return slices.Compact(needed)
}

// everyTerm makes sure that the terms of a part of the query are known, also
// those that an expansion that was given up has not come to.
func (n *normalizer) everyTerm(part query.Node) []*query.Term {
	switch part := part.(type) {
	case *query.Not:
		n.everyTerm(part.Node)
	case *query.And:
		for _, child := range part.Nodes {
			n.everyTerm(child)
		}
	case *query.Or:
		for _, child := range part.Nodes {
			n.everyTerm(child)
		}
	case *query.Term:
		n.term(part, false)
	}
	return n.terms
}
