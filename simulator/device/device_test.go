package device_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/sign"
	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/simulator/device"
)

// root is the root metadata of a repository; making a key takes a while.
var root = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "root-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	w, _, err := sign.InitSolo(sign.SoloConfig{
		Dir: filepath.Join(dir, "w"), OnlineKey: firmware.PublicKey{1}, Passphrase: []byte("a passphrase"), Now: time.Now(),
	})
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return w.Root()
})

// log keeps what devices tell.
type log struct {
	mu     sync.Mutex
	events []device.Event
}

func (l *log) add(e device.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *log) count(kind device.EventKind) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// broker accepts connections and answers CONNECT, SUBSCRIBE and PUBLISH; it
// says nothing more. It returns its address and a count of connections.
func broker(t *testing.T) (address string, ended func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	goodbyes := 0
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				if serve(c) {
					mu.Lock()
					goodbyes++
					mu.Unlock()
				}
			})
		}
	})
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return goodbyes
	}
}

// serve answers one connection and reports whether it ended with a goodbye.
func serve(c net.Conn) (goodbye bool) {
	defer c.Close()
	for {
		var head [2]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return false
		}
		n := int(head[1] & 0x7f)
		for shift := 7; head[1]&0x80 != 0; shift += 7 {
			if _, err := io.ReadFull(c, head[1:]); err != nil {
				return false
			}
			n |= int(head[1]&0x7f) << shift
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(c, body); err != nil {
			return false
		}
		var answer []byte
		switch head[0] >> 4 {
		case 1:
			answer = []byte{0x20, 2, 0, 0}
		case 3:
			id := 2 + int(body[0])<<8 + int(body[1])
			answer = []byte{0x40, 2, body[id], body[id+1]}
		case 8:
			answer = append([]byte{0x90, 0, body[0], body[1]}, granted(body[2:])...)
			answer[1] = byte(len(answer) - 2)
		case 14:
			return true
		}
		if _, err := c.Write(answer); err != nil {
			return false
		}
	}
}

// granted grants every filter of a SUBSCRIBE.
func granted(filters []byte) (codes []byte) {
	for len(filters) > 2 {
		n := 2 + int(filters[0])<<8 + int(filters[1])
		codes, filters = append(codes, 1), filters[n+1:]
	}
	return codes
}

func config(t *testing.T, mqtt string, l *log) device.Config {
	t.Helper()
	root, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return device.Config{
		Thing: "dev", MQTT: mqtt, HTTP: "http://127.0.0.1:1", Root: root, Product: "app", Version: "5", Seq: 50000,
		Seed: 1, RebootTime: 10 * time.Millisecond, Observe: l.add,
	}
}

// run lets a device live until the test ends, or until stop is called.
func run(t *testing.T, d *device.Device) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the device ended with %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func TestDropAndComeBack(t *testing.T) {
	l := &log{}
	address, goodbyes := broker(t)
	d, err := device.New(config(t, address, l))
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, d)
	eventually(t, "connected", func() bool { return d.Status().Connected })
	begun := time.Now()
	d.Drop(300 * time.Millisecond)
	eventually(t, "disconnected", func() bool { return l.count(device.Disconnected) == 1 })
	eventually(t, "connected again", func() bool { return d.Status().Connected })
	if took := time.Since(begun); took < 300*time.Millisecond {
		t.Errorf("it was back after %v", took)
	}
	if n := goodbyes(); n != 0 {
		t.Errorf("a cut connection said goodbye")
	}
	stop()
	eventually(t, "goodbye", func() bool { return goodbyes() == 1 })
	if s := d.Status(); s.Drops != 1 || s.Crashes != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestCrashAndBootAgain(t *testing.T) {
	l := &log{}
	address, goodbyes := broker(t)
	d, err := device.New(config(t, address, l))
	if err != nil {
		t.Fatal(err)
	}
	run(t, d)
	for n := 1; n <= 3; n++ {
		eventually(t, "connected", func() bool { return l.count(device.Connected) >= n && d.Status().Connected })
		d.Crash()
		d.Crash() // it is crashing already
		eventually(t, "crashed", func() bool { return d.Status().Crashes >= n })
	}
	eventually(t, "connected", func() bool { return d.Status().Connected })
	if s := d.Status(); s.Running.Version != "5" || s.Running.Seq != 50000 || s.Installs != 0 {
		t.Errorf("after power cuts it runs %+v", s.Running)
	}
	if goodbyes() != 0 {
		t.Error("a device without power said goodbye")
	}
}

// TestOffline: a device without a server waits and ends when it is told to.
func TestOffline(t *testing.T) {
	l := &log{}
	d, err := device.New(config(t, "127.0.0.1:1", l))
	if err != nil {
		t.Fatal(err)
	}
	run(t, d)
	eventually(t, "unreachable", func() bool { return l.count(device.Unreachable) >= 2 })
	d.Drop(time.Millisecond)
	d.Crash()
	eventually(t, "crashed", func() bool { return d.Status().Crashes == 1 })
}

func TestBadRootCannotBoot(t *testing.T) {
	cfg := config(t, "127.0.0.1:1", &log{})
	cfg.Root = []byte(`{"signed":{}}`)
	d, err := device.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(context.Background()); err == nil || !strings.Contains(err.Error(), `cannot boot "dev"`) {
		t.Errorf("error %v", err)
	}
}

// TestManyTogether: devices share nothing but the client of the repository.
func TestManyTogether(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	address, _ := broker(t)
	l := &log{}
	shared := config(t, address, l)
	shared.HTTP, shared.Client = web.URL, web.Client()
	var devices []*device.Device
	for _, name := range []protocol.ThingName{"a", "b", "c", "d", "e"} {
		cfg := shared
		cfg.Thing = name
		d, err := device.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, d)
		run(t, d)
	}
	for _, d := range devices {
		eventually(t, "connected", func() bool { return d.Status().Connected })
	}
}
