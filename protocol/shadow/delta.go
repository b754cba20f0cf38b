package shadow

import (
	"encoding/json"
	"math/big"
	"strings"
)

// Difference is what the thing has to act on: the keys of desired whose value
// differs from, or is missing in, reported, with the desired value and its
// metadata, both from the root of the section. Keys that only reported has
// never appear; arrays are compared and shown whole; numbers are compared by
// value. Both results are nil when there is no difference.
func (d Document) Difference() (state, meta map[string]any) {
	return difference(d.Desired, d.Reported, d.DesiredMeta)
}

func difference(desired, reported, meta map[string]any) (_, _ map[string]any) {
	var outState, outMeta map[string]any
	for key, want := range desired {
		have, present := reported[key]
		state, stateMeta := want, meta[key]
		wantObject, a := want.(map[string]any)
		haveObject, b := have.(map[string]any)
		if a && b {
			childMeta, _ := meta[key].(map[string]any)
			s, m := difference(wantObject, haveObject, childMeta)
			if s == nil {
				continue
			}
			state, stateMeta = s, m
		} else if present && equal(want, have) {
			continue
		}
		if outState == nil {
			outState, outMeta = map[string]any{}, map[string]any{}
		}
		outState[key], outMeta[key] = state, stateMeta
	}
	return outState, outMeta
}

// equal compares two JSON values, numbers by value and objects by content.
func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && equalObjects(x, y)
	case []any:
		y, ok := b.([]any)
		return ok && equalArrays(x, y)
	case json.Number:
		y, ok := b.(json.Number)
		return ok && equalNumbers(string(x), string(y))
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

func equalObjects(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for key, x := range a {
		y, ok := b[key]
		if !ok || !equal(x, y) {
			return false
		}
	}
	return true
}

func equalArrays(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	x, y := parseDecimal(a), parseDecimal(b)
	return x.negative == y.negative && x.digits == y.digits && x.exponent.Cmp(y.exponent) == 0
}

// decimal is a number in the one form that equal numbers share:
// 0.digits x 10^exponent, digits without zeros at either end. Exact for any
// literal and as small as it, whatever the exponent.
type decimal struct {
	negative bool
	digits   string
	exponent *big.Int
}

func parseDecimal(literal string) decimal {
	text, negative := strings.CutPrefix(literal, "-")
	mantissa, exponentText := text, "0"
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponentText = text[:i], strings.TrimPrefix(text[i+1:], "+")
	}
	exponent, ok := new(big.Int).SetString(exponentText, 10)
	if !ok {
		exponent = new(big.Int)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	exponent.Add(exponent, big.NewInt(int64(len(whole))))
	significant := strings.TrimLeft(digits, "0")
	exponent.Sub(exponent, big.NewInt(int64(len(digits)-len(significant))))
	significant = strings.TrimRight(significant, "0")
	if significant == "" { // zero has no sign and no exponent
		return decimal{exponent: new(big.Int)}
	}
	return decimal{negative: negative, digits: significant, exponent: exponent}
}
