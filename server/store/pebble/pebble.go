// Package pebble keeps the rows of package store in a folder, in a Pebble
// database (an LSM tree with a write-ahead log). It owns that folder and everything in
// it, and is the only package that knows Pebble. It decides nothing about rows:
// the contract is in package store, the proof of it in storetest.
//
// # What is on disk
//
//	key                                 value
//	00                                  format (1 byte), epoch (8 bytes)
//	shard (2 bytes), kind, 00, key      the row's value
//
// Numbers are big-endian, so that the order of keys is the order of Load. No
// row's key is shorter than three bytes, so the epoch never meets one.
//
// # What happens when the disk fails
//
// A commit is one Pebble batch: one record of the log, there as a whole or not
// at all. Commits that wait at the same time share one fsync. If writing or
// syncing the log fails, nobody can say whether the record will be found after a
// crash, though this process can already read it. So every failure of
// the log is [store.ErrUnknown], the store refuses further commits (with an
// error that says that nothing was written), and the next Claim or Load closes
// the database and opens it anew: what recovery finds in the log is written
// to a table and synced, and from then on that is the truth. Errors before
// the log (ended context, wrong epoch, illegal row) are definite.
//
// Where Pebble itself cannot go on (its manifest cannot be written, or the log fails
// in the very moment, once every few megabytes, in which a new one is begun)
// it demands the end of the process: it panics, and where Pebble lets us, the
// reason is logged as one line first. Nothing acknowledged is lost by that.
package pebble

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Config says where a store is and how it speaks.
type Config struct {
	// Dir is the folder of the database; made if it does not exist. Required.
	Dir string
	// Logger gets Pebble's chatter at debug level, and trouble with the disk
	// as warnings and errors. Default: nothing is logged.
	Logger *slog.Logger
	// FS is the file system; tests crash it. Default: the operating system's.
	FS vfs.FS
}

// Store is an open store. Make one with [Open].
type Store struct {
	cfg Config
	log *slog.Logger
	fs  vfs.FS

	// mu orders the calls: commits hold it for reading until they are durable;
	// who must see no commit under way holds it for writing.
	mu     sync.RWMutex
	lock   *pebble.Lock // on the folder, from Open to Close; under mu
	db     *pebble.DB   // nil while closed or not reopened; under mu
	epoch  int64        // of the last claim; under mu
	closed bool         // under mu

	// failed says that a commit ended unknown, so that db must be reopened.
	failed atomic.Bool
	// loads counts the iterators that a reopening must wait for; raised under mu.
	loads sync.WaitGroup
}

// Open opens the store in a folder and takes the folder for this process. An
// error is one line for the operator, naming the folder and the way out.
func Open(cfg Config) (*Store, error) {
	s := &Store{cfg: cfg, log: cfg.Logger, fs: cfg.FS}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.fs == nil {
		s.fs = vfs.Default
		dir, err := filepath.Abs(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("cannot open store: %w", err)
		}
		s.cfg.Dir = dir
	}
	if cfg.Dir == "" {
		return nil, errors.New("cannot open store: no folder given")
	}
	if err := makeFolder(s.fs, s.cfg.Dir); err != nil {
		return nil, unusable(s.cfg.Dir, err)
	}
	var err error
	if s.lock, err = pebble.LockDirectory(s.cfg.Dir, s.fs); err != nil {
		return nil, unlockable(s.cfg.Dir, err)
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

// open opens the database and reads its epoch. The caller holds mu, or is Open.
func (s *Store) open() error {
	db, err := pebble.Open(s.cfg.Dir, s.options())
	if err != nil {
		return unusable(s.cfg.Dir, err)
	}
	epoch, err := readEpoch(db)
	if err != nil {
		_ = db.Close()
		return fmt.Errorf("cannot open store in folder %s: %w", s.cfg.Dir, err)
	}
	s.db, s.epoch = db, epoch
	s.failed.Store(false)
	return nil
}

// options are Pebble's, for a small server: the engine keeps what it reads in
// memory, so the database needs no cache to speak of.
func (s *Store) options() *pebble.Options {
	return &pebble.Options{
		FS:                          s.cfg.FS, // nil makes Pebble watch the disk's health
		Lock:                        s.lock,
		Logger:                      logger{s.log},
		EventListener:               s.listener(),
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   4 << 20,
		MemTableSize:                8 << 20, // grows to this from 256 KB
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                256,
	}
}

// reopen makes a failed store usable again. The caller holds mu for writing.
func (s *Store) reopen() error {
	if s.db != nil {
		s.loads.Wait()
		if err := s.db.Close(); err != nil {
			s.log.Debug("closed the failed store", "folder", s.cfg.Dir, "error", err)
		}
		s.db = nil
	}
	if err := s.open(); err != nil {
		return err
	}
	s.log.Info("store opened anew after a failed commit", "folder", s.cfg.Dir)
	return nil
}

// Close implements [store.Store]. The folder is free for another process then.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("cannot close store: it is closed")
	}
	s.closed = true
	s.loads.Wait()
	var err error
	if s.db != nil {
		err = s.db.Close()
		s.db = nil
	}
	if err := errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("cannot close store in folder %s: %w", s.cfg.Dir, err)
	}
	return nil
}
