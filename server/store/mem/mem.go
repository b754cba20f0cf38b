// Package mem is the store in memory: the reference implementation of the
// contract in package store, for tests, simulations and a fleet that may
// forget. It owns its rows, keeps the fencing of a real store, and
// never touches a disk; where a reader wonders what the contract means, this
// is the shortest program that says it.
package mem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
)

// Store keeps rows in memory. Make one with [New].
type Store struct {
	rows *rows
	// closed is of this handle alone; rows outlive it, see Reopen.
	closed bool // under rows.mu
}

// rows is what a disk would hold.
type rows struct {
	mu    sync.RWMutex
	epoch int64
	// value of every row; a value is replaced, never written to.
	value map[address][]byte
}

type address struct {
	shard protocol.Shard
	kind  store.Kind
	key   string
}

// New makes an empty store.
func New() *Store {
	return &Store{rows: &rows{value: map[address][]byte{}}}
}

// Reopen returns a new handle on the rows of s, as a restarted server would
// open the same folder. It works on a closed store too, and does not close it.
func (s *Store) Reopen() *Store { return &Store{rows: s.rows} }

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context) (int64, error) {
	s.rows.mu.Lock()
	defer s.rows.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, fmt.Errorf("cannot claim the store: %w", err)
	}
	s.rows.epoch++
	return s.rows.epoch, nil
}

// Load implements [store.Store].
func (s *Store) Load(ctx context.Context, yield func(store.Row) error) error {
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	for _, row := range snapshot {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cannot load all rows: %w", err)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}

// snapshot lists the rows as of now, in order. Commits do not touch the
// values that it refers to.
func (s *Store) snapshot(ctx context.Context) ([]store.Row, error) {
	s.rows.mu.RLock()
	defer s.rows.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, fmt.Errorf("cannot load rows: %w", err)
	}
	out := make([]store.Row, 0, len(s.rows.value))
	for at, value := range s.rows.value {
		out = append(out, store.Row{Shard: at.shard, Kind: at.kind, Key: at.key, Value: value})
	}
	slices.SortFunc(out, func(a, b store.Row) int {
		return cmp.Or(cmp.Compare(a.Shard, b.Shard), strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Key, b.Key))
	})
	return out, nil
}

// Commit implements [store.Store].
func (s *Store) Commit(ctx context.Context, batches []store.ShardBatch) error {
	s.rows.mu.Lock()
	defer s.rows.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	if err := store.Check(batches, s.rows.epoch); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	for _, batch := range batches {
		for _, op := range batch.Ops {
			at := address{batch.Shard, op.Kind, op.Key}
			if op.Value == nil {
				delete(s.rows.value, at)
				continue
			}
			s.rows.value[at] = append([]byte{}, op.Value...)
		}
	}
	return nil
}

// Close implements [store.Store].
func (s *Store) Close() error {
	s.rows.mu.Lock()
	defer s.rows.mu.Unlock()
	s.closed = true
	return nil
}

// usable says whether a call may begin. The caller holds the lock.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return errors.New("store is closed")
	}
	return ctx.Err()
}
