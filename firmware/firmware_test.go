package firmware_test

import (
	"encoding/json"
	"path"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/protocol/update"
)

func TestSeqOf(t *testing.T) {
	for version, want := range map[string]int64{
		"6": 60000, "v6": 60000, "5.1.0": 50100, "5.1": 50100, "0.0.1": 1, "10.99.99": 109999, "2026.11.24": 20261124,
		"0": 0, "0.0.0": 0, "": 0, "6.100": 0, "6.1.100": 0, "1.2.3.4": 0, "6-rc1": 0, "-6": 0, "+6": 0, "6.": 0, ".6": 0, "six": 0,
		"99999999999999": 0, "1e3": 0, "6 ": 0,
	} {
		got, err := firmware.SeqOf(version)
		if (err == nil) != (want > 0) || err == nil && got != want {
			t.Errorf("%q: %d %v, want %d", version, got, err, want)
		}
	}
}

func TestSeqFollowsVersions(t *testing.T) {
	version := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 3).Draw(t, "numbers")
		text := make([]string, len(parts))
		for i, p := range parts {
			text[i] = strconv.Itoa(p)
		}
		return strings.Join(text, ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := version.Draw(t, "a"), version.Draw(t, "b")
		order, err := firmware.CompareVersions(a, b)
		if err != nil {
			t.Fatal(err)
		}
		x, xerr := firmware.SeqOf(a)
		y, yerr := firmware.SeqOf(b)
		if xerr != nil || yerr != nil {
			return // only version 0
		}
		if want := map[bool]int{x < y: -1, x > y: 1}[true]; want != order {
			t.Fatalf("%s (%d) and %s (%d) compare as %d", a, x, b, y, order)
		}
	})
}

func TestCompareVersions(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{{"1.2", "1.2.0", 0}, {"1.10", "1.9", 1}, {"v2", "10", -1}, {"5", "5", 0}} {
		if got, err := firmware.CompareVersions(row.a, row.b); err != nil || got != row.want {
			t.Errorf("%s %s: %d %v", row.a, row.b, got, err)
		}
	}
	for _, bad := range []string{"", "dev", "1.2.3-rc1"} {
		if _, err := firmware.CompareVersions("1", bad); err == nil {
			t.Errorf("%q compares", bad)
		}
		if _, err := firmware.CompareVersions(bad, "1"); err == nil {
			t.Errorf("%q compares", bad)
		}
	}
}

func TestCheckPath(t *testing.T) {
	for _, good := range []string{"app/app-6.tar.zst", "gateway-app/rpi/5.1.0.tar", "a/b"} {
		if err := firmware.CheckPath(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"", "/", "app", "app/", "/app/x", "app//x", "../x", "app/..", "app/../x", "app/.x", "./app/x", "app/x/y/z", "App/x",
		`app\x`, "app/x y", "app/x\x00", "app/é", "app/" + strings.Repeat("x", 129), "app/-x", "app/x?y", "app/x%2fy", "c:/x",
	} {
		if err := firmware.CheckPath(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func custom() firmware.Custom {
	return firmware.Custom{
		Product: "app", Version: "6", Seq: 60000, HardwareIDs: []string{"rpi4"}, TargetFormat: "app-dir", UnpackedSize: 10,
		Health: firmware.Health{Timeout: firmware.Duration(2 * time.Minute)},
	}
}

func TestCustomJSON(t *testing.T) {
	data, err := json.Marshal(custom())
	want := `{"product":"app","version":"6","seq":60000,"hardwareIds":["rpi4"],"targetFormat":"app-dir","unpackedSize":10,"health":{"timeout":"2m0s"}}`
	if err != nil || string(data) != want {
		t.Fatalf("%s %v", data, err)
	}
	var got firmware.Custom
	if err := json.Unmarshal([]byte(strings.Replace(want, "2m0s", "120s", 1)), &got); err != nil || !reflect.DeepEqual(got, custom()) {
		t.Fatalf("%+v %v", got, err)
	}
	// Fields of later versions do not hurt.
	if err := json.Unmarshal([]byte(`{"delta":{"format":"zstd-patch"}}`), &got); err != nil {
		t.Fatal(err)
	}
}

func TestCustomValidate(t *testing.T) {
	if err := custom().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*firmware.Custom){
		"no product":        func(c *firmware.Custom) { c.Product = "" },
		"capital product":   func(c *firmware.Custom) { c.Product = "App" },
		"long product":      func(c *firmware.Custom) { c.Product = strings.Repeat("a", 65) },
		"no version":        func(c *firmware.Custom) { c.Version = "" },
		"version with path": func(c *firmware.Custom) { c.Version = "a/b" },
		"version of dots":   func(c *firmware.Custom) { c.Version = ".." },
		"seq 0":             func(c *firmware.Custom) { c.Seq = 0 },
		"seq too large":     func(c *firmware.Custom) { c.Seq = 1<<53 + 1 },
		"negative floor":    func(c *firmware.Custom) { c.RollbackFloor = -1 },
		"floor above seq":   func(c *firmware.Custom) { c.RollbackFloor = c.Seq + 1 },
		"no format":         func(c *firmware.Custom) { c.TargetFormat = "" },
		"negative size":     func(c *firmware.Custom) { c.UnpackedSize = -1 },
		"endless size":      func(c *firmware.Custom) { c.UnpackedSize = 1 << 60 },
		"negative file":     func(c *firmware.Custom) { c.MaxFile = -1 },
		"no hardware":       func(c *firmware.Custom) { c.HardwareIDs = nil },
		"empty hardware":    func(c *firmware.Custom) { c.HardwareIDs = []string{""} },
		"too many hardware": func(c *firmware.Custom) { c.HardwareIDs = make([]string, 65) },
		"bad agent":         func(c *firmware.Custom) { c.MinAgent = "1/2" },
		"negative timeout":  func(c *firmware.Custom) { c.Health.Timeout = -1 },
		"endless timeout":   func(c *firmware.Custom) { c.Health.Stable = firmware.Duration(25 * time.Hour) },
	} {
		c := custom()
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestTargetFileAndDocument(t *testing.T) {
	target := firmware.Target{Path: "app/app-6.tar.zst", Custom: custom()}
	if got, want := target.File(), "targets/app/"+strings.Repeat("0", 64)+".app-6.tar.zst"; got != want {
		t.Errorf("file %s", got)
	}
	data, err := json.Marshal(target.Document())
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"muster":1,"operation":"install","product":"app","target":"app/app-6.tar.zst","version":"6","seq":60000}`; string(data) != want {
		t.Errorf("document %s", data)
	}
	if _, ok, err := update.Parse(data); !ok || err != nil {
		t.Errorf("document does not parse: %v", err)
	}
}

func TestDigestAndKeyText(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	if d, err := firmware.ParseDigest(sum); err != nil || d.String() != sum {
		t.Error(err)
	}
	for _, bad := range []string{"", sum[2:], sum + "00", strings.ToUpper(sum), "zz" + sum[2:]} {
		if _, err := firmware.ParseDigest(bad); err == nil {
			t.Errorf("digest %q", bad)
		}
		if strings.ToUpper(sum) == bad {
			continue
		}
		var k firmware.PublicKey
		if err := k.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("key %q", bad)
		}
	}
}

func TestDaysLeft(t *testing.T) {
	now := time.Now()
	for d, want := range map[time.Duration]int{0: 0, time.Hour: 0, 25 * time.Hour: 1, -time.Second: -1, -25 * time.Hour: -2} {
		if got := (firmware.RoleStatus{Expires: now.Add(d)}).DaysLeft(now); got != want {
			t.Errorf("%s: %d, want %d", d, got, want)
		}
	}
}

// FuzzParseTarget takes any entry: what passes can be acted upon.
func FuzzParseTarget(f *testing.F) {
	good, err := json.Marshal(custom())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("app/app-6.tar.zst", int64(1), make([]byte, 32), good)
	f.Add("app/x", int64(-1), []byte(nil), []byte("null"))
	f.Fuzz(func(t *testing.T, name string, length int64, sum, custom []byte) {
		got, err := firmware.ParseTarget(name, length, sum, custom)
		if err != nil {
			return
		}
		if got.Length <= 0 || got.Custom.Seq <= 0 || len(got.Custom.HardwareIDs) == 0 || !strings.HasPrefix(got.Path, got.Custom.Product+"/") ||
			path.Clean(got.File()) != got.File() {
			t.Fatalf("%+v", got)
		}
	})
}
