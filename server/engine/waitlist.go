package engine

import "github.com/muster-iot/muster/protocol"

// waitlist are the things that wait for a job's rate, first come first.
type waitlist struct {
	queue []waiter
	since map[protocol.ThingName]int64
}

type waiter struct {
	thing protocol.ThingName
	since int64 // Unix nanoseconds; tells a second wait of a thing from its first
}

func (w *waitlist) len() int { return len(w.since) }

func (w *waitlist) has(n protocol.ThingName) bool {
	_, ok := w.since[n]
	return ok
}

func (w *waitlist) add(n protocol.ThingName, since int64) {
	if w.since == nil {
		w.since = map[protocol.ThingName]int64{}
	}
	w.since[n] = since
	w.queue = append(w.queue, waiter{n, since})
}

// remove takes a thing off the list; its place in the queue is skipped later.
func (w *waitlist) remove(n protocol.ThingName) { delete(w.since, n) }

// first returns the thing that waits longest; the list must not be empty.
func (w *waitlist) first() protocol.ThingName {
	for {
		front := w.queue[0]
		if since, ok := w.since[front.thing]; ok && since == front.since {
			return front.thing
		}
		w.queue = w.queue[1:]
	}
}

// all returns the waiting things in their order.
func (w *waitlist) all() []protocol.ThingName {
	var all []protocol.ThingName
	for _, q := range w.queue {
		if since, ok := w.since[q.thing]; ok && since == q.since {
			all = append(all, q.thing)
		}
	}
	return all
}
