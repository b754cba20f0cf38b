package index

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/muster-iot/muster/server/query"
)

// tallied is a value and how many of the things of a selection have it.
type tallied struct {
	value  *query.Value
	things *posting
	count  int64
}

// byEntries counts the things of each value of a field, in the order of the
// dictionary. It is not ok if going over the documents is less work, or if one
// of the things changes meanwhile: then only a document says what is counted.
func (s *Selection) byEntries(f Field) (all []tallied, ok bool) {
	next, done := 0, false
	for first := true; !done; first = false {
		s.piece(func(changed *roaring.Bitmap, b *budget) {
			ok = changed != nil && !changed.Intersects(s.ids)
			if ok && first {
				all, ok = s.entriesOf(f, b)
			}
			for ; ok && next < len(all) && !b.spent(); next++ {
				b.spend(all[next].things.work())
				all[next].count = all[next].things.within(s.ids)
			}
			done = !ok || next == len(all)
		})
	}
	return all, ok
}

// entriesOf lists the entries of a field that are of its type; false if there
// are too many of them, or values that are in no dictionary.
func (s *Selection) entriesOf(f Field, b *budget) ([]tallied, bool) {
	const most = 4096
	name := searchName(f.Name)
	if isVersion(name) || name == groupNamesField && !s.alone && !s.ix.dynamic.has.IsEmpty() {
		return nil, false
	}
	field := s.ix.field(name)
	if field == nil {
		return nil, true
	}
	lists := []*ordered{&field.numbers, &field.texts, &field.phrases}
	n := 0
	for _, o := range lists {
		n += o.len()
	}
	if n > most || n*unitsOfValue+2*int(field.has.GetCardinality()) > s.Count()*unitsOfDocument {
		return nil, false
	}
	b.spend(n * unitsOfValue)
	var all []tallied
	for _, o := range lists {
		for e := range o.entries(span{}) {
			if ofType(e.value[0], f.Type) {
				all = append(all, tallied{value: &e.value[0], things: &e.things})
			}
		}
	}
	return all, true
}

// isVersion reports whether a name in an aggregation is one of the versions,
// which are in no dictionary.
func isVersion(name string) bool {
	_, ofShadow := versionOfShadow(name)
	return ofShadow || name == "registry.version" || name == "connectivity.version" || name == "version"
}

// countedOf joins what counts as the same number.
func countedOf(all []tallied, t FieldType) []counted {
	var numbers []counted
	for _, e := range all {
		n := worth(*e.value, t)
		switch last := len(numbers) - 1; {
		case e.count == 0:
		case last >= 0 && numbers[last].number == n:
			numbers[last].count += e.count
		default:
			numbers = append(numbers, counted{n, e.count})
		}
	}
	return numbers
}

// bucketsByEntries makes buckets of values that each have one of their own;
// false if two share one, as a thing may have both.
func bucketsByEntries(all []tallied, t FieldType) (buckets []Bucket, ok bool) {
	before := ""
	for _, e := range all {
		if e.count == 0 {
			continue
		}
		key, text := bucketOf(*e.value, t)
		if len(buckets) > 0 && key == before {
			return nil, false
		}
		before = key
		buckets = append(buckets, Bucket{text, e.count})
	}
	return buckets, true
}
