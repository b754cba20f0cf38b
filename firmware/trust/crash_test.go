package trust_test

import (
	"context"
	"errors"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
)

// rotated is a repository two steps on from what the device has: a new root
// with a new targets key, and release 6.
func rotated(t *testing.T) *tuftest.Repo {
	r := tuftest.New(t)
	r.Forbid(metadata.TARGETS, r.TargetsKey)
	r.TargetsKey = tuftest.Key("targets 2")
	r.Allow(metadata.TARGETS, r.TargetsKey)
	r.NextRoot(r.RootKey)
	r.Release(6)
	return r
}

// Cutting the power, or failing the disk, at every step of a refresh leaves a
// folder that opens and refreshes; nothing that was trusted is lost.
func TestPowerCutAtEveryStep(t *testing.T) {
	kinds := map[string]func(*durable.Crashable, int){
		"cut":       func(d *durable.Crashable, n int) { d.CutAt(n) },
		"disk full": func(d *durable.Crashable, n int) { d.FailAt(n, errors.New("no space left on device")) },
	}
	for name, fault := range kinds {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				if n > 500 {
					t.Fatal("a refresh takes more than 500 steps")
				}
				if !faultAt(t, n, fault) {
					return
				}
			}
		})
	}
}

// faultAt lets step n fail and reports whether there was one.
func faultAt(t *testing.T, n int, fault func(*durable.Crashable, int)) (failed bool) {
	disk := durable.NewCrashable()
	v := open(t, tuftest.New(t), disk)
	refresh(t, v, hour)
	next := rotated(t)
	v = open(t, next, disk)
	fault(disk, n)
	err := v.Refresh(context.Background(), hour)
	if reason := trust.ReasonOf(err); reason != "" {
		t.Fatalf("step %d: a fault of the disk became a refusal: %v", n, err)
	}
	if _, terr := v.Target(tuftest.Path(6)); (terr == nil) != (err == nil) {
		t.Fatalf("step %d: refresh says %v, target says %v", n, err, terr)
	}
	for _, keep := range []func() bool{nil, func() bool { return true }} {
		after := disk.Crash(keep)
		again, operr := trust.Open(trust.Config{FS: after, Fetch: next}) // without the first root
		if operr != nil {
			t.Fatalf("step %d: does not open again: %v", n, operr)
		}
		refresh(t, again, hour)
		wantTarget(t, again, 6)
		if err == nil && again.RootVersion() != 2 {
			t.Fatalf("step %d: root %d after success", n, again.RootVersion())
		}
	}
	return err != nil
}
