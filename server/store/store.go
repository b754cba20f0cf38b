// Package store is the contract between the engine and what keeps its rows.
// It owns no rows itself: pebble and mem implement it, storetest proves them.
// A row belongs to one shard for life; a commit is atomic over all its
// batches, durable when it returns, and fenced by the epoch of each batch.
//
// The engine keeps everything that it decides upon in memory and uses a store
// in one way only:
//
//	epoch, err := s.Claim(ctx)       // older owners can commit no more
//	err = s.Load(ctx, rebuild)       // everything into memory, once
//	for each batch of inputs {
//		err = s.Commit(ctx, batches) // then, and only then, acknowledge
//	}
//
// A failed commit has one of three ends. [ErrFenced]: another owner took over,
// stop. [ErrUnknown]: the rows may or may not be there, so memory and store
// may differ; go back to Claim and Load, which show what is true. Any other error:
// nothing was written and memory must forget what it was about to say.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/muster-iot/muster/protocol"
)

var (
	// ErrFenced says that a newer owner has claimed a shard of the commit:
	// nothing was written and this owner must stop.
	ErrFenced = errors.New("shard is owned by a newer epoch")
	// ErrUnknown says that the outcome of a commit is not known: the owner
	// must reload before it goes on. Rows of that commit are all there or none
	// are, and after a Load they stay as that Load showed them. Until then
	// an implementation may refuse further commits.
	ErrUnknown = errors.New("outcome of the commit is unknown")
)

// Kind is a family of rows, such as things or job executions. It may hold any
// bytes but NUL.
type Kind string

// Row is one stored record. Key is unique within its shard and kind; it may
// hold any bytes, UTF-8 or not, and may be empty.
type Row struct {
	Shard protocol.Shard
	Kind  Kind
	Key   string
	Value []byte
}

// Op writes or deletes one row of a shard.
type Op struct {
	Kind  Kind
	Key   string
	Value []byte // nil deletes the row, which need not exist; empty but not nil writes an empty value
}

// ShardBatch is what one commit does to one shard.
type ShardBatch struct {
	Shard protocol.Shard
	Epoch int64
	Ops   []Op
}

// Store keeps rows. All methods but Close may be called concurrently.
type Store interface {
	// Claim makes the caller the owner of every shard and returns the epoch
	// that its commits must carry; batches of older epochs fail with ErrFenced
	// from then on. The claim itself is durable. Epochs are positive and
	// rise; a claim that fails may still have fenced the older owners.
	Claim(ctx context.Context) (epoch int64, err error)
	// Load yields every row in order of shard, kind and key, by their bytes, as
	// of the call. The row's Value is valid only during the yield. An error of
	// yield ends the load and is returned as it is.
	Load(ctx context.Context, yield func(Row) error) error
	// Commit applies all batches or none, in order; later ops on a key win.
	// When it returns nil the rows survive a power cut. Any error but
	// ErrUnknown means that nothing was written. Batches and values may be
	// used anew once it returns. A context that ends during the call does not
	// interrupt it.
	Commit(ctx context.Context, batches []ShardBatch) error
	// Close ends the use of the store. No other method may be running; later
	// calls fail.
	Close() error
}

// Check is the part of Commit that all implementations share: it refuses
// batches whose epoch is not the current one (with ErrFenced if it is older)
// and kinds that no key can be made of.
func Check(batches []ShardBatch, current int64) error {
	for _, batch := range batches {
		if batch.Epoch < current {
			return fmt.Errorf("shard %d at epoch %d, now %d: %w", batch.Shard, batch.Epoch, current, ErrFenced)
		}
		if batch.Epoch > current || current == 0 {
			return fmt.Errorf("shard %d at epoch %d, which nobody has claimed", batch.Shard, batch.Epoch)
		}
		for _, op := range batch.Ops {
			if strings.IndexByte(string(op.Kind), 0) >= 0 {
				return fmt.Errorf("kind %q contains a NUL byte", op.Kind)
			}
		}
	}
	return nil
}
