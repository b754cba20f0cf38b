package group

import (
	"slices"

	"github.com/muster-iot/muster/protocol"
)

// MaxDepth is how many levels a hierarchy of static groups may have, its root
// included; MaxChildren bounds the groups directly below one (AWS IoT reference 2.4).
const (
	MaxDepth    = 7
	MaxChildren = 100
)

// Tree holds the static thing groups: which lies below which, and the things
// that operators have put into them (AWS IoT reference 2.4). It belongs to one
// goroutine.
//
// A hierarchy is a group without parent and all that lies below it. A thing
// is a direct member of at most one group of a hierarchy, and through it an
// indirect member of all groups above. Methods that take recursive look, when
// it is set, at indirect members too.
type Tree struct {
	nodes map[protocol.ThingGroupName]*node
	homes map[protocol.ThingName][]*node // where a thing is a direct member
}

// node is one static group.
type node struct {
	name     protocol.ThingGroupName
	parent   *node // nil of a root
	children []*node
	members  map[protocol.ThingName]bool // direct
}

// NewTree returns a tree without groups.
func NewTree() *Tree {
	return &Tree{nodes: map[protocol.ThingGroupName]*node{}, homes: map[protocol.ThingName][]*node{}}
}

// path returns the node and all above it, itself first.
func (n *node) path() []*node {
	var path []*node
	for ; n != nil; n = n.parent {
		path = append(path, n)
	}
	return path
}

func (n *node) root() *node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// below reports whether n is top or lies below it.
func (n *node) below(top *node) bool {
	for ; n != nil; n = n.parent {
		if n == top {
			return true
		}
	}
	return false
}

// walk visits the node and all below it.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, child := range n.children {
		child.walk(visit)
	}
}

// Add puts a new group below parent; an empty parent makes it the root of a
// hierarchy. The error is AlreadyExists, a NotFound of the parent, or an
// InvalidRequest when the hierarchy has no place for it.
func (t *Tree) Add(name, parent protocol.ThingGroupName) error {
	if t.nodes[name] != nil {
		return protocol.Errorf(protocol.AlreadyExists, "thing group %q exists already", name)
	}
	n := &node{name: name, members: map[protocol.ThingName]bool{}}
	if parent != "" {
		p, err := t.node(parent)
		if err != nil {
			return err
		}
		switch {
		case len(p.path()) >= MaxDepth:
			return protocol.Errorf(protocol.InvalidRequest, "thing group %q cannot lie below %q: a hierarchy has at most %d levels", name, parent, MaxDepth)
		case len(p.children) >= MaxChildren:
			return protocol.Errorf(protocol.InvalidRequest, "thing group %q cannot lie below %q: it has %d child groups already, which is the limit", name, parent, MaxChildren)
		}
		n.parent = p
		p.children = append(p.children, n)
	}
	t.nodes[name] = n
	return nil
}

// Remove forgets a group. It reports false, and does nothing, when there is
// no such group or it has members or groups below it.
func (t *Tree) Remove(name protocol.ThingGroupName) bool {
	n := t.nodes[name]
	if n == nil || len(n.children)+len(n.members) > 0 {
		return false
	}
	if p := n.parent; p != nil {
		i := slices.Index(p.children, n)
		p.children = slices.Delete(p.children, i, i+1)
	}
	delete(t.nodes, name)
	return true
}

func (t *Tree) node(name protocol.ThingGroupName) (*node, error) {
	if n := t.nodes[name]; n != nil {
		return n, nil
	}
	return nil, protocol.Errorf(protocol.NotFound, "thing group %q does not exist", name)
}

// Plan returns the direct memberships that change when a thing is taken out of
// groups and put into others, in the order given, those left first; no group may
// stand in both. Where nothing is to be done there is no change. The error is
// a NotFound of a group, or an InvalidRequest when the thing would be in two
// groups of one hierarchy.
func (t *Tree) Plan(thing protocol.ThingName, remove, add []protocol.ThingGroupName) ([]Membership, error) {
	homes := slices.Clone(t.homes[thing])
	var changes []Membership
	for _, name := range remove {
		n, err := t.node(name)
		if err != nil {
			return nil, err
		}
		if i := slices.Index(homes, n); i >= 0 {
			homes = slices.Delete(homes, i, i+1)
			changes = append(changes, Membership{Thing: thing, Group: name})
		}
	}
	for _, name := range add {
		n, err := t.node(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(homes, n) {
			continue
		}
		root := n.root()
		if i := slices.IndexFunc(homes, func(h *node) bool { return h.root() == root }); i >= 0 {
			return nil, protocol.Errorf(protocol.InvalidRequest, "thing %q cannot be in thing group %q: it is in %q of the same hierarchy, whose root is %q", thing, name, homes[i].name, root.name)
		}
		homes = append(homes, n)
		changes = append(changes, Membership{Thing: thing, Group: name, Joined: true})
	}
	return changes, nil
}

// Apply carries out one change that Plan returned; the order matters.
func (t *Tree) Apply(m Membership) {
	n, homes := t.nodes[m.Group], t.homes[m.Thing]
	if m.Joined {
		n.members[m.Thing] = true
		t.homes[m.Thing] = append(homes, n)
		return
	}
	delete(n.members, m.Thing)
	i := slices.Index(homes, n)
	if homes = slices.Delete(homes, i, i+1); len(homes) == 0 {
		delete(t.homes, m.Thing)
		return
	}
	t.homes[m.Thing] = homes
}

// Has reports whether there is such a group.
func (t *Tree) Has(name protocol.ThingGroupName) bool { return t.nodes[name] != nil }

// Path returns the groups from the root of the hierarchy down to the group
// itself; nil if there is no such group.
func (t *Tree) Path(name protocol.ThingGroupName) []protocol.ThingGroupName {
	path := namesOf(t.nodes[name].path())
	slices.Reverse(path)
	return path
}

// Below returns the groups directly below one, and when recursive is set all
// below it, sorted.
func (t *Tree) Below(name protocol.ThingGroupName, recursive bool) []protocol.ThingGroupName {
	top := t.nodes[name]
	if top == nil {
		return nil
	}
	below := namesOf(top.children)
	if recursive {
		below = nil
		top.walk(func(n *node) {
			if n != top {
				below = append(below, n.name)
			}
		})
	}
	slices.Sort(below)
	return below
}

// GroupsOf returns the groups that a thing is a direct member of, sorted.
func (t *Tree) GroupsOf(thing protocol.ThingName) []protocol.ThingGroupName {
	names := namesOf(t.homes[thing])
	slices.Sort(names)
	return names
}

// AllGroupsOf returns the groups that a thing is a direct or indirect member
// of, sorted.
func (t *Tree) AllGroupsOf(thing protocol.ThingName) []protocol.ThingGroupName {
	var names []protocol.ThingGroupName
	for _, home := range t.homes[thing] {
		names = append(names, namesOf(home.path())...)
	}
	slices.Sort(names)
	return names
}

// Contains reports whether a thing is a member of a group.
func (t *Tree) Contains(name protocol.ThingGroupName, thing protocol.ThingName, recursive bool) bool {
	top := t.nodes[name]
	if top == nil || !recursive {
		return top != nil && top.members[thing]
	}
	return slices.ContainsFunc(t.homes[thing], func(home *node) bool { return home.below(top) })
}

// Members returns the members of a group, sorted.
func (t *Tree) Members(name protocol.ThingGroupName, recursive bool) []protocol.ThingName {
	var members []protocol.ThingName
	t.each(name, recursive, func(n *node) {
		for thing := range n.members {
			members = append(members, thing)
		}
	})
	slices.Sort(members)
	return members
}

// Count returns the number of members of a group.
func (t *Tree) Count(name protocol.ThingGroupName, recursive bool) int {
	count := 0
	t.each(name, recursive, func(n *node) { count += len(n.members) })
	return count
}

func (t *Tree) each(name protocol.ThingGroupName, recursive bool, visit func(*node)) {
	switch n := t.nodes[name]; {
	case n == nil:
	case recursive:
		n.walk(visit)
	default:
		visit(n)
	}
}

func namesOf(nodes []*node) []protocol.ThingGroupName {
	var names []protocol.ThingGroupName
	for _, n := range nodes {
		names = append(names, n.name)
	}
	return names
}
