package index_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/index"
	"github.com/muster-iot/muster/server/query"
)

// shadowOf returns a shadow after updates, the first at 1740830400.
func shadowOf(t testing.TB, updates ...string) shadow.Document {
	t.Helper()
	var doc shadow.Document
	for i, update := range updates {
		u, err := shadow.ParseUpdate([]byte(update))
		if err != nil {
			t.Fatal(err)
		}
		if doc, err = doc.Apply(u, time.Unix(1740830400+int64(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	return doc
}

// pump is a thing that has something of everything.
func pump(t testing.TB) index.Source {
	return index.Source{
		ThingName: "pump-17", ThingID: "5e2b", ThingTypeName: "Pump", GroupNames: []string{"oslo-pumps", "floor2"},
		Attributes: map[string]string{"softwareVersion": "5", "site": "oslo"},
		Shadows: map[string]index.ShadowState{
			"": shadowOf(
				t,
				`{"state":{"reported":{"fw":{"build":812},"tags":["red","blue","red"],"mixed":[1,[2]],"gone":null,"none":{},"bare":[]}}}`,
				`{"state":{"desired":{"fw":{"build":813}}}}`,
			),
			"health": shadowOf(t, `{"state":{"reported":{"disk":{"free":12.5},"disk.free":"full"},"desired":{"disk":{"free":12.50}}}}`),
			"secret": shadowOf(t, `{"state":{"reported":{"a":1}}}`),
		},
		Connectivity: index.Connectivity{Connected: true, Timestamp: 1740830391004},
	}
}

// dump shows a document, one field a line.
func dump(doc *index.Document) string {
	var lines []string
	for _, f := range doc.Fields() {
		var texts []string
		for _, v := range doc.Values(f) {
			texts = append(texts, v.Text)
		}
		lines = append(lines, f+"="+strings.Join(texts, ","))
	}
	return strings.Join(lines, "\n")
}

func TestFlatten(t *testing.T) {
	const (
		registry = `attributes.site=oslo
attributes.softwareVersion=5
`
		connectivity = `connectivity.connected=true
connectivity.timestamp=1740830391004
`
		classic = `shadow.delta.fw.build=813
shadow.desired.fw.build=813
shadow.hasDelta=true
shadow.metadata.desired.fw.build.timestamp=1740830401
shadow.metadata.reported.fw.build.timestamp=1740830400
shadow.metadata.reported.tags.timestamp=1740830400
`
		named = `shadow.name.health.desired.disk.free=12.50
shadow.name.health.hasDelta=false
shadow.name.health.metadata.desired.disk.free.timestamp=1740830400
shadow.name.health.metadata.reported.disk.free.timestamp=1740830400
shadow.name.health.reported.disk.free=12.5,full
`
		reported = `shadow.reported.fw.build=812
shadow.reported.tags=blue,red
`
		thing = `thingGroupNames=floor2,oslo-pumps
thingId=5e2b
thingName=pump-17
thingTypeName=Pump`
	)
	for _, c := range []struct {
		name   string
		config index.Config
		want   string
	}{
		{"off", index.Config{}, ""},
		{"registry", index.Config{ThingIndexingMode: index.Registry}, registry + thing},
		{"registry and shadow", index.Config{ThingIndexingMode: index.RegistryAndShadow}, registry + classic + reported + thing},
		{"connectivity", index.Config{ThingIndexingMode: index.Registry, ThingConnectivityIndexingMode: index.Status}, registry + connectivity + thing},
		{"named shadow without the classic one", index.Config{
			ThingIndexingMode: index.Registry, NamedShadowIndexingMode: index.On,
			Filter: index.Filter{NamedShadowNames: []string{"health"}},
		}, registry + named + thing},
		{"full", full(), registry + connectivity + classic + named + reported + thing},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := dump(index.Flatten(pump(t), c.config)); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestFlattenConnectivity(t *testing.T) {
	cfg := index.Config{ThingIndexingMode: index.Registry, ThingConnectivityIndexingMode: index.Status}
	for _, c := range []struct {
		name         string
		connectivity index.Connectivity
		want, answer string
	}{
		{"never connected", index.Connectivity{}, "connectivity.connected=false", `{"connected":false}`},
		{
			"connected",
			index.Connectivity{Connected: true, Timestamp: 7},
			"connectivity.connected=true\nconnectivity.timestamp=7", `{"connected":true,"timestamp":7}`,
		},
		{
			"disconnected",
			index.Connectivity{Timestamp: 8, DisconnectReason: "CONNECTION_LOST"},
			"connectivity.connected=false\nconnectivity.disconnectReason=CONNECTION_LOST\nconnectivity.timestamp=8",
			`{"connected":false,"timestamp":8,"disconnectReason":"CONNECTION_LOST"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := index.Flatten(index.Source{ThingName: "a", Connectivity: c.connectivity}, cfg)
			if got := dump(doc); got != c.want+"\nthingName=a" {
				t.Errorf("fields:\n%s", got)
			}
			if got := answerJSON(t, doc, nil); got != `{"thingName":"a","connectivity":`+c.answer+`}` {
				t.Errorf("answer %s", got)
			}
		})
	}
}

func TestFlattenShadowStates(t *testing.T) {
	cfg := index.Config{ThingIndexingMode: index.RegistryAndShadow}
	deleted := shadowOf(t, `{"state":{"reported":{"a":1}}}`)
	deleted.Deleted = true
	for _, c := range []struct {
		name   string
		shadow shadow.Document
		want   string
	}{
		{"never existed", shadow.Document{}, ""},
		{"deleted", deleted, ""},
		{"both sections removed", shadowOf(t, `{"state":{"reported":{"a":1}}}`, `{"state":null}`), "shadow.hasDelta=false\n"},
		{"empty keys", shadowOf(t, `{"state":{"reported":{"":{"":1}}}}`), "shadow.hasDelta=false\nshadow.metadata.reported...timestamp=1740830400\nshadow.reported..=1\n"},
		{"array of nothing but arrays", shadowOf(t, `{"state":{"reported":{"a":[[1]]}}}`), "shadow.hasDelta=false\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := index.Flatten(index.Source{ThingName: "a", Shadows: map[string]index.ShadowState{"": c.shadow}}, cfg)
			if got := dump(doc); got != c.want+"thingName=a" {
				t.Errorf("fields:\n%s", got)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	got := answerJSON(t, index.Flatten(pump(t), full()), []protocol.ThingGroupName{"SWV5", "floor2"})
	const want = `{"thingName":"pump-17","thingId":"5e2b","thingTypeName":"Pump","thingGroupNames":["SWV5","floor2","oslo-pumps"],` +
		`"attributes":{"site":"oslo","softwareVersion":"5"},` +
		`"shadow":"{\"reported\":{\"bare\":[],\"fw\":{\"build\":812},\"mixed\":[1,[2]],\"none\":{},\"tags\":[\"red\",\"blue\",\"red\"]},` +
		`\"desired\":{\"fw\":{\"build\":813}},\"delta\":{\"fw\":{\"build\":813}},` +
		`\"metadata\":{\"reported\":{\"bare\":[],\"fw\":{\"build\":{\"timestamp\":1740830400}},\"mixed\":[{\"timestamp\":1740830400},[{\"timestamp\":1740830400}]],\"none\":{},` +
		`\"tags\":[{\"timestamp\":1740830400},{\"timestamp\":1740830400},{\"timestamp\":1740830400}]},` +
		`\"desired\":{\"fw\":{\"build\":{\"timestamp\":1740830401}}}},\"hasDelta\":true,\"version\":2,` +
		`\"name\":{\"health\":{\"reported\":{\"disk\":{\"free\":12.5},\"disk.free\":\"full\"},\"desired\":{\"disk\":{\"free\":12.50}},` +
		`\"metadata\":{\"reported\":{\"disk\":{\"free\":{\"timestamp\":1740830400}},\"disk.free\":{\"timestamp\":1740830400}},` +
		`\"desired\":{\"disk\":{\"free\":{\"timestamp\":1740830400}}}},\"hasDelta\":false,\"version\":1}}}",` +
		`"connectivity":{"connected":true,"timestamp":1740830391004}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := answerJSON(t, index.Flatten(pump(t), index.Config{ThingIndexingMode: index.Registry}), nil); strings.Contains(got, "shadow") || strings.Contains(got, "connectivity") {
		t.Errorf("answer shows what is not indexed: %s", got)
	}
}

func answerJSON(t *testing.T, doc *index.Document, dynamic []protocol.ThingGroupName) string {
	t.Helper()
	answer, err := doc.Answer(dynamic)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTermsWithoutField(t *testing.T) {
	var got []string
	index.Flatten(pump(t), full()).Each(func(v query.Value) bool {
		got = append(got, v.Text)
		return true
	})
	slices.Sort(got)
	want := []string{"12.5", "12.50", "5", "5e2b", "812", "813", "813", "Pump", "blue", "floor2", "full", "oslo", "oslo-pumps", "pump-17", "red"}
	if !slices.Equal(got, want) {
		t.Errorf("values %q, want %q", got, want)
	}
}

// TestHas compares Has with its definition on arbitrary field names.
func TestHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-c.!-]{1,4}`)
		attributes := rapid.MapOf(name, rapid.Just("x")).Draw(t, "attributes")
		path := "attributes." + name.Draw(t, "path")
		doc := index.Flatten(index.Source{ThingName: "a", Attributes: attributes}, full())
		want := slices.ContainsFunc(doc.Fields(), func(f string) bool {
			return f == path || strings.HasPrefix(f, path+".")
		})
		if got := doc.Has(path); got != want {
			t.Fatalf("has %q: %t, want %t; fields %q", path, got, want, doc.Fields())
		}
	})
}

// TestCoversEveryFieldThatIsThere holds Covers and Flatten together: a
// configuration covers exactly the fields that Flatten makes under it.
func TestCoversEveryFieldThatIsThere(t *testing.T) {
	all := index.Flatten(pump(t), full())
	rapid.Check(t, func(rt *rapid.T) {
		cfg := index.Config{
			ThingIndexingMode:             rapid.SampledFrom([]index.Mode{index.Off, index.Registry, index.RegistryAndShadow}).Draw(rt, "things"),
			ThingConnectivityIndexingMode: rapid.SampledFrom([]index.Mode{index.Off, index.Status}).Draw(rt, "connectivity"),
			NamedShadowIndexingMode:       rapid.SampledFrom([]index.Mode{index.Off, index.On}).Draw(rt, "named"),
			Filter:                        index.Filter{NamedShadowNames: rapid.SampledFrom([][]string{nil, {"health"}, {"other"}}).Draw(rt, "names")},
		}
		doc := index.Flatten(pump(t), cfg)
		for _, f := range all.Fields() {
			if got, want := cfg.Covers(f), doc.Has(f); got != want {
				rt.Fatalf("covers %q: %t, but it is there: %t", f, got, want)
			}
		}
	})
}

// drawSource draws a small thing with frequent repeats.
func drawSource(t *rapid.T, name protocol.ThingName) index.Source {
	value := rapid.SampledFrom([]string{"5", "5.0", "6", "v5", "", "true", "a b"})
	leaf := rapid.OneOf(
		rapid.Map(value, func(s string) any { return s }),
		rapid.SampledFrom([]any{true, false, json.Number("5"), json.Number("1.5"), []any{"a", json.Number("5")}, []any{json.Number("5"), "a"}, []any{map[string]any{}}, nil}),
	)
	state := rapid.Custom(func(t *rapid.T) map[string]any {
		m := map[string]any{}
		for _, key := range []string{"a", "b", "a.b"} {
			switch rapid.IntRange(0, 2).Draw(t, key) {
			case 1:
				m[key] = leaf.Draw(t, "leaf")
			case 2:
				m[key] = map[string]any{"b": leaf.Draw(t, "inner leaf")}
			}
		}
		return m
	})
	src := index.Source{
		ThingName:    name,
		GroupNames:   rapid.SampledFrom([][]string{nil, {"g1"}, {"g1", "g2"}}).Draw(t, "groups"),
		Attributes:   rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "a.c"}), value, 0, 3).Draw(t, "attributes"),
		Connectivity: index.Connectivity{Connected: rapid.Bool().Draw(t, "connected"), Timestamp: rapid.Int64Range(0, 2).Draw(t, "timestamp")},
		Shadows:      map[string]index.ShadowState{},
	}
	for _, name := range []string{"", "health"} {
		if rapid.Bool().Draw(t, "shadow "+name) {
			src.Shadows[name] = shadow.Document{Desired: state.Draw(t, "desired"), Reported: state.Draw(t, "reported"), Version: 1}
		}
	}
	return src
}

// TestChangeFields compares the fields of a change with what the two documents
// show, and holds flattening to being the same every time.
func TestChangeFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, new := drawSource(t, "a"), drawSource(t, "a")
		ix := index.New()
		ix.Put(index.Flatten(old, full()))
		if again := ix.Put(index.Flatten(old, full())); len(again.Fields) > 0 {
			t.Fatalf("the same source again changes %q", again.Fields)
		}
		change := ix.Put(index.Flatten(new, full()))
		seen := map[string]bool{}
		for _, f := range slices.Concat(change.Old.Fields(), change.New.Fields()) {
			seen[f] = true
		}
		for f := range seen {
			differs := valueSet(change.Old, f) != valueSet(change.New, f)
			if listed := slices.Contains(change.Fields, f); listed != differs {
				t.Fatalf("field %q differs: %t, is listed: %t", f, differs, listed)
			}
		}
		if !slices.IsSorted(change.Fields) || len(slices.Compact(slices.Clone(change.Fields))) != len(change.Fields) {
			t.Fatalf("fields %q are not sorted or repeat", change.Fields)
		}
	})
}

func valueSet(doc *index.Document, field string) string {
	var s []string
	for _, v := range doc.Values(field) {
		s = append(s, fmt.Sprintf("%q %t %t", v.Text, v.IsNum, v.IsBool))
	}
	slices.Sort(s)
	return strings.Join(slices.Compact(s), ", ")
}

// TestWithConnectivity compares the short way with flattening.
func TestWithConnectivity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := rapid.SampledFrom([]index.Config{{}, {ThingIndexingMode: index.Registry}, full()}).Draw(t, "config")
		src := drawSource(t, "a")
		short := index.Flatten(src, cfg)
		before := dump(short)
		next := index.Connectivity{
			Connected:        rapid.Bool().Draw(t, "now connected"),
			Timestamp:        rapid.Int64Range(0, 2).Draw(t, "at"),
			DisconnectReason: rapid.SampledFrom([]string{"", "CONNECTION_LOST"}).Draw(t, "reason"),
		}
		got := short.WithConnectivity(next)
		src.Connectivity = next
		want := index.Flatten(src, cfg)
		if dump(got) != dump(want) || got.Source().Connectivity != next {
			t.Fatalf("got\n%s\nwant\n%s", dump(got), dump(want))
		}
		ix := index.New()
		ix.Put(got)
		if change := ix.Put(want); len(change.Fields) > 0 {
			t.Fatalf("fields %q differ", change.Fields)
		}
		if dump(short) != before {
			t.Fatal("the document has changed")
		}
	})
}
