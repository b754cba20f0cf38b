package load

import (
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest latency that is told apart; what took longer counts
// as this long.
const longest = time.Hour

// Recorder keeps latencies by name, to three digits from a microsecond to an
// hour. It is safe for concurrent use.
type Recorder struct {
	mu    sync.Mutex
	names []string
	by    map[string]*hdrhistogram.Histogram
}

// NewRecorder makes a recorder. The names are listed first and in this order
// by [Recorder.Summaries], also when nothing was recorded under them.
func NewRecorder(names ...string) *Recorder {
	r := &Recorder{by: map[string]*hdrhistogram.Histogram{}}
	for _, name := range names {
		r.histogram(name)
	}
	return r
}

func (r *Recorder) histogram(name string) *hdrhistogram.Histogram {
	h := r.by[name]
	if h == nil {
		h = hdrhistogram.New(1, longest.Microseconds(), 3)
		r.by[name] = h
		r.names = append(r.names, name)
	}
	return h
}

// Record adds one latency. A negative one, from clocks that disagree, counts
// as zero.
func (r *Recorder) Record(name string, d time.Duration) {
	d = min(max(d, 0), longest)
	r.mu.Lock()
	defer r.mu.Unlock()
	// The value is within the histogram's range, so it cannot be refused.
	_ = r.histogram(name).RecordValue(d.Microseconds())
}

// Summary is what is known of the latencies of one name.
type Summary struct {
	Name  string        `json:"name"`
	Count int64         `json:"count"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
}

// Summaries returns one summary for each name. The caller owns the slice.
func (r *Recorder) Summaries() []Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Summary, 0, len(r.names))
	for _, name := range r.names {
		h := r.by[name]
		list = append(list, Summary{
			Name: name, Count: h.TotalCount(),
			P50: micros(h.ValueAtQuantile(50)), P99: micros(h.ValueAtQuantile(99)), Max: micros(h.Max()),
		})
	}
	return list
}

// Summary returns the summary of one name; it is zero when nothing was
// recorded under it.
func (r *Recorder) Summary(name string) Summary {
	list := r.Summaries()
	i := slices.IndexFunc(list, func(s Summary) bool { return s.Name == name })
	if i < 0 {
		return Summary{Name: name}
	}
	return list[i]
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
