package naive

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/muster-iot/muster/server/query"
)

// Kind is the type of a field that is aggregated. Values of another type are
// ignored (AWS IoT reference 3.6).
type Kind string

// The kinds.
const (
	Number  Kind = "Number"
	String  Kind = "String"
	Boolean Kind = "Boolean"
)

// Statistics are those of the values of a field. Of a field of kind String
// only Count is set, of a Boolean (true is 1, false is 0) the first five.
type Statistics struct {
	Count                                int64
	Sum, Average, Minimum, Maximum       float64
	SumOfSquares, Variance, StdDeviation float64
}

// Bucket is a value of a field and how many things have it.
type Bucket struct {
	Key   string
	Count int64
}

// Stats computes the statistics of a field among things.
func Stats(things []Thing, field string, kind Kind) Statistics {
	var s Statistics
	numbers := numbersOf(things, field, kind)
	if kind == String {
		for _, t := range things {
			s.Count += int64(len(t.typed(field, kind)))
		}
		return s
	}
	if len(numbers) == 0 {
		return s
	}
	s.Count, s.Minimum, s.Maximum = int64(len(numbers)), slices.Min(numbers), slices.Max(numbers)
	for _, n := range numbers {
		s.Sum += n
	}
	s.Average = s.Sum / float64(s.Count)
	if kind == Boolean {
		return s
	}
	for _, n := range numbers {
		s.SumOfSquares += n * n
		s.Variance += (n - s.Average) * (n - s.Average) / float64(s.Count)
	}
	s.StdDeviation = math.Sqrt(s.Variance)
	return s
}

// Cardinality counts the different values of a field among things.
func Cardinality(things []Thing, field string, kind Kind) int {
	return len(counts(things, field, kind))
}

// Percentiles interpolates between the values of a field next to the rank
// p/100*(n-1) for each percent; there are none when there are no values.
func Percentiles(things []Thing, field string, percents []float64) []float64 {
	numbers := numbersOf(things, field, Number)
	slices.Sort(numbers)
	var found []float64
	for _, p := range percents {
		if len(numbers) == 0 {
			break
		}
		rank := p / 100 * float64(len(numbers)-1)
		low, high := numbers[int(math.Floor(rank))], numbers[int(math.Ceil(rank))]
		found = append(found, low+(high-low)*(rank-math.Floor(rank)))
	}
	return found
}

// Buckets counts the things that have each value of a field: the most frequent
// ones, at most limit, and those of one count in order of their keys.
func Buckets(things []Thing, field string, kind Kind, limit int) []Bucket {
	var all []Bucket
	for key, n := range counts(things, field, kind) {
		all = append(all, Bucket{key, n})
	}
	slices.SortFunc(all, func(a, b Bucket) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key)) })
	return all[:min(limit, len(all))]
}

// counts says how many things have each value. Numbers are one when they are
// equal, texts when they differ by case only: of their spellings the one that
// comes first in the order of bytes stands for all.
func counts(things []Thing, field string, kind Kind) map[string]int64 {
	spelling, n := map[string]string{}, map[string]int64{}
	for _, t := range things {
		seen := map[string]bool{}
		for _, v := range t.typed(field, kind) {
			key, text := strings.ToLower(v.text), v.text
			if f, ok := v.number(); ok && kind == Number {
				text = query.NumberValue(f).Text
				key = text
			}
			if known, found := spelling[key]; !found || text < known {
				spelling[key] = text
			}
			if !seen[key] {
				n[key]++
			}
			seen[key] = true
		}
	}
	named := map[string]int64{}
	for key, count := range n {
		named[spelling[key]] = count
	}
	return named
}

// numbersOf lists the values of a field among things, booleans as 0 and 1.
func numbersOf(things []Thing, field string, kind Kind) []float64 {
	var numbers []float64
	for _, t := range things {
		for _, v := range t.typed(field, kind) {
			n, ok := v.number()
			switch {
			case ok:
				numbers = append(numbers, n)
			case kind == Boolean && v.text == "true":
				numbers = append(numbers, 1)
			case kind == Boolean:
				numbers = append(numbers, 0)
			}
		}
	}
	return numbers
}

// typed returns the different values of a field that are of a kind.
func (t Thing) typed(field string, kind Kind) []value {
	var typed []value
	for _, v := range t.aggregated(field) {
		_, isNumber := v.number()
		fits := map[Kind]bool{Number: isNumber, Boolean: v.isBool, String: !v.isBool}[kind]
		if fits && !slices.Contains(typed, v) {
			typed = append(typed, v)
		}
	}
	return typed
}

// aggregated returns the values of a field, those included that can be
// aggregated but not searched for.
func (t Thing) aggregated(field string) []value {
	switch field {
	case "registry.version":
		return []value{number(t.Version)}
	case "registry.thingTypeName":
		field = "thingTypeName"
	case "registry.thingGroupNames":
		field = "thingGroupNames"
	}
	classic, named := t.shadows()
	for name, shadow := range named {
		if field == "shadow.name."+name+".version" {
			return versionOf(shadow)
		}
	}
	if field == "shadow.version" {
		return versionOf(classic)
	}
	return t.document().fields[field]
}

func versionOf(shadow map[string]any) []value {
	if v, ok := shadow["version"].(json.Number); ok && shadow["hasDelta"] != nil {
		return []value{{text: v.String()}}
	}
	return nil
}
