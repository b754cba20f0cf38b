package query

import (
	"math"
	"strconv"
	"strings"
	"unicode"
)

// maxExact is the largest whole number up to which every whole number has a
// float64 of its own: 2^53−1.
const maxExact = 1<<53 - 1

// Value is one indexed leaf of a thing: a string, a number or a boolean. Make
// one with [NewValue], [NumberValue] or [BoolValue]: they lower the case and
// split the words once, so that matching does neither.
type Value struct {
	// Text is the value as it is shown: strings as stored, numbers in decimal,
	// booleans as true and false.
	Text string
	// Num is the numeric value when IsNum is set: of a number, or of a string
	// that is a JSON number literal.
	Num float64
	// IsNum says that the value can be compared as a number.
	IsNum bool
	// IsBool says that the value is a JSON boolean.
	IsBool bool

	lower string   // Text in lower case; the only word when words is nil
	words []string // words of lower; nil when lower holds no whitespace
}

// NewValue makes the value of a string, or of a number given by its literal
// text, which keeps all its digits.
func NewValue(text string) Value {
	v := Value{Text: text, lower: strings.ToLower(text)}
	v.Num, v.IsNum = number(text)
	if text == "" || strings.IndexFunc(text, unicode.IsSpace) >= 0 {
		v.words = strings.Fields(v.lower)
	}
	return v
}

// NumberValue makes the value of a JSON number.
func NumberValue(f float64) Value {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	text := strconv.FormatFloat(f, format, -1, 64)
	return Value{Text: text, Num: f, IsNum: true, lower: text}
}

// BoolValue makes the value of a JSON boolean.
func BoolValue(b bool) Value {
	text := strconv.FormatBool(b)
	return Value{Text: text, IsBool: true, lower: text}
}

// Equal reports whether both values are of the same text and type, so that no
// query can tell them apart.
func (v Value) Equal(w Value) bool {
	return v.Text == w.Text && v.IsNum == w.IsNum && v.IsBool == w.IsBool
}

// anyWord reports whether is holds for a word of the value.
func (v Value) anyWord(is func(word string) bool) bool {
	if v.words == nil {
		return is(v.lower)
	}
	for _, w := range v.words {
		if is(w) {
			return true
		}
	}
	return false
}

// number reads s if it is a JSON number literal of finite value.
func number(s string) (float64, bool) {
	if !isNumberLiteral(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// isNumberLiteral reports whether s is -?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?.
func isNumberLiteral(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, s := digits(s)
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	if rest, ok := strings.CutPrefix(s, "."); ok {
		var fraction string
		if fraction, s = digits(rest); fraction == "" {
			return false
		}
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = s[1:]
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	exponent, s := digits(s)
	return exponent != "" && s == ""
}

// digits cuts the leading decimal digits off s.
func digits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}
