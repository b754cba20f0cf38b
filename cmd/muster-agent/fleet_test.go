package main_test

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/repo"
	"github.com/muster-iot/muster/firmware/sign"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/protocol/jobs"
	"github.com/muster-iot/muster/server"
	"github.com/muster-iot/muster/simulator/awsapi"
)

// patience is how long a test waits for what has to happen.
const patience = 60 * time.Second

// fleet is a real server with a signed repository, and a slow road to it.
type fleet struct {
	t    *testing.T
	mqtt string
	// web is the address for devices: a proxy that lets artifacts through at
	// a rate, and counts requests for the rest of one.
	web    string
	slow   atomic.Bool
	ranges atomic.Int32
	api    *awsapi.Client
	root   string // file of the trusted root
	target map[string]firmware.Target
}

// startFleet starts a server and publishes versions 5 and 6 of a product that
// takes a while to download.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	ready := make(chan server.Addresses, 1)
	s, err := server.New(server.Config{
		Data: filepath.Join(t.TempDir(), "musterd"), HTTP: "127.0.0.1:0", MQTT: "127.0.0.1:0", Account: server.DefaultAccount,
		Region: server.DefaultRegion, Dev: true, Logger: slog.New(slog.DiscardHandler), Ready: func(a server.Addresses) { ready <- a },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	var at server.Addresses
	select {
	case at = <-ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("the server does not start: %v", err)
	}
	f := &fleet{t: t, mqtt: at.MQTT, target: map[string]firmware.Target{}}
	f.web = f.proxy("http://" + at.HTTP)
	if f.api, err = awsapi.New("http://"+at.HTTP, nil); err != nil {
		t.Fatal(err)
	}
	f.publish("http://" + at.HTTP)
	return f
}

// proxy is the slow road.
func (f *fleet) proxy(to string) string {
	target, err := url.Parse(to)
	if err != nil {
		f.t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(target)
	through.ErrorLog = nil
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/tuf/targets/") {
			if r.Header.Get("Range") != "" {
				f.ranges.Add(1)
			}
			w = &slowWriter{ResponseWriter: w, slow: &f.slow}
		}
		through.ServeHTTP(w, r)
	}))
	f.t.Cleanup(p.Close)
	return p.URL
}

// slowWriter lets about 4 MB a second through.
type slowWriter struct {
	http.ResponseWriter
	slow *atomic.Bool
}

func (w *slowWriter) Write(p []byte) (int, error) {
	if w.slow.Load() {
		<-time.After(time.Duration(len(p)) * time.Second / (4 << 20))
	}
	n, err := w.ResponseWriter.Write(p)
	w.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

// publish makes a key, signs two versions and publishes them.
func (f *fleet) publish(server string) {
	f.t.Helper()
	ctx, passphrase := f.t.Context(), []byte("correct horse battery")
	client := repo.Client{URL: server}
	status, err := client.Status(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	w, _, err := sign.InitSolo(sign.SoloConfig{
		Dir: filepath.Join(f.t.TempDir(), "operator"), Settings: sign.Settings{Server: server},
		OnlineKey: status.OnlineKey, Passphrase: passphrase, Now: time.Now(),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	defer w.Close()
	for _, version := range []string{"5", "6"} {
		source := f.t.TempDir()
		write(f.t, filepath.Join(source, "VERSION"), version)
		ballast, err := os.Create(filepath.Join(source, "ballast"))
		if err != nil {
			f.t.Fatal(err)
		}
		_, err = io.CopyN(ballast, rand.NewChaCha8([32]byte{version[0]}), 4<<20)
		if err != nil {
			f.t.Fatal(err)
		}
		if err := ballast.Close(); err != nil {
			f.t.Fatal(err)
		}
		f.target[version], err = w.Add(sign.Release{Source: source, Product: "app", Version: version, Passphrase: passphrase, Now: time.Now()})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	if _, _, err := client.Publish(ctx, w); err != nil {
		f.t.Fatal(err)
	}
	root, err := w.Root()
	if err != nil {
		f.t.Fatal(err)
	}
	f.root = filepath.Join(f.t.TempDir(), "root.json")
	write(f.t, f.root, string(root))
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// push makes a job for one thing.
func (f *fleet) push(job protocol.JobID, thing, version string) {
	f.t.Helper()
	doc, err := jsonOf(f.target[version].Document())
	if err != nil {
		f.t.Fatal(err)
	}
	arn := protocol.ARN{Region: server.DefaultRegion, Account: server.DefaultAccount, Kind: protocol.KindThing, Name: thing}
	if err := f.api.CreateJob(f.t.Context(), awsapi.JobSpec{ID: job, Targets: []string{arn.String()}, Document: doc}); err != nil {
		f.t.Fatal(err)
	}
}

// status returns how the execution of a job stands; empty while there is none.
func (f *fleet) status(job protocol.JobID) jobs.ExecutionStatus {
	list, err := f.api.ExecutionsOfJob(f.t.Context(), job)
	if err != nil || len(list) != 1 {
		return ""
	}
	return list[0].Status
}

// ends waits until the execution of a job has ended.
func (f *fleet) ends(job protocol.JobID) jobs.ExecutionStatus {
	f.t.Helper()
	var status jobs.ExecutionStatus
	f.eventually("the end of job "+string(job), func() bool { status = f.status(job); return status.Terminal() })
	return status
}

// reported returns the version in the thing's shadow.
func (f *fleet) reported(thing string) any {
	shadow, err := f.api.Shadow(f.t.Context(), protocol.ThingName(thing))
	if err != nil {
		return err
	}
	return shadow.Reported["softwareVersion"]
}

// eventually polls until something holds.
func (f *fleet) eventually(what string, holds func() bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}
