package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
)

func testAtomic(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	old := s.epoch
	s.claim()
	s.commit(s.batch(1, put("k", "a", "1")))
	for position := range 3 { // the bad batch is first, in the middle, last
		batches := []store.ShardBatch{
			s.batch(1, put("k", "a", "2"), put("k", "b", "2")),
			s.batch(2, put("k", "c", "2")),
			s.batch(protocol.GlobalShard, put("k", "d", "2"), del("k", "a")),
		}
		batches[position].Epoch = old
		if err := s.store.Commit(t.Context(), batches); !errors.Is(err, store.ErrFenced) {
			t.Errorf("Commit with batch %d of an older epoch: %v, want ErrFenced", position, err)
		}
		s.want(row(1, "k", "a", "1"))
	}
	s.commit(s.batch(1, put("k", "a", "3")), s.batch(2, put("k", "c", "3")), s.batch(protocol.GlobalShard, put("k", "d", "3")))
	s.want(row(1, "k", "a", "3"), row(2, "k", "c", "3"), row(protocol.GlobalShard, "k", "d", "3"))
}

func testClaim(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	if s.epoch <= 0 {
		t.Errorf("first epoch is %d, want a positive one", s.epoch)
	}
	for range 3 {
		old := s.epoch
		s.claim()
		if s.epoch <= old {
			t.Errorf("epoch %d after %d", s.epoch, old)
		}
	}
	s.want() // a claim is no row
}

func testFenced(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	old := s.epoch
	s.claim()
	for _, batch := range []store.ShardBatch{
		{Shard: 1, Epoch: old, Ops: []store.Op{put("k", "a", "1")}},
		{Shard: 1, Epoch: old}, // nothing to write, yet no longer the owner
		{Shard: 1, Epoch: 0, Ops: []store.Op{put("k", "a", "1")}},
		{Shard: 1, Epoch: -1, Ops: []store.Op{put("k", "a", "1")}},
	} {
		if err := s.store.Commit(t.Context(), []store.ShardBatch{batch}); !errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("Commit at epoch %d, now %d: %v, want ErrFenced", batch.Epoch, s.epoch, err)
		}
	}
	s.want()
}

func testUnclaimed(t *testing.T, open func(t *testing.T) store.Store) {
	s := &session{t: t, store: open(t)}
	t.Cleanup(func() { _ = s.store.Close() })
	for _, epoch := range []int64{0, 1} {
		err := s.store.Commit(t.Context(), []store.ShardBatch{{Shard: 1, Epoch: epoch, Ops: []store.Op{put("k", "a", "1")}}})
		if err == nil || errors.Is(err, store.ErrUnknown) {
			t.Errorf("Commit at epoch %d before any claim: %v, want a definite error", epoch, err)
		}
	}
	s.claim()
	s.epoch++
	err := s.store.Commit(t.Context(), []store.ShardBatch{s.batch(1, put("k", "a", "1"))})
	if err == nil || errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("Commit at an epoch of the future: %v, want an error that is neither ErrFenced nor ErrUnknown", err)
	}
	s.want()
}

func testConcurrent(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	const writers, commits = 16, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range commits {
				// A row of its own and a row that all writers fight for, in two shards.
				mine := put("own", fmt.Sprintf("%02d-%02d", w, i), "x")
				err := s.store.Commit(t.Context(), []store.ShardBatch{
					s.batch(protocol.Shard(w), mine, put("last", "own", fmt.Sprint(i))),
					s.batch(protocol.GlobalShard, put("shared", "a", fmt.Sprint(w, i)), put("shared", "b", fmt.Sprint(w, i))),
				})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	s.reopen(open)
	rows, err := Rows(t, s.store)
	if err != nil {
		t.Fatal(err)
	}
	own, shared := 0, map[string]bool{}
	for _, r := range rows {
		switch r.Kind {
		case "own":
			own++
		case "last":
			if string(r.Value) != fmt.Sprint(commits-1) {
				t.Errorf("shard %d ends with commit %s of its writer, want the last", r.Shard, r.Value)
			}
		case "shared":
			shared[string(r.Value)] = true
		}
	}
	if own != writers*commits || len(rows) != own+writers+2 {
		t.Errorf("%d own rows of %d in %d rows", own, writers*commits, len(rows))
	}
	if len(shared) != 1 {
		t.Errorf("rows of one commit come from different ones: %v", shared)
	}
}

func testConcurrentClaim(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	old := *s
	var acknowledged atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 1_000_000 {
				err := old.store.Commit(t.Context(), []store.ShardBatch{old.batch(protocol.Shard(w), put("k", fmt.Sprint(i), "x"))})
				if errors.Is(err, store.ErrFenced) {
					return
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	s.commit(s.batch(100, put("k", "a", "1")))
	for acknowledged.Load() < 20 && !t.Failed() {
		s.commit(s.batch(100, put("k", "a", "1"))) // lets the writers run
	}
	s.claim()
	before, err := Rows(t, s.store) // nothing of an older epoch after the claim
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if got := int64(len(before)) - 1; got != acknowledged.Load() {
		t.Errorf("%d rows at the claim, %d acknowledged in the end", got, acknowledged.Load())
	}
	s.want(before...)
}

// testModel compares random histories with a map.
func testModel(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	model := map[string]store.Row{}
	op := rapid.Custom(func(r *rapid.T) store.Op {
		o := store.Op{
			Kind: store.Kind(rapid.SampledFrom([]string{"", "a", "ab", "\xff"}).Draw(r, "kind")),
			Key:  rapid.StringOfN(rapid.RuneFrom([]rune{0, 'a', 'b', 0x10ffff}), 0, 3, -1).Draw(r, "key"),
		}
		if rapid.Bool().Draw(r, "put") {
			o.Value = []byte(rapid.StringN(0, 8, -1).Draw(r, "value"))
		}
		return o
	})
	rapid.Check(t, func(r *rapid.T) {
		var batches []store.ShardBatch
		for range rapid.IntRange(0, 3).Draw(r, "batches") {
			shard := protocol.Shard(rapid.SampledFrom([]int{0, 1, 256, 1024}).Draw(r, "shard"))
			batches = append(batches, s.batch(shard, rapid.SliceOfN(op, 0, 5).Draw(r, "ops")...))
		}
		if err := s.store.Commit(t.Context(), batches); err != nil {
			r.Fatalf("Commit: %v", err)
		}
		for _, b := range batches {
			for _, o := range b.Ops {
				at := fmt.Sprintf("%05d %s\x00%s", b.Shard, o.Kind, o.Key)
				if model[at] = (store.Row{Shard: b.Shard, Kind: o.Kind, Key: o.Key, Value: o.Value}); o.Value == nil {
					delete(model, at)
				}
			}
		}
		var want []store.Row
		for _, at := range slices.SortedFunc(maps.Keys(model), strings.Compare) {
			want = append(want, model[at])
		}
		got, err := Rows(t, s.store)
		if err != nil || !slices.EqualFunc(got, want, Equal) {
			r.Fatalf("store has (%v)\n%s\nwant\n%s", err, Format(got), Format(want))
		}
	})
}
