package proctest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Ledger holds what the server has acknowledged, kept by its clients. All
// methods may be called from any goroutine.
//
// Facts are about keys, which are paths: thing/T/version, shadow/T/NAME/n,
// group/G/status, member/G/T, job/J/status, execution/J/T/NUMBER/n,
// retained/TOPIC/n. A [Fleet] gives the same keys their present values.
type Ledger struct {
	mu    sync.Mutex
	facts map[string]*entry
	// dropped are objects whose deletion was sent: they may be there or not;
	// gone are those whose deletion was acknowledged, with the reason.
	dropped map[string]bool
	gone    map[string]string
	// closed are the jobs whose executions have all ended, with the reason.
	closed map[string]string
	acks   int
	onAck  func(acks int)
}

// entry is all that is known of one key.
type entry struct {
	exists, absent string // reasons; empty is not known
	least          claim[int64]
	most           int64 // the largest value ever sent; 0 is no bound
	bounded        bool
	final          claim[string]
	// unlessEnded is the part of least that an ended execution need not hold.
	unlessEnded claim[int64]
}

// claim is a value with the acknowledgement that it comes from.
type claim[V any] struct {
	value V
	why   string
}

func raise(c *claim[int64], n int64, why string) {
	if c.why == "" || n > c.value {
		*c = claim[int64]{n, why}
	}
}

// NewLedger returns an empty ledger. onAck, which may be nil, is told the number of
// acknowledgements after each; it must not call the ledger.
func NewLedger(onAck func(acks int)) *Ledger {
	if onAck == nil {
		onAck = func(int) {}
	}
	return &Ledger{facts: map[string]*entry{}, dropped: map[string]bool{}, gone: map[string]string{}, closed: map[string]string{}, onAck: onAck}
}

// Acks returns the number of acknowledgements noted.
func (l *Ledger) Acks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks
}

// Names returns the second part of all keys that begin with kind: the things
// whose shadows are spoken of, for "shadow".
func (l *Ledger) Names(kind string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := map[string]bool{}
	for key := range l.facts {
		if part := strings.Split(key, "/"); part[0] == kind && len(part) > 1 {
			names[part[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// note changes what is known of a key; an empty key is none.
func (l *Ledger) note(ack bool, key string, f func(e *entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.facts[key]
	if e == nil {
		e = &entry{}
		l.facts[key] = e
	}
	f(e)
	if ack {
		l.acks++
		l.onAck(l.acks)
	}
}

// Exists notes that a key was acknowledged to be there.
func (l *Ledger) Exists(key, why string) { l.note(true, key, func(e *entry) { e.exists = why }) }

// Absent notes that a key was acknowledged not to be there, for ever.
func (l *Ledger) Absent(key, why string) { l.note(true, key, func(e *entry) { e.absent = why }) }

// Sent notes that a write of n was sent to a counter: a key with one writer
// that writes ever larger numbers. It comes before the write.
func (l *Ledger) Sent(key string, n int64) {
	l.note(false, key, func(e *entry) { e.most, e.bounded = max(e.most, n), true })
}

// AtLeast notes that a number was acknowledged: a counter's value or a version.
func (l *Ledger) AtLeast(key string, n int64, why string) {
	l.note(true, key, func(e *entry) { e.exists = cmp.Or(e.exists, why); raise(&e.least, n, why) })
}

// AtLeastUnlessEnded is AtLeast of an execution's counter when all that is
// known is that the request was dealt with: it was taken, or refused because
// the execution had ended before.
func (l *Ledger) AtLeastUnlessEnded(key string, n int64, why string) {
	l.note(true, key, func(e *entry) { raise(&e.unlessEnded, n, why) })
}

// Final notes a value that never changes again, such as a terminal status.
func (l *Ledger) Final(key, value, why string) {
	l.note(true, key, func(e *entry) { e.exists = cmp.Or(e.exists, why); e.final = claim[string]{value, why} })
}

// Dropping notes that the deletion of an object (thing/T, group/G, job/J) was
// sent: from now on it, and what belongs to it, may be there or not.
func (l *Ledger) Dropping(object string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped[object] = true
}

// Gone notes that the deletion of an object was acknowledged.
func (l *Ledger) Gone(object, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped[object], l.gone[object] = true, why
	l.acks++
	l.onAck(l.acks)
}

// Closed notes that all executions of a job (job/J) have ended.
func (l *Ledger) Closed(object, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed[object] = why
	l.acks++
	l.onAck(l.acks)
}

// owners returns the objects without which a key cannot be. Shadows outlive
// their things.
func owners(key string) []string {
	part := strings.Split(key, "/")
	switch {
	case len(part) < 2:
		return nil
	case part[0] == "member" && len(part) > 2:
		return []string{"group/" + part[1], "thing/" + part[2]}
	case part[0] == "execution" && len(part) > 2:
		return []string{"job/" + part[1], "thing/" + part[2]}
	case part[0] == "shadow":
		return nil
	}
	return []string{part[0] + "/" + part[1]}
}

// Check compares the values of a fleet with all that was acknowledged and
// describes every fact that does not hold, with the acknowledgement it comes
// from.
func (l *Ledger) Check(values map[string]string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lost []string
	for _, key := range slices.Sorted(maps.Keys(l.facts)) {
		if slices.ContainsFunc(owners(key), func(o string) bool { return l.dropped[o] }) {
			continue
		}
		got, there := values[key]
		for _, problem := range l.facts[key].check(got, there, ended(values, key)) {
			lost = append(lost, key+": "+problem)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		for _, o := range owners(key) {
			if why, ok := l.gone[o]; ok {
				lost = append(lost, fmt.Sprintf("%s: is there again, after %s", key, why))
			}
			why, ok := l.closed[o]
			if ok && strings.HasPrefix(key, "execution/") && strings.HasSuffix(key, "/status") && !terminal(values[key]) {
				lost = append(lost, fmt.Sprintf("%s: is %s, after %s", key, values[key], why))
			}
		}
	}
	return lost
}

func (e *entry) check(got string, there, ended bool) []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	switch {
	case e.absent != "" && there:
		add("is there, after %s", e.absent)
	case !there && e.exists != "":
		add("is lost, after %s", e.exists)
	case !there && e.unlessEnded.why != "" && !ended:
		add("is lost, after %s", e.unlessEnded.why)
	}
	if !there {
		return problems
	}
	if e.final.why != "" && got != e.final.value {
		add("is %s, but was for ever %s by %s", got, e.final.value, e.final.why)
	}
	if e.least.why == "" && e.unlessEnded.why == "" && !e.bounded {
		return problems
	}
	n, err := strconv.ParseInt(got, 10, 64)
	switch {
	case err != nil:
		add("is %q, not a number", got)
	case e.least.why != "" && n < e.least.value:
		add("is %d, less than the %d of %s", n, e.least.value, e.least.why)
	case e.unlessEnded.why != "" && n < e.unlessEnded.value && !ended:
		add("is %d, less than the %d of %s", n, e.unlessEnded.value, e.unlessEnded.why)
	case e.bounded && n > e.most:
		add("is %d, which nobody ever wrote: the largest is %d", n, e.most)
	}
	return problems
}

// ended reports whether a key belongs to an execution that has ended.
func ended(values map[string]string, key string) bool {
	i := strings.LastIndexByte(key, '/')
	return i > 0 && strings.HasPrefix(key, "execution/") && terminal(values[key[:i]+"/status"])
}

func terminal(status string) bool {
	switch status {
	case "", "QUEUED", "IN_PROGRESS", "DELETION_IN_PROGRESS", "SCHEDULED":
		return false
	}
	return true
}

// Learn notes what a read has shown: an answer is as good as any
// acknowledgement. Memberships may change and are not noted.
func (l *Ledger) Learn(values map[string]string, why string) {
	for key, value := range values {
		kind, _, _ := strings.Cut(key, "/")
		if kind == "member" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case strings.HasSuffix(key, "/status") && kind != "group":
			if terminal(value) {
				l.Final(key, value, why)
			}
		case err == nil:
			l.AtLeast(key, n, why)
		default:
			l.Exists(key, why)
		}
	}
}
