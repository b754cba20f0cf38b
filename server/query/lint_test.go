package query_test

import (
	"maps"
	"testing"

	"github.com/muster-iot/muster/server/query"
)

// TestDenials: which terms are demanded not to hold.
func TestDenials(t *testing.T) {
	for _, row := range []struct {
		query string
		want  map[string]string
	}{
		{"attributes.v:6", nil},
		{"NOT attributes.v:6", map[string]string{"attributes.v": "NOT attributes.v:6"}},
		{"NOT NOT attributes.v:6", nil},
		{"NOT attributes.v:*", nil},
		{"NOT word", nil},
		{"a AND NOT (attributes.v:6 OR NOT attributes.w:7)", map[string]string{"attributes.v": "NOT attributes.v:6"}},
		{"NOT attributes.v:6 NOT attributes.v:7", map[string]string{"attributes.v": "NOT attributes.v:6"}},
		{`NOT attributes.v<6`, map[string]string{"attributes.v": "NOT attributes.v<6"}},
	} {
		t.Run(row.query, func(t *testing.T) {
			q, err := query.Parse(row.query)
			if err != nil {
				t.Fatal(err)
			}
			if got := q.Denials(); !maps.Equal(got, row.want) {
				t.Errorf("%v, want %v", got, row.want)
			}
		})
	}
}

// TestHaving: the text parses into a query for the existence of the field.
func TestHaving(t *testing.T) {
	for _, field := range []string{"attributes.v", "attributes.a:b", "shadow.reported.with space", `attributes.q"uote\`} {
		q, err := query.Parse(query.Having(field))
		if err != nil {
			t.Errorf("%q: %v", field, err)
			continue
		}
		if below := q.PathsBelow(); len(below) != 1 || below[0] != field {
			t.Errorf("%q asks for %q", field, below)
		}
	}
}
