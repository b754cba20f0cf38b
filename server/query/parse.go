package query

import (
	"fmt"
	"strings"
	"unicode"
)

const (
	// maxNesting bounds parentheses and negations within each other, so that
	// no query can exhaust the stack.
	maxNesting = 64
	// maxStars and maxMarks bound the wildcards of a term (AWS IoT reference 3.4).
	maxStars, maxMarks = 2, 5
	// geoWord begins a geo query.
	geoWord = "geo_distance"
)

// parser is a recursive descent over the grammar of AWS IoT reference 3.4;
// each method is the rule that its comment quotes. tok is the token to look at.
type parser struct {
	lex    *lexer
	schema Schema
	limits Limits
	source string
	tok    token
	depth  int
	// field is the field whose group, field:( ... ), is being read, else empty.
	field string
	// terms counts the leaves so far, leading those that begin with a wildcard.
	terms, leading int
}

// parse: query = or EOF
func parse(schema Schema, source string, limits Limits) (Node, error) {
	p := &parser{lex: newLexer(source), schema: schema, limits: limits, source: source}
	if err := p.advance(); err != nil {
		return nil, err
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != kindEnd {
		return nil, p.unexpected("AND, OR, another term or the end of the query")
	}
	return n, nil
}

// or = and { "OR" and }
func (p *parser) or() (Node, error) {
	var nodes []Node
	for {
		n, err := p.and()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if p.tok.kind != kindOr {
			return anyOf(nodes), nil
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

// and = unary { ["AND"] unary }
func (p *parser) and() (Node, error) {
	var nodes []Node
	for {
		n, err := p.unary()
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		if p.tok.kind == kindAnd {
			if err := p.advance(); err != nil {
				return nil, err
			}
			continue
		}
		if !p.tok.startsUnary() {
			return allOf(nodes), nil
		}
	}
}

// startsUnary reports whether the token may begin a term, a group or a negation.
func (t token) startsUnary() bool {
	switch t.kind {
	case kindWord, kindPhrase, kindGeo, kindFrom, kindOpen, kindMinus, kindNot:
		return true
	}
	return false
}

// unary = ( "NOT" | "-" ) unary | primary
func (p *parser) unary() (Node, error) {
	if p.tok.kind != kindNot && p.tok.kind != kindMinus {
		return p.primary()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	n, err := p.unary()
	if err != nil {
		return nil, err
	}
	p.depth--
	return &Not{Node: n}, nil
}

// primary = "(" or ")" | field ":" value | field compare number | value
func (p *parser) primary() (Node, error) {
	if p.tok.kind == kindOpen {
		return p.group()
	}
	if p.tok.kind != kindWord {
		return p.value(p.field)
	}
	word := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	switch p.tok.kind {
	case kindColon, kindCompare:
		return p.fieldTerm(word)
	}
	return p.wordTerm(p.field, word)
}

// fieldTerm: what follows the field name of a term.
func (p *parser) fieldTerm(name token) (Node, error) {
	if p.field != "" {
		return nil, syntaxError(name.column, fmt.Sprintf("found the field name %s inside the group of field %q, want values only", name.found(), p.field))
	}
	if name.pattern != nil {
		return nil, syntaxError(name.column, fmt.Sprintf("found a wildcard in the field name %s, want a field name without * and ?", name.found()))
	}
	if err := p.schema.checkField(name.text, name.column, p.source); err != nil {
		return nil, err
	}
	field := resolveField(name.text)
	operator := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	if operator.kind == kindCompare {
		return p.comparison(field, operator)
	}
	if p.tok.kind != kindOpen {
		return p.value(field)
	}
	p.field = field
	n, err := p.group()
	p.field = ""
	return n, err
}

// group = "(" or ")", and the same with values only while p.field is set.
func (p *parser) group() (Node, error) {
	open := p.tok
	if err := p.enter(); err != nil {
		return nil, err
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != kindClose {
		return nil, p.unexpected(fmt.Sprintf(`")" for the "(" of column %d`, open.column))
	}
	p.depth--
	return n, p.advance()
}

// value = "*" | word | phrase | range | geo. Groups are read elsewhere.
func (p *parser) value(field string) (Node, error) {
	tok := p.tok
	switch tok.kind {
	case kindWord, kindPhrase:
		if err := p.advance(); err != nil {
			return nil, err
		}
		return p.wordTerm(field, tok)
	case kindFrom:
		return p.rangeTerm(field)
	case kindGeo:
		return nil, geoError(tok)
	}
	if field != "" {
		return nil, p.unexpected(fmt.Sprintf("a value of %q", clip(field)))
	}
	return nil, p.unexpected("a term such as thingName:lamp-1, a value or (")
}

// wordTerm makes the term of a word or phrase that has been read.
func (p *parser) wordTerm(field string, tok token) (Node, error) {
	if tok.pattern == nil {
		return p.term(tok, field, newWords(strings.Fields(tok.text)))
	}
	if len(tok.pattern) == 1 && tok.pattern[0] == AnyRun {
		if field == "" {
			return &Everything{}, p.count(tok)
		}
		return p.term(tok, field, &Exists{})
	}
	if err := checkPattern(tok); err != nil {
		return nil, err
	}
	if err := p.countLeading(tok); err != nil {
		return nil, err
	}
	return p.term(tok, field, newWildcard(tok.pattern))
}

// term makes a term whose value begins at a token.
func (p *parser) term(value token, field string, cond Cond) (Node, error) {
	if err := p.count(value); err != nil {
		return nil, err
	}
	return &Term{Field: field, Cond: cond}, nil
}

// checkPattern holds a pattern to what one word can satisfy and cheaply so.
func checkPattern(tok token) error {
	stars, marks := 0, 0
	for _, r := range tok.pattern {
		switch {
		case r == AnyRun:
			stars++
		case r == AnyOne:
			marks++
		case unicode.IsSpace(r):
			return syntaxError(tok.column, fmt.Sprintf("found whitespace and a wildcard in the word %s, want a wildcard within one word", tok.found()))
		}
	}
	if stars > maxStars || marks > maxMarks {
		return syntaxError(tok.column, fmt.Sprintf(`found %d "*" and %d "?" in the word %s, want at most %d "*" and %d "?"`, stars, marks, tok.found(), maxStars, maxMarks))
	}
	return nil
}

// comparison = field ("<" | ">" | "<=" | ">=") number
func (p *parser) comparison(field string, operator token) (Node, error) {
	tok := p.tok
	n, ok := number(tok.text)
	if err := checkFinite(tok); err != nil {
		return nil, err
	}
	if tok.kind != kindWord || tok.pattern != nil || !ok {
		return nil, p.unexpected(fmt.Sprintf("a number after %q (for text, use a range such as field:[a TO b])", operator.text))
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.term(tok, field, &Comparison{Op: operator.text, Literal: tok.text, Number: n})
}

// rangeTerm: range = ("[" | "{") bound "TO" bound ("]" | "}")
func (p *parser) rangeTerm(field string) (Node, error) {
	open := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	low, err := p.bound()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != kindTo {
		return nil, p.unexpected(fmt.Sprintf("TO between the bounds of the range of column %d", open.column))
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	high, err := p.bound()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != kindUpTo {
		return nil, p.unexpected(fmt.Sprintf(`"]" or "}" at the end of the range of column %d`, open.column))
	}
	low.Exclusive = open.text == "{"
	high.Exclusive = p.tok.text == "}"
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.term(open, field, &Range{Low: low, High: high})
}

// bound = "*" | word | phrase
func (p *parser) bound() (Bound, error) {
	tok := p.tok
	lone := len(tok.pattern) == 1 && tok.pattern[0] == AnyRun
	if tok.kind != kindWord && tok.kind != kindPhrase || tok.pattern != nil && !lone {
		return Bound{}, p.unexpected("a bound: a number, a word, a quoted text or * alone")
	}
	if lone {
		return Bound{Open: true}, p.advance()
	}
	if err := checkFinite(tok); err != nil {
		return Bound{}, err
	}
	return newBound(tok.text), p.advance()
}

// checkFinite refuses the number of a comparison or range that is too large
// to compare with: as text it would ask for something else than it says.
func checkFinite(tok token) error {
	if _, ok := number(tok.text); ok || tok.kind != kindWord || !isNumberLiteral(tok.text) {
		return nil
	}
	return syntaxError(tok.column, fmt.Sprintf("found %s, want a number that is finite", tok.found()))
}

// geoError refuses a geo query, well formed or not.
func geoError(tok token) error {
	part := strings.Split(tok.source, ",")
	ok := len(part) == 4
	if ok {
		distance := strings.TrimRightFunc(part[3], unicode.IsLetter)
		_, lat := number(part[1])
		_, lon := number(part[2])
		_, far := number(distance)
		ok = lat && lon && far && distance != part[3]
	}
	if !ok {
		return syntaxError(tok.column, fmt.Sprintf("found %s, want geo_distance,LATITUDE,LONGITUDE,DISTANCE with a unit, as in geo_distance,59.91,10.75,25km", tok.found()))
	}
	return syntaxError(tok.column, fmt.Sprintf("found %s: geo queries are not supported yet", tok.found()))
}

// enter steps over a token that opens one more level of nesting.
func (p *parser) enter() error {
	p.depth++
	if p.depth > maxNesting {
		return syntaxError(p.tok.column, fmt.Sprintf("found parentheses and negations nested deeper than %d levels", maxNesting))
	}
	return p.advance()
}

func (p *parser) advance() error {
	tok, err := p.lex.next()
	p.tok = tok
	return err
}

// unexpected says that the current token cannot stand where it stands.
func (p *parser) unexpected(want string) error {
	hint := ""
	switch p.tok.kind {
	case kindColon, kindCompare:
		hint = ` (inside a value, escape it with \ or quote the value)`
	case kindAnd, kindOr, kindNot, kindTo:
		hint = " (to search for the word, quote it)"
	}
	return syntaxError(p.tok.column, fmt.Sprintf("found %s, want %s%s", p.tok.found(), want, hint))
}
