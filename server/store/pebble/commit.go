package pebble

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muster-iot/muster/server/store"
)

// maxCommit bounds a commit, in bytes: Pebble panics at 4 GB.
const maxCommit = 1 << 30

// Claim implements [store.Store]. It waits for commits under way.
func (s *Store) Claim(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return 0, fmt.Errorf("cannot claim the store: %w", err)
	}
	next := s.epoch + 1
	batch := s.db.NewBatch()
	defer batch.Close()
	if err := batch.Set(epochKey(), epochValue(next), nil); err != nil {
		return 0, fmt.Errorf("cannot claim the store: %w", err)
	}
	if err := s.apply(batch); err != nil {
		return 0, fmt.Errorf("cannot claim the store: %w", err)
	}
	s.epoch = next
	return next, nil
}

// Commit implements [store.Store].
func (s *Store) Commit(ctx context.Context, batches []store.ShardBatch) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	if s.failed.Load() {
		return errors.New("cannot commit: the store must be loaded anew after a commit of unknown outcome")
	}
	if err := store.Check(batches, s.epoch); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	size := sizeOf(batches)
	if size > maxCommit {
		return fmt.Errorf("cannot commit: %d bytes at once, at most %d are possible", size, maxCommit)
	}
	batch := s.db.NewBatchWithSize(size)
	defer batch.Close()
	if err := fill(batch, batches); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	if batch.Empty() {
		return nil
	}
	return s.apply(batch)
}

// apply writes a batch and waits until it is durable. The caller holds mu.
// It never calls Pebble's Apply, which ends the process when the log fails.
func (s *Store) apply(batch *pebble.Batch) error {
	if err := s.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		return fmt.Errorf("cannot commit: %w", err) // refused before the log
	}
	if err := batch.SyncWait(); err != nil {
		s.failed.Store(true)
		return fmt.Errorf("cannot commit: %w: %w", store.ErrUnknown, err)
	}
	return nil
}

func fill(batch *pebble.Batch, batches []store.ShardBatch) error {
	var key []byte
	for _, b := range batches {
		for _, op := range b.Ops {
			key = appendKey(key[:0], b.Shard, op.Kind, op.Key)
			var err error
			if op.Value == nil {
				err = batch.Delete(key, nil)
			} else {
				err = batch.Set(key, op.Value, nil)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// sizeOf estimates a batch from above, so that it is allocated once.
func sizeOf(batches []store.ShardBatch) int {
	const header, perOp = 12, 16 // Pebble's own; and our shard and NUL
	n := header
	for _, b := range batches {
		for _, op := range b.Ops {
			n += perOp + len(op.Kind) + len(op.Key) + len(op.Value)
		}
	}
	return n
}

// ready is usable for calls that find out what is true: they make a failed
// store whole. The caller holds mu for writing.
func (s *Store) ready(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if s.failed.Load() || s.db == nil {
		return s.reopen()
	}
	return nil
}

// usable says whether a call may begin. The caller holds mu.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return errors.New("store is closed")
	}
	return ctx.Err()
}
