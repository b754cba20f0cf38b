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

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/internal/durable"
)

// The names of the two files.
const (
	StateFile     = "state.json"
	CommittedFile = "committed.json"
)

// Journal keeps the records of one device. It is used by one goroutine.
type Journal struct{ disk durable.Disk }

// New returns the journal in the root of a file system: [durable.OpenOS] of
// the state folder on a real device.
func New(disk durable.FS) *Journal { return &Journal{durable.Disk{FS: disk}} }

// State returns the machine's state: the zero State when none was ever
// written, and the phase [update.Unreadable] with an error when what is there
// cannot be read or is [ErrCorrupt].
func (j *Journal) State() (update.State, error) {
	var s update.State
	err := j.load(StateFile, &s)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return update.State{}, nil
	case err == nil && s.Schema != update.Schema:
		err = fmt.Errorf("%w: state of schema %d, this agent knows %d", ErrCorrupt, s.Schema, update.Schema)
	}
	if err != nil {
		return update.State{Phase: update.Unreadable}, fmt.Errorf("cannot read %s: %w", StateFile, err)
	}
	return s, nil
}

// SaveState writes the machine's state.
func (j *Journal) SaveState(s update.State) error { return j.save(StateFile, s) }

// Committed returns what each product runs; empty when none was ever committed.
// An error, such as [ErrCorrupt], comes with an empty map.
func (j *Journal) Committed() (map[string]update.Release, error) {
	var committed map[string]update.Release
	err := j.load(CommittedFile, &committed)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return map[string]update.Release{}, nil
	case err != nil:
		return map[string]update.Release{}, fmt.Errorf("cannot read %s: %w", CommittedFile, err)
	case committed == nil:
		committed = map[string]update.Release{}
	}
	return committed, nil
}

// SaveCommitted writes what each product runs.
func (j *Journal) SaveCommitted(committed map[string]update.Release) error {
	return j.save(CommittedFile, committed)
}

func (j *Journal) load(name string, into any) error {
	// What an earlier process wrote and did not live to sync must be durable
	// before anything is done because of it.
	if err := j.disk.SyncDir("."); err != nil {
		return err
	}
	data, err := j.disk.ReadFile(name)
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
	return j.disk.WriteFile(name, data, 0o600)
}
