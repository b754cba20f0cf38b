package floor_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-iot/muster/internal/devcert"
	"github.com/muster-iot/muster/internal/floor"
)

// serve runs a floor until the test ends and returns its address.
func serve(t *testing.T, kind floor.Kind, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- floor.Serve(ctx, kind, wrap(l)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the floor ended with %v", err)
		}
	})
	return l.Addr().String()
}

func plain(l net.Listener) net.Listener { return l }

// TestFloors: both answer, each connection with its own and in order, and
// there may be many.
func TestFloors(t *testing.T) {
	for _, kind := range []floor.Kind{floor.KindEcho, floor.KindRaw} {
		t.Run(string(kind), func(t *testing.T) {
			address := serve(t, kind, plain)
			var all sync.WaitGroup
			for _, name := range []string{"a", "b", "c"} {
				all.Go(func() {
					c, err := floor.Dial(t.Context(), &net.Dialer{}, address, name)
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					for _, size := range []int{0, 1, 100, 1000, 64 << 10} {
						if err := c.Echo(bytes.Repeat([]byte(name), size)); err != nil {
							t.Errorf("%s, %d bytes: %v", name, size, err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

func TestMeasure(t *testing.T) {
	f, err := devcert.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.ServerCert, f.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	secure := func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	unchecked := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // what is measured here is no secret
	for _, c := range []struct {
		name   string
		kind   floor.Kind
		wrap   func(net.Listener) net.Listener
		dialer floor.Dialer
	}{
		{"mochi over TCP", floor.KindEcho, plain, nil},
		{"mochi over TLS", floor.KindEcho, secure, unchecked},
		{"a raw loop over TCP", floor.KindRaw, plain, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			ready, samples := 0, 0
			load := floor.Load{Address: serve(t, c.kind, c.wrap), Dialer: c.dialer, Idle: 20, Every: time.Millisecond}
			err := floor.Measure(ctx, load, func() { ready++ }, func(d time.Duration) {
				if d <= 0 {
					t.Errorf("an answer after %v", d)
				}
				if samples++; samples == 20 {
					cancel()
				}
			})
			if err != nil || ready != 1 || samples < 20 {
				t.Errorf("error %v, ready %d times, %d samples", err, ready, samples)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	if err := floor.Serve(t.Context(), "cellar", nil); err == nil {
		t.Error("there is a floor named cellar")
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	err = floor.Measure(t.Context(), floor.Load{Address: gone.Addr().String(), Idle: 3}, func() { t.Error("ready") }, func(time.Duration) {})
	if err == nil || !strings.Contains(err.Error(), "no floor") {
		t.Errorf("error %v", err)
	}
	if err := floor.Serve(t.Context(), floor.KindRaw, gone); err == nil {
		t.Error("a closed listener is served")
	}
}

// FuzzRaw: whatever a client says, the raw loop answers or ends; it does not
// hang while there is input and never panics.
func FuzzRaw(f *testing.F) {
	for _, s := range []string{
		"", "\x10\x00", "\x30\x00", "\x32\x05\x00\x04in/x", "\x32\x09\x00\x04in/x\x00\x01hi"[:11], "\x32\x0a\x00\x04in/x\x00\x01hi",
		"\x82\x08\x00\x01\x00\x03out\x01", "\x82\x02\x00\x01", "\x82\x01\x00", "\xc0\x00", "\xe0\x00", "\xff\xff\xff\xff\xff", "\x30\x02\xff\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		c := &talker{in: bytes.NewReader(said)}
		_ = floor.Talk(c)
	})
}

// talker is a connection that says one thing and hears everything.
type talker struct {
	net.Conn
	in *bytes.Reader
}

func (t *talker) Read(p []byte) (int, error)  { return t.in.Read(p) }
func (t *talker) Write(p []byte) (int, error) { return len(p), nil }

// TestListen: what is sent without waiting is acknowledged and comes back to
// whoever watches.
func TestListen(t *testing.T) {
	address := serve(t, floor.KindEcho, plain)
	open := func(name string) *floor.Client {
		c, err := floor.Open(t.Context(), &net.Dialer{}, address, name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	watcher, sender := open("watcher"), open("sender")
	if err := watcher.Watch("out/#"); err != nil {
		t.Fatal(err)
	}
	const messages = 50 // fewer than the floor keeps for a client that is behind
	var all sync.WaitGroup
	all.Go(func() {
		heard := 0
		_ = watcher.Listen(func(topic, payload []byte) {
			if string(topic) != "out/sender" || string(payload) != "hello" {
				t.Errorf("heard %q on %s", payload, topic)
			}
			if heard++; heard == messages {
				watcher.Close()
			}
		}, func(id uint16) { t.Errorf("acknowledgement %d of nothing", id) })
		if heard != messages {
			t.Errorf("heard %d messages, want %d", heard, messages)
		}
	})
	all.Go(func() {
		var last uint16
		_ = sender.Listen(func(topic, _ []byte) { t.Errorf("the sender heard %s", topic) }, func(id uint16) {
			if last++; id != last {
				t.Errorf("acknowledgement of %d, want %d", id, last)
			}
			if last == messages {
				sender.Close()
			}
		})
		if last != messages {
			t.Errorf("%d acknowledgements, want %d", last, messages)
		}
	})
	for range messages {
		if err := sender.Send("in/sender", []byte("hello")); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
}
