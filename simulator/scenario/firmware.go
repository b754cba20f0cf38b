package scenario

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/firmware/sign"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/internal/durable"
	"github.com/muster-iot/muster/protocol"
)

// Firmware is two signed versions of a product in a server's repository, and
// the root that devices are born with.
type Firmware struct {
	Root     []byte
	From, To firmware.Target
}

// Source says where the signed versions come from.
type Source struct {
	// HTTP is the server's base URL.
	HTTP string
	// TLS says whom to trust and what to show over HTTPS and, with mqtts://,
	// MQTT. Default: the system's roots, no certificate.
	TLS *tls.Config
	// Product, From and To name them.
	Product, From, To string
	// Workspace is the operator's firmware folder, which signs what it does
	// not have yet; Passphrase opens its key. Empty: what the server has
	// already is used, and on a server without any firmware a key is made for
	// this one run.
	Workspace  string
	Passphrase []byte
}

// client makes requests to the server.
func (src Source) client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: src.TLS, IdleConnTimeout: 30 * time.Second,
	}}
}

// Prepare makes sure that both versions are published.
func Prepare(ctx context.Context, src Source) (*Firmware, error) {
	client := repo.Client{URL: src.HTTP, HTTP: src.client()}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for the server's firmware repository: %w", err)
	}
	switch {
	case src.Workspace != "":
		w, err := sign.Open(src.Workspace)
		if err != nil {
			return nil, err
		}
		defer w.Close()
		return src.publish(ctx, client, w, src.Passphrase)
	case len(status.Roles) > 0:
		return src.adopt(ctx)
	}
	dir, err := os.MkdirTemp("", "muster-sim-firmware-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder for the firmware key: %w", err)
	}
	defer os.RemoveAll(dir)
	passphrase := []byte(rand.Text())
	w, _, err := sign.InitSolo(sign.SoloConfig{
		Dir: filepath.Join(dir, "workspace"), Settings: sign.Settings{Server: src.HTTP},
		OnlineKey: status.OnlineKey, Passphrase: passphrase, Now: time.Now(),
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make a firmware key: %w", err)
	}
	defer w.Close()
	return src.publish(ctx, client, w, passphrase)
}

// publish signs what the workspace does not have and uploads it.
func (src Source) publish(ctx context.Context, client repo.Client, w *sign.Workspace, passphrase []byte) (*Firmware, error) {
	f := &Firmware{}
	for _, v := range []struct {
		version string
		target  *firmware.Target
	}{{src.From, &f.From}, {src.To, &f.To}} {
		t, err := w.Find(src.Product, v.version)
		if protocol.CodeOf(err) == protocol.NotFound {
			t, err = src.add(w, v.version, passphrase)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot sign version %s of %s: %w", v.version, src.Product, err)
		}
		*v.target = t
	}
	if _, _, err := client.Publish(ctx, w); err != nil {
		return nil, fmt.Errorf("cannot publish the signed versions: %w", err)
	}
	root, err := w.Root()
	f.Root = root
	return f, err
}

// add packs a small application and signs it.
func (src Source) add(w *sign.Workspace, version string, passphrase []byte) (firmware.Target, error) {
	dir, err := os.MkdirTemp("", "muster-sim-app-")
	if err != nil {
		return firmware.Target{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte(version+"\n"), 0o600); err != nil {
		return firmware.Target{}, err
	}
	// Something that does not compress to nothing.
	noise := make([]byte, 2048)
	if _, err := rand.Read(noise); err != nil {
		return firmware.Target{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), []byte(hex.EncodeToString(noise)), 0o600); err != nil {
		return firmware.Target{}, err
	}
	return w.Add(sign.Release{Source: dir, Product: src.Product, Version: version, Passphrase: passphrase, Now: time.Now()})
}

// maxRoot bounds the root metadata that is taken from the server, in bytes.
const maxRoot = 512 << 10

// adopt uses what the server has published already. Its first root is taken
// on trust, as a simulation may; everything after is verified.
func (src Source) adopt(ctx context.Context) (*Firmware, error) {
	root, err := src.get(ctx, "1.root.json", maxRoot)
	if err != nil {
		return nil, fmt.Errorf("cannot read the repository's root: %w", err)
	}
	v, err := trust.Open(trust.Config{FS: durable.NewCrashable(), Root: root, Fetch: fetcher(src.get)})
	if err != nil {
		return nil, err
	}
	defer v.Close()
	if err := v.Refresh(ctx, time.Now()); err != nil {
		return nil, fmt.Errorf("cannot verify the server's firmware repository: %w", err)
	}
	f := &Firmware{Root: root}
	for version, target := range map[string]*firmware.Target{src.From: &f.From, src.To: &f.To} {
		path := fmt.Sprintf("%s/%s-%s.tar.zst", src.Product, src.Product, version)
		if *target, err = v.Target(path); err != nil {
			return nil, fmt.Errorf("the server has firmware, but no version %s of %s, and only its owner can sign one: give the firmware folder with --firmware DIR, or run against a fresh server (%w)",
				version, src.Product, err)
		}
	}
	return f, nil
}

// fetcher is a function as a [trust.Fetcher].
type fetcher func(ctx context.Context, name string, maxBytes int64) ([]byte, error)

// Fetch reads a file of the repository.
func (f fetcher) Fetch(ctx context.Context, name string, maxBytes int64) ([]byte, error) {
	return f(ctx, name, maxBytes)
}

func (src Source) get(ctx context.Context, name string, maxBytes int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, src.HTTP+"/tuf/"+name, nil)
	if err != nil {
		return nil, err
	}
	resp, err := src.client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusForbidden, http.StatusGone:
		return nil, fmt.Errorf("%s: %w", name, trust.ErrNotFound)
	default:
		return nil, fmt.Errorf("%s: the server answers %s", name, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err == nil && int64(len(data)) > maxBytes {
		err = errors.New(name + " is too long")
	}
	return data, err
}
