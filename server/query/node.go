package query

// Node is a part of a query: [And], [Or], [Not], [Everything] or [Term], each
// as a pointer. Nodes are read-only.
type Node interface {
	match(Document) bool
	print(*printer, level)
}

// And is true when all its nodes are. It holds two or more, none of them And.
type And struct{ Nodes []Node }

// Or is true when one of its nodes is. It holds two or more, none of them Or.
type Or struct{ Nodes []Node }

// Not is true when its node is not, also when the field that it asks for is
// missing.
type Not struct{ Node Node }

// Everything is the bare *: true of every thing.
type Everything struct{}

// Term asks for a value that satisfies a condition.
type Term struct {
	// Field is the name of the field, aliases resolved; empty asks all
	// registry, shadow and Device Defender values.
	Field string
	// Cond is what one of the values has to satisfy.
	Cond Cond
}

func (n *And) match(d Document) bool {
	for _, child := range n.Nodes {
		if !child.match(d) {
			return false
		}
	}
	return true
}

func (n *Or) match(d Document) bool {
	for _, child := range n.Nodes {
		if child.match(d) {
			return true
		}
	}
	return false
}

func (n *Not) match(d Document) bool { return !n.Node.match(d) }

func (*Everything) match(Document) bool { return true }

func (n *Term) match(d Document) bool {
	if _, ok := n.Cond.(*Exists); ok {
		return d.Has(n.Field)
	}
	if n.Field == "" {
		return n.matchAny(d)
	}
	values := d.Values(n.Field)
	for i := range values {
		if n.Cond.Match(values[i]) {
			return true
		}
	}
	return false
}

func (n *Term) matchAny(d Document) bool {
	found := false
	d.Each(func(v Value) bool {
		found = n.Cond.Match(v)
		return !found
	})
	return found
}

// allOf joins nodes by AND, taking in the nodes of those that are And themselves.
func allOf(nodes []Node) Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	var flat []Node
	for _, n := range nodes {
		if and, ok := n.(*And); ok {
			flat = append(flat, and.Nodes...)
			continue
		}
		flat = append(flat, n)
	}
	return &And{Nodes: flat}
}

// anyOf joins nodes by OR, taking in the nodes of those that are Or themselves.
func anyOf(nodes []Node) Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	var flat []Node
	for _, n := range nodes {
		if or, ok := n.(*Or); ok {
			flat = append(flat, or.Nodes...)
			continue
		}
		flat = append(flat, n)
	}
	return &Or{Nodes: flat}
}

// walk calls visit for every leaf below n: *Term and *Everything.
func walk(n Node, visit func(leaf Node)) {
	switch n := n.(type) {
	case *And:
		for _, child := range n.Nodes {
			walk(child, visit)
		}
	case *Or:
		for _, child := range n.Nodes {
			walk(child, visit)
		}
	case *Not:
		walk(n.Node, visit)
	default:
		visit(n)
	}
}
