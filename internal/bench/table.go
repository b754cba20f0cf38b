package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	what, floor string
	// ratios are what the rounds gave, figures what stands behind them.
	ratios  []float64
	figures string
	// limit is the target: at most, or at least when floor is to be reached;
	// 0 is none.
	limit   float64
	atLeast bool
	unit    string // of ratios that are none, such as "KB"
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}

func (r row) met() bool {
	if r.atLeast {
		return median(r.ratios) >= r.limit
	}
	return median(r.ratios) <= r.limit
}

func printTable(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tfloor\tmedian\tspread\ttarget\t\tfigures")
	for _, r := range rows {
		unit := r.unit
		if unit == "" {
			unit = "x"
		}
		sign, verdict := "<=", "met"
		if r.atLeast {
			sign = ">="
		}
		if !r.met() {
			verdict = "MISSED"
		}
		target := fmt.Sprintf("%s %g%s\t%s", sign, r.limit, unit, verdict)
		if r.limit == 0 {
			target = "-\t"
		}
		fmt.Fprintf(t, "%s\t%s\t%.2f%s\t%.2f-%.2f\t%s\t%s\n", r.what, r.floor, median(r.ratios), unit,
			slices.Min(r.ratios), slices.Max(r.ratios), target, r.figures)
	}
	t.Flush()
}
