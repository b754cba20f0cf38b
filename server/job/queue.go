package job

import (
	"cmp"
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
)

// Pending returns the executions of one thing that have not ended, in the
// order of its queue (AWS IoT reference 7.3): running before queued, then by
// the time of queuing. The first is the head, $next.
func Pending(of []*Execution) []*Execution {
	var pending []*Execution
	for _, x := range of {
		if !x.Status.Terminal() {
			pending = append(pending, x)
		}
	}
	slices.SortFunc(pending, func(a, b *Execution) int {
		return cmp.Or(
			cmp.Compare(waits(a), waits(b)),
			a.QueuedAt.Compare(b.QueuedAt),
			cmp.Compare(a.Seq, b.Seq),
		)
	})
	return pending
}

func waits(x *Execution) int {
	if x.Status == jobs.InProgress {
		return 0
	}
	return 1
}

// Ref identifies an execution within its thing.
type Ref struct {
	JobID  protocol.JobID
	Number int64
}

// Refs returns the identities of a queue, in its order.
func Refs(pending []*Execution) []Ref {
	refs := make([]Ref, len(pending))
	for i, x := range pending {
		refs[i] = Ref{x.JobID, x.Number}
	}
	return refs
}

// Notices says which notifications a change of a thing's queue causes (AWS
// IoT reference 7.4 and 7.5): notify when an execution entered or left it,
// notify-next when the identity of the head changed.
func Notices(before, after []Ref) (notify, next bool) {
	return !sameSet(before, after), head(before) != head(after)
}

func head(refs []Ref) Ref {
	if len(refs) == 0 {
		return Ref{}
	}
	return refs[0]
}

func sameSet(a, b []Ref) bool {
	if len(a) != len(b) {
		return false
	}
	for _, r := range a {
		if !slices.Contains(b, r) {
			return false
		}
	}
	return true
}
