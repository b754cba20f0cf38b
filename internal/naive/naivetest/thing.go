package naivetest

import (
	"encoding/json"
	"fmt"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/internal/naive"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/index"
)

// Thing draws the name of one of n things.
func Thing(t *rapid.T, n int) protocol.ThingName {
	return protocol.ThingName(fmt.Sprintf("t%d", rapid.IntRange(0, n-1).Draw(t, "thing")))
}

// Connectivity draws a connectivity, also such as no engine makes.
func Connectivity(t *rapid.T) index.Connectivity {
	return index.Connectivity{
		Connected:        rapid.Bool().Draw(t, "connected"),
		Timestamp:        rapid.Int64Range(0, 3).Draw(t, "timestamp"),
		DisconnectReason: rapid.SampledFrom([]string{"", "red", "CONNECTION_LOST"}).Draw(t, "reason"),
	}
}

// Source draws all that is known of a thing.
func Source(t *rapid.T, name protocol.ThingName) index.Source {
	src := index.Source{
		ThingName:     name,
		ThingID:       rapid.SampledFrom([]string{"", "id-1"}).Draw(t, "id"),
		ThingTypeName: rapid.SampledFrom([]string{"", "red", "Blue"}).Draw(t, "type"),
		GroupNames:    rapid.SampledFrom([][]string{nil, {"red"}, {"s1", "red"}}).Draw(t, "groups"),
		Attributes:    rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "a.b"}), rapid.SampledFrom(Words()), 0, 2).Draw(t, "attributes"),
		Connectivity:  Connectivity(t),
		Shadows:       map[string]index.ShadowState{},
	}
	for _, name := range []string{"", "s1", "$package"} {
		if rapid.IntRange(0, 2).Draw(t, "shadow "+name) == 0 {
			src.Shadows[name] = shadowState(t)
		}
	}
	return src
}

func shadowState(t *rapid.T) index.ShadowState {
	s := index.ShadowState{Version: rapid.Int64Range(1, 3).Draw(t, "version"), Reported: State(t), Desired: State(t)}
	s.ReportedMeta, s.DesiredMeta = stamped(t, s.Reported), stamped(t, s.Desired)
	return s
}

// State draws a section of a shadow as it is kept: without null in objects.
func State(t *rapid.T) map[string]any {
	state := map[string]any{}
	for _, key := range []string{"a", "b", "a.b", "timestamp"} {
		if v := member(t, key); v != nil {
			state[key] = v
		}
	}
	return state
}

// member draws a JSON value; nil is that there is none.
func member(t *rapid.T, key string) any {
	word := rapid.SampledFrom(Words())
	switch rapid.IntRange(0, 9).Draw(t, key) {
	case 0, 1:
		return word.Draw(t, "string")
	case 2:
		return rapid.Bool().Draw(t, "bool")
	case 3:
		return json.Number(rapid.SampledFrom([]string{"1", "1.0", "2", "1e2", "-1", "12.50", "9007199254740993", "1e5"}).Draw(t, "number"))
	case 4:
		return rapid.SampledFrom([]any{
			[]any{"red", json.Number("3")},
			[]any{json.Number("1"), json.Number("1.0"), true},
			[]any{nil, "blue"},
			[]any{},
			[]any{[]any{}},
			[]any{"red", map[string]any{"b": "red"}},
		}).Draw(t, "array")
	case 5:
		return map[string]any{"b": word.Draw(t, "inner string"), "c": map[string]any{}}
	}
	return nil
}

// stamped makes the metadata of a section: a time for each leaf.
func stamped(t *rapid.T, section map[string]any) map[string]any {
	var stamp func(v any) any
	stamp = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			meta := map[string]any{}
			for key, member := range v {
				meta[key] = stamp(member)
			}
			return meta
		case []any:
			meta := make([]any, len(v))
			for i, element := range v {
				meta[i] = stamp(element)
			}
			return meta
		}
		return map[string]any{"timestamp": json.Number("10")}
	}
	meta, _ := stamp(section).(map[string]any)
	return meta
}

// Config draws what is indexed.
func Config(t *rapid.T) index.Config {
	on := rapid.SampledFrom([]index.Mode{index.Off, index.On})
	c := index.Config{
		ThingIndexingMode:             rapid.SampledFrom([]index.Mode{index.Registry, index.RegistryAndShadow, index.RegistryAndShadow}).Draw(t, "mode"),
		ThingConnectivityIndexingMode: rapid.SampledFrom([]index.Mode{index.Off, index.Status, index.Status}).Draw(t, "connectivity"),
		NamedShadowIndexingMode:       on.Draw(t, "named shadows"),
	}
	if c.NamedShadowIndexingMode == index.On {
		c.Filter.NamedShadowNames = rapid.SampledFrom([][]string{{"s1"}, {"$package"}, {"s1", "$package"}}).Draw(t, "filter")
	}
	return c
}

// Everything is the configuration that leaves nothing out.
func Everything() index.Config {
	return index.Config{
		ThingIndexingMode: index.RegistryAndShadow, ThingConnectivityIndexingMode: index.Status, NamedShadowIndexingMode: index.On,
		Filter: index.Filter{NamedShadowNames: []string{"s1", "$package"}},
	}
}

// Answered is a thing as SearchIndex answers it: the JSON of its document, read.
func Answered(doc *index.Document, dynamic ...protocol.ThingGroupName) (naive.Thing, error) {
	a, err := doc.Answer(dynamic)
	if err != nil {
		return naive.Thing{}, err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return naive.Thing{}, err
	}
	return naive.ReadThing(text)
}
