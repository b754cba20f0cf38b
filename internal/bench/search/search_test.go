package search_test

import (
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/bench/search"
)

// TestMuster: the run is made and checked against plain Go at a small size; no
// time is judged.
func TestMuster(t *testing.T) {
	o := search.Options{Devices: 13_000, Rounds: 2, Turn: time.Microsecond, Updates: 500, Batch: 100, Full: 500}
	report, err := search.Run(t.Context(), o, search.NewMuster())
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Engines) != 1 || len(report.Engines[0].Queries) != len(search.Queries()) {
		t.Fatalf("the report is %+v", report)
	}
	if report.Full.Rows <= 0 || report.Full.Index <= 0 {
		t.Errorf("the fuller set takes %+v", report.Full)
	}
	f := report.Engines[0]
	if f.Size.Rows <= 0 || f.Size.Index <= 0 || f.FlipWall <= 0 || f.ReleaseWall <= 0 || f.Build <= 0 {
		t.Errorf("figures are missing: %+v", f)
	}
	for _, q := range f.Queries {
		if q.All.P50 <= 0 || q.Page.P99 < q.Page.P50 || q.Create.P50 <= 0 {
			t.Errorf("figures of %s are missing: %+v", q.Query, q)
		}
		if q.Found == 0 && q.Query != "Q2 region, model, versions 3-7" {
			t.Errorf("%s finds nothing: it measures nothing", q.Query)
		}
	}
}
