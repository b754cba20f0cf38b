package index

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
	"github.com/muster-iot/muster/server/query"
)

// Source is all that is known of a registered thing. It is read-only once it
// has been given to [Flatten].
type Source struct {
	ThingName protocol.ThingName
	// ThingID and ThingTypeName are empty when the thing has none.
	ThingID, ThingTypeName string
	// GroupNames are the static thing groups and billing groups of the thing.
	GroupNames []string
	Attributes map[string]string
	// Shadows holds the thing's shadows by name; "" is the classic one.
	Shadows      map[string]ShadowState
	Connectivity Connectivity
}

// ShadowState is a shadow as the index reads it.
type ShadowState = shadow.Document

// Connectivity says whether the thing is connected. The zero value is a thing
// that never was.
type Connectivity struct {
	Connected bool
	// Timestamp is the time of the last connect or disconnect in milliseconds
	// of Unix time; 0 is never.
	Timestamp int64
	// DisconnectReason is empty while connected.
	DisconnectReason string
}

// Flatten makes the document of a thing: its content as fields with values
// (AWS IoT reference 3.2), as far as the configuration indexes it. With thing
// indexing off the document has no fields, and no query but * and negations
// matches it.
func Flatten(src Source, cfg Config) *Document {
	cfg = cfg.Normal()
	doc := &Document{source: src}
	if cfg.ThingIndexingMode == Off {
		return doc
	}
	var f flattener
	f.registry(src)
	for name, state := range src.Shadows {
		prefix, indexed := shadowPrefix(name, cfg)
		if !indexed || !state.Exists() {
			continue
		}
		f.shadow(prefix, state)
		doc.shadows = append(doc.shadows, name)
	}
	slices.Sort(doc.shadows)
	if cfg.ThingConnectivityIndexingMode == Status {
		f.connectivity(src.Connectivity)
		doc.connectivity = true
	}
	doc.fields, doc.values = f.group()
	return doc
}

// shadowPrefix returns where the fields of a shadow begin, if it is indexed.
func shadowPrefix(name string, cfg Config) (prefix string, indexed bool) {
	if name == "" {
		return "shadow.", cfg.ThingIndexingMode == RegistryAndShadow
	}
	return "shadow.name." + name + ".", cfg.coversNamed(name)
}

// leaf is one value on its way into a document.
type leaf struct {
	field  string
	value  query.Value
	hidden bool // from terms without a field
}

// flattener gathers leaves in any order.
type flattener struct{ leaves []leaf }

func (f *flattener) add(field string, v query.Value) {
	f.leaves = append(f.leaves, leaf{field: field, value: v})
}

func (f *flattener) addHidden(field string, v query.Value) {
	f.leaves = append(f.leaves, leaf{field: field, value: v, hidden: true})
}

// addText adds a string unless it is empty.
func (f *flattener) addText(field, text string) {
	if text != "" {
		f.add(field, query.NewValue(text))
	}
}

func (f *flattener) registry(src Source) {
	f.addText("thingName", string(src.ThingName))
	f.addText("thingId", src.ThingID)
	f.addText("thingTypeName", src.ThingTypeName)
	for _, name := range src.GroupNames {
		f.addText("thingGroupNames", name)
	}
	for name, value := range src.Attributes {
		f.add("attributes."+name, query.NewValue(value))
	}
}

func (f *flattener) connectivity(c Connectivity) {
	f.addHidden("connectivity.connected", query.BoolValue(c.Connected))
	if c.Timestamp != 0 {
		f.addHidden("connectivity.timestamp", query.NewValue(strconv.FormatInt(c.Timestamp, 10)))
	}
	if c.DisconnectReason != "" {
		f.addHidden("connectivity.disconnectReason", query.NewValue(c.DisconnectReason))
	}
}

// shadow adds the sections of one shadow; its version is not searchable.
func (f *flattener) shadow(prefix string, s ShadowState) {
	delta, _ := s.Difference()
	f.object(prefix+"desired", prefix+"metadata.desired", s.Desired, s.DesiredMeta)
	f.object(prefix+"reported", prefix+"metadata.reported", s.Reported, s.ReportedMeta)
	f.object(prefix+"delta", "", delta, nil)
	f.addHidden(prefix+"hasDelta", query.BoolValue(len(delta) > 0))
}

// object adds the members of a JSON object at path, and the timestamps of
// those that are indexed at metaPath unless that is empty.
func (f *flattener) object(path, metaPath string, object, meta map[string]any) {
	for key, member := range object {
		memberMeta := metaPath
		if metaPath != "" {
			memberMeta += "." + key
		}
		f.member(path+"."+key, memberMeta, member, meta[key])
	}
}

func (f *flattener) member(path, metaPath string, member, meta any) {
	if object, ok := member.(map[string]any); ok {
		metaObject, _ := meta.(map[string]any)
		f.object(path, metaPath, object, metaObject)
		return
	}
	array, isArray := member.([]any)
	if !isArray {
		array = []any{member}
	}
	values, ok := scalars(array)
	if !ok || len(values) == 0 {
		return
	}
	for _, v := range values {
		f.add(path, v)
	}
	if metaPath != "" {
		f.timestamps(metaPath+".timestamp", meta)
	}
}

// scalars returns the values of simple elements; null has none. It is not ok
// with an object or array among them: such a field is not indexed at all.
func scalars(array []any) (values []query.Value, ok bool) {
	for _, element := range array {
		switch e := element.(type) {
		case nil:
		case string:
			values = append(values, query.NewValue(e))
		case bool:
			values = append(values, query.BoolValue(e))
		case json.Number:
			values = append(values, query.NewValue(e.String()))
		case float64:
			values = append(values, query.NumberValue(e))
		case map[string]any, []any:
			return nil, false
		default:
			values = append(values, query.NewValue(fmt.Sprint(e)))
		}
	}
	return values, true
}

// timestamps adds the time of a leaf's last write; meta is an object for a
// simple value and one object per element for an array.
func (f *flattener) timestamps(field string, meta any) {
	if array, ok := meta.([]any); ok {
		for _, element := range array {
			f.timestamps(field, element)
		}
		return
	}
	object, _ := meta.(map[string]any)
	values, _ := scalars([]any{object["timestamp"]})
	for _, v := range values {
		f.addHidden(field, v)
	}
}

// group sorts the leaves by field and value, drops repeated values and returns
// them as fields that point into one slice of values.
func (f *flattener) group() ([]field, []query.Value) {
	slices.SortFunc(f.leaves, func(a, b leaf) int {
		return cmp.Or(cmp.Compare(a.field, b.field), cmp.Compare(a.value.Text, b.value.Text), cmp.Compare(valueType(a.value), valueType(b.value)))
	})
	var fields []field
	values := make([]query.Value, 0, len(f.leaves))
	for _, l := range f.leaves {
		last := len(fields) - 1
		if last < 0 || fields[last].name != l.field {
			fields = append(fields, field{name: l.field, hidden: l.hidden, first: len(values), end: len(values) + 1})
			values = append(values, l.value)
			continue
		}
		if !values[len(values)-1].Equal(l.value) {
			values = append(values, l.value)
			fields[last].end++
		}
	}
	return fields, values
}

// valueType orders values of the same text.
func valueType(v query.Value) int {
	switch {
	case v.IsBool:
		return 2
	case v.IsNum:
		return 1
	}
	return 0
}
