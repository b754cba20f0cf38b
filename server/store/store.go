// Package store is the contract between the engine and what keeps its rows.
// It owns no rows itself: pebble and mem implement it, storetest proves them.
// A row belongs to one shard for life; a commit is atomic over all its
// batches, durable when it returns, and fenced by the epoch of each batch.
package store

import (
	"context"
	"errors"

	"github.com/muster-iot/muster/protocol"
)

var (
	// ErrFenced says that a newer owner has claimed a shard of the commit:
	// nothing was written and this owner must stop.
	ErrFenced = errors.New("shard is owned by a newer epoch")
	// ErrUnknown says that the outcome of a commit is not known: the owner
	// must reload before it goes on.
	ErrUnknown = errors.New("outcome of the commit is unknown")
)

// Kind is a family of rows, such as things or job executions.
type Kind string

// Row is one stored record. Key is unique within its shard and kind.
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
	Value []byte // nil deletes the row
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
	// from then on. The claim itself is durable.
	Claim(ctx context.Context) (epoch int64, err error)
	// Load yields every row in order of shard, kind and key, as of the call.
	// The row's Value is valid only during the yield. An error of yield ends
	// the load and is returned as it is.
	Load(ctx context.Context, yield func(Row) error) error
	// Commit applies all batches or none, in order; later ops on a key win.
	// When it returns nil the rows survive a power cut. Any error but
	// ErrUnknown means that nothing was written.
	Commit(ctx context.Context, batches []ShardBatch) error
	Close() error
}
