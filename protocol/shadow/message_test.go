package shadow_test

import (
	"errors"
	"testing"

	"github.com/muster-iot/muster/protocol/shadow"
)

// TestMessages is the exchange of AWS IoT reference 9.3 and 9.4, byte for byte.
func TestMessages(t *testing.T) {
	step := func(d shadow.Document, payload string, now int64) (shadow.Update, shadow.Document) {
		u := parse(t, payload)
		next, err := d.Apply(u, at(now))
		if err != nil {
			t.Fatal(err)
		}
		return u, next
	}
	_, d := step(shadow.Document{Version: 7, Deleted: true}, `{"state":{"reported":{"fw":{"build":812}}}}`, 1740830400)
	u, d := step(d, `{"state":{"desired":{"fw":{"build":813}}},"clientToken":"d1"}`, 1740830455)

	delta, differs := shadow.Delta(d, at(1740830455), u.ClientToken)
	if !differs {
		t.Error("no delta")
	}
	golden(t, "delta", delta, `{"version":9,"timestamp":1740830455,"state":{"fw":{"build":813}},"metadata":{"fw":{"build":{"timestamp":1740830455}}},"clientToken":"d1"}`)
	golden(t, "get/accepted", d.GetAccepted(at(1740830600), "g1"), `{"state":{"desired":{"fw":{"build":813}},"reported":{"fw":{"build":812}},"delta":{"fw":{"build":813}}},`+
		`"metadata":{"desired":{"fw":{"build":{"timestamp":1740830455}}},"reported":{"fw":{"build":{"timestamp":1740830400}}}},`+
		`"version":9,"timestamp":1740830600,"clientToken":"g1"}`)

	before := d
	u, d = step(d, `{"state":{"reported":{"fw":{"build":813}}},"clientToken":"u1"}`, 1740830700)
	golden(t, "update/accepted", shadow.Accepted(u, d, at(1740830700)), `{"state":{"reported":{"fw":{"build":813}}},"metadata":{"reported":{"fw":{"build":{"timestamp":1740830700}}}},"version":10,"timestamp":1740830700,"clientToken":"u1"}`)
	golden(t, "update/documents", shadow.Documents(before, d, at(1740830700), "u1"), `{"previous":{"state":{"desired":{"fw":{"build":813}},"reported":{"fw":{"build":812}}},`+
		`"metadata":{"desired":{"fw":{"build":{"timestamp":1740830455}}},"reported":{"fw":{"build":{"timestamp":1740830400}}}},"version":9},`+
		`"current":{"state":{"desired":{"fw":{"build":813}},"reported":{"fw":{"build":813}}},`+
		`"metadata":{"desired":{"fw":{"build":{"timestamp":1740830455}}},"reported":{"fw":{"build":{"timestamp":1740830700}}}},"version":10},"timestamp":1740830700,"clientToken":"u1"}`)
	if payload, differs := shadow.Delta(d, at(1740830700), "u1"); differs || payload != nil {
		t.Errorf("delta %s without a difference", payload)
	}

	gone, message, err := d.Delete(at(1740830800), "x1")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "delete/accepted", message, `{"version":10,"timestamp":1740830800,"clientToken":"x1"}`)
	if gone.Exists() || gone.Version != 10 {
		t.Errorf("after the delete: %+v", gone)
	}
	_, _, err = gone.Delete(at(1740830801), "x2")
	if e, ok := errors.AsType[*shadow.Error](err); !ok || e.Code != 404 || e.ClientToken != "x2" {
		t.Errorf("second delete: %#v, want 404", err)
	}
}

func golden(t *testing.T, name string, got []byte, want string) {
	t.Helper()
	if string(got) != want {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

func TestAcceptedEchoes(t *testing.T) {
	d := apply(t, shadow.Document{}, `{"state":{"desired":{"a":1,"z":1},"reported":{"b":1}}}`)
	for _, test := range []struct{ name, update, want string }{
		{
			"nulls as sent", `{"state":{"desired":{"a":null,"o":{"x":null,"y":[1,{"k":2}],"e":{}}}}}`,
			`{"state":{"desired":{"a":null,"o":{"e":{},"x":null,"y":[1,{"k":2}]}}},"metadata":{"desired":{"o":{"e":{},"y":[{"timestamp":9},{"k":{"timestamp":9}}]}}},"version":2,"timestamp":9}`,
		},
		{"section null", `{"state":{"desired":null},"clientToken":"c"}`, `{"state":{"desired":null},"metadata":{},"version":2,"timestamp":9,"clientToken":"c"}`},
		{"section null, other set", `{"state":{"desired":null,"reported":{"b":2}}}`, `{"state":{"desired":null,"reported":{"b":2}},"metadata":{"reported":{"b":{"timestamp":9}}},"version":2,"timestamp":9}`},
		{"state null", `{"state":null}`, `{"state":null,"metadata":{"timestamp":9},"version":2,"timestamp":9}`},
		{"empty state", `{"state":{}}`, `{"state":{},"metadata":{},"version":2,"timestamp":9}`},
		{"empty section", `{"state":{"reported":{}}}`, `{"state":{"reported":{}},"metadata":{"reported":{}},"version":2,"timestamp":9}`},
		{"text as sent", `{"state":{"reported":{"<a>":1.10,"t":"<&>` + "\u2028" + `"}}}`, `{"state":{"reported":{"<a>":1.10,"t":"<&>\u2028"}},"metadata":{"reported":{"<a>":{"timestamp":9},"t":{"timestamp":9}}},"version":2,"timestamp":9}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := parse(t, test.update)
			next, err := d.Apply(u, at(9))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "accepted", shadow.Accepted(u, next, at(9)), test.want)
		})
	}
}

func TestEmptyShadowMessages(t *testing.T) {
	first := apply(t, shadow.Document{}, `{"state":{"reported":{"a":1}}}`)
	golden(t, "documents of a first update", shadow.Documents(shadow.Document{}, first, at(1), ""),
		`{"previous":{"state":{},"metadata":{},"version":0},"current":{"state":{"reported":{"a":1}},"metadata":{"reported":{"a":{"timestamp":1}}},"version":1},"timestamp":1}`)
	empty := apply(t, first, `{"state":null}`)
	golden(t, "get of an emptied shadow", empty.GetAccepted(at(5), ""), `{"state":{},"metadata":{},"version":2,"timestamp":5}`)
	golden(t, "rejected", shadow.Rejected(shadow.NotFound("health", "g"), at(5)), `{"code":404,"message":"No shadow exists with name: 'health'","timestamp":5,"clientToken":"g"}`)
	golden(t, "rejected without a token", shadow.Rejected(&shadow.Error{Code: 400, Message: "Invalid JSON"}, at(5)), `{"code":400,"message":"Invalid JSON","timestamp":5}`)
}

func TestDelta(t *testing.T) {
	for _, test := range []struct{ name, desired, reported, want string }{
		{"equal", `{"a":1}`, `{"a":1}`, ``},
		{"other value", `{"a":1}`, `{"a":2}`, `{"a":1}`},
		{"missing", `{"a":1}`, `{"b":2}`, `{"a":1}`},
		{"nothing reported", `{"a":{"b":1}}`, `{}`, `{"a":{"b":1}}`},
		{"only reported", `{}`, `{"a":1}`, ``},
		{"the path to the root", `{"a":{"b":{"c":1,"d":2}},"e":3}`, `{"a":{"b":{"c":1,"d":0}},"e":3}`, `{"a":{"b":{"d":2}}}`},
		{"reported has more", `{"a":{"b":1}}`, `{"a":{"b":1,"c":2}}`, ``},
		{"arrays whole", `{"a":[1,2]}`, `{"a":[1,3]}`, `{"a":[1,2]}`},
		{"order counts", `{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":[1,2]}`},
		{"equal arrays", `{"a":[1,{"x":[2.0]}]}`, `{"a":[1.0,{"x":[2]}]}`, ``},
		{"objects in arrays whole", `{"a":[{"x":1}]}`, `{"a":[{"x":1,"y":2}]}`, `{"a":[{"x":1}]}`},
		{"numbers by value", `{"a":5,"b":100,"c":0.5,"d":-0,"e":1e400}`, `{"a":5.0,"b":1E+2,"c":50e-2,"d":0.0,"e":10e399}`, ``},
		{"close numbers", `{"a":18446744073709551617,"b":0.1}`, `{"a":18446744073709551616,"b":0.10000000000000000001}`, `{"a":18446744073709551617,"b":0.1}`},
		{"numbers of huge exponents", `{"a":1e99999999999999999999}`, `{"a":1e99999999999999999998}`, `{"a":1e99999999999999999999}`},
		{"sign", `{"a":-1}`, `{"a":1}`, `{"a":-1}`},
		{"number and text", `{"a":5}`, `{"a":"5"}`, `{"a":5}`},
		{"true and text", `{"a":true}`, `{"a":"true"}`, `{"a":true}`},
		{"scalar and object", `{"a":1}`, `{"a":{"b":1}}`, `{"a":1}`},
		{"text and array", `{"a":"x"}`, `{"a":["x"]}`, `{"a":"x"}`},
		{"object and scalar", `{"a":{"b":1}}`, `{"a":1}`, `{"a":{"b":1}}`},
		{"empty object missing", `{"a":{}}`, `{}`, `{"a":{}}`},
		{"empty object and object", `{"a":{}}`, `{"a":{"b":1}}`, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := apply(t, shadow.Document{}, `{"state":{"desired":`+test.desired+`,"reported":`+test.reported+`}}`)
			payload, differs := shadow.Delta(d, at(1), "")
			if differs != (test.want != "") {
				t.Fatalf("differs: %v, message %s", differs, payload)
			}
			state, meta := d.Difference()
			checkMirror(t, state, meta)
			if differs {
				got := string(payload)
				prefix := `{"version":1,"timestamp":1,"state":` + test.want + `,"metadata":`
				if len(got) < len(prefix) || got[:len(prefix)] != prefix {
					t.Errorf("delta is %s, want state %s", got, test.want)
				}
			}
		})
	}
}
