package query

import "github.com/muster-iot/muster/protocol"

// Explanation says why a query is or is not true of a document: a tree of the
// query's parts, each with its own answer.
type Explanation struct {
	// Operator is AND, OR or NOT, empty for a term.
	Operator string `json:"operator,omitempty"`
	// Text is this part of the query in canonical form, cut after 500 characters.
	Text string `json:"text"`
	// Matched is the answer of this part.
	Matched bool `json:"matched"`
	// Field is that of a term; empty for terms without one.
	Field string `json:"field,omitempty"`
	// Seen holds the values that the document has at the field of a term, the
	// first ten, each cut after 200 characters; it is empty when there are none
	// and for terms without a field.
	Seen []string `json:"seen,omitempty"`
	// Children are the parts that the operator joins.
	Children []Explanation `json:"children,omitempty"`
}

// maxExplained bounds the text of a part, in characters: every level of a
// nested query repeats what is below it.
const maxExplained = 500

// Explain evaluates every part of the query, also those that Match skips.
func (q *Query) Explain(d Document) Explanation { return explain(q.root, d) }

func explain(n Node, d Document) Explanation {
	p := printer{most: 4 * maxExplained} // bytes of so many characters
	n.print(&p, levelOr)
	e := Explanation{Text: protocol.Clip(p.String(), maxExplained), Matched: n.match(d)}
	switch n := n.(type) {
	case *And:
		e.Operator, e.Children = "AND", explainAll(n.Nodes, d)
	case *Or:
		e.Operator, e.Children = "OR", explainAll(n.Nodes, d)
	case *Not:
		e.Operator, e.Children = "NOT", explainAll([]Node{n.Node}, d)
	case *Term:
		e.Field, e.Seen = n.Field, seen(n.Field, d)
	}
	return e
}

func explainAll(nodes []Node, d Document) []Explanation {
	all := make([]Explanation, len(nodes))
	for i, n := range nodes {
		all[i] = explain(n, d)
	}
	return all
}

func seen(field string, d Document) []string {
	const most = 10
	values := d.Values(field)
	var texts []string
	for _, v := range values[:min(most, len(values))] {
		texts = append(texts, clip(v.Text))
	}
	return texts
}
