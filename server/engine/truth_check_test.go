package engine_test

import (
	"cmp"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/engine"
	"github.com/muster-iot/muster/server/group"
	"github.com/muster-iot/muster/server/query"
)

// check is the invariant, once all background work is through.
func (w *truth) check() {
	groups, indexed := w.quiet()
	w.events()
	for _, fault := range w.store.faults() {
		w.Fatal(fault)
	}
	want := map[membership]bool{}
	if indexed {
		want = w.expected(groups, w.things())
	}
	if !maps.Equal(w.members, want) {
		w.Fatalf("G1, G3: by its events the fleet has %v, by its queries %v (groups %s)", sorted(w.members), sorted(want), queriesOf(groups))
	}
	listed := map[membership]bool{}
	for i, g := range groups {
		for _, thing := range w.pages(g.Name, 1+i%3) {
			if listed[membership{g.Name, thing}] {
				w.Fatalf("G5: group %s lists %s twice", g.Name, thing)
			}
			listed[membership{g.Name, thing}] = true
		}
	}
	if !maps.Equal(listed, want) {
		w.Fatalf("G5: listed are %v, by the queries it is %v (groups %s)", sorted(listed), sorted(want), queriesOf(groups))
	}
}

func queriesOf(groups []group.Group) (all []string) {
	for _, g := range groups {
		all = append(all, string(g.Name)+": "+g.QueryString)
	}
	return all
}

func sorted(members map[membership]bool) []membership {
	return slices.SortedFunc(maps.Keys(members), func(a, b membership) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.thing, b.thing))
	})
}

// expected are the memberships by the naive evaluator: a thing is in the groups
// that match it, the oldest ones when it may not be in all.
func (w *truth) expected(groups []group.Group, things []naive.Thing) map[membership]bool {
	dynamic := func(name string) bool {
		return slices.ContainsFunc(groups, func(g group.Group) bool { return string(g.Name) == name })
	}
	slices.SortStableFunc(groups, func(a, b group.Group) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Name, b.Name))
	})
	taken := w.directlyIn(things)
	want := map[membership]bool{}
	for _, g := range groups {
		q, err := query.Parse(g.QueryString)
		if err != nil {
			w.Fatal(err)
		}
		for _, t := range things {
			if !naive.Matches(q, t.Outside(dynamic)) || w.rules.GroupsPerThing > 0 && taken[t.Name] >= w.rules.GroupsPerThing {
				continue
			}
			taken[t.Name]++
			want[membership{g.Name, t.Name}] = true
		}
	}
	return want
}

// directlyIn counts the static groups that things are directly in.
func (w *truth) directlyIn(things []naive.Thing) map[protocol.ThingName]int {
	taken := map[protocol.ThingName]int{}
	w.read(func(v *engine.View) {
		for _, t := range things {
			all, _, _ := v.GroupsOf(t.Name, engine.Page{Max: 1000})
			taken[t.Name] = len(slices.DeleteFunc(all, group.Group.Dynamic))
		}
	})
	return taken
}

// pages lists the members of a group page by page.
func (w *truth) pages(name protocol.ThingGroupName, size int) []protocol.ThingName {
	var all []protocol.ThingName
	for after, more := "", true; more; more = after != "" {
		var page []protocol.ThingName
		w.read(func(v *engine.View) {
			var err error
			if page, after, err = v.Members(name, false, engine.Page{After: after, Max: size}); err != nil {
				w.Error(err)
			}
		})
		all = append(all, page...)
	}
	return all
}

// anything are the queries of searches, which see dynamic groups too.
func (w *truth) anything() *query.Query {
	ask := w.ask
	ask.Groups, ask.Patterns = append(ask.Groups, dynamicNames()...), true
	q := ask.Draw(w.T)
	limits := query.Limits{Terms: w.rules.QueryTerms, Length: w.rules.QueryLength, FewLeadingWildcards: w.rules.FewLeadingWildcards}
	if _, err := query.ParseWithin(query.Things, q.Source(), limits); err != nil {
		w.Skip(err)
	}
	return q
}

// matching are the things that a query matches, by the naive evaluator.
func matching(q *query.Query, things []naive.Thing) []protocol.ThingName {
	names := []protocol.ThingName{}
	for _, t := range things {
		if naive.Matches(q, t) {
			names = append(names, t.Name)
		}
	}
	return names
}

// searchSome compares some searches, page by page, with the naive evaluator.
func (w *truth) searchSome() {
	if _, indexed := w.quiet(); !indexed {
		w.Skip("nothing is indexed")
	}
	things := w.things()
	for range 4 {
		q := w.anything()
		got := []protocol.ThingName{}
		size := rapid.IntRange(1, 4).Draw(w.T, "page")
		for p := (engine.Page{Max: size}); ; {
			answer := w.search(q.Source(), p)
			for _, d := range answer.found {
				got = append(got, d.Thing())
			}
			if p.After = answer.next; p.After == "" {
				break
			}
		}
		if want := matching(q, things); !slices.Equal(got, want) {
			w.Fatalf("query %s finds %v, by the naive evaluator %v", q.Source(), got, want)
		}
	}
}

// pageWhileChanging pages through a search while things change between the
// pages: nothing is listed twice, and what matches throughout is listed.
func (w *truth) pageWhileChanging() {
	if _, indexed := w.quiet(); !indexed {
		w.Skip("nothing is indexed")
	}
	q := w.anything()
	changes := w.changes()
	names := slices.Sorted(maps.Keys(changes))
	throughout := matching(q, w.things())
	listed := map[protocol.ThingName]bool{}
	for p := (engine.Page{Max: rapid.IntRange(1, 2).Draw(w.T, "page")}); ; {
		answer := w.search(q.Source(), p)
		for _, d := range answer.found {
			if listed[d.Thing()] {
				w.Fatalf("query %s lists %s twice", q.Source(), d.Thing())
			}
			listed[d.Thing()] = true
		}
		if p.After = answer.next; p.After == "" {
			break
		}
		changes[rapid.SampledFrom(names).Draw(w.T, "meanwhile")]()
		w.quiet()
		now := matching(q, w.things())
		throughout = slices.DeleteFunc(throughout, func(n protocol.ThingName) bool { return !slices.Contains(now, n) })
	}
	for _, n := range throughout {
		if !listed[n] {
			w.Fatalf("query %s matches %s throughout and does not list it", q.Source(), n)
		}
	}
}
