package engine

import "time"

// links is a relation between two kinds of names, each side of which lists the
// other in the order in which they were joined (rule 26). V says how.
type links[L, R ~string, V any] struct {
	made   map[link[L, R]]joined[V]
	rights map[L]*order[R]
	lefts  map[R]*order[L]
}

type link[L, R ~string] struct {
	left  L
	right R
}

// joined is how and when two names were joined; it is the row's value too.
type joined[V any] struct {
	At time.Time `json:"at"`
	As V         `json:"as,omitzero"`
}

func newLinks[L, R ~string, V any]() links[L, R, V] {
	return links[L, R, V]{map[link[L, R]]joined[V]{}, map[L]*order[R]{}, map[R]*order[L]{}}
}

// get returns how two names are joined.
func (k *links[L, R, V]) get(l L, r R) (V, bool) {
	j, ok := k.made[link[L, R]{l, r}]
	return j.As, ok
}

// when returns the time at which two joined names were joined.
func (k *links[L, R, V]) when(l L, r R) time.Time { return k.made[link[L, R]{l, r}].At }

// join joins two names that are not joined.
func (k *links[L, R, V]) join(l L, r R, j joined[V]) {
	k.made[link[L, R]{l, r}] = j
	orderOf(k.rights, l).insert(j.At, r)
	orderOf(k.lefts, r).insert(j.At, l)
}

// part undoes join; it reports whether the names were joined.
func (k *links[L, R, V]) part(l L, r R) bool {
	j, ok := k.made[link[L, R]{l, r}]
	if !ok {
		return false
	}
	delete(k.made, link[L, R]{l, r})
	removeFrom(k.rights, l, j.At, r)
	removeFrom(k.lefts, r, j.At, l)
	return true
}

// of lists what a left name is joined with, with what a right one is.
func (k *links[L, R, V]) of(l L) *order[R]   { return some(k.rights[l]) }
func (k *links[L, R, V]) with(r R) *order[L] { return some(k.lefts[r]) }

func some[K ~string](o *order[K]) *order[K] {
	if o == nil {
		return &order[K]{}
	}
	return o
}

func orderOf[K, V ~string](m map[K]*order[V], k K) *order[V] {
	if m[k] == nil {
		m[k] = &order[V]{}
	}
	return m[k]
}

func removeFrom[K, V ~string](m map[K]*order[V], k K, at time.Time, v V) {
	if m[k].remove(at, v); m[k].len() == 0 {
		delete(m, k)
	}
}
