package query

// Having returns the text of a query for things that have a value at a field
// or below it.
func Having(field string) string {
	var p printer
	(&Term{Field: field, Cond: &Exists{}}).print(&p, levelOr)
	return p.String()
}

// Denials returns the terms that the query demands not to be true, other than
// field:*, each field's first as it stands in canonical form: such a term also
// lets things through that have no value there (rule 3).
func (q *Query) Denials() map[string]string {
	denials := map[string]string{}
	denied(q.root, false, func(t *Term) {
		if _, exists := t.Cond.(*Exists); exists || t.Field == "" || denials[t.Field] != "" {
			return
		}
		var p printer
		(&Not{t}).print(&p, levelOr)
		denials[t.Field] = p.String()
	})
	return denials
}

// denied visits the terms below an odd number of NOTs.
func denied(n Node, odd bool, visit func(*Term)) {
	switch n := n.(type) {
	case *And:
		for _, child := range n.Nodes {
			denied(child, odd, visit)
		}
	case *Or:
		for _, child := range n.Nodes {
			denied(child, odd, visit)
		}
	case *Not:
		denied(n.Node, !odd, visit)
	case *Term:
		if odd {
			visit(n)
		}
	}
}
