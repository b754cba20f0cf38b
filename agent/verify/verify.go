// Package verify is the agent's trust in targets, on firmware/trust: it
// refreshes the signed metadata, finds the target that a job document names
// and applies the device's own rules to it. It owns how the three kinds of
// bad news are told apart: a target that is not for this device is refused,
// metadata that cannot be trusted fails the update, and a server that cannot
// be reached is waited for.
package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muster-iot/muster/agent/fetch"
	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/trust"
	document "github.com/muster-iot/muster/protocol/update"
)

// Verifier is what is needed of a [trust.Verifier].
type Verifier interface {
	Refresh(ctx context.Context, now time.Time) error
	Target(path string) (firmware.Target, error)
}

// Trust resolves job documents to signed targets. It is an agent's Trust.
type Trust struct {
	// Verifier holds the signed metadata.
	Verifier Verifier
	// Products, HardwareID, Formats and AgentVersion are what the device knows
	// of itself; see [trust.Device].
	Products     []string
	HardwareID   string
	Formats      []string
	AgentVersion string
}

// Resolve returns the signed target of a document if this device may install
// it over what the product runs now.
func (t Trust) Resolve(ctx context.Context, now time.Time, doc document.Document, committed update.Release) (firmware.Target, error) {
	if err := t.Verifier.Refresh(ctx, now); err != nil {
		return firmware.Target{}, fmt.Errorf("cannot refresh the signed metadata: %w", err)
	}
	target, err := t.Verifier.Target(doc.Target)
	if err == nil {
		err = trust.CheckDocument(doc, target)
	}
	if err == nil {
		err = trust.Check(target, trust.Device{
			Products: t.Products, HardwareID: t.HardwareID, CommittedSeq: committed.Seq, RollbackFloor: committed.Floor,
			Formats: t.Formats, AgentVersion: t.AgentVersion,
		})
	}
	if refusal, ok := errors.AsType[*trust.Refusal](err); ok {
		return firmware.Target{}, update.Refusef("%s", refusal.Error())
	}
	return target, err
}

// Metadata reads the repository's metadata for a [trust.Verifier].
type Metadata struct{ Fetcher *fetch.Fetcher }

// Fetch reads one file of the repository.
func (m Metadata) Fetch(ctx context.Context, name string, maxBytes int64) ([]byte, error) {
	data, err := m.Fetcher.Get(ctx, name, maxBytes)
	if errors.Is(err, fetch.ErrNotFound) {
		err = fmt.Errorf("%w: %w", trust.ErrNotFound, err)
	}
	return data, err
}
