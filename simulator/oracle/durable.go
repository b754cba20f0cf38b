package oracle

import (
	"slices"

	"github.com/muster-iot/muster/protocol"
)

// checkD1 looks for everything that was ever acknowledged: groups and jobs
// that were made, reports about executions, shadow reports, and events that
// were published.
func checkD1(h *History, s State) Result {
	r := Result{Name: D1}
	for _, g := range h.Groups {
		r.check(slices.ContainsFunc(s.Groups, func(x GroupState) bool { return x.Name == g }), "", s.At, "group %s was made and is gone", g)
	}
	for _, j := range h.Jobs {
		r.check(slices.ContainsFunc(s.Jobs, func(x JobState) bool { return x.ID == j }), "", s.At, "job %s was made and is gone", j)
	}
	known := executions(s)
	for _, rep := range h.Reports {
		if rep.Acknowledged {
			acknowledgedReport(&r, s, known, rep)
		}
	}
	for _, e := range h.Ended {
		if !judged(h, e.Job) {
			continue
		}
		_, ok := known[key{e.Thing, e.Job, e.Number}]
		r.check(ok, e.Thing, s.At, "the end of execution %d of job %s for %s was published, and it is gone", e.Number, e.Job, e.Thing)
	}
	shadows(&r, h, s)
	return r
}

// key names an execution at the server.
type key struct {
	thing  protocol.ThingName
	job    protocol.JobID
	number int64
}

func executions(s State) map[key]ExecutionState {
	known := map[key]ExecutionState{}
	for _, j := range s.Jobs {
		for _, x := range j.Executions {
			known[key{x.Thing, j.ID, x.Number}] = x
		}
	}
	return known
}

func judged(h *History, id protocol.JobID) bool { return slices.Contains(h.Jobs, id) }

// acknowledgedReport looks for one report.
func acknowledgedReport(r *Result, s State, known map[key]ExecutionState, rep Report) {
	id := rep.Identity
	if !slices.ContainsFunc(s.Jobs, func(j JobState) bool { return j.ID == id.Job }) {
		return // not one of the jobs that were asked for
	}
	x, ok := known[key{rep.Thing, id.Job, id.Number}]
	ok = ok && (id.QueuedAt == 0 || x.QueuedAt.Unix() == id.QueuedAt)
	r.check(ok, rep.Thing, rep.At, "%s of execution %d of job %s for %s was acknowledged, and the execution is gone", rep.Status, id.Number, id.Job, rep.Thing)
	if !ok {
		return
	}
	if rep.Status.Terminal() {
		r.check(x.Status == rep.Status, rep.Thing, rep.At, "%s of execution %d of job %s for %s was acknowledged, and it is %s",
			rep.Status, id.Number, id.Job, rep.Thing, x.Status)
	}
	if x.VersionNumber > 0 && rep.VersionNumber > 0 {
		r.check(x.VersionNumber >= rep.VersionNumber, rep.Thing, rep.At, "version %d of execution %d of job %s for %s was acknowledged, and it has version %d",
			rep.VersionNumber, id.Number, id.Job, rep.Thing, x.VersionNumber)
	}
}

// shadows checks that each shadow says what its device last had acknowledged,
// or what it said later without an answer.
func shadows(r *Result, h *History, s State) {
	said := claims(h)
	for _, d := range s.Devices {
		var acknowledged int64
		var allowed []string
		for _, c := range said[d.Thing] {
			if c.acknowledged {
				acknowledged = max(acknowledged, c.version)
				allowed = []string{c.claim}
				continue
			}
			allowed = append(allowed, c.claim)
		}
		if acknowledged > 0 {
			r.check(d.ShadowVersion >= acknowledged, d.Thing, s.At, "version %d of the shadow of %s was acknowledged, and it has version %d", acknowledged, d.Thing, d.ShadowVersion)
		}
		if acknowledged > 0 && len(allowed) > 0 {
			r.check(slices.Contains(allowed, d.Reported), d.Thing, s.At, "%s last had %q acknowledged as what it runs, and its shadow says %q", d.Thing, allowed[0], d.Reported)
		}
	}
}

// claim is what a device said that it runs.
type claim struct {
	claim        string
	version      int64 // of the shadow
	acknowledged bool
}

// claims lists what each device said that it runs, in order. A request that
// was acknowledged is in it once, at the place of its acknowledgement.
func claims(h *History) map[protocol.ThingName][]claim {
	type said struct {
		order int64
		thing protocol.ThingName
		claim
	}
	var list []said
	for _, t := range h.Told {
		if t.Claimed.Version != "" {
			list = append(list, said{t.At.UnixNano(), t.Thing, claim{t.Claimed.Version, t.ShadowVersion, t.Acknowledged}})
		}
	}
	for _, rep := range h.Reports {
		if rep.Claimed.Version != "" && rep.Status == succeeded {
			list = append(list, said{rep.At.UnixNano(), rep.Thing, claim{rep.Claimed.Version, 0, rep.Acknowledged}})
		}
	}
	slices.SortStableFunc(list, func(a, b said) int { return int(min(max(a.order-b.order, -1), 1)) })
	split := map[protocol.ThingName][]claim{}
	for _, c := range list {
		split[c.thing] = append(split[c.thing], c.claim)
	}
	return split
}
