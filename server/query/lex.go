package query

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/muster-iot/muster/protocol"
)

// kind is what a token is.
type kind int

const (
	kindEnd kind = iota
	kindWord
	kindPhrase
	kindGeo     // geo_distance,LAT,LON,DISTANCE
	kindColon   // :
	kindCompare // < > <= >=
	kindMinus   // - at the start of a token
	kindOpen    // (
	kindClose   // )
	kindFrom    // [ or {
	kindUpTo    // ] or }
	kindAnd
	kindOr
	kindNot
	kindTo
)

// token is a piece of a query. text is what it stands for, escapes resolved;
// pattern is set, instead of text, for words with wildcards.
type token struct {
	kind    kind
	column  int // 1-based, in characters
	source  string
	text    string
	pattern []rune
}

// found describes the token for an error message.
func (t token) found() string {
	if t.kind == kindEnd {
		return "the end of the query"
	}
	return fmt.Sprintf("%q", clip(t.source))
}

// lexer cuts a query into tokens. It is a machine of state functions: state
// is what to expect next, and each run of one emits at most one token.
type lexer struct {
	input []rune
	start int // of the token being read
	pos   int // of the next character to read
	state stateFn
	token token
	ready bool // token holds the next token
	err   error
}

type stateFn func(*lexer) stateFn

func newLexer(query string) *lexer {
	return &lexer{input: []rune(query), state: lexQuery}
}

// next returns the next token; after the end it returns the end again.
func (l *lexer) next() (token, error) {
	for !l.ready && l.err == nil {
		l.state = l.state(l)
	}
	l.ready = false
	return l.token, l.err
}

// lexQuery expects anything that may stand where no value is called for.
func lexQuery(l *lexer) stateFn {
	l.skipSpace()
	if l.peek(0) != '-' {
		return lexToken
	}
	l.pos++
	if r := l.peek(0); r == end || unicode.IsSpace(r) || r == ')' {
		return l.fail(l.start, `found a lone "-", want it to touch what it negates, as in -thingName:lamp`)
	}
	l.emit(kindMinus)
	return lexQuery
}

// lexValue expects a value: after ":", a comparison, a range bracket and TO.
func lexValue(l *lexer) stateFn {
	l.skipSpace()
	if l.peek(0) == '-' && !isDigit(l.peek(1)) {
		return l.fail(l.start, `found "-" before a value that is not a number, want NOT or - before the field name, or \- for the character`)
	}
	if l.hasPrefix(geoWord + ",") {
		return lexGeo
	}
	return lexToken
}

// lexToken reads the token at the current character.
func lexToken(l *lexer) stateFn {
	switch r := l.peek(0); r {
	case end:
		return l.take(0, kindEnd, lexToken)
	case '"':
		return lexPhrase
	case '(':
		return l.take(1, kindOpen, lexQuery)
	case ')':
		return l.take(1, kindClose, lexQuery)
	case '[', '{':
		return l.take(1, kindFrom, lexValue)
	case ']', '}':
		return l.take(1, kindUpTo, lexQuery)
	case ':':
		return l.take(1, kindColon, lexValue)
	case '<', '>':
		if l.peek(1) == '=' {
			return l.take(2, kindCompare, lexValue)
		}
		return l.take(1, kindCompare, lexValue)
	case '=':
		return l.fail(l.pos, `found "=", want ":" to ask for a value, or one of < > <= >= before a number`)
	case ',':
		return l.fail(l.pos, `found ",", want \, or a quoted value (a bare comma is legal only in field:geo_distance,LAT,LON,DISTANCE)`)
	default:
		return lexWord
	}
}

// lexWord reads a run of word characters.
func lexWord(l *lexer) stateFn {
	var word []rune
	escaped, wild := false, false
	for isWordRune(l.peek(0)) {
		r := l.input[l.pos]
		l.pos++
		switch r {
		case '\\':
			if l.peek(0) == end {
				return l.fail(l.pos-1, `found "\" at the end, want a character after it`)
			}
			r = l.input[l.pos]
			l.pos++
			escaped = true
		case '*':
			r, wild = AnyRun, true
		case '?':
			r, wild = AnyOne, true
		}
		word = append(word, r)
	}
	if wild {
		l.emit(kindWord)
		l.token.pattern = word
		return lexQuery
	}
	text := string(word)
	kind := kindWord
	if !escaped {
		kind = keyword(text)
	}
	l.emit(kind)
	l.token.text = text
	if kind == kindTo {
		return lexValue
	}
	return lexQuery
}

// keyword returns the kind of an unescaped word: operators are upper case.
func keyword(word string) kind {
	switch word {
	case "AND":
		return kindAnd
	case "OR":
		return kindOr
	case "NOT":
		return kindNot
	case "TO":
		return kindTo
	}
	return kindWord
}

// lexPhrase reads up to the closing quote.
func lexPhrase(l *lexer) stateFn {
	var text strings.Builder
	l.pos++
	for {
		r := l.peek(0)
		l.pos++
		if r == '\\' {
			r = l.peek(0)
			l.pos++
		} else if r == '"' {
			break
		}
		if r == end {
			return l.fail(l.start, `found a quote that is never closed, want " at the end of the phrase`)
		}
		text.WriteRune(r)
	}
	l.emit(kindPhrase)
	l.token.text = text.String()
	return lexQuery
}

// lexGeo reads geo_distance with its arguments.
func lexGeo(l *lexer) stateFn {
	for r := l.peek(0); r == ',' || isWordRune(r); r = l.peek(0) {
		l.pos++
	}
	l.emit(kindGeo)
	return lexQuery
}

// end is what peek returns behind the last character.
const end rune = -1

// peek returns the character n places ahead.
func (l *lexer) peek(n int) rune {
	if l.pos+n >= len(l.input) {
		return end
	}
	return l.input[l.pos+n]
}

func (l *lexer) hasPrefix(prefix string) bool {
	return l.pos+len(prefix) <= len(l.input) && string(l.input[l.pos:l.pos+len(prefix)]) == prefix
}

func (l *lexer) skipSpace() {
	for unicode.IsSpace(l.peek(0)) {
		l.pos++
	}
	l.start = l.pos
}

// take emits a token of n characters.
func (l *lexer) take(n int, k kind, next stateFn) stateFn {
	l.pos += n
	l.emit(k)
	return next
}

// emit makes what was read since start the next token.
func (l *lexer) emit(k kind) {
	source := string(l.input[l.start:l.pos])
	l.token = token{kind: k, column: l.start + 1, source: source, text: source}
	l.ready = true
}

// fail ends the lexing with an error at the character of index at.
func (l *lexer) fail(at int, problem string) stateFn {
	l.err = syntaxError(at+1, problem)
	return lexToken
}

// syntaxError says what is wrong at a column.
func syntaxError(column int, problem string) error {
	return protocol.Errorf(protocol.InvalidQuery, "cannot parse query: column %d: %s", column, problem)
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// isWordRune reports whether r may stand in a word (the backslash included).
func isWordRune(r rune) bool {
	return r != end && !unicode.IsSpace(r) && !strings.ContainsRune(`()[]{}":<>=,`, r)
}
