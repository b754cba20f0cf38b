package clients_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDifferences: the judge of the steps finds what is not as wanted.
func TestDifferences(t *testing.T) {
	got := object{"n": 1.0, "off": false, "list": []any{map[string]any{"a": "x"}}, "Key": "k", "at": float64(time.Now().Unix())}
	for name, row := range map[string]struct {
		want  object
		wrong string // part of what is said; empty when all is well
	}{
		"nothing is wanted":  {nil, ""},
		"all as it is":       {object{"n": 1, "off": false, "list": []any{object{"a": "x"}}, "Key": "k", "at": recent}, ""},
		"another number":     {object{"n": 2}, "op.n: is 1, want 2"},
		"absent is not no":   {object{"on": false}, "op.on: is <nil>, want false"},
		"deep inside":        {object{"list": []any{object{"a": "y"}}}, "op.list[0].a: is x, want y"},
		"a list is longer":   {object{"list": []any{}}, "want 0 items"},
		"no object":          {object{"n": object{"m": 1}}, "want an object"},
		"count":              {object{"list": count(2)}, "has 1 items, want 2"},
		"some":               {object{"none": some}, "want a value"},
		"not recent":         {object{"n": recent}, "want a time that is now"},
		"contains":           {object{"Key": contains("q")}, `hold "q"`},
		"first letter large": {object{"Off": false}, ""},
	} {
		said := strings.Join(differences("op", row.want, got), "\n")
		if !strings.Contains(said, row.wrong) || (said == "") != (row.wrong == "") {
			t.Errorf("%s: said %q, want %q", name, said, row.wrong)
		}
	}
}

// TestTable: the worst cell stays, and the page must say what was run.
func TestTable(t *testing.T) {
	b := newTable()
	for _, c := range []cell{passed, failed, passed} {
		b.set("CreateThing", "boto3", c)
	}
	if got := b.rows["CreateThing"]["boto3"]; got != failed {
		t.Errorf("one of three steps failed, and the table says %q", got)
	}
	b = newTable()
	b.set("iot-data Publish", "boto3", passed)
	b.set("CreateThing", "boto3", passed)
	b.set("CreateThing", "Go v2", absent)
	if got := b.lacks(b.String()); len(got) != 0 {
		t.Errorf("compared with itself: %q", got)
	}
	for was, want := range map[string]string{
		"| CreateThing | | yes | | no |\n":                                              "lacks iot-data Publish",
		"| CreateThing | | | | no |\n| iot-data Publish | | yes | | |\n":                "CreateThing of boto3 is tested now",
		b.String() + "| DescribeThing | | yes | | |\n":                                  "DescribeThing of boto3 is not tested any more",
		"| CreateThing | yes | yes | | yes |\n| iot-data Publish | | yes | | |\n":       "", // a client that did not run, another version of one
		"| CreateThing | | no | | no |\n| iot-data Publish | | yes | yes | |\n":         "", // this version has it
		strings.ReplaceAll(b.String(), "| iot-data Publish |", "| iot-data  Publish |"): "lacks iot-data Publish",
	} {
		if got := strings.Join(b.lacks(was), "\n"); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("with %q it says %q, want %q", was, got, want)
		}
	}
}

// TestLock: the packages are pinned, and no registry is named: everybody's own
// serves them.
func TestLock(t *testing.T) {
	text, err := os.ReadFile("testdata/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity, Resolved string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	if len(lock.Packages) < 100 {
		t.Errorf("only %d packages", len(lock.Packages))
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" || name != "" && (p.Version == "" || p.Integrity == "") {
			t.Errorf("%s: npm install --omit-lockfile-registry-resolved=true: %+v", name, p)
		}
	}
}
