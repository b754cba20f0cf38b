package shadow_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol/shadow"
)

// value draws a JSON value of a section; null only outside arrays.
func value(r *rapid.T, depth int, inArray bool) any {
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	first := 0
	if inArray {
		first = 1
	}
	switch rapid.IntRange(first, kinds-1).Draw(r, "kind") {
	case 0:
		return nil
	case 1:
		return json.Number(rapid.SampledFrom([]string{"0", "-0", "1", "1.0", "10e-1", "1e500"}).Draw(r, "number"))
	case 2:
		return rapid.SampledFrom([]string{"", "x", "<é>"}).Draw(r, "text")
	case 3:
		return rapid.Bool().Draw(r, "bool")
	case 4:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(r, "length") {
			list = append(list, value(r, depth-1, true))
		}
		return list
	}
	return object(r, depth, inArray)
}

func object(r *rapid.T, depth int, inArray bool) map[string]any {
	out := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(r, "keys") {
		out[rapid.SampledFrom([]string{"a", "b", "c", "timestamp"}).Draw(r, "key")] = value(r, depth-1, inArray)
	}
	return out
}

// update draws the payload of an update.
func update(r *rapid.T) []byte {
	var state any
	if rapid.IntRange(0, 9).Draw(r, "clear") > 0 {
		sections := map[string]any{}
		for _, name := range []string{"desired", "reported"} {
			switch rapid.IntRange(0, 9).Draw(r, name) {
			case 0:
				sections[name] = nil
			case 1, 2: // absent
			default:
				sections[name] = object(r, 4, false)
			}
		}
		state = sections
	}
	payload, err := json.Marshal(map[string]any{"state": state})
	if err != nil {
		r.Fatal(err)
	}
	return payload
}

// TestMergeProperties checks any sequence of updates: the version rises by
// one, nothing changes below the feet of earlier documents, an update applied
// twice gives the same state, and a delta applied to reported leaves none.
func TestMergeProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var d shadow.Document
		for n := range rapid.IntRange(1, 6).Draw(r, "updates") {
			u := parse(t, string(update(r)))
			was := dump(t, d)
			next, err := d.Apply(u, at(int64(n)))
			if err != nil {
				r.Fatal(err)
			}
			again, err := next.Apply(u, at(int64(n)))
			if err != nil {
				r.Fatal(err)
			}
			if dump(t, d) != was {
				r.Fatalf("Apply changed the document before: %s, was %s", dump(t, d), was)
			}
			if next.Version != d.Version+1 || again.Version != d.Version+2 {
				r.Fatalf("versions %d, %d, %d", d.Version, next.Version, again.Version)
			}
			again.Version = next.Version
			if !reflect.DeepEqual(again, next) {
				r.Fatalf("applied twice:\n%s\nonce:\n%s", dump(t, again), dump(t, next))
			}
			checkDocument(t, next)
			checkSettled(t, r, next)
			d = next
		}
		if t.Failed() {
			r.Fatalf("document: %s", dump(t, d))
		}
	})
}

// checkDocument checks what holds for every document.
func checkDocument(t testing.TB, d shadow.Document) {
	t.Helper()
	if d.Desired != nil && len(d.Desired) == 0 || d.Reported != nil && len(d.Reported) == 0 {
		t.Errorf("an empty section is kept: %#v", d)
	}
	checkMirror(t, d.Desired, d.DesiredMeta)
	checkMirror(t, d.Reported, d.ReportedMeta)
	var back shadow.Document
	if err := json.Unmarshal([]byte(dump(t, d)), &back); err != nil || !reflect.DeepEqual(back, d) {
		t.Errorf("stored and read back (%v): %s", err, dump(t, d))
	}
}

// checkSettled lets the thing report the delta.
func checkSettled(t testing.TB, r *rapid.T, d shadow.Document) {
	delta, _ := d.Difference()
	if delta == nil {
		return
	}
	settled, err := d.Apply(shadow.ReportedUpdate(delta), at(99))
	if err != nil {
		r.Fatal(err)
	}
	if rest, _ := settled.Difference(); rest != nil {
		r.Fatalf("delta %v was reported, and now there is %v in %s", delta, rest, dump(t, settled))
	}
}

func FuzzParseUpdate(f *testing.F) {
	for _, payload := range []string{
		`{"state":{"reported":{"a":1,"b":{"c":[1,"x",{"d":5}]}},"desired":null},"version":3,"clientToken":"t"}`,
		`{"state":null}`, `{"state":{"reported":{"a":[{"d":null}]}}}`, `{"state":{"desired":{"a":-0.0e+99999}}}`, `{}`, `null`, "\xff", `{"state":{"reported":[]}}`,
	} {
		f.Add([]byte(payload))
	}
	base := apply(f, shadow.Document{}, `{"state":{"reported":{"a":1,"b":{"c":2}},"desired":{"a":2}}}`)
	f.Fuzz(func(t *testing.T, payload []byte) {
		u, err := shadow.ParseUpdate(payload)
		if err != nil {
			e, ok := errors.AsType[*shadow.Error](err)
			if !ok || e.Code < 400 || !json.Valid(shadow.Rejected(e, at(1))) {
				t.Fatalf("error is %#v", err)
			}
			return
		}
		u.HasVersion = false
		next, err := base.Apply(u, at(2))
		if err != nil {
			if e, ok := errors.AsType[*shadow.Error](err); !ok || e.Code != 413 {
				t.Fatalf("Apply: %v", err)
			}
			return
		}
		if next.Version != base.Version+1 {
			t.Fatalf("version %d", next.Version)
		}
		checkDocument(t, next)
		delta, differs := shadow.Delta(next, at(2), u.ClientToken)
		for _, message := range [][]byte{shadow.Accepted(u, next, at(2)), shadow.Documents(base, next, at(2), ""), next.GetAccepted(at(2), "")} {
			if !json.Valid(message) || bytes.ContainsRune(message, '\n') {
				t.Fatalf("message %q", message)
			}
		}
		if differs && !json.Valid(delta) {
			t.Fatalf("delta %q", delta)
		}
	})
}
