package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-iot/muster/agent/journal"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol/jobs"
)

func state(phase update.Phase) update.State {
	return update.State{
		Schema: update.Schema, Phase: phase, Stores: 3, VersionNumber: 2,
		Execution: update.Identity{JobID: "fw-6", ExecutionNumber: 1, QueuedAt: 1_740_830_000},
		From:      update.Release{Version: "5", Seq: 50000},
		Finished: []update.Finished{{
			Execution: update.Identity{JobID: "fw-5", ExecutionNumber: 2, QueuedAt: 1},
			Outcome:   update.Outcome{Status: jobs.Failed, Reason: "it broke: \"quoted\"\u2028"},
		}},
	}
}

func TestRoundTrip(t *testing.T) {
	j := journal.New(durable.NewCrashable())
	if got, err := j.State(); err != nil || !cmp.Equal(got, update.State{}) {
		t.Fatalf("first start: %+v, %v", got, err)
	}
	if got, err := j.Committed(); err != nil || got == nil || len(got) != 0 {
		t.Fatalf("first start: %v, %v", got, err)
	}
	want := state(update.Trial)
	committed := map[string]update.Release{"app": {Version: "6", Seq: 60000, SHA256: "66"}}
	if err := errors.Join(j.SaveState(want), j.SaveCommitted(committed)); err != nil {
		t.Fatal(err)
	}
	got, err := j.State()
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	gotCommitted, err := j.Committed()
	if diff := cmp.Diff(committed, gotCommitted); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// TestPowerCut cuts the power at every step of a write, with every luck about
// what had reached the disk: the old record or the new one is read, and the
// new one once the write has returned.
func TestPowerCut(t *testing.T) {
	prepared := func() *durable.Crashable {
		disk := durable.NewCrashable()
		if err := journal.New(disk).SaveState(state(update.Installing)); err != nil {
			t.Fatal(err)
		}
		return disk
	}
	luck := rand.New(rand.NewPCG(1, 2))
	for n := 1; ; n++ {
		var saved error
		for range 8 {
			disk := prepared()
			disk.CutAt(n)
			saved = journal.New(disk).SaveState(state(update.Switching))
			got, err := journal.New(disk.Crash(func() bool { return luck.IntN(2) == 0 })).State()
			if err != nil {
				t.Fatalf("cut at %d: %v", n, err)
			}
			if got.Phase != update.Installing && got.Phase != update.Switching || saved == nil && got.Phase != update.Switching {
				t.Errorf("cut at %d: saved %v, phase %s", n, saved, got.Phase)
			}
		}
		if saved == nil {
			return
		}
	}
}

func TestUnreadable(t *testing.T) {
	good, err := journal.Encode(state(update.Trial))
	if err != nil {
		t.Fatal(err)
	}
	otherSchema := state(update.Trial)
	otherSchema.Schema = update.Schema + 1
	newer, err := journal.Encode(otherSchema)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[10] ^= 1
	for name, record := range map[string][]byte{
		"empty": {}, "torn": good[:len(good)/2], "no checksum": bytes.SplitAfter(good, []byte("\n"))[0],
		"a flipped bit": flipped, "something behind it": append(bytes.Clone(good), 'x'), "another schema": newer,
		"huge": bytes.Repeat([]byte("x"), journal.MaxRecord+1), "zeros": make([]byte, 4096),
	} {
		t.Run(name, func(t *testing.T) {
			disk := durable.NewCrashable()
			for _, file := range []string{journal.StateFile, journal.CommittedFile} {
				if err := (durable.Disk{FS: disk}).WriteFile(file, record, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			j := journal.New(disk)
			s, err := j.State()
			if s.Phase != update.Unreadable || !errors.Is(err, journal.ErrCorrupt) {
				t.Errorf("state: phase %s, %v", s.Phase, err)
			}
			committed, err := j.Committed()
			if name != "another schema" && (committed == nil || len(committed) != 0 || !errors.Is(err, journal.ErrCorrupt)) {
				t.Errorf("committed: %v, %v", committed, err)
			}
		})
	}
}

func TestDiskErrors(t *testing.T) {
	disk := durable.NewCrashable()
	j := journal.New(disk)
	disk.FailAt(1, os.ErrPermission)
	if s, err := j.State(); s.Phase != update.Unreadable || err == nil {
		t.Errorf("a disk that cannot be read: phase %s, %v", s.Phase, err)
	}
	disk.FailAt(2, fmt.Errorf("no space left on device"))
	if err := j.SaveState(state(update.Trial)); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("a full disk: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	good, err := journal.Encode(state(update.Trial))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\n00000000\n"))
	f.Add([]byte("null\n0\n"))
	f.Fuzz(func(t *testing.T, record []byte) {
		var s update.State
		if err := journal.Decode(record, &s); err != nil {
			if !errors.Is(err, journal.ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
			return
		}
		again, err := journal.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		var twice update.State
		if err := journal.Decode(again, &twice); err != nil || !cmp.Equal(s, twice) {
			t.Errorf("written again it reads differently: %v", err)
		}
	})
}
