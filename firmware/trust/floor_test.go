package trust_test

import (
	"context"
	"testing"
	"time"

	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
)

func TestFloorRisesAndLasts(t *testing.T) {
	r, disk := tuftest.New(t), durable.NewCrashable()
	build := tuftest.Start.AddDate(-1, 0, 0)
	cfg := trust.Config{FS: disk, Root: r.Files["1.root.json"], Fetch: r, BuildTime: build}
	v, err := trust.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Floor(); !got.Equal(build) {
		t.Fatalf("floor %s before the first refresh, want the build time", got)
	}
	steps := []struct {
		name   string
		issued any
		want   time.Time
	}{
		{"first", tuftest.Start, tuftest.Start},
		{"newer", tuftest.Start.Add(time.Hour), tuftest.Start.Add(time.Hour)},
		{"older does not lower it", tuftest.Start, tuftest.Start.Add(time.Hour)},
	}
	for _, s := range steps {
		r.Issue(s.issued)
		r.Online(r.OnlineKey)
		refresh(t, v, tuftest.Start)
		if got := v.Floor(); !got.Equal(s.want) {
			t.Fatalf("%s: floor %s, want %s", s.name, got, s.want)
		}
	}
	v, err = trust.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Floor(); !got.Equal(steps[2].want) {
		t.Fatalf("floor %s after a restart", got)
	}
	// A timestamp without a signing time is no failure.
	r.Timestamp.Signed.UnrecognizedFields = nil
	r.Online(r.OnlineKey)
	refresh(t, v, tuftest.Start)
}

// A device whose clock starts at 1970 gets freeze protection by the floor.
func TestClockAt1970(t *testing.T) {
	r := tuftest.New(t)
	v := open(t, r, durable.NewCrashable())
	epoch := time.Unix(0, 0)
	refresh(t, v, epoch)
	wantTarget(t, v, 5)
	frozen := r.Save()
	r.Issue(tuftest.Start.AddDate(0, 0, 6))
	r.Timestamp.Signed.Expires = tuftest.Start.AddDate(0, 0, 13)
	r.Online(r.OnlineKey)
	refresh(t, v, epoch)
	// The targets of the frozen state are still signed, but the time has moved on.
	r.Files = frozen
	if err := v.Refresh(context.Background(), epoch); trust.ReasonOf(err) != trust.ReasonRollback {
		t.Fatalf("got %v", err)
	}
}

// A timestamp that proves by its own signing time that the rest has expired.
func TestSigningTimeExpiresOtherRoles(t *testing.T) {
	r := tuftest.New(t)
	r.Issue(tuftest.Start.AddDate(0, 2, 0)) // the snapshot lasts 30 days
	r.Timestamp.Signed.Expires = tuftest.Start.AddDate(0, 3, 0)
	r.SignTimestamp(r.OnlineKey)
	v := open(t, r, durable.NewCrashable())
	if err := v.Refresh(context.Background(), time.Unix(0, 0)); trust.ReasonOf(err) != trust.ReasonExpired {
		t.Fatalf("got %v", err)
	}
}

// Expiry blocks installing and nothing else: the verifier opens, answers its
// floor, and goes on when newer metadata comes.
func TestExpiredRolesOnlyBlockInstalling(t *testing.T) {
	r, disk := tuftest.New(t), durable.NewCrashable()
	refresh(t, open(t, r, disk), hour)
	late := tuftest.Start.AddDate(20, 0, 0)
	v := open(t, r, disk)
	if err := v.Refresh(context.Background(), late); trust.ReasonOf(err) != trust.ReasonExpired {
		t.Fatalf("got %v", err)
	}
	if v.Floor().IsZero() || v.RootVersion() != 1 {
		t.Fatal("the verifier forgot what it knew")
	}
	r.Root.Signed.Expires = late.AddDate(1, 0, 0)
	r.NextRoot(r.RootKey)
	r.Targets.Signed.Expires = late.AddDate(1, 0, 0)
	r.Snapshot.Signed.Expires = late.AddDate(0, 0, 30)
	r.Timestamp.Signed.Expires = late.AddDate(0, 0, 7)
	r.Release(6)
	refresh(t, v, late)
	wantTarget(t, v, 6)
}
