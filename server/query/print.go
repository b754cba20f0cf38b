package query

import (
	"strings"
	"unicode"
)

// level is how tightly a node binds; a node inside one that binds tighter
// needs parentheses.
type level int

const (
	levelOr level = iota
	levelAnd
	levelNot
)

// printer writes a query as text.
type printer struct {
	strings.Builder
	// most bounds the text roughly: with so many bytes no further part is
	// begun. 0 is no bound.
	most int
}

func (p *printer) full() bool { return p.most > 0 && p.Len() >= p.most }

func (n *Or) print(p *printer, around level)  { p.join(n.Nodes, " OR ", levelOr, around) }
func (n *And) print(p *printer, around level) { p.join(n.Nodes, " AND ", levelAnd, around) }

func (p *printer) join(nodes []Node, operator string, own, around level) {
	if own < around {
		p.WriteByte('(')
		defer p.WriteByte(')')
	}
	for i, n := range nodes {
		if p.full() {
			return
		}
		if i > 0 {
			p.WriteString(operator)
		}
		n.print(p, own)
	}
}

func (n *Not) print(p *printer, _ level) {
	p.WriteString("NOT ")
	n.Node.print(p, levelNot)
}

func (*Everything) print(p *printer, _ level) { p.WriteByte('*') }

func (n *Term) print(p *printer, _ level) {
	if n.Field != "" {
		p.escape(n.Field)
		if _, ok := n.Cond.(*Comparison); !ok {
			p.WriteByte(':')
		}
	}
	n.Cond.print(p, n.Field == "")
}

func (*Exists) print(p *printer, _ bool) { p.WriteByte('*') }

func (c *Words) print(p *printer, fieldless bool) {
	text := strings.Join(c.Text, " ")
	if fieldless && strings.HasPrefix(text, "-") {
		p.quote(text)
		return
	}
	p.value(text)
}

func (c *Wildcard) print(p *printer, _ bool) {
	for i, r := range c.pattern {
		switch {
		case r == AnyRun:
			p.WriteByte('*')
		case r == AnyOne:
			p.WriteByte('?')
		case i == 0 && r == '-' || needsEscape(r):
			p.WriteByte('\\')
			p.WriteRune(r)
		default:
			p.WriteRune(r)
		}
	}
}

func (c *Comparison) print(p *printer, _ bool) {
	p.WriteString(c.Op)
	p.WriteString(c.Literal)
}

func (c *Range) print(p *printer, _ bool) {
	brackets := map[bool]string{false: "[]", true: "{}"}
	p.WriteByte(brackets[c.Low.Exclusive][0])
	p.bound(c.Low)
	p.WriteString(" TO ")
	p.bound(c.High)
	p.WriteByte(brackets[c.High.Exclusive][1])
}

func (p *printer) bound(b Bound) {
	if b.Open {
		p.WriteByte('*')
		return
	}
	p.value(b.Text)
}

// value writes text bare if it then reads as one word of just this text, and
// otherwise in quotes.
func (p *printer) value(text string) {
	_, isNumber := number(text)
	switch {
	case isNumber:
		p.WriteString(text)
	case text == "" || strings.HasPrefix(text, "-") || keyword(text) != kindWord || strings.IndexFunc(text, needsEscape) >= 0:
		p.quote(text)
	default:
		p.WriteString(text)
	}
}

func (p *printer) quote(text string) {
	p.WriteByte('"')
	for _, r := range text {
		if r == '"' || r == '\\' {
			p.WriteByte('\\')
		}
		p.WriteRune(r)
	}
	p.WriteByte('"')
}

// escape writes a field name.
func (p *printer) escape(field string) {
	for _, r := range field {
		if needsEscape(r) {
			p.WriteByte('\\')
		}
		p.WriteRune(r)
	}
}

// needsEscape reports whether r means something else than itself in a word.
func needsEscape(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(`\"()[]{}:<>=,*?`, r)
}
