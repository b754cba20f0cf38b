package broker

import (
	"container/heap"
	"time"
)

// deadlines knows when something is due for a client id: one time each, the
// earliest at hand. Nothing is ever scanned.
type deadlines struct {
	order []*deadline // a heap
	byID  map[string]*deadline
}

type deadline struct {
	id    string
	at    time.Time
	place int // in the heap
}

// set makes at the time of an id; the zero time means that nothing is due.
func (d *deadlines) set(id string, at time.Time) {
	known := d.byID[id]
	switch {
	case known == nil && at.IsZero():
	case known == nil:
		if d.byID == nil {
			d.byID = map[string]*deadline{}
		}
		d.byID[id] = &deadline{id: id, at: at}
		heap.Push(d, d.byID[id])
	case at.IsZero():
		heap.Remove(d, known.place)
		delete(d.byID, id)
	default:
		known.at = at
		heap.Fix(d, known.place)
	}
}

// first is the earliest time and its id.
func (d *deadlines) first() (id string, at time.Time, ok bool) {
	if len(d.order) == 0 {
		return "", time.Time{}, false
	}
	return d.order[0].id, d.order[0].at, true
}

// Len, Less, Swap, Push and Pop are those of a heap.

func (d *deadlines) Len() int           { return len(d.order) }
func (d *deadlines) Less(i, j int) bool { return d.order[i].at.Before(d.order[j].at) }

func (d *deadlines) Swap(i, j int) {
	d.order[i], d.order[j] = d.order[j], d.order[i]
	d.order[i].place, d.order[j].place = i, j
}

func (d *deadlines) Push(x any) {
	entry := x.(*deadline)
	entry.place = len(d.order)
	d.order = append(d.order, entry)
}

func (d *deadlines) Pop() any {
	last := d.order[len(d.order)-1]
	d.order[len(d.order)-1] = nil
	d.order = d.order[:len(d.order)-1]
	return last
}
