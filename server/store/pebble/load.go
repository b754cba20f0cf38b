package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/store"
)

// Load implements [store.Store]. It shows durable rows only: it waits for the
// commits under way before it begins, not while it runs.
func (s *Store) Load(ctx context.Context, yield func(store.Row) error) error {
	rows, err := s.rows(ctx)
	if err != nil {
		return fmt.Errorf("cannot load rows: %w", err)
	}
	defer s.loads.Done()
	var failure error // of yield, which is returned as it is
	for rows.First(); rows.Valid() && failure == nil; rows.Next() {
		if err = ctx.Err(); err != nil {
			break
		}
		var row store.Row
		if row, err = readRow(rows); err != nil {
			break
		}
		failure = yield(row)
	}
	err = errors.Join(err, rows.Close()) // Close repeats the error of Next
	switch {
	case failure != nil:
		return failure
	case err != nil:
		return fmt.Errorf("cannot load all rows: %w", err)
	}
	return nil
}

// rows opens an iterator over all rows as of now and counts it in loads.
func (s *Store) rows(ctx context.Context) (*pebble.Iterator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	rows, err := s.db.NewIter(&pebble.IterOptions{LowerBound: appendKey(nil, 0, "", "")[:2]})
	if err != nil {
		return nil, err
	}
	s.loads.Add(1)
	return rows, nil
}

func readRow(rows *pebble.Iterator) (store.Row, error) {
	value, err := rows.ValueAndErr()
	if err != nil {
		return store.Row{}, err
	}
	key := rows.Key()
	if len(key) >= 3 {
		if kind, rest, ok := bytes.Cut(key[2:], []byte{0}); ok {
			shard := protocol.Shard(binary.BigEndian.Uint16(key))
			return store.Row{Shard: shard, Kind: store.Kind(kind), Key: string(rest), Value: value}, nil
		}
	}
	return store.Row{}, fmt.Errorf("key %x is not one of a row", key)
}

// appendKey appends the database key of a row to b.
func appendKey(b []byte, shard protocol.Shard, kind store.Kind, key string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(shard))
	b = append(b, kind...)
	b = append(b, 0)
	return append(b, key...)
}

// format is the version of what is on disk, described at the package.
const format = 1

func epochKey() []byte { return []byte{0} }

func epochValue(epoch int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{format}, uint64(epoch))
}

// readEpoch returns the epoch of the last claim, 0 if there was none.
func readEpoch(db *pebble.DB) (int64, error) {
	value, closer, err := db.Get(epochKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read its epoch: %w", err)
	}
	defer closer.Close()
	if len(value) != 9 || value[0] != format {
		return 0, errors.New("it was not written by this version of the server")
	}
	return int64(binary.BigEndian.Uint64(value[1:])), nil
}
