package search

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/index"
)

// FullSize is what the index takes for devices that tell more than the ten
// fields: those that change are in the shadow, with metadata timestamps, beside
// a network, a phrase of six words that a person wrote and two settings; there
// are two static groups, a type, and the time of the last connect.
func FullSize(devices int) (Size, error) {
	rng := rand.New(rand.NewPCG(7, 7))
	before := heap()
	ix, docs := index.New(), make([]*index.Document, devices)
	for i, d := range Fleet(devices) {
		src, err := fullSource(&d, rng)
		if err != nil {
			return Size{}, err
		}
		docs[i] = index.Flatten(src, config())
	}
	return fill(ix, docs, before), nil
}

// fill puts the documents, made since the heap was as before, into the index
// and tells what both take.
func fill(ix *index.Index, docs []*index.Document, before int64) Size {
	flat := heap()
	for _, doc := range docs {
		ix.Put(doc)
	}
	both := heap()
	clear(docs) // from here on the index alone holds them
	alone := heap() - before - int64(len(docs))*8
	size := Size{Rows: alone - (both - flat), Index: both - flat, Note: "heap"}
	runtime.KeepAlive(ix)
	return size
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
