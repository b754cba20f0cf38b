// Package storetest proves that a store keeps the contract of package store.
// Every implementation runs [Run] in its tests; what an implementation
// promises beyond the contract, such as surviving a crash of its disk, is
// for its own tests, with the helpers here. It is imported by tests only.
package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
)

// Run runs the contract test. open opens the store that belongs to the test it
// is given: empty at first, and when called again for the same test, after
// Close, with the rows that were there. Run closes what it opens.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open func(t *testing.T) store.Store)
	}{
		{"an empty store has no rows", testEmpty},
		{"writes and deletes", testWrites},
		{"later ops win", testLaterOpsWin},
		{"rows load in order", testOrder},
		{"odd keys, kinds and values", testOdd},
		{"a kind with a NUL is refused", testNUL},
		{"big values", testBig},
		{"memory is not shared", testMemory},
		{"a commit spans shards or does not happen", testAtomic},
		{"claims raise the epoch", testClaim},
		{"older epochs are fenced", testFenced},
		{"unclaimed epochs are refused", testUnclaimed},
		{"reopened, rows and epoch are there", testReopen},
		{"load is of one moment", testLoadIsolated},
		{"load ends with the error of yield", testYieldError},
		{"an ended context begins nothing", testContext},
		{"a closed store refuses all", testClosed},
		{"concurrent commits", testConcurrent},
		{"a claim among concurrent commits", testConcurrentClaim},
		{"any history equals a map", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// session is an open, claimed store and the test it serves.
type session struct {
	t     *testing.T
	store store.Store
	epoch int64
}

// start opens and claims the store of t; it is closed when t ends.
func start(t *testing.T, open func(t *testing.T) store.Store) *session {
	t.Helper()
	s := &session{t: t, store: open(t)}
	t.Cleanup(func() { _ = s.store.Close() })
	s.claim()
	return s
}

func (s *session) claim() {
	s.t.Helper()
	epoch, err := s.store.Claim(s.t.Context())
	if err != nil {
		s.t.Fatalf("Claim: %v", err)
	}
	s.epoch = epoch
}

// batch makes a batch of the session's epoch.
func (s *session) batch(shard protocol.Shard, ops ...store.Op) store.ShardBatch {
	return store.ShardBatch{Shard: shard, Epoch: s.epoch, Ops: ops}
}

func (s *session) commit(batches ...store.ShardBatch) {
	s.t.Helper()
	if err := s.store.Commit(s.t.Context(), batches); err != nil {
		s.t.Fatalf("Commit: %v", err)
	}
}

// want checks that exactly the given rows are in the store, in that order.
func (s *session) want(rows ...store.Row) {
	s.t.Helper()
	got, err := Rows(s.t, s.store)
	if err != nil {
		s.t.Fatalf("Load: %v", err)
	}
	if !slices.EqualFunc(got, rows, Equal) {
		s.t.Errorf("store has\n%s\nwant\n%s", Format(got), Format(rows))
	}
}

// Rows loads all rows into memory of the caller's own.
func Rows(t *testing.T, s store.Store) ([]store.Row, error) {
	t.Helper()
	var out []store.Row
	err := s.Load(t.Context(), func(row store.Row) error {
		row.Value = bytes.Clone(row.Value)
		out = append(out, row)
		return nil
	})
	return out, err
}

// Equal reports whether two rows have the same address and value.
func Equal(a, b store.Row) bool {
	return a.Shard == b.Shard && a.Kind == b.Kind && a.Key == b.Key && bytes.Equal(a.Value, b.Value)
}

// Format writes rows for a failure message, long values cut short.
func Format(rows []store.Row) string {
	var b bytes.Buffer
	for _, row := range rows {
		value := fmt.Sprintf("%q", row.Value)
		if len(row.Value) > 40 {
			value = fmt.Sprintf("%q... (%d bytes)", row.Value[:40], len(row.Value))
		}
		fmt.Fprintf(&b, "  %d %q %q = %s\n", row.Shard, row.Kind, row.Key, value)
	}
	return b.String()
}

func put(kind store.Kind, key, value string) store.Op {
	return store.Op{Kind: kind, Key: key, Value: []byte(value)}
}

func del(kind store.Kind, key string) store.Op { return store.Op{Kind: kind, Key: key} }

func row(shard protocol.Shard, kind store.Kind, key, value string) store.Row {
	return store.Row{Shard: shard, Kind: kind, Key: key, Value: []byte(value)}
}
