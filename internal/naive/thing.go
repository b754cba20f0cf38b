package naive

import (
	"encoding/json"
	"strconv"
	"strings"
)

// value is a leaf of a thing: a text that may be a number, or a boolean.
type value struct {
	text   string
	isBool bool
}

// document is a thing or a group as a query sees it: its leaves by field.
type document struct {
	fields map[string][]value
	// open has the fields that terms without a field look at.
	open map[string]bool
}

func newDocument() document {
	return document{fields: map[string][]value{}, open: map[string]bool{}}
}

// show adds a value that every term looks at, hide one that only terms with
// its field do.
func (d document) show(field string, v value) {
	d.hide(field, v)
	d.open[field] = true
}

func (d document) hide(field string, v value) { d.fields[field] = append(d.fields[field], v) }

// named adds a string unless it is empty: then the thing has none.
func (d document) named(field, text string) {
	if text != "" {
		d.show(field, value{text: text})
	}
}

func boolean(b bool) value { return value{strconv.FormatBool(b), true} }

func number(n int64) value { return value{text: strconv.FormatInt(n, 10)} }

// document lists the values of a thing (AWS IoT reference 3.2 and 3.3).
func (t Thing) document() document {
	d := newDocument()
	d.named("thingName", string(t.Name))
	d.named("thingId", t.ID)
	d.named("thingTypeName", t.Type)
	for _, g := range t.Groups {
		d.named("thingGroupNames", g)
	}
	for name, text := range t.Attributes {
		d.show("attributes."+name, value{text: text})
	}
	if t.Indexed {
		d.hide("connectivity.connected", boolean(t.Connected))
		if t.Since != 0 {
			d.hide("connectivity.timestamp", number(t.Since))
		}
		if t.Reason != "" {
			d.hide("connectivity.disconnectReason", value{text: t.Reason})
		}
	}
	classic, named := t.shadows()
	d.shadow("shadow", classic)
	for name, shadow := range named {
		d.shadow("shadow.name."+name, shadow)
	}
	return d
}

// document lists the values of a thing group.
func (g Group) document() document {
	d := newDocument()
	d.named("thingGroupName", string(g.Name))
	d.named("thingGroupId", g.ID)
	d.named("description", g.Description)
	for _, p := range g.Parents {
		d.named("parentGroupNames", p)
	}
	for name, text := range g.Attributes {
		d.show("attributes."+name, value{text: text})
	}
	return d
}

// shadows takes the shadows of a thing apart; numbers keep their literal text.
func (t Thing) shadows() (classic map[string]any, named map[string]map[string]any) {
	named = map[string]map[string]any{}
	dec := json.NewDecoder(strings.NewReader(t.Shadow))
	dec.UseNumber()
	if t.Shadow == "" || dec.Decode(&classic) != nil {
		return nil, named
	}
	below, _ := classic["name"].(map[string]any)
	delete(classic, "name")
	for name, shadow := range below {
		if sections, ok := shadow.(map[string]any); ok {
			named[name] = sections
		}
	}
	return classic, named
}

// shadow adds what is in one shadow; its version is not searchable. A time is
// there for what is there itself.
func (d document) shadow(prefix string, shadow map[string]any) {
	there := map[string]bool{}
	for _, section := range []string{"reported", "desired", "delta"} {
		leaves(shadow[section], section, func(path string, v value) {
			if len(path) > len(section+".")+512 {
				return
			}
			there[path] = true
			d.show(prefix+"."+path, v)
		})
	}
	if has, ok := shadow["hasDelta"].(bool); ok {
		d.hide(prefix+".hasDelta", boolean(has))
	}
	metadata, _ := shadow["metadata"].(map[string]any)
	for _, section := range []string{"reported", "desired"} {
		times(metadata[section], section, func(path string, v value) {
			if there[strings.TrimSuffix(path, ".timestamp")] {
				d.hide(prefix+".metadata."+path, v)
			}
		})
	}
}

// leaves walks a JSON value; an array of simple values is one field with
// several values, any other array is none.
func leaves(v any, path string, add func(string, value)) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			leaves(member, path+"."+name, add)
		}
	case []any:
		for _, element := range v {
			switch element.(type) {
			case map[string]any, []any:
				return
			}
		}
		for _, element := range v {
			leaves(element, path, add)
		}
	case bool:
		add(path, boolean(v))
	case json.Number:
		add(path, value{text: v.String()})
	case string:
		add(path, value{text: v})
	}
}

// times walks metadata, in which an array has one object for each element.
func times(v any, path string, add func(string, value)) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			times(member, path+"."+name, add)
		}
	case []any:
		for _, element := range v {
			times(element, path, add)
		}
	case json.Number:
		add(path, value{text: v.String()})
	}
}
