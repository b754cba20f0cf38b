package trust_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
)

// FuzzRefresh serves any bytes as any role to a device that trusts release 5:
// nothing panics, and what is then installable was signed.
func FuzzRefresh(f *testing.F) {
	r := tuftest.New(f)
	for i, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		f.Add(uint8(i), r.Files[current(r, role)])
		f.Add(uint8(i), []byte(`{"signed":{"_type":"`+role+`","keys":{"a":null},"roles":{"root":null},"meta":{"snapshot.json":null},"targets":{"a":null}},"signatures":null}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		r := tuftest.New(t)
		v := open(t, r, durable.NewCrashable())
		if which&4 != 0 {
			refresh(t, v, hour)
		}
		role := metadata.TOP_LEVEL_ROLE_NAMES[which&3]
		name := current(r, role)
		if role == metadata.ROOT {
			name = "2.root.json"
		}
		r.Files[name] = data
		if err := v.Refresh(context.Background(), hour); err != nil {
			return
		}
		got, err := v.Target(tuftest.Path(5))
		if err != nil || fmt.Sprintf("%+v", got.Custom) != fmt.Sprintf("%+v", tuftest.Custom(5)) {
			t.Fatalf("target changed to %+v (%v)", got, err)
		}
	})
}

// FuzzOpen takes any bytes as the first root: an error or a verifier, no panic.
func FuzzOpen(f *testing.F) {
	f.Add(tuftest.New(f).Files["1.root.json"])
	f.Add([]byte(`{"signed":{"_type":"root","keys":null,"roles":null},"signatures":null}`))
	f.Fuzz(func(t *testing.T, root []byte) {
		r := tuftest.New(t)
		v, err := trust.Open(trust.Config{FS: durable.NewCrashable(), Root: root, Fetch: r})
		if err != nil {
			return
		}
		_ = v.Refresh(context.Background(), hour)
	})
}
