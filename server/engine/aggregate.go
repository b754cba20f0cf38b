package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// AggregationField is the field of an aggregation that names none (AWS IoT
// reference 3.6).
const AggregationField = "registry.version"

// Statistics returns those of a field among the things, or thing groups, that
// match a query, and the type of the field, which says which of them there are.
// Errors are those of [Search], and InvalidAggregation of a field that is
// neither managed nor declared.
func Statistics(ctx context.Context, e *Engine, ask Question, field string) (index.Statistics, index.FieldType, error) {
	var of index.FieldType
	got, err := aggregate(ctx, e, ask, field, nil, func(s *index.Selection, f index.Field) index.Statistics {
		of = f.Type
		return s.Statistics(f)
	})
	return got, of, err
}

// Cardinality returns how many different values a field has; it is exact. See
// [Statistics] for the rest.
func Cardinality(ctx context.Context, e *Engine, ask Question, field string) (int64, error) {
	return aggregate(ctx, e, ask, field, nil, (*index.Selection).Cardinality)
}

// Percentiles returns one value for each percent, none if the field has no
// values; the field must be of type Number. See [Statistics] for the rest.
func Percentiles(ctx context.Context, e *Engine, ask Question, field string, percents []float64) ([]float64, error) {
	numeric := func(f index.Field) error {
		if f.Type == index.Number {
			return nil
		}
		return protocol.Errorf(protocol.InvalidAggregation, "field %q is of type %s: percentiles are of Number fields only", f.Name, f.Type)
	}
	return aggregate(ctx, e, ask, field, numeric, func(s *index.Selection, f index.Field) []float64 {
		return s.Percentiles(f, percents)
	})
}

// Buckets returns the most frequent values of a field, at most so many, and
// how many things match the query in all. See [Statistics] for the rest.
func Buckets(ctx context.Context, e *Engine, ask Question, field string, most int) (buckets []index.Bucket, total int64, err error) {
	buckets, err = aggregate(ctx, e, ask, field, nil, func(s *index.Selection, f index.Field) []index.Bucket {
		total = int64(s.Count())
		return s.Buckets(f, most)
	})
	return buckets, total, err
}

// aggregate runs a search and makes one value of what it found.
func aggregate[R any](ctx context.Context, e *Engine, ask Question, name string, check func(index.Field) error,
	of func(*index.Selection, index.Field) R,
) (R, error) {
	var field index.Field
	typed := func(s *state) (err error) {
		if field, err = ask.field(s, cmp.Or(name, AggregationField)); err == nil && check != nil {
			err = check(field)
		}
		return err
	}
	var got, none R
	err := e.search(ctx, ask, typed, func(s *index.Selection) { got = of(s, field) }, func(*View) {})
	if err != nil {
		return none, err
	}
	return got, nil
}

// field returns a managed or declared field of the index that is asked.
func (ask Question) field(s *state, name string) (index.Field, error) {
	declared := s.indexing.Thing.CustomFields
	field, managed := index.ManagedField(name)
	if ask.Index == index.GroupsName {
		declared = s.indexing.Group.CustomFields
		field, managed = among(index.ManagedGroupFields(), name)
	}
	if managed {
		return field, nil
	}
	if field, custom := among(declared, name); custom {
		return field, nil
	}
	return index.Field{}, protocol.Errorf(protocol.InvalidAggregation,
		"field %q of index %s is neither managed nor a custom field: declare it with UpdateIndexingConfiguration", name, cmp.Or(ask.Index, IndexName))
}

func among(fields []index.Field, name string) (index.Field, bool) {
	i := slices.IndexFunc(fields, func(f index.Field) bool { return f.Name == name })
	if i < 0 {
		return index.Field{}, false
	}
	return fields[i], true
}
