package group_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/group"
)

func TestTreeBounds(t *testing.T) {
	tree := group.NewTree()
	add := func(name, parent protocol.ThingGroupName) error { return tree.Add(name, parent) }
	name := func(level int) protocol.ThingGroupName { return protocol.ThingGroupName(fmt.Sprintf("level%d", level)) }
	var parent protocol.ThingGroupName
	for level := 1; level <= group.MaxDepth; level++ {
		if err := add(name(level), parent); err != nil {
			t.Fatal(err)
		}
		parent = name(level)
	}
	for i := range group.MaxChildren - 1 { // level2 is there already
		if err := add(protocol.ThingGroupName(fmt.Sprintf("child%d", i)), name(1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what         string
		name, parent protocol.ThingGroupName
		want         protocol.Code
	}{
		{"eight levels", "deep", name(group.MaxDepth), protocol.InvalidRequest},
		{"101 children", "wide", name(1), protocol.InvalidRequest},
		{"no such parent", "orphan", "nobody", protocol.NotFound},
		{"the same name", name(3), "", protocol.AlreadyExists},
	} {
		if err := add(c.name, c.parent); err == nil || protocol.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
	if tree.Remove(name(1)) || tree.Remove("nobody") {
		t.Error("a parent or an absent group was removed")
	}
	if !tree.Remove("child7") {
		t.Error("a group without members and children cannot be removed")
	}
	if err := add("child7", name(1)); err != nil {
		t.Errorf("the place of a removed child stays taken: %v", err)
	}
}

// TestTreeIsTheModel drives a tree through random lives and compares what it
// says with plain maps that are searched from end to end.
func TestTreeIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := treeModel{tree: group.NewTree(), parent: map[protocol.ThingGroupName]protocol.ThingGroupName{}, in: map[group.Membership]bool{}}
		t.Repeat(map[string]func(*rapid.T){"add": m.add, "remove": m.remove, "move": m.move, "": m.check})
	})
}

// treeModel knows each group's parent and each direct membership.
type treeModel struct {
	tree   *group.Tree
	parent map[protocol.ThingGroupName]protocol.ThingGroupName
	in     map[group.Membership]bool // with Joined set
}

func drawGroups(t *rapid.T, label string, max int) []protocol.ThingGroupName {
	return rapid.SliceOfNDistinct(rapid.Custom(drawGroup), 0, max, rapid.ID).Draw(t, label)
}

func membership(thing protocol.ThingName, g protocol.ThingGroupName) group.Membership {
	return group.Membership{Thing: thing, Group: g, Joined: true}
}

// chain is the group and all above it; nil if it does not exist.
func (m *treeModel) chain(g protocol.ThingGroupName) (chain []protocol.ThingGroupName) {
	for parent, ok := m.parent[g]; ok; parent, ok = m.parent[g] {
		chain = append(chain, g)
		g = parent
	}
	return chain
}

func (m *treeModel) root(g protocol.ThingGroupName) protocol.ThingGroupName {
	chain := m.chain(g)
	return chain[len(chain)-1]
}

func (m *treeModel) add(t *rapid.T) {
	name, parent := drawGroup(t), rapid.SampledFrom([]protocol.ThingGroupName{"", drawGroup(t)}).Draw(t, "parent")
	_, taken := m.parent[name]
	allowed := !taken && (parent == "" || len(m.chain(parent)) > 0 && len(m.chain(parent)) < group.MaxDepth)
	if err := m.tree.Add(name, parent); (err == nil) != allowed {
		t.Fatalf("add %s below %q: %v, allowed %t", name, parent, err, allowed)
	}
	if allowed {
		m.parent[name] = parent
	}
}

func (m *treeModel) remove(t *rapid.T) {
	name := drawGroup(t)
	_, allowed := m.parent[name]
	for _, parent := range m.parent {
		allowed = allowed && parent != name
	}
	for x := range m.in {
		allowed = allowed && x.Group != name
	}
	if got := m.tree.Remove(name); got != allowed {
		t.Fatalf("remove %s: %t, want %t", name, got, allowed)
	}
	if allowed {
		delete(m.parent, name)
	}
}

func (m *treeModel) move(t *rapid.T) {
	thing := drawThing(t)
	remove := drawGroups(t, "remove", 3)
	add := slices.DeleteFunc(drawGroups(t, "add", 3), func(g protocol.ThingGroupName) bool { return slices.Contains(remove, g) })
	next, want, allowed := maps.Clone(m.in), []group.Membership(nil), true
	for _, g := range remove {
		allowed = allowed && len(m.chain(g)) > 0
		if next[membership(thing, g)] {
			delete(next, membership(thing, g))
			want = append(want, group.Membership{Thing: thing, Group: g})
		}
	}
	for _, g := range add {
		if allowed = allowed && len(m.chain(g)) > 0; !allowed {
			break
		}
		if next[membership(thing, g)] {
			continue
		}
		for x := range next {
			allowed = allowed && (x.Thing != thing || m.root(x.Group) != m.root(g))
		}
		next[membership(thing, g)] = true
		want = append(want, membership(thing, g))
	}
	changes, err := m.tree.Plan(thing, remove, add)
	if (err == nil) != allowed || allowed && !slices.Equal(changes, want) {
		t.Fatalf("move %s out of %v into %v: %v, %v; allowed %t, want %v", thing, remove, add, changes, err, allowed, want)
	}
	if allowed {
		m.in = next
		for _, c := range changes {
			m.tree.Apply(c)
		}
	}
}

// check compares every answer for every name.
func (m *treeModel) check(t *rapid.T) {
	for i := range 8 {
		g := protocol.ThingGroupName(fmt.Sprintf("g%d", i))
		path := m.chain(g)
		slices.Reverse(path)
		if got := m.tree.Path(g); !slices.Equal(got, path) || m.tree.Has(g) != (len(path) > 0) {
			t.Fatalf("path of %s is %v, want %v", g, got, path)
		}
		for _, recursive := range []bool{false, true} {
			m.checkGroup(t, g, recursive)
		}
	}
	for i := range 5 {
		m.checkThing(t, protocol.ThingName(fmt.Sprintf("t%d", i)))
	}
}

func (m *treeModel) checkGroup(t *rapid.T, g protocol.ThingGroupName, recursive bool) {
	var below []protocol.ThingGroupName
	members := map[protocol.ThingName]bool{}
	for other, parent := range m.parent {
		if parent == g || recursive && other != g && slices.Contains(m.chain(other), g) {
			below = append(below, other)
		}
	}
	for x := range m.in {
		if x.Group == g || recursive && slices.Contains(m.chain(x.Group), g) {
			members[x.Thing] = true
		}
	}
	slices.Sort(below)
	if got := m.tree.Below(g, recursive); !slices.Equal(got, below) {
		t.Fatalf("below %s (recursive %t) are %v, want %v", g, recursive, got, below)
	}
	want := slices.Sorted(maps.Keys(members))
	if got := m.tree.Members(g, recursive); !slices.Equal(got, want) || m.tree.Count(g, recursive) != len(want) {
		t.Fatalf("members of %s (recursive %t) are %v, want %v", g, recursive, got, want)
	}
	for i := range 5 {
		thing := protocol.ThingName(fmt.Sprintf("t%d", i))
		if got := m.tree.Contains(g, thing, recursive); got != members[thing] {
			t.Fatalf("%s contains %s (recursive %t): %t", g, thing, recursive, got)
		}
	}
}

func (m *treeModel) checkThing(t *rapid.T, thing protocol.ThingName) {
	var direct, all []protocol.ThingGroupName
	for x := range m.in {
		if x.Thing == thing {
			direct, all = append(direct, x.Group), append(all, m.chain(x.Group)...)
		}
	}
	slices.Sort(direct)
	slices.Sort(all)
	if got := m.tree.GroupsOf(thing); !slices.Equal(got, direct) {
		t.Fatalf("direct groups of %s are %v, want %v", thing, got, direct)
	}
	if got := m.tree.AllGroupsOf(thing); !slices.Equal(got, all) {
		t.Fatalf("groups of %s are %v, want %v", thing, got, all)
	}
}
