package main

import (
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, row := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(row.values); got != row.want {
			t.Errorf("median of %v is %v, want %v", row.values, got, row.want)
		}
	}
}

// TestTable: a target is missed above it, or below where more is better.
func TestTable(t *testing.T) {
	var b strings.Builder
	printTable(&b, []row{
		{what: "cheap", floor: "f", ratios: []float64{1, 2, 9}, limit: 2},
		{what: "dear", floor: "f", ratios: []float64{2.1}, limit: 2},
		{what: "fast", floor: "f", ratios: []float64{0.5}, limit: 0.5, atLeast: true},
		{what: "slow", floor: "f", ratios: []float64{0.4}, limit: 0.5, atLeast: true, unit: " KB"},
	})
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{"2.00x 1.00-9.00 <= 2x met", "2.10x 2.10-2.10 <= 2x MISSED", "0.50x 0.50-0.50 >= 0.5x met", "0.40 KB 0.40-0.40 >= 0.5 KB MISSED"} {
		if got := strings.Join(strings.Fields(lines[i+1]), " "); !strings.Contains(got, want) {
			t.Errorf("line %d is %q, want %q", i+1, got, want)
		}
	}
}
