package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/muster-iot/muster/internal/bench/matching"
)

// matchOptions are the sizes of the part about one change.
type matchOptions struct {
	sizes  []matchSize
	rounds int
}

// matchSize is how many groups there are, of how many devices.
type matchSize struct{ groups, devices int }

// parseSizes reads sizes such as 100x100000,1000x100000.
func parseSizes(s string) (sizes []matchSize, err error) {
	for text := range strings.SplitSeq(s, ",") {
		groups, devices, ok := strings.Cut(text, "x")
		size := matchSize{}
		if size.groups, err = strconv.Atoi(groups); err == nil {
			size.devices, err = strconv.Atoi(devices)
		}
		if !ok || err != nil || size.groups < 1 || size.devices < 1 {
			return nil, fmt.Errorf("size %q is not GROUPSxDEVICES", text)
		}
		sizes = append(sizes, size)
	}
	return sizes, nil
}

// matched is what one size gave.
type matched struct {
	matchSize
	tenants bool
	moves   float64 // memberships that a change begins or ends
	each    map[string]time.Duration
}

func (m matched) ratio(a, b string) float64 { return float64(m.each[a]) / float64(max(1, m.each[b])) }

// match measures what a change of a device costs, in the ways of package
// matching, which checks that all of them answer the same.
func match(ctx context.Context, o matchOptions) (section, error) {
	var all []matched
	for _, size := range o.sizes {
		for _, tenants := range []bool{false, true} {
			begin := time.Now()
			w, err := matching.New(matching.Config{Devices: size.devices, Groups: size.groups, Tenants: tenants})
			if err != nil {
				return section{}, err
			}
			progress("%d groups, %d devices made", begin, size.groups, size.devices)
			begin = time.Now()
			results, err := w.Measure(o.rounds, matching.Ways()...)
			if err != nil {
				return section{}, err
			}
			m := matched{size, tenants, w.Moves(), map[string]time.Duration{}}
			for _, r := range results {
				m.each[r.Way] = r.Change
			}
			all = append(all, m)
			progress("%d groups, %d devices measured", begin, size.groups, size.devices)
			if ctx.Err() != nil {
				return section{}, ctx.Err()
			}
		}
	}
	return section{
		title:   "Matching one change of a device: CPU time",
		figures: matchFigures(all), rows: matchRows(all),
	}, nil
}

func (m matched) fleet() string {
	if m.tenants {
		return "tenants"
	}
	return "one fleet"
}

// matchFigures puts the ways side by side.
func matchFigures(all []matched) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "groups\tdevices\t\tmemberships a change")
	for _, way := range matching.Ways() {
		fmt.Fprintf(t, "\t%s", way)
	}
	fmt.Fprintf(t, "\t%s/%s\t%s/%s\n", matching.Naive, matching.Muster, matching.Muster, matching.Floor)
	for _, m := range all {
		fmt.Fprintf(t, "%d\t%d\t%s\t%.2f", m.groups, m.devices, m.fleet(), m.moves)
		for _, way := range matching.Ways() {
			fmt.Fprintf(t, "\t%d ns", m.each[way].Nanoseconds())
		}
		fmt.Fprintf(t, "\t%.0fx\t%.1fx\n", m.ratio(matching.Naive, matching.Muster), m.ratio(matching.Muster, matching.Floor))
	}
	t.Flush()
	return b.String()
}

// The sizes that the targets speak of.
const (
	manyGroups, mostGroups = 10_000, 100_000
	someDevices            = 100_000
)

// matchRows are the targets, as far as their sizes were measured.
func matchRows(all []matched) []row {
	var rows []row
	var many *matched // of tenants
	for i, m := range all {
		if m.devices != someDevices {
			continue
		}
		switch {
		case m.groups == manyGroups:
			rows = append(rows, row{
				what: "times as fast as naive, 10k groups, " + m.fleet(), floor: "naive", ratios: []float64{m.ratio(matching.Naive, matching.Muster)},
				limit: 100, atLeast: true, figures: fmt.Sprintf("%s against %s", m.each[matching.Muster], m.each[matching.Naive]),
			})
			r := row{
				what: "a change, 10k groups, " + m.fleet(), floor: "known answers", ratios: []float64{m.ratio(matching.Muster, matching.Floor)},
				figures: fmt.Sprintf("%s against %s; %.2f memberships a change", m.each[matching.Muster], m.each[matching.Floor], m.moves),
			}
			if m.tenants {
				many = &all[i]
			} else {
				r.limit = 5
			}
			rows = append(rows, r)
		case m.groups == mostGroups && m.tenants && many != nil:
			rows = append(rows, row{
				what: "a change, 100k groups, tenants", floor: "10k groups", limit: 4,
				ratios:  []float64{float64(m.each[matching.Muster]) / float64(many.each[matching.Muster])},
				figures: fmt.Sprintf("%s against %s", m.each[matching.Muster], many.each[matching.Muster]),
			})
		}
	}
	return rows
}
