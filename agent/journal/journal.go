// Package journal is a device's memory across power cuts: two small files in
// its state folder, each one JSON line with a checksum, each replaced as a
// whole. state.json is the update machine's state, written before every phase;
// committed.json is what each product runs and rolls back to, written only at
// commit. It owns the two files and their format and decides nothing: what an
// unreadable state leads to is in agent/update.
package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/muster-iot/muster/agent/update"
)

// FS is the disk under a journal. It must be safe to lose power during WriteFile.
type FS interface {
	// ReadFile returns a file's content, or an error that is [fs.ErrNotExist].
	ReadFile(name string) ([]byte, error)
	// WriteFile replaces a file: after a crash it holds the old or the new
	// content, and the new one once WriteFile has returned.
	WriteFile(name string, data []byte, perm fs.FileMode) error
}

// The names of the two files.
const (
	StateFile     = "state.json"
	CommittedFile = "committed.json"
)

// Journal keeps the records of one device. It is used by one goroutine.
type Journal struct {
	fs               FS
	state, committed string
}

// New returns the journal in a folder, which must exist.
func New(disk FS, dir string) *Journal {
	return &Journal{fs: disk, state: filepath.Join(dir, StateFile), committed: filepath.Join(dir, CommittedFile)}
}

// State returns the machine's state: the zero State when none was ever
// written, and the phase [update.Unreadable] with an error that is
// [ErrCorrupt] when what is there cannot be trusted.
func (j *Journal) State() (update.State, error) {
	var s update.State
	err := j.load(j.state, &s)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return update.State{}, nil
	case err == nil && s.Schema != update.Schema:
		err = fmt.Errorf("%w: state of schema %d, this agent knows %d", ErrCorrupt, s.Schema, update.Schema)
	}
	if err != nil {
		return update.State{Phase: update.Unreadable}, fmt.Errorf("cannot read %s: %w", j.state, err)
	}
	return s, nil
}

// SaveState writes the machine's state.
func (j *Journal) SaveState(s update.State) error { return j.save(j.state, s) }

// Committed returns what each product runs; empty when none was ever committed.
// The error is [ErrCorrupt] when what is there cannot be trusted.
func (j *Journal) Committed() (map[string]update.Release, error) {
	committed := map[string]update.Release{}
	err := j.load(j.committed, &committed)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return map[string]update.Release{}, nil
	case err != nil:
		return map[string]update.Release{}, fmt.Errorf("cannot read %s: %w", j.committed, err)
	}
	return committed, nil
}

// SaveCommitted writes what each product runs.
func (j *Journal) SaveCommitted(committed map[string]update.Release) error {
	return j.save(j.committed, committed)
}

func (j *Journal) load(name string, into any) error {
	data, err := j.fs.ReadFile(name)
	if err != nil {
		return err
	}
	return Decode(data, into)
}

func (j *Journal) save(name string, v any) error {
	data, err := Encode(v)
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", name, err)
	}
	return j.fs.WriteFile(name, data, 0o600)
}
