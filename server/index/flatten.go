package index

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

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
	// Version is that of the thing in the registry; only aggregations see it.
	Version int64
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
	// Version counts the sessions of the thing; only aggregations see it, and
	// not while it is 0.
	Version int64
}

// Flatten makes the document of a thing: its content as fields with values
// (AWS IoT reference 3.2), as far as the configuration indexes it. With thing
// indexing off the document has no fields, and no query but * and negations
// matches it.
func Flatten(src Source, cfg Config) *Document {
	cfg = cfg.Normal()
	doc := &Document{source: src}
	if cfg.ThingIndexingMode == Off {
		doc.shape = &shape{}
		return doc
	}
	f := flattener{leaves: make([]leaf, 0, 64)}
	f.registry(src)
	var shadows []string
	for name, state := range src.Shadows {
		prefix, indexed := shadowPrefix(name, cfg)
		if !indexed || !state.Exists() {
			continue
		}
		f.shadow(prefix, state)
		shadows = append(shadows, name)
	}
	f.fill(doc)
	slices.Sort(shadows)
	doc.shape.shadows = shadows
	if cfg.ThingConnectivityIndexingMode == Status {
		doc.shape.connectivity = true
		doc.connectivity = connectivityOf(src.Connectivity)
	}
	return doc
}

// shadowPrefix returns where the fields of a shadow begin, if it is indexed.
func shadowPrefix(name string, cfg Config) (prefix string, indexed bool) {
	if name == "" {
		return "shadow.", cfg.ThingIndexingMode == RegistryAndShadow
	}
	return "shadow.name." + name + ".", cfg.coversNamed(name)
}

// leaf is one value on its way into a document: a boolean, or a text that may
// be a number. It is small because leaves are sorted.
type leaf struct {
	field  string
	text   string
	isBool bool
	hidden bool // from terms without a field
}

func (l leaf) value() query.Value {
	if l.isBool {
		return query.BoolValue(l.text == "true")
	}
	return query.NewValue(l.text)
}

// maxPath bounds the path of a field below its section, in bytes. Every leaf
// has its whole path as a name: without a bound, a shadow of 8 KB in which
// hundreds of leaves lie below one long key would make a document of 8 MB.
const maxPath = 512

// flattener gathers leaves in any order.
type flattener struct {
	leaves []leaf
	// longest is the longest name of a field in the section under way.
	longest int
}

// addText adds a string unless it is empty.
func (f *flattener) addText(field, text string) {
	if text != "" {
		f.leaves = append(f.leaves, leaf{field: field, text: text})
	}
}

// addHidden adds a value that terms without a field do not look at.
func (f *flattener) addHidden(field string, scalar any) {
	l, _ := scalarLeaf(field, scalar)
	l.hidden = true
	f.leaves = append(f.leaves, l)
}

// scalarLeaf makes the leaf of a simple JSON value; objects, arrays and null
// have none.
func scalarLeaf(field string, scalar any) (leaf, bool) {
	l := leaf{field: field}
	switch v := scalar.(type) {
	case string:
		l.text = v
	case bool:
		l.text, l.isBool = strconv.FormatBool(v), true
	case json.Number:
		l.text = v.String()
	case float64:
		l.text = query.NumberValue(v).Text
	default:
		return leaf{}, false
	}
	return l, true
}

func (f *flattener) registry(src Source) {
	f.addText("thingName", string(src.ThingName))
	f.addText("thingId", src.ThingID)
	f.addText("thingTypeName", src.ThingTypeName)
	for _, name := range src.GroupNames {
		f.addText("thingGroupNames", name)
	}
	for name, value := range src.Attributes {
		f.leaves = append(f.leaves, leaf{field: "attributes." + name, text: value})
	}
}

// shadow adds the sections of one shadow; its version is not searchable.
func (f *flattener) shadow(prefix string, s ShadowState) {
	delta, _ := s.Difference()
	f.section(prefix+"desired", prefix+"metadata.desired", s.Desired, s.DesiredMeta)
	f.section(prefix+"reported", prefix+"metadata.reported", s.Reported, s.ReportedMeta)
	f.section(prefix+"delta", "", delta, nil)
	f.addHidden(prefix+"hasDelta", len(delta) > 0)
}

// section is object for a whole section of a shadow.
func (f *flattener) section(path, metaPath string, section, meta map[string]any) {
	f.longest = len(path) + len(".") + maxPath
	f.object(path, metaPath, section, meta)
}

// object adds the members of a JSON object at path, and the timestamps of
// those that are indexed at metaPath unless that is empty. What has too long a
// path is not indexed.
func (f *flattener) object(path, metaPath string, object, meta map[string]any) {
	for key, member := range object {
		if len(path)+len(".")+len(key) > f.longest {
			continue
		}
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
	if f.scalars(path, array) && metaPath != "" {
		f.timestamps(metaPath+".timestamp", meta)
	}
}

// scalars adds the elements of an array; null has no value. It reports whether
// anything was added: with an object or array among them, nothing is.
func (f *flattener) scalars(path string, array []any) bool {
	before := len(f.leaves)
	for _, element := range array {
		if element == nil {
			continue
		}
		l, ok := scalarLeaf(path, element)
		if !ok {
			f.leaves = f.leaves[:before]
			return false
		}
		f.leaves = append(f.leaves, l)
	}
	return len(f.leaves) > before
}

// timestamps adds the time of a leaf's last write; meta is an object for a
// simple value and one object per element for an array.
func (f *flattener) timestamps(field string, meta any) {
	switch m := meta.(type) {
	case []any:
		for _, element := range m {
			f.timestamps(field, element)
		}
	case map[string]any:
		if l, ok := scalarLeaf(field, m["timestamp"]); ok {
			l.hidden = true
			f.leaves = append(f.leaves, l)
		}
	}
}

// fill sorts the leaves by field and text, drops repeated ones and gives them
// to a document as its fields.
func (f *flattener) fill(doc *Document) {
	slices.SortFunc(f.leaves, compareLeaves)
	f.leaves = slices.Compact(f.leaves)
	n := f.fields()
	s := &shape{names: make([]string, n), hidden: make([]bool, n)}
	entries := make([]entry, n)
	doc.values = make([]*entry, n)
	doc.shape = s
	rest := f.leaves
	for at := range n {
		first, same := rest[0], 1
		for same < len(rest) && rest[same].field == first.field {
			same++
		}
		s.names[at], s.hidden[at] = first.field, first.hidden
		if first.field < connectivityPrefix {
			s.before = at + 1
		}
		if same == 1 {
			entries[at].value[0] = first.value()
			doc.values[at] = &entries[at]
		} else {
			doc.several = append(doc.several, several{at, valuesOf(rest[:same])})
		}
		rest = rest[same:]
	}
}

// fields returns how many fields the sorted leaves have.
func (f *flattener) fields() int {
	n := 0
	for i, l := range f.leaves {
		if i == 0 || f.leaves[i-1].field != l.field {
			n++
		}
	}
	return n
}

func valuesOf(leaves []leaf) []query.Value {
	values := make([]query.Value, len(leaves))
	for i, l := range leaves {
		values[i] = l.value()
	}
	return values
}

func compareLeaves(a, b leaf) int {
	if c := strings.Compare(a.field, b.field); c != 0 {
		return c
	}
	if c := strings.Compare(a.text, b.text); c != 0 {
		return c
	}
	switch {
	case a.isBool == b.isBool:
		return 0
	case b.isBool:
		return -1
	}
	return 1
}
