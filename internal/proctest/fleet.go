package proctest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Fleet is everything that the server shows over HTTP at one quiet moment.
type Fleet struct {
	Things map[string]Thing
	// Shadows by "THING/NAME".
	Shadows    map[string]Shadow
	Groups     map[string]Group
	Jobs       map[string]Job
	Executions []Execution
	// Retained are the counters in retained messages, by topic.
	Retained map[string]string
}

// Thing is a registered thing.
type Thing struct {
	Version    int64
	Attributes map[string]string
}

// Shadow is a shadow; its values are the counters in it, by name.
type Shadow struct {
	Version int64
	Values  map[string]string
}

// Group is a dynamic thing group. Found are the things that a search for its
// query finds at the same time.
type Group struct {
	Version                    int64
	Status, Query, Description string
	Members, Found             []string
}

// Job is a job; Group is the group that it targets, if any.
type Job struct{ Status, Selection, Group string }

// Execution is one execution; Counter is what its device counted in the
// statusDetails.
type Execution struct {
	Job, Thing      string
	Number, Version int64
	Status, Counter string
}

// Key returns the execution's key in a [Ledger].
func (x Execution) Key() string {
	return fmt.Sprintf("execution/%s/%s/%d", x.Job, x.Thing, x.Number)
}

// Values returns the value of every key that a [Ledger] may speak of.
func (f Fleet) Values() map[string]string {
	v := map[string]string{}
	number := func(key string, n int64) { v[key] = strconv.FormatInt(n, 10) }
	for name, th := range f.Things {
		v["thing/"+name] = "there"
		number("thing/"+name+"/version", th.Version)
		if tick, ok := th.Attributes["tick"]; ok {
			v["thing/"+name+"/tick"] = tick
		}
	}
	for name, s := range f.Shadows {
		v["shadow/"+name] = "there"
		number("shadow/"+name+"/version", s.Version)
		for k, value := range s.Values {
			v["shadow/"+name+"/"+k] = value
		}
	}
	for name, g := range f.Groups {
		v["group/"+name] = "there"
		number("group/"+name+"/version", g.Version)
		if g.Description != "" {
			v["group/"+name+"/n"] = g.Description
		}
		for _, member := range g.Members {
			v["member/"+name+"/"+member] = "there"
		}
	}
	for id, j := range f.Jobs {
		v["job/"+id] = "there"
		v["job/"+id+"/status"] = j.Status
	}
	for _, x := range f.Executions {
		v[x.Key()] = "there"
		v[x.Key()+"/status"] = x.Status
		number(x.Key()+"/version", x.Version)
		if x.Counter != "" {
			v[x.Key()+"/n"] = x.Counter
		}
	}
	for topic, n := range f.Retained {
		v["retained/"+topic] = "there"
		v["retained/"+topic+"/n"] = n
	}
	return v
}

// Broken describes everything that can be in no fleet, whatever happened.
func (f Fleet) Broken() []string {
	return slices.Concat(f.brokenGroups(), f.brokenExecutions(), f.brokenJobs())
}

// brokenGroups: every group is ACTIVE, its members are what a search finds
// and, where this package can tell, what its query says.
func (f Fleet) brokenGroups() []string {
	var broken []string
	for _, name := range slices.Sorted(maps.Keys(f.Groups)) {
		g := f.Groups[name]
		if g.Status != "ACTIVE" {
			broken = append(broken, fmt.Sprintf("group/%s: is %s", name, g.Status))
		}
		members := slices.Sorted(slices.Values(g.Members))
		if found := slices.Sorted(slices.Values(g.Found)); !slices.Equal(members, found) {
			broken = append(broken, fmt.Sprintf("group/%s: members %v, a search for %q finds %v", name, members, g.Query, found))
		}
		if want, ok := f.matching(g.Query); ok && !slices.Equal(members, want) {
			broken = append(broken, fmt.Sprintf("group/%s: members %v, its query %q says %v", name, members, g.Query, want))
		}
	}
	return broken
}

// matching returns the things that a query matches; ok is false for a query
// that is more than comparisons of attributes joined by AND.
func (f Fleet) matching(query string) (names []string, ok bool) {
	for name, th := range f.Things {
		all := true
		for term := range strings.SplitSeq(query, " AND ") {
			match, ok := compare(term, th.Attributes)
			if !ok {
				return nil, false
			}
			all = all && match
		}
		if all {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, true
}

// compare evaluates attributes.NAME:VALUE, attributes.NAME>=N and
// attributes.NAME<N.
func compare(term string, attributes map[string]string) (match, ok bool) {
	rest, ok := strings.CutPrefix(term, "attributes.")
	i := strings.IndexAny(rest, ":><")
	if !ok || i < 0 {
		return false, false
	}
	value, has := attributes[rest[:i]]
	if want, equal := strings.CutPrefix(rest[i:], ":"); equal {
		return has && value == want, true
	}
	bound, err := strconv.ParseFloat(strings.TrimLeft(rest[i:], "<>="), 64)
	if err != nil {
		return false, false
	}
	n, err := strconv.ParseFloat(value, 64)
	if rest[i] == '<' {
		return err == nil && n < bound, true
	}
	return err == nil && n >= bound, true
}

// brokenExecutions: executions of a job on a thing are numbered from 1 without
// gaps, and only the last one may be open.
func (f Fleet) brokenExecutions() []string {
	runs := map[string][]Execution{}
	for _, x := range f.Executions {
		key := "execution/" + x.Job + "/" + x.Thing
		runs[key] = append(runs[key], x)
	}
	var broken []string
	for _, key := range slices.Sorted(maps.Keys(runs)) {
		run := runs[key]
		slices.SortFunc(run, func(a, b Execution) int { return int(a.Number - b.Number) })
		for i, x := range run {
			if x.Number != int64(i+1) {
				broken = append(broken, fmt.Sprintf("%s: number %d stands where %d belongs", key, x.Number, i+1))
				break
			}
			if i < len(run)-1 && !terminal(x.Status) {
				broken = append(broken, fmt.Sprintf("%s: number %d is %s though there is a number %d", key, x.Number, x.Status, x.Number+1))
			}
		}
	}
	return broken
}

// brokenJobs: executions belong to a job, those of a completed one have
// ended, and every member of the group of a running continuous job has one.
func (f Fleet) brokenJobs() []string {
	var broken []string
	have := map[[2]string]bool{}
	for _, x := range f.Executions {
		have[[2]string{x.Job, x.Thing}] = true
		switch j, ok := f.Jobs[x.Job]; {
		case !ok:
			broken = append(broken, x.Key()+": its job does not exist")
		case j.Status == "COMPLETED" && !terminal(x.Status):
			broken = append(broken, fmt.Sprintf("%s: is %s in a job that is COMPLETED", x.Key(), x.Status))
		case j.Status == "CANCELED" && x.Status == "QUEUED":
			broken = append(broken, x.Key()+": is QUEUED in a job that is CANCELED")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.Jobs)) {
		j := f.Jobs[id]
		if j.Selection != "CONTINUOUS" || j.Status != "IN_PROGRESS" {
			continue
		}
		for _, member := range f.Groups[j.Group].Members {
			if !have[[2]string{id, member}] {
				broken = append(broken, fmt.Sprintf("job/%s: thing %s, a member of its group %s, has no execution", id, member, j.Group))
			}
		}
	}
	return broken
}
