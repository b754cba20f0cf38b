package index

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/muster-iot/muster/server/query"
)

// Statistics are those of the values of a field among things (AWS IoT
// reference 3.6). A thing with several values counts once for each. Of a field
// of type String only Count is set, of a Boolean (true is 1, false is 0) the
// first five.
type Statistics struct {
	Count                                int64
	Sum, Average, Minimum, Maximum       float64
	SumOfSquares, Variance, StdDeviation float64
}

// Bucket is a value of a field and how many things have it. Values that differ
// by case only share a bucket, under that of their spellings which comes first
// in byte order; of a field of type Number, equal numbers do, under the text of
// the number.
type Bucket struct {
	Key   string
	Count int64
}

// Statistics returns the statistics of a field among the things. Values of
// another type than the field's are ignored: a Number takes what a query can
// compare as a number, a Boolean JSON booleans, a String everything else than
// booleans. The names are those of aggregations: those of [ManagedFields], the
// versions that no query sees included, and of every searchable field.
func (s *Selection) Statistics(f Field) Statistics {
	return statisticsOf(s.tally(f), f.Type)
}

// Cardinality returns how many different values of a field there are among the
// things: as many as [Selection.Buckets] would find.
func (s *Selection) Cardinality(f Field) int64 { return int64(len(s.bucketsOf(f))) }

// Percentiles returns the percentiles of a field of type Number among the
// things, interpolated between the order statistics next to the rank
// percent/100*(values-1), one for each percent; nil if there are no values.
func (s *Selection) Percentiles(f Field, percents []float64) []float64 {
	return percentilesOf(s.tally(f), percents)
}

// Buckets returns how many things have each value of a field: the most frequent
// values, at most most of them, by descending count and then by key. A thing
// counts once in each bucket.
func (s *Selection) Buckets(f Field, most int) []Bucket {
	all := s.bucketsOf(f)
	slices.SortFunc(all, func(a, b Bucket) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return all[:min(max(most, 0), len(all))]
}

// counted is a number and how many values of that number there are.
type counted struct {
	number float64
	count  int64
}

// tally counts the values of a field, by number in ascending order; of a field
// of type String all count as one number.
func (s *Selection) tally(f Field) []counted {
	if all, ok := s.byEntries(f); ok {
		return countedOf(all, f.Type)
	}
	counts := map[float64]int64{}
	s.eachValue(f, func(_ *Document, v query.Value) { counts[worth(v, f.Type)]++ })
	var all []counted
	for n, count := range counts {
		all = append(all, counted{n, count})
	}
	slices.SortFunc(all, func(a, b counted) int { return cmp.Compare(a.number, b.number) })
	return all
}

func (s *Selection) eachValue(f Field, visit func(*Document, query.Value)) {
	s.each(func(doc *Document) {
		for _, v := range aggregated(doc, s.view(doc), f.Name) {
			if ofType(v, f.Type) {
				visit(doc, v)
			}
		}
	})
}

func (s *Selection) bucketsOf(f Field) []Bucket {
	if all, ok := s.byEntries(f); ok {
		if buckets, ok := bucketsByEntries(all, f.Type); ok {
			return buckets
		}
	}
	spelling, counts := map[string]string{}, map[string]int64{}
	last := map[string]*Document{}
	s.eachValue(f, func(doc *Document, v query.Value) {
		key, text := bucketOf(v, f.Type)
		if known, found := spelling[key]; !found || text < known {
			spelling[key] = text
		}
		if last[key] != doc {
			last[key] = doc
			counts[key]++
		}
	})
	var all []Bucket
	for key, count := range counts {
		all = append(all, Bucket{spelling[key], count})
	}
	return all
}

// bucketOf returns what tells the bucket of a value from others, and the name
// that this value would give it.
func bucketOf(v query.Value, t FieldType) (key, text string) {
	if t == Number {
		text = query.NumberValue(v.Num).Text
		return text, text
	}
	return v.Lower(), v.Text
}

// ofType reports whether a field of a type takes the value.
func ofType(v query.Value, t FieldType) bool {
	switch t {
	case Number:
		return v.IsNum
	case Boolean:
		return v.IsBool
	}
	return !v.IsBool
}

// worth is what a value counts as in statistics.
func worth(v query.Value, t FieldType) float64 {
	switch {
	case t == Number:
		return v.Num
	case t == Boolean && v.Lower() == "true":
		return 1
	}
	return 0
}

// aggregated returns the values of a field under its name in aggregations.
func aggregated(doc *Document, view query.Document, name string) []query.Value {
	if version, ok := doc.version(name); ok {
		return []query.Value{query.NumberValue(float64(version))}
	}
	return view.Values(searchName(name))
}

// searchName returns the name by which queries know a field that aggregations
// may know by another.
func searchName(name string) string {
	switch name {
	case "registry.thingTypeName":
		return "thingTypeName"
	case "registry.thingGroupNames":
		return groupNamesField
	}
	return name
}

// version returns the version that an aggregation may ask for by this name.
func (d *Document) version(name string) (int64, bool) {
	if d.group != nil {
		return d.group.Version, name == "version"
	}
	switch name {
	case "registry.version":
		return d.source.Version, true
	case "connectivity.version":
		c := d.source.Connectivity
		return c.Version, d.shape.connectivity && c.Version > 0
	}
	shadow, isShadow := versionOfShadow(name)
	if !isShadow || !slices.Contains(d.shape.shadows, shadow) {
		return 0, false
	}
	return d.source.Shadows[shadow].Version, true
}

// versionOfShadow returns the shadow whose version the name is.
func versionOfShadow(name string) (shadow string, ok bool) {
	if name == "shadow.version" {
		return "", true
	}
	name, ok = strings.CutPrefix(name, "shadow.name.")
	if !ok {
		return "", false
	}
	shadow, ok = strings.CutSuffix(name, ".version")
	return shadow, ok && shadow != "" && !strings.Contains(shadow, ".")
}

func statisticsOf(tally []counted, t FieldType) Statistics {
	var s Statistics
	for _, c := range tally {
		s.Count += c.count
	}
	if t == String || s.Count == 0 {
		return s
	}
	for _, c := range tally {
		s.Sum += c.number * float64(c.count)
	}
	s.Average = s.Sum / float64(s.Count)
	s.Minimum, s.Maximum = tally[0].number, tally[len(tally)-1].number
	if t == Boolean {
		return s
	}
	for _, c := range tally {
		s.SumOfSquares += c.number * c.number * float64(c.count)
		off := c.number - s.Average
		s.Variance += off * off * float64(c.count)
	}
	s.Variance /= float64(s.Count)
	s.StdDeviation = math.Sqrt(s.Variance)
	return s
}

func percentilesOf(tally []counted, percents []float64) []float64 {
	upTo := make([]int64, len(tally)) // values up to and with this number
	var n int64
	for i, c := range tally {
		n += c.count
		upTo[i] = n
	}
	if n == 0 {
		return nil
	}
	at := func(rank int64) float64 {
		i, _ := slices.BinarySearch(upTo, rank+1)
		return tally[i].number
	}
	values := make([]float64, len(percents))
	for i, p := range percents {
		rank := p / 100 * float64(n-1)
		low, high := at(int64(math.Floor(rank))), at(int64(math.Ceil(rank)))
		values[i] = low + (high-low)*(rank-math.Floor(rank))
	}
	return values
}
