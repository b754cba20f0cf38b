package matching

import (
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// Way answers changes: it finds out who joins and leaves, and carries it out.
type Way interface {
	// Apply carries a change out. The answer is the caller's until the next call.
	Apply(n int, c index.Change) []move
}

// Names of the ways, in the order in which they are measured.
const (
	Floor   = "floor"
	Muster  = "muster"
	Rarest  = "rarest term"
	ByField = "by field"
	Naive   = "naive"
)

// Ways are the names of all ways.
func Ways() []string { return []string{Floor, Muster, Rarest, ByField, Naive} }

// way makes a way with all groups and members.
func (w *Workload) way(name string) Way {
	switch name {
	case Muster:
		return &muster{m: w.matcher()}
	case Floor:
		return &floor{members: w.members(), answers: w.answers}
	}
	e := &evaluator{members: w.members(), queries: w.queries, seen: make([]uint64, len(w.queries)), every: make([]uint32, len(w.queries))}
	for i := range e.every {
		e.every[i] = uint32(i)
	}
	switch name {
	case ByField:
		e.candidates = newByField(w.queries).candidates
	case Rarest:
		e.candidates = newRarest(w).candidates
	default:
		e.candidates = func(index.Change, func([]uint32)) {}
		e.candidates = func(_ index.Change, visit func([]uint32)) { visit(e.every) }
	}
	return e
}

// muster is the matcher that musterd has. Its answer names groups; nobody asks
// it for them here, as that is no part of it.
type muster struct {
	m    *group.Matcher
	last []group.Membership
}

func (w *muster) Apply(_ int, c index.Change) []move {
	w.last = w.m.Apply(c)
	return nil
}

// members keeps who is in which group, in the same way as the matcher.
type members struct {
	groups [][]uint32 // by the number of the device, sorted
	things []*roaring.Bitmap
}

func (w *Workload) members() members {
	m := members{groups: make([][]uint32, len(w.docs)), things: make([]*roaring.Bitmap, len(w.queries))}
	for i := range m.things {
		m.things[i] = roaring.New()
	}
	for i, groups := range w.start {
		id := w.docs[i].ID()
		m.groups[id] = slices.Clone(groups)
		for _, g := range groups {
			m.things[g].Add(id)
		}
	}
	return m
}

func (m *members) has(id, g uint32) bool {
	_, found := slices.BinarySearch(m.groups[id], g)
	return found
}

func (m *members) carryOut(id uint32, moves []move) {
	for _, x := range moves {
		i, _ := slices.BinarySearch(m.groups[id], x.group)
		if x.joined {
			m.groups[id] = slices.Insert(m.groups[id], i, x.group)
			m.things[x.group].Add(id)
		} else {
			m.groups[id] = slices.Delete(m.groups[id], i, i+1)
			m.things[x.group].Remove(id)
		}
	}
}

// floor knows the answers.
type floor struct {
	members
	answers [][]move
}

func (f *floor) Apply(n int, c index.Change) []move {
	f.carryOut(c.New.ID(), f.answers[n])
	return f.answers[n]
}

// evaluator asks the queries of some groups.
type evaluator struct {
	members
	queries    []*query.Query
	candidates func(c index.Change, visit func(groups []uint32))
	every      []uint32
	seen       []uint64 // the change in which a group was asked
	changes    uint64
	moves      []move
}

func (e *evaluator) Apply(_ int, c index.Change) []move {
	e.changes++
	e.moves = e.moves[:0]
	e.candidates(c, func(groups []uint32) {
		for _, g := range groups {
			if e.seen[g] == e.changes {
				continue
			}
			e.seen[g] = e.changes
			if matches := e.queries[g].Match(c.New); matches != e.has(c.New.ID(), g) {
				e.moves = append(e.moves, move{g, matches})
			}
		}
	})
	slices.SortFunc(e.moves, func(a, b move) int { return int(a.group) - int(b.group) })
	e.carryOut(c.New.ID(), e.moves)
	return e.moves
}

// byField asks the groups whose query names a changed field.
type byField map[string][]uint32

func newByField(queries []*query.Query) byField {
	b := byField{}
	for i, q := range queries {
		for _, f := range q.Fields() {
			b[f] = append(b[f], uint32(i))
		}
	}
	return b
}

func (b byField) candidates(c index.Change, visit func([]uint32)) {
	for _, f := range c.Fields {
		visit(b[f])
	}
}

// rarest files each group under the terms of which one has to be true: of an
// AND the term that the fewest devices have. It asks the groups of the terms
// that are true before or after the change, if they name a changed field.
type rarest struct {
	terms  map[string]map[string][]uint32 // by field and word
	always []uint32
	names  [][]string // fields by group
	picked []uint32
}

func newRarest(w *Workload) *rarest {
	counts := map[string]int{}
	for _, doc := range w.docs {
		for _, f := range doc.Fields() {
			for _, v := range doc.Values(f) {
				counts[f+"\x00"+v.Lower()]++
			}
		}
	}
	r := &rarest{terms: map[string]map[string][]uint32{}}
	for i, q := range w.queries {
		r.names = append(r.names, q.Fields())
		terms, _ := access(q.Root(), counts)
		if terms == nil {
			r.always = append(r.always, uint32(i))
		}
		for _, t := range terms {
			words := r.terms[t[0]]
			if words == nil {
				words = map[string][]uint32{}
				r.terms[t[0]] = words
			}
			words[t[1]] = append(words[t[1]], uint32(i))
		}
	}
	return r
}

// access returns terms of which one is true when the node is, as field and
// word, and how many devices have them; nil if there are none.
func access(n query.Node, counts map[string]int) (terms [][2]string, devices int) {
	switch n := n.(type) {
	case *query.Term:
		if words, ok := n.Cond.(*query.Words); ok && len(words.Lower()) == 1 {
			word := words.Lower()[0]
			return [][2]string{{n.Field, word}}, counts[n.Field+"\x00"+word]
		}
	case *query.And:
		for _, child := range n.Nodes {
			if t, d := access(child, counts); t != nil && (terms == nil || d < devices) {
				terms, devices = t, d
			}
		}
		return terms, devices
	case *query.Or:
		for _, child := range n.Nodes {
			t, d := access(child, counts)
			if t == nil {
				return nil, 0
			}
			terms, devices = append(terms, t...), devices+d
		}
		return terms, devices
	}
	return nil, 0
}

func (r *rarest) candidates(c index.Change, visit func([]uint32)) {
	r.picked = r.picked[:0]
	r.pick(c, r.always)
	for _, doc := range []*index.Document{c.Old, c.New} {
		for field, words := range r.terms {
			for _, v := range doc.Values(field) {
				r.pick(c, words[v.Lower()])
			}
		}
	}
	visit(r.picked)
}

func (r *rarest) pick(c index.Change, groups []uint32) {
	for _, g := range groups {
		for _, f := range c.Fields {
			if slices.ContainsFunc(r.names[g], func(name string) bool { return strings.Compare(name, f) == 0 }) {
				r.picked = append(r.picked, g)
				break
			}
		}
	}
}
