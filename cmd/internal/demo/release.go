package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/firmware/sign"
)

// product is what the demo's devices run.
const product = "app"

// appFiles are the files of a version of the product, by name.
func appFiles(version string) map[string]string {
	return map[string]string{
		"VERSION": version + "\n",
		"app":     "#!/bin/sh\necho \"app $(cat \"$(dirname \"$0\")/VERSION\")\"\n",
		// The agent tells the version that it expects in MUSTER_VERSION.
		"health": "#!/bin/sh\nread -r version < \"$(dirname \"$0\")/VERSION\" && [ \"$version\" = \"$MUSTER_VERSION\" ]\n",
	}
}

// releases are the two signed versions.
type releases struct {
	old, new firmware.Target
	root     string // file of the root metadata, shipped with every device
}

// publish makes a firmware key for one person as muster firmware init --solo
// does, signs versions 5 and 6 of the product and publishes them.
func publish(ctx context.Context, server, folder string) (r releases, err error) {
	client := repo.Client{URL: server}
	status, err := client.Status(ctx)
	if err != nil {
		return r, err
	}
	passphrase := []byte(rand.Text())
	w, _, err := sign.InitSolo(sign.SoloConfig{
		Dir: filepath.Join(folder, "operator"), Settings: sign.Settings{Server: server},
		OnlineKey: status.OnlineKey, Passphrase: passphrase, Now: time.Now(),
	})
	if err != nil {
		return r, err
	}
	defer w.Close()
	add := func(version string) (firmware.Target, error) {
		source := filepath.Join(folder, "build", version)
		if err := writeApp(source, version); err != nil {
			return firmware.Target{}, err
		}
		return w.Add(sign.Release{Source: source, Product: product, Version: version, Passphrase: passphrase, Now: time.Now()})
	}
	if r.old, err = add("5"); err != nil {
		return r, err
	}
	if r.new, err = add("6"); err != nil {
		return r, err
	}
	if _, _, err := client.Publish(ctx, w); err != nil {
		return r, err
	}
	r.root = w.RootPath()
	return r, nil
}

func writeApp(folder, version string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("cannot write version %s of the product: %w", version, err)
	}
	for name, text := range appFiles(version) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o755); err != nil {
			return fmt.Errorf("cannot write version %s of the product: %w", version, err)
		}
	}
	return nil
}
