package oracle

import (
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
)

const succeeded = jobs.Succeeded

// work names an execution on its device.
type work struct {
	thing protocol.ThingName
	id    Identity
}

// checkA4 counts installs.
func checkA4(h *History, s State) Result {
	r := Result{Name: A4}
	installs := map[work]int{}
	for _, i := range h.Installs {
		if i.Back || i.Identity == (Identity{}) {
			continue
		}
		k := work{i.Thing, i.Identity}
		installs[k]++
		r.check(installs[k] == 1, i.Thing, i.At, "execution %d of job %s was installed %d times on %s", i.Identity.Number, i.Identity.Job, installs[k], i.Thing)
	}
	return r
}

// checkA5 compares what devices said with what they ran.
func checkA5(h *History, s State) Result {
	r := Result{Name: A5}
	base := bases(h)
	for _, rep := range h.Reports {
		if rep.Acknowledged {
			continue // what was said is judged when it left
		}
		id := rep.Identity
		switch rep.Status {
		case jobs.Succeeded:
			r.check(rep.Claimed == rep.Running, rep.Thing, rep.At, "%s reports SUCCEEDED with version %s for execution %d of job %s and runs %s",
				rep.Thing, rep.Claimed.Version, id.Number, id.Job, rep.Running.Version)
		case jobs.Failed, jobs.Rejected:
			if before, known := base[work{rep.Thing, id}]; known {
				r.check(rep.Running == before, rep.Thing, rep.At, "%s reports %s for execution %d of job %s and runs %s instead of %s",
					rep.Thing, rep.Status, id.Number, id.Job, rep.Running.Version, before.Version)
			}
		}
	}
	for _, t := range h.Told {
		switch {
		case t.Acknowledged || t.Claimed.Version == "":
		case t.Trial:
			r.check(t.Claimed != t.Running, t.Thing, t.At, "%s reports version %s while it is on trial", t.Thing, t.Claimed.Version)
		default:
			r.check(t.Claimed == t.Running, t.Thing, t.At, "%s reports version %s and runs %s", t.Thing, t.Claimed.Version, t.Running.Version)
		}
	}
	inTheEnd(&r, s)
	return r
}

// bases returns what each device ran when it first heard of each execution.
func bases(h *History) map[work]Release {
	base := map[work]Release{}
	for _, x := range h.Sightings {
		if _, known := base[work{x.Thing, x.Identity}]; !known {
			base[work{x.Thing, x.Identity}] = x.Running
		}
	}
	return base
}

// inTheEnd compares what idle, connected devices run with what the server
// says that they run.
func inTheEnd(r *Result, s State) {
	attributes := map[protocol.ThingName]map[string]string{}
	for _, t := range s.Things {
		attributes[t.Name] = t.Attributes
	}
	for _, d := range s.Devices {
		if !d.Idle || !d.Connected {
			continue
		}
		r.check(d.Reported == d.Running.Version, d.Thing, s.At, "%s runs version %s and its shadow says %q", d.Thing, d.Running.Version, d.Reported)
		if a, known := attributes[d.Thing]; known {
			r.check(a["softwareVersion"] == d.Running.Version, d.Thing, s.At, "%s runs version %s and its attribute says %q", d.Thing, d.Running.Version, a["softwareVersion"])
		}
	}
}
