package search

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/index"
)

// FullSize is what the index takes for devices that tell more than the ten
// fields: those that change are in the shadow, with metadata timestamps, beside
// a network, a phrase of six words that a person wrote and two settings; there
// are two static groups, a type, and the time of the last connect.
func FullSize(devices int) (Size, error) {
	rng := rand.New(rand.NewPCG(7, 7))
	return measureSize(Fleet(devices), func(d *Device) (index.Source, error) { return fullSource(d, rng) })
}

// measureSize makes an index and takes what is gone from the heap when only its
// documents are kept. A document keeps its values alive, which the index files
// things under: the set of things of each value is the index's.
func measureSize(fleet []Device, sourceOf func(*Device) (index.Source, error)) (Size, error) {
	before := heap()
	ix := index.New()
	for i := range fleet {
		src, err := sourceOf(&fleet[i])
		if err != nil {
			return Size{}, err
		}
		ix.Put(index.Flatten(src, config()))
	}
	all := heap()
	docs := ix.Range("", 0)
	runtime.KeepAlive(ix)
	ix = nil
	kept := heap() - int64(len(docs))*int64(unsafe.Sizeof(docs[0]))
	sets := int64(values(docs)) * 16 // a pointer and two numbers of a set that is small, or of one that lies elsewhere
	return Size{Rows: kept - before - sets, Index: all - kept + sets, Note: "heap"}, nil
}

// values counts the different values of all fields.
func values(docs []*index.Document) int {
	seen := map[string]map[string]struct{}{}
	for _, doc := range docs {
		for _, name := range doc.Fields() {
			texts := seen[name]
			if texts == nil {
				texts = map[string]struct{}{}
				seen[name] = texts
			}
			for _, v := range doc.Values(name) {
				texts[v.Text] = struct{}{}
			}
		}
	}
	n := 0
	for _, texts := range seen {
		n += len(texts)
	}
	return n
}

func fullSource(d *Device, rng *rand.Rand) (index.Source, error) {
	src := source(d)
	for _, name := range []string{"build", "battery", "temp"} {
		delete(src.Attributes, name)
	}
	at := time.Unix(1_800_000_000+int64(rng.IntN(10_000_000)), 0)
	src.ThingTypeName = "sensor"
	src.GroupNames = []string{fmt.Sprintf("line-%d", d.Customer), fmt.Sprintf("hall-%d", d.Site)}
	src.Connectivity.Timestamp = at.UnixMilli()
	if !d.Connected {
		src.Connectivity.DisconnectReason = "CLIENT_INITIATED_DISCONNECT"
	}
	note := make([]string, 6)
	for i := range note {
		note[i] = fmt.Sprintf("word%d", int(rng.ExpFloat64()*200))
	}
	reported := map[string]any{
		"softwareVersion": d.Version, "build": d.Build, "battery": d.Battery, "temp": d.Temp, "note": strings.Join(note, " "),
		"network": map[string]any{"ssid": fmt.Sprintf("net-%d", d.Site), "rssi": -rng.IntN(90)},
	}
	state, err := json.Marshal(map[string]any{"state": map[string]any{
		"reported": reported, "desired": map[string]any{"interval": 60 + d.Customer%5, "mode": "auto"},
	}})
	if err != nil {
		return src, err
	}
	u, err := shadow.ParseUpdate(state)
	if err != nil {
		return src, err
	}
	document, err := shadow.Document{}.Apply(u, at)
	src.Shadows = map[string]index.ShadowState{"": document}
	return src, err
}
