package shadow_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/shadow"
)

// at is a time whose Unix seconds are as short as a test likes them.
func at(seconds int64) time.Time { return time.Unix(seconds, 0) }

// parse reads an update that must be legal.
func parse(t testing.TB, payload string) shadow.Update {
	t.Helper()
	u, err := shadow.ParseUpdate([]byte(payload))
	if err != nil {
		t.Fatalf("ParseUpdate(%s): %v", payload, err)
	}
	return u
}

// apply applies updates one after the other, at seconds 1, 2, 3...
func apply(t testing.TB, d shadow.Document, payloads ...string) shadow.Document {
	t.Helper()
	for i, payload := range payloads {
		next, err := d.Apply(parse(t, payload), at(int64(i)+1))
		if err != nil {
			t.Fatalf("Apply(%s): %v", payload, err)
		}
		d = next
	}
	return d
}

// stateOf is the state as get shows it, without the delta.
func stateOf(t testing.TB, d shadow.Document) string {
	t.Helper()
	var answer struct {
		State map[string]json.RawMessage `json:"state"`
	}
	if err := json.Unmarshal(d.GetAccepted(at(0), ""), &answer); err != nil {
		t.Fatal(err)
	}
	delete(answer.State, "delta")
	text, err := json.Marshal(answer.State)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMerge walks the table of AWS IoT reference 9.2.
func TestMerge(t *testing.T) {
	for _, test := range []struct {
		name, before, update, want string
	}{
		{"first update", "", `{"state":{"reported":{"a":1}}}`, `{"reported":{"a":1}}`},
		{"both sections", "", `{"state":{"reported":{"a":1},"desired":{"b":2}}}`, `{"desired":{"b":2},"reported":{"a":1}}`},
		{"key absent: unchanged", `{"a":1,"b":2}`, `{"state":{"reported":{"b":3}}}`, `{"reported":{"a":1,"b":3}}`},
		{"section absent: unchanged", `{"a":1}`, `{"state":{"desired":{"b":2}}}`, `{"desired":{"b":2},"reported":{"a":1}}`},
		{"object over object merges", `{"o":{"a":1,"b":{"c":2}}}`, `{"state":{"reported":{"o":{"b":{"d":3}}}}}`, `{"reported":{"o":{"a":1,"b":{"c":2,"d":3}}}}`},
		{"scalar over scalar", `{"a":1}`, `{"state":{"reported":{"a":"x"}}}`, `{"reported":{"a":"x"}}`},
		{"scalar over object", `{"a":{"b":1}}`, `{"state":{"reported":{"a":true}}}`, `{"reported":{"a":true}}`},
		{"scalar over array", `{"a":[1,2]}`, `{"state":{"reported":{"a":2}}}`, `{"reported":{"a":2}}`},
		{"object over scalar", `{"a":1}`, `{"state":{"reported":{"a":{"b":2}}}}`, `{"reported":{"a":{"b":2}}}`},
		{"object over array", `{"a":[1,2]}`, `{"state":{"reported":{"a":{"b":2}}}}`, `{"reported":{"a":{"b":2}}}`},
		{"array over array: replaced whole", `{"a":[1,2,3]}`, `{"state":{"reported":{"a":[9]}}}`, `{"reported":{"a":[9]}}`},
		{"array over object", `{"a":{"b":1}}`, `{"state":{"reported":{"a":[{"b":2}]}}}`, `{"reported":{"a":[{"b":2}]}}`},
		{"empty array", `{"a":[1]}`, `{"state":{"reported":{"a":[]}}}`, `{"reported":{"a":[]}}`},
		{"null removes", `{"a":1,"b":2}`, `{"state":{"reported":{"a":null}}}`, `{"reported":{"b":2}}`},
		{"null removes an object", `{"a":{"x":1},"b":2}`, `{"state":{"reported":{"a":null}}}`, `{"reported":{"b":2}}`},
		{"null below removes", `{"a":{"x":1,"y":2}}`, `{"state":{"reported":{"a":{"x":null}}}}`, `{"reported":{"a":{"y":2}}}`},
		{"null of what is not there", `{"a":1}`, `{"state":{"reported":{"z":null}}}`, `{"reported":{"a":1}}`},
		{"null in a new object", `{"a":1}`, `{"state":{"reported":{"o":{"x":null,"y":1}}}}`, `{"reported":{"a":1,"o":{"y":1}}}`},
		{"the last key goes: so does the section", `{"a":1}`, `{"state":{"reported":{"a":null}}}`, `{}`},
		{"only null in a new section", "", `{"state":{"reported":{"a":null}}}`, `{}`},
		{"the last key below goes: the object stays", `{"a":{"x":1}}`, `{"state":{"reported":{"a":{"x":null}}}}`, `{"reported":{"a":{}}}`},
		{"empty object is kept", `{"b":1}`, `{"state":{"reported":{"a":{}}}}`, `{"reported":{"a":{},"b":1}}`},
		{"empty object over object: no change", `{"a":{"x":1}}`, `{"state":{"reported":{"a":{}}}}`, `{"reported":{"a":{"x":1}}}`},
		{"empty object over scalar", `{"a":1}`, `{"state":{"reported":{"a":{}}}}`, `{"reported":{"a":{}}}`},
		{"empty section: no change", `{"a":1}`, `{"state":{"reported":{}}}`, `{"reported":{"a":1}}`},
		{"empty section of an empty shadow", "", `{"state":{"reported":{}}}`, `{}`},
		{"empty state", `{"a":1}`, `{"state":{}}`, `{"reported":{"a":1}}`},
		{"section null", `{"a":1}`, `{"state":{"reported":null,"desired":{"b":1}}}`, `{"desired":{"b":1}}`},
		{"state null", `{"a":1}`, `{"state":null}`, `{}`},
		{"numbers keep their text", "", `{"state":{"reported":{"a":1.10,"b":1e3,"c":-0,"d":18446744073709551617}}}`, `{"reported":{"a":1.10,"b":1e3,"c":-0,"d":18446744073709551617}}`},
		{"strings are not HTML", "", `{"state":{"reported":{"<&>":"<&>"}}}`, `{"reported":{"\u003c\u0026\u003e":"\u003c\u0026\u003e"}}`}, // by stateOf
	} {
		t.Run(test.name, func(t *testing.T) {
			var before shadow.Document
			if test.before != "" {
				before = apply(t, before, `{"state":{"reported":`+test.before+`}}`)
			}
			was := dump(t, before)
			next := apply(t, before, test.update)
			if got := stateOf(t, next); got != test.want {
				t.Errorf("state is %s, want %s", got, test.want)
			}
			if next.Version != before.Version+1 || !next.Exists() {
				t.Errorf("version %d after %d, exists: %v", next.Version, before.Version, next.Exists())
			}
			if now := dump(t, before); now != was {
				t.Errorf("Apply changed the document before: %s, was %s", now, was)
			}
			checkMirror(t, next.Desired, next.DesiredMeta)
			checkMirror(t, next.Reported, next.ReportedMeta)
		})
	}
}

func dump(t testing.TB, d shadow.Document) string {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkMirror checks that metadata has the shape of its section.
func checkMirror(t testing.TB, state, meta any) {
	t.Helper()
	switch s := state.(type) {
	case map[string]any:
		m, ok := meta.(map[string]any)
		if !ok || len(m) != len(s) || (m == nil) != (s == nil) {
			t.Errorf("metadata of %v is %v", state, meta)
			return
		}
		for key := range s {
			checkMirror(t, s[key], m[key])
		}
	case []any:
		m, ok := meta.([]any)
		if !ok || len(m) != len(s) {
			t.Errorf("metadata of %v is %v", state, meta)
			return
		}
		for i := range s {
			checkMirror(t, s[i], m[i])
		}
	default:
		m, ok := meta.(map[string]any)
		if _, isNumber := m["timestamp"].(json.Number); !ok || len(m) != 1 || !isNumber {
			t.Errorf("metadata of %v is %v, want a timestamp", state, meta)
		}
	}
}

func TestMetadata(t *testing.T) {
	d := apply(t, shadow.Document{},
		`{"state":{"reported":{"same":1,"kept":1,"list":[1,2,{"x":[3]}],"o":{"a":1,"b":1},"timestamp":5}}}`,
		`{"state":{"reported":{"same":1,"list":[7,[8]],"o":{"b":2,"c":{}}}}}`,
	)
	want := `{"kept":{"timestamp":1},"list":[{"timestamp":2},[{"timestamp":2}]],` +
		`"o":{"a":{"timestamp":1},"b":{"timestamp":2},"c":{}},"same":{"timestamp":2},"timestamp":{"timestamp":1}}`
	if got, _ := json.Marshal(d.ReportedMeta); string(got) != want {
		t.Errorf("metadata is %s\nwant        %s", got, want)
	}
}

func TestVersions(t *testing.T) {
	one := apply(t, shadow.Document{}, `{"state":{"reported":{"a":1}}}`)
	gone, _, err := one.Delete(at(5), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		before  shadow.Document
		version string
		want    int64 // 0 is a conflict
	}{
		{"none given", one, ``, 2},
		{"the current one", one, `"version":1,`, 2},
		{"an older one", one, `"version":0,`, 0},
		{"a newer one", one, `"version":2,`, 0},
		{"0 for a new shadow", shadow.Document{}, `"version":0,`, 1},
		{"1 for a new shadow", shadow.Document{}, `"version":1,`, 0},
		{"none given, deleted before", gone, ``, 2},
		{"0 for a deleted shadow", gone, `"version":0,`, 2},
		{"the old one of a deleted shadow", gone, `"version":1,`, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := parse(t, `{"state":{"reported":{"b":2}},`+test.version+`"clientToken":"tok"}`)
			next, err := test.before.Apply(u, at(9))
			if test.want > 0 {
				if err != nil || next.Version != test.want {
					t.Errorf("version %d, %v; want %d", next.Version, err, test.want)
				}
				return
			}
			e, ok := errors.AsType[*shadow.Error](err)
			if !ok || e.Code != 409 || e.Message != "Version conflict" || e.ClientToken != "tok" {
				t.Errorf("error is %#v, want 409 with the token", err)
			}
			if !reflect.DeepEqual(next, test.before) || protocol.CodeOf(err) != protocol.Conflict {
				t.Errorf("document after the conflict is %v, code %v", next, protocol.CodeOf(err))
			}
		})
	}
	if again := apply(t, gone, `{"state":{"desired":{"b":2}}}`); stateOf(t, again) != `{"desired":{"b":2}}` || again.Version != 2 {
		t.Errorf("a shadow made anew is %s", dump(t, again))
	}
}

func TestSizeOfMergedState(t *testing.T) {
	half := `"` + strings.Repeat("x", shadow.MaxState/2) + `"`
	d := apply(t, shadow.Document{}, `{"state":{"reported":{"a":`+half+`}}}`)
	_, err := d.Apply(parse(t, `{"state":{"desired":{"a":`+half+`}},"clientToken":"big"}`), at(2))
	if e, ok := errors.AsType[*shadow.Error](err); !ok || e.Code != 413 || e.ClientToken != "big" {
		t.Errorf("error is %#v, want 413", err)
	}
	own, err := d.Apply(shadow.ReportedUpdate(map[string]any{"b": strings.Repeat("y", shadow.MaxState/2)}), at(2))
	if err != nil {
		t.Fatalf("an update of the server: %v", err)
	}
	if _, err := own.Apply(parse(t, `{"state":{"reported":{"c":1}}}`), at(3)); err == nil {
		t.Error("an over-sized state grew")
	}
	apply(t, own, `{"state":{"reported":{"a":null}}}`) // the way back
	apply(t, own, `{"state":{"reported":{"a":`+half+`}}}`)
}

func TestReportedUpdate(t *testing.T) {
	d := apply(t, shadow.Document{}, `{"state":{"reported":{"old":1,"gone":1}}}`)
	u := shadow.ReportedUpdate(map[string]any{
		"softwareVersion": "6", "softwareSeq": int64(60000), "ratio": 1.5, "literal": json.Number("1.10"),
		"nested": map[string]any{"list": []string{"<a>"}}, "gone": nil,
	})
	d, err := d.Apply(u, at(7))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"reported":{"literal":1.10,"nested":{"list":["<a>"]},"old":1,"ratio":1.5,"softwareSeq":60000,"softwareVersion":"6"}}`
	if got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(stateOf(t, d)); got != want {
		t.Errorf("state is %s, want %s", got, want)
	}
	if v, ok := d.Reported["softwareSeq"].(json.Number); !ok || v != "60000" {
		t.Errorf("softwareSeq is %#v, want a json.Number", d.Reported["softwareSeq"])
	}
	for name, fields := range map[string]map[string]any{
		"no JSON":          {"a": make(chan int)},
		"null in an array": {"a": []any{nil}},
	} {
		if next, err := d.Apply(shadow.ReportedUpdate(fields), at(8)); err == nil || next.Version != d.Version {
			t.Errorf("%s: Apply returned version %d, %v", name, next.Version, err)
		}
	}
	if next, err := d.Apply(shadow.ReportedUpdate(nil), at(8)); err != nil || stateOf(t, next) != stateOf(t, d) {
		t.Errorf("an empty update: %v", err)
	}
}

func TestReportedField(t *testing.T) {
	for _, test := range []struct {
		update string
		value  any
		sent   bool
	}{
		{`{"state":{"reported":{"k":"v"}}}`, "v", true},
		{`{"state":{"reported":{"k":1.50}}}`, json.Number("1.50"), true},
		{`{"state":{"reported":{"k":null}}}`, nil, true},
		{`{"state":{"reported":{"other":1}}}`, nil, false},
		{`{"state":{"reported":{}}}`, nil, false},
		{`{"state":{"reported":null}}`, nil, true},
		{`{"state":{"desired":{"k":"v"}}}`, nil, false},
		{`{"state":{"desired":null}}`, nil, false},
		{`{"state":null}`, nil, true},
	} {
		if value, sent := parse(t, test.update).ReportedField("k"); value != test.value || sent != test.sent {
			t.Errorf("%s: %v, %v; want %v, %v", test.update, value, sent, test.value, test.sent)
		}
	}
}

func TestStoredRecord(t *testing.T) {
	d := apply(t, shadow.Document{}, `{"state":{"reported":{"a":1.10,"b":[1,{"c":{}}]},"desired":{"a":2}}}`, `{"state":{"reported":{"z":true}}}`)
	var back shadow.Document
	if err := json.Unmarshal([]byte(dump(t, d)), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, d) {
		t.Errorf("read back:\n%#v\nwritten:\n%#v", back, d)
	}
	gone, _, _ := d.Delete(at(9), "")
	if got := dump(t, gone); got != `{"version":2,"deleted":true}` {
		t.Errorf("a deleted shadow is stored as %s", got)
	}
	if err := json.Unmarshal([]byte(`{"version":"x"}`), &back); err == nil {
		t.Error("a corrupt record was read")
	}
}
