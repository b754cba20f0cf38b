package index_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// benchThings is the number of things in benchmarks; MUSTER_INDEX_THINGS sets
// another one.
func benchThings() int {
	if n, err := strconv.Atoi(os.Getenv("MUSTER_INDEX_THINGS")); err == nil {
		return n
	}
	return 100_000
}

// benchSource draws a thing of ten fields.
func benchSource(r *rand.Rand, zipf *rand.Zipf, i int) index.Source {
	text := strconv.Itoa
	return index.Source{
		ThingName: protocol.ThingName(fmt.Sprintf("dev-%07d", i)),
		Attributes: map[string]string{
			"softwareVersion": text(int(zipf.Uint64()) + 1),
			"region":          "region-" + text(r.IntN(50)), "model": "model-" + text(r.IntN(100)), "site": "site-" + text(r.IntN(2000)),
			"customer": "customer-" + text(r.IntN(1000)), "build": text(r.IntN(10_000)),
			"battery": text(r.IntN(100)), "temp": strconv.FormatFloat(float64(r.IntN(1000))/10, 'f', 1, 64),
		},
		Connectivity: index.Connectivity{Connected: r.IntN(10) < 7},
	}
}

func benchConfig() index.Config {
	return index.Config{ThingIndexingMode: index.RegistryAndShadow, ThingConnectivityIndexingMode: index.Status}
}

func benchIndex() *index.Index {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.3, 1, 19)
	ix := index.New()
	for i := range benchThings() {
		ix.Put(index.Flatten(benchSource(r, zipf, i), benchConfig()))
	}
	return ix
}

func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkFleet builds an index and reports what it takes beside the documents:
// the heap that is gone when only the documents are kept. Of each entry, which a
// document may keep, the things are counted to the index.
func BenchmarkFleet(b *testing.B) {
	n := float64(benchThings())
	for b.Loop() {
		before, began := heap(), time.Now()
		ix := benchIndex()
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/n, "build-ns/thing")
		all := heap()
		docs := ix.Range("", 0)
		entries := ix.Entries()
		runtime.KeepAlive(ix)
		ix = nil
		kept := heap()
		runtime.KeepAlive(docs)
		b.ReportMetric((all-before)/n, "all-B/thing")
		b.ReportMetric((all-kept+8*n+16*float64(entries))/n, "index-B/thing")
	}
}

func BenchmarkQueries(b *testing.B) {
	ix := benchIndex()
	for _, c := range []struct{ name, query string }{
		{"Q1", "connectivity.connected:true AND attributes.softwareVersion:5"},
		{"Q2", "attributes.region:region-7 AND attributes.model:model-3 AND attributes.softwareVersion:[3 TO 7]"},
		{"Q3", "thingName:dev-00012* AND connectivity.connected:false"},
		{"Q4", "attributes.site:site-77 AND NOT attributes.softwareVersion:5"},
		{"Q5", "attributes.temp>95 AND attributes.battery<10"},
		{"wildcard", "thingName:*7"},
		{"no field", "region-7"},
		{"half", "attributes.build<5000"},
		{"negation", "NOT attributes.softwareVersion:5"},
	} {
		q := mustParse(b, c.query)
		b.Run(c.name+"/ids", func(b *testing.B) {
			var longest time.Duration
			steps, found := 0, 0
			for b.Loop() {
				f := ix.Find(q)
				for more := true; more; steps++ {
					began := time.Now()
					more = f.Step()
					longest = max(longest, time.Since(began))
				}
				found = len(f.Selection().IDs().ToArray())
			}
			b.ReportMetric(float64(longest.Microseconds()), "longest-step-us")
			b.ReportMetric(float64(found), "things")
			b.ReportMetric(float64(steps)/float64(b.N), "steps/op")
		})
		b.Run(c.name+"/page", func(b *testing.B) {
			for b.Loop() {
				ix.Select(q).Page("", 100)
			}
		})
	}
	all := ix.Select(mustParse(b, "*"))
	for _, f := range []index.Field{{Name: "attributes.softwareVersion", Type: index.Number}, {Name: "attributes.temp", Type: index.Number}, {Name: "registry.version", Type: index.Number}} {
		b.Run("statistics/"+f.Name, func(b *testing.B) {
			for b.Loop() {
				all.Statistics(f)
			}
		})
		b.Run("buckets/"+f.Name, func(b *testing.B) {
			for b.Loop() {
				all.Buckets(f, 10)
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	ix := benchIndex()
	r := rand.New(rand.NewPCG(3, 4))
	zipf := rand.NewZipf(r, 1.3, 1, 19)
	docs := ix.Range("", 0)
	b.Run("connectivity", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			i := r.IntN(len(docs))
			docs[i] = docs[i].WithConnectivity(index.Connectivity{Connected: !docs[i].Source().Connectivity.Connected})
			ix.Put(docs[i])
		}
	})
	b.Run("connectivity with time", func(b *testing.B) {
		b.ReportAllocs()
		now := int64(1740830391004)
		for b.Loop() {
			i := r.IntN(len(docs))
			now++
			docs[i] = docs[i].WithConnectivity(index.Connectivity{Connected: !docs[i].Source().Connectivity.Connected, Timestamp: now})
			ix.Put(docs[i])
		}
	})
	var sources []*index.Document
	for range 4096 {
		i := r.IntN(len(docs))
		src := docs[i].Source()
		src.Attributes = benchSource(r, zipf, i).Attributes
		old := docs[i].Source().Attributes
		for name, value := range old {
			if name != "softwareVersion" {
				src.Attributes[name] = value
			}
		}
		sources = append(sources, index.Flatten(src, benchConfig()))
	}
	b.Run("version", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			ix.Put(sources[i%len(sources)])
		}
	})
}
