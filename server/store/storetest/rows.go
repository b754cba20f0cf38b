package storetest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
)

func testEmpty(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	s.want()
	s.commit()           // no batch
	s.commit(s.batch(1)) // no op
	s.want()
}

func testWrites(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	s.commit(s.batch(1, put("thing", "a", "1"), put("thing", "b", "2")))
	s.want(row(1, "thing", "a", "1"), row(1, "thing", "b", "2"))
	s.commit(s.batch(1, put("thing", "a", "3"), del("thing", "b"), del("thing", "never there")))
	s.want(row(1, "thing", "a", "3"))
	s.commit(s.batch(2, del("thing", "a")), s.batch(1, del("job", "a")))
	s.want(row(1, "thing", "a", "3")) // other shard, other kind
	s.commit(s.batch(1, del("thing", "a")))
	s.want()
}

func testLaterOpsWin(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	s.commit(
		s.batch(1, put("k", "put twice", "old"), put("k", "put twice", "new"), put("k", "put, deleted", "x"), del("k", "put, deleted")),
		s.batch(1, put("k", "in two batches", "old"), del("k", "deleted, put")),
		s.batch(1, put("k", "in two batches", "new"), put("k", "deleted, put", "x")),
	)
	s.want(row(1, "k", "deleted, put", "x"), row(1, "k", "in two batches", "new"), row(1, "k", "put twice", "new"))
}

func testOrder(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	// As they are to come out: by shard as a number, then by bytes; a kind
	// before those that it begins.
	rows := []store.Row{
		row(0, "", "", "0"), row(0, "", "\x00", "1"), row(0, "\x01", "", "2"), row(0, "a", "", "3"),
		row(0, "a", "b", "4"), row(0, "a", "b\x00", "5"), row(0, "a", "ba", "6"), row(0, "a\x01", "", "7"),
		row(0, "ab", "a", "8"), row(0, "\xff", "\xff", "9"), row(1, "a", "a", "10"), row(255, "a", "a", "11"),
		row(256, "a", "a", "12"), row(1023, "z", "z", "13"), row(protocol.GlobalShard, "a", "a", "14"), row(65535, "a", "a", "15"),
	}
	for i := range rows {
		r := rows[(i*7)%len(rows)] // any order but this one
		s.commit(s.batch(r.Shard, store.Op{Kind: r.Kind, Key: r.Key, Value: r.Value}))
	}
	s.want(rows...)
}

func testOdd(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	s.commit(s.batch(7,
		put("k", "", "empty key"), put("", "k", "empty kind"), put("k", "\xc3\x28", "invalid UTF-8"),
		put("k", "a\x00b", "NUL in the key"), put("\xff\xfe", "x", "kind that is no text"), put("k", "empty value", ""),
	))
	s.want(
		row(7, "", "k", "empty kind"), row(7, "k", "", "empty key"), row(7, "k", "a\x00b", "NUL in the key"),
		row(7, "k", "empty value", ""), row(7, "k", "\xc3\x28", "invalid UTF-8"), row(7, "\xff\xfe", "x", "kind that is no text"),
	)
	s.commit(s.batch(7, del("k", "\xc3\x28"), del("k", "a\x00b"), del("", "k"), del("\xff\xfe", "x"), del("k", "")))
	s.want(row(7, "k", "empty value", ""))
}

func testNUL(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	err := s.store.Commit(t.Context(), []store.ShardBatch{s.batch(1, put("k", "a", "1")), s.batch(2, put("a\x00b", "c", "2"))})
	if err == nil || errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrFenced) {
		t.Errorf("Commit of a kind with a NUL: %v, want a definite error", err)
	}
	s.want()
}

func testBig(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MB
	key := strings.Repeat("k", 10_000)
	s.commit(s.batch(3, store.Op{Kind: "blob", Key: key, Value: big}), s.batch(4, put("k", "small", "1")))
	want := []store.Row{{Shard: 3, Kind: "blob", Key: key, Value: big}, row(4, "k", "small", "1")}
	s.want(want...)
	s.reopen(open)
	s.want(want...)
}

func testMemory(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	value := []byte("mine")
	batches := []store.ShardBatch{s.batch(1, store.Op{Kind: "k", Key: "a", Value: value})}
	s.commit(batches...)
	copy(value, "XXXX")
	batches[0].Ops[0].Key = "b"
	s.want(row(1, "k", "a", "mine"))
}

func testReopen(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	s.commit(s.batch(1, put("k", "a", "1"), put("k", "b", "2")), s.batch(2, put("k", "c", "3")))
	s.commit(s.batch(1, del("k", "b")))
	old := s.epoch
	s.reopen(open)
	s.want(row(1, "k", "a", "1"), row(2, "k", "c", "3"))
	if s.epoch <= old {
		t.Errorf("epoch %d after reopening, was %d", s.epoch, old)
	}
	err := s.store.Commit(t.Context(), []store.ShardBatch{{Shard: 1, Epoch: old, Ops: []store.Op{put("k", "z", "9")}}})
	if !errors.Is(err, store.ErrFenced) {
		t.Errorf("Commit at the epoch before the restart: %v, want ErrFenced", err)
	}
	s.want(row(1, "k", "a", "1"), row(2, "k", "c", "3"))
}

// reopen closes the store, opens it again and claims it.
func (s *session) reopen(open func(t *testing.T) store.Store) {
	s.t.Helper()
	if err := s.store.Close(); err != nil {
		s.t.Fatalf("Close: %v", err)
	}
	s.store = open(s.t)
	s.claim()
}

func testLoadIsolated(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	s.commit(s.batch(1, put("k", "a", "1"), put("k", "b", "1"), put("k", "d", "1")))
	var got []string
	err := s.store.Load(t.Context(), func(r store.Row) error {
		if len(got) == 0 { // commits go on while a load runs, unseen by it
			s.commit(s.batch(1, put("k", "b", "2"), put("k", "c", "2"), del("k", "d")))
		}
		got = append(got, r.Key+string(r.Value))
		return nil
	})
	if err != nil || strings.Join(got, " ") != "a1 b1 d1" {
		t.Errorf("Load saw %v, %v; want a1 b1 d1", got, err)
	}
	s.want(row(1, "k", "a", "1"), row(1, "k", "b", "2"), row(1, "k", "c", "2"))
}

func testYieldError(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	s.commit(s.batch(1, put("k", "a", "1"), put("k", "b", "2")))
	calls, mine := 0, errors.New("enough")
	err := s.store.Load(t.Context(), func(store.Row) error { calls++; return mine })
	if err != mine || calls != 1 { //nolint:errorlint // as it is, not wrapped
		t.Errorf("Load returned %v after %d rows, want the error of yield itself after one", err, calls)
	}
	s.want(row(1, "k", "a", "1"), row(1, "k", "b", "2"))
}

func testContext(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	s.commit(s.batch(1, put("k", "a", "1"), put("k", "b", "2")))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.store.Commit(ended, []store.ShardBatch{s.batch(1, put("k", "c", "3"))})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: %v, want context.Canceled", err)
	}
	if _, err := s.store.Claim(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Claim: %v, want context.Canceled", err)
	}
	calls := 0
	if err := s.store.Load(ended, func(store.Row) error { calls++; return nil }); !errors.Is(err, context.Canceled) || calls > 0 {
		t.Errorf("Load: %v after %d rows, want context.Canceled before the first", err, calls)
	}
	during, cancel := context.WithCancel(t.Context())
	err = s.store.Load(during, func(store.Row) error { calls++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("Load: %v after %d rows, want context.Canceled after the first", err, calls)
	}
	s.commit(s.batch(1, put("k", "d", "4"))) // the claim of the ended context did not fence
	s.want(row(1, "k", "a", "1"), row(1, "k", "b", "2"), row(1, "k", "d", "4"))
}

func testClosed(t *testing.T, open func(t *testing.T) store.Store) {
	s := start(t, open)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.Claim(t.Context()); err == nil {
		t.Error("Claim of a closed store succeeded")
	}
	if err := s.store.Commit(t.Context(), []store.ShardBatch{s.batch(1, put("k", "a", "1"))}); err == nil {
		t.Error("Commit to a closed store succeeded")
	}
	if _, err := Rows(t, s.store); err == nil {
		t.Error("Load of a closed store succeeded")
	}
	s.store = open(t)
	s.claim()
	s.want()
}
