package update_test

import (
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol/update"
)

func TestParse(t *testing.T) {
	const whole = `{"muster":1,"operation":"install","product":"app","target":"app/app-6.tar.zst","version":"6","seq":60000}`
	for _, row := range []struct {
		name, document string
		ours, refused  bool
	}{
		{"whole", whole, true, false},
		{"members that a later version adds", strings.Replace(whole, "{", `{"new":[1],`, 1), true, false},
		{"somebody else's", `{"operation":"reboot"}`, false, false},
		{"somebody else's text", `"muster"`, false, false},
		{"no JSON", `{`, false, false},
		{"a name in another case is another name", strings.Replace(whole, "muster", "Muster", 1), false, false},
		{"a member in another case is missing", strings.Replace(whole, "seq", "Seq", 1), true, true},
		{"a later schema", strings.Replace(whole, ":1,", ":2,", 1), true, true},
		{"another operation", strings.Replace(whole, "install", "remove", 1), true, true},
		{"a wrong kind", strings.Replace(whole, "60000", `"x"`, 1), true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, ours, err := update.Parse([]byte(row.document))
			if ours != row.ours || (err != nil) != row.refused {
				t.Fatalf("ours %v, error %v", ours, err)
			}
			if ours && err == nil && (d.Version != "6" || d.Seq != 60000) {
				t.Errorf("%+v", d)
			}
		})
	}
}
