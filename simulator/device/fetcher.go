package device

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/muster-iot/muster/agent/update"
	"github.com/muster-iot/muster/agent/verify"
	"github.com/muster-iot/muster/firmware"
)

// fetcher downloads targets over HTTP onto the flash. The real one writes to
// the disk of the operating system, which a virtual thing does not have.
type fetcher struct {
	device  *Device
	machine *machine
}

// Fetch downloads a target unless the flash has it.
func (f *fetcher) Fetch(ctx context.Context, t firmware.Target) error {
	if data, err := f.machine.flash.ReadFile(f.File(t)); err == nil && sha256.Sum256(data) == t.SHA256 {
		return nil
	}
	if !f.device.network.reachable() {
		return fmt.Errorf("%w: %w", update.ErrUnavailable, errUnplugged)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.device.cfg.HTTP+"/tuf/"+t.File(), nil)
	if err != nil {
		return err
	}
	resp, err := f.device.cfg.Client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %v", update.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code >= 500:
		return fmt.Errorf("%w: %s", update.ErrUnavailable, resp.Status)
	case code != http.StatusOK:
		return fmt.Errorf("cannot download %s: the server answers %s", t.Path, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, t.Length+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %v", update.ErrUnavailable, err)
	case int64(len(data)) != t.Length || sha256.Sum256(data) != t.SHA256:
		return fmt.Errorf("cannot download %s: it is not the signed file", t.Path)
	}
	return f.machine.disk().WriteFile(f.File(t), data, 0o600)
}

// Verify hashes what is on the flash.
func (f *fetcher) Verify(_ context.Context, t firmware.Target) error {
	data, err := f.machine.flash.ReadFile(f.File(t))
	if err != nil {
		return fmt.Errorf("cannot verify %s: %w", t.Path, err)
	}
	if sha256.Sum256(data) != t.SHA256 {
		return fmt.Errorf("the staged file of %s is not the signed one", t.Path)
	}
	return nil
}

// File returns the name on the flash.
func (f *fetcher) File(t firmware.Target) string { return downloadsDir + "/" + t.SHA256.String() }

// Remove deletes the download.
func (f *fetcher) Remove(t firmware.Target) error {
	if err := f.machine.flash.Remove(f.File(t)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// reachable is the signed metadata behind the device's cable.
type reachable struct {
	verify.Metadata
	network *network
}

// Fetch reads a file of the repository while the cable is in.
func (r reachable) Fetch(ctx context.Context, name string, maxBytes int64) ([]byte, error) {
	if !r.network.reachable() {
		return nil, fmt.Errorf("%w: %w", update.ErrUnavailable, errUnplugged)
	}
	return r.Metadata.Fetch(ctx, name, maxBytes)
}
