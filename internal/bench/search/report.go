package search

import (
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run measured. It goes from process to process as JSON.
type Report struct {
	Devices int
	Engines []Figures
	// Full is what Muster takes for a fleet of FullDevices with more fields.
	Full        Size
	FullDevices int
	// Absent says of engines that are not there why.
	Absent []string `json:",omitempty"`
}

// Figures are those of one engine.
type Figures struct {
	Engine          string
	Build, BuildCPU time.Duration
	Size            Size
	Queries         []Asked
	// FlipCPU and ReleaseCPU are microseconds of CPU of one change, those with
	// Wall what passed meanwhile; each is the median of the rounds.
	FlipCPU, FlipWall, ReleaseCPU, ReleaseWall float64
}

// Asked are the figures of one query.
type Asked struct {
	Query string
	Found int
	// All is the time to get the numbers of all devices, Page that to the names
	// of the first hundred, Create that to the members of a group.
	All, Page, Create Quantiles
}

// Quantiles are of times.
type Quantiles struct{ P50, P99 time.Duration }

// String is both in milliseconds.
func (q Quantiles) String() string { return Milliseconds(q.P50) + " / " + Milliseconds(q.P99) }

// Milliseconds spells a time in milliseconds.
func Milliseconds(d time.Duration) string { return fmt.Sprintf("%.3g ms", float64(d)/1e6) }

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	return Quantiles{time.Duration(h.ValueAtQuantile(50)), time.Duration(h.ValueAtQuantile(99))}
}

func (r *run) report() *Report {
	out := &Report{Devices: r.Devices, FullDevices: r.Full}
	for _, l := range r.lanes {
		f := l.figures
		for i, a := range l.asked {
			f.Queries = append(f.Queries, Asked{r.queries[i].Name, a.found, quantiles(a.all), quantiles(a.page), quantiles(a.create)})
		}
		f.FlipCPU, f.FlipWall = median(l.flips), median(l.flipsWall)
		f.ReleaseCPU, f.ReleaseWall = median(l.releases), median(l.relsW)
		out.Engines = append(out.Engines, f)
	}
	return out
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(v))[len(v)/2]
}
