package pebble_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
	"github.com/muster-iot/muster/server/store/pebble"
	"github.com/muster-iot/muster/server/store/storetest"
)

// open opens and claims a store on a file system in memory.
func open(t *testing.T, disk vfs.FS) (*pebble.Store, int64) {
	t.Helper()
	s, err := pebble.Open(pebble.Config{Dir: "data/store", FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := s.Claim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, epoch
}

// write is the n-th commit of a history: it rewrites one row in each of three
// shards, so that a torn commit shows, and adds one that stays.
func write(epoch int64, n int) []store.ShardBatch { return writeBig(epoch, n, 20) }

// writeBig is write with values that are the number so many times.
func writeBig(epoch int64, n, times int) []store.ShardBatch {
	value := []byte(strings.Repeat(fmt.Sprintf("%06d;", n), times))
	op := store.Op{Kind: "twin", Key: "same", Value: value}
	return []store.ShardBatch{
		{Shard: 1, Epoch: epoch, Ops: []store.Op{op}},
		{Shard: 700, Epoch: epoch, Ops: []store.Op{op, {Kind: "log", Key: fmt.Sprintf("%06d", n), Value: value}}},
		{Shard: protocol.GlobalShard, Epoch: epoch, Ops: []store.Op{op}},
	}
}

// history reads back how far a store has come and fails if a commit is there in part.
func history(t *testing.T, s store.Store) (commits int) {
	t.Helper()
	rows, err := storetest.Rows(t, s)
	if err != nil {
		t.Fatal(err)
	}
	var twins []string
	last := ""
	for _, row := range rows {
		if row.Kind == "twin" {
			twins = append(twins, string(row.Value))
			continue
		}
		last = string(row.Value)
		if want := fmt.Sprintf("%06d", commits); row.Key != want {
			t.Fatalf("commit %s is there, %s is not", row.Key, want)
		}
		commits++
	}
	for _, twin := range twins {
		if twin != last || len(twins) != 3 {
			t.Fatalf("torn commit after %d commits: %s", commits, storetest.Format(rows))
		}
	}
	return commits
}

// image is a disk as a power cut left it, and what the store had said by then.
type image struct {
	disk            vfs.FS
	atLeast, atMost int // commits acknowledged before, begun before
}

// TestPowerCut cuts the power before operations on the disk of a running
// history, flushes of tables included: every acknowledged commit is there
// afterwards and none in part, whatever the disk kept of what was not synced.
func TestPowerCut(t *testing.T) {
	for _, test := range []struct {
		name     string
		unsynced int // percent that survives
		every    int // takes each so-many-th operation; Pebble studies a torn log for long
	}{{"only synced data survives", 0, 1}, {"half survives", 50, 5}, {"all survives", 100, 1}} {
		t.Run(test.name, func(t *testing.T) {
			images := make(chan image)
			go runHistory(t, test.unsynced, test.every, images)
			checked, tables := 0, false
			for cut := range images {
				checkImage(t, cut)
				checked++
				names, _ := cut.disk.List("data/store")
				tables = tables || slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ".sst") })
			}
			t.Logf("%d images checked", checked)
			if checked*test.every < 100 || !tables {
				t.Errorf("%d images, tables flushed: %v; the history is too short to test anything", checked, tables)
			}
		})
	}
}

// runHistory commits and sends an image before each operation on the disk.
func runHistory(t *testing.T, unsynced, every int, images chan<- image) {
	defer close(images)
	var begun, acknowledged atomic.Int64
	var cutting atomic.Bool
	var operations atomic.Uint64
	disk := vfs.NewCrashableMem()
	s, epoch := open(t, errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !cutting.Load() || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		if n := operations.Add(1); n%uint64(every) == 0 {
			cut := image{atLeast: int(acknowledged.Load())}
			cut.disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(n, 1))})
			cut.atMost = int(begun.Load())
			images <- cut
		}
		return nil
	})))
	cutting.Store(true)
	for n := range 40 {
		begun.Add(1)
		// Big enough to flush a few tables, which begin at 256 KB.
		if err := s.Commit(t.Context(), writeBig(epoch, n, 1200)); err != nil {
			t.Error(err)
			break
		}
		acknowledged.Add(1)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func checkImage(t *testing.T, cut image) {
	t.Helper()
	after, epoch := open(t, cut.disk)
	defer after.Close()
	if epoch != 2 {
		t.Errorf("epoch %d after the crash, want 2", epoch)
	}
	n := history(t, after)
	if n < cut.atLeast || n > cut.atMost {
		t.Errorf("%d commits after the crash; %d were acknowledged before it, %d begun", n, cut.atLeast, cut.atMost)
	}
	if err := after.Commit(t.Context(), write(epoch, n)); err != nil {
		t.Errorf("cannot go on after the crash: %v", err)
	}
}

// TestPowerCutInClaim checks that a claim that returned holds.
func TestPowerCutInClaim(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s, first := open(t, disk)
	defer s.Close()
	after, second := open(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	defer after.Close()
	if second <= first {
		t.Errorf("epoch %d after a crash, was %d", second, first)
	}
}

// TestFailingLog lets writing or syncing the log fail once, at every operation
// of a history in turn. The commit that meets it ends unknown, later ones are
// refused, and after a Load the store goes on with either outcome, whole.
func TestFailingLog(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData} {
		met := 0
		for n := int32(1); n <= 12; n++ {
			if failLogAt(t, kind, n) {
				met++
			}
		}
		t.Logf("operation %v of the log: failed %d histories", kind, met)
		if met == 0 && kind != errorfs.OpFileSync {
			t.Errorf("no operation of kind %v ever failed: the test tests nothing", kind)
		}
	}
}

func failLogAt(t *testing.T, kind errorfs.OpKind, n int32) (met bool) {
	t.Helper()
	var countdown atomic.Int32
	disk := vfs.NewCrashableMem()
	s, epoch := open(t, errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == kind && strings.HasSuffix(op.Path, ".log") && countdown.Add(-1) == 0 {
			return errorfs.ErrInjected
		}
		return nil
	})))
	countdown.Store(n)
	acknowledged := 0
	for i := range 8 {
		err := s.Commit(t.Context(), write(epoch, i))
		if err == nil {
			acknowledged++
			continue
		}
		met = true
		if !errors.Is(err, store.ErrUnknown) {
			t.Fatalf("a failing log gave %v, want ErrUnknown", err)
		}
		err = s.Commit(t.Context(), write(epoch, i+1))
		if err == nil || errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrFenced) {
			t.Fatalf("the next commit gave %v, want a definite refusal", err)
		}
		break
	}
	countdown.Store(-1)    // the disk is well again
	found := history(t, s) // which opens the database anew
	if found < acknowledged || found > acknowledged+1 {
		t.Fatalf("%d commits after the failure, %d were acknowledged", found, acknowledged)
	}
	// What that Load showed is durable, or the next owner would decide otherwise.
	image, next := open(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	if n := history(t, image); n != found {
		t.Fatalf("Load showed %d commits, after a crash there are %d", found, n)
	}
	_ = image.Close()
	if err := s.Commit(t.Context(), write(epoch, found)); err != nil {
		t.Fatalf("cannot go on after the failure (next epoch %d): %v", next, err)
	}
	if n := history(t, s); n != found+1 {
		t.Fatalf("%d commits, want %d", n, found+1)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return met
}

// TestFailingLogConcurrently lets the log fail under concurrent commits. None
// hangs, none is acknowledged and lost, and a Claim makes the store whole.
func TestFailingLogConcurrently(t *testing.T) {
	var broken atomic.Bool
	disk := vfs.NewCrashableMem()
	s, epoch := open(t, errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.HasSuffix(op.Path, ".log") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errorfs.ErrInjected
		}
		return nil
	})))
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 1_000_000 {
				key := fmt.Sprintf("%d-%d", w, i)
				err := s.Commit(t.Context(), []store.ShardBatch{{Shard: 1, Epoch: epoch, Ops: []store.Op{{Kind: "k", Key: key, Value: []byte("x")}}}})
				if err != nil {
					return
				}
				mu.Lock()
				acknowledged[key] = true
				broken.Store(len(acknowledged) >= 100)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if _, err := s.Claim(t.Context()); err == nil {
		t.Error("the store was claimed on a broken disk")
	}
	broken.Store(false)
	if _, err := s.Claim(t.Context()); err != nil {
		t.Fatalf("Claim on the mended disk: %v", err)
	}
	rows, err := storetest.Rows(t, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		delete(acknowledged, row.Key)
	}
	if len(acknowledged) > 0 {
		t.Errorf("acknowledged and lost: %v", acknowledged)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestFailingTables lets every other write fail while nothing of the log does: the
// store keeps its promises, says what is wrong and recovers by itself.
func TestFailingTables(t *testing.T) {
	var failures atomic.Int32
	failures.Store(3)
	disk := vfs.NewCrashableMem()
	said := &lines{}
	s, err := pebble.Open(pebble.Config{Dir: "data", Logger: slog.New(slog.NewTextHandler(said, nil)), FS: errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") && failures.Add(-1) >= 0 {
			return errorfs.ErrInjected
		}
		return nil
	}))})
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := s.Claim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < 64 || failures.Load() >= 0; n++ {
		for i := range value {
			value[i] = byte(rng.Uint32())
		}
		op := store.Op{Kind: "k", Key: fmt.Sprint(n % 20), Value: value}
		if err := s.Commit(t.Context(), []store.ShardBatch{{Shard: 1, Epoch: epoch, Ops: []store.Op{op}}}); err != nil {
			t.Fatal(err)
		}
	}
	if rows, err := storetest.Rows(t, s); err != nil || len(rows) != 20 {
		t.Errorf("%d rows, %v; want 20", len(rows), err)
	}
	if !slices.ContainsFunc(said.all(), func(line string) bool {
		return strings.Contains(line, "level=ERROR") && strings.Contains(line, "cannot write its tables") && strings.Contains(line, "injected")
	}) {
		t.Errorf("nothing was said about the failing disk: %q", said.all())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// lines collects a log.
type lines struct {
	mu   sync.Mutex
	line []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = append(l.line, strings.TrimSpace(string(p)))
	return len(p), nil
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.line)
}
