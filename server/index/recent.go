package index

// recent is the last things that changed, in order, so that a search which
// goes on for a while, or what it found and somebody still looks at, can be
// brought up to date: nobody has to be told, and who falls too far behind
// begins anew.
type recent struct {
	ids   []uint32
	first uint64 // how many changes came before ids
	keep  int    // as many as this are kept at least
}

func (r *recent) add(id uint32) {
	if len(r.ids) >= 2*r.keep {
		r.first += uint64(r.keep)
		r.ids = append(r.ids[:0], r.ids[r.keep:]...)
	}
	r.ids = append(r.ids, id)
}

// end returns the number of changes so far.
func (r *recent) end() uint64 { return r.first + uint64(len(r.ids)) }

// since returns the things that changed behind the first n changes, the first
// most ones of them; false if they are not known any more.
func (r *recent) since(n uint64, most int) ([]uint32, bool) {
	if n < r.first {
		return nil, false
	}
	ids := r.ids[n-r.first:]
	return ids[:min(most, len(ids))], true
}
