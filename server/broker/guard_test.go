package broker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// TestPacketThatKillsMochi sends the SUBSCRIBE that makes mochi 2.7.9 panic
// in the connection's goroutine (index out of range in SubscribeDecode).
func TestPacketThatKillsMochi(t *testing.T) {
	s := start(t, broker.Limits{})
	other := connect(t, s.addr, "other", 4)
	other.subscribe(0, "a/b", "wills/dev")
	for range 3 {
		hello := connectPacket("dev", 5)
		hello.Connect.Clean = false
		hello.Properties.SessionExpiryInterval, hello.Properties.SessionExpiryIntervalFlag = 600, true
		hello.Connect.WillFlag, hello.Connect.WillTopic, hello.Connect.WillPayload = true, "wills/dev", []byte("gone")
		w := dial(t, s.addr)
		if w.hello(hello).SessionPresent {
			t.Error("the session survived a panic")
		}
		w.subscribe(0, "a/b")
		w.raw([]byte{0x82, 6, 0, 1, 0, 0, 1, 'a'})
		w.wantClosed(patience)
		other.wantPublish("wills/dev", "gone")
	}
	wantReasons(t, s, "dev", broker.ClientError, broker.ClientError, broker.ClientError)
	if s.Connected() != 1 {
		t.Errorf("%d connected, want 1", s.Connected())
	}
	if got := s.SubscribersOf("a/b"); len(got) != 1 || got[0] != "other" {
		t.Errorf("subscribers left: %v", got)
	}
	s.Publish("a/b", []byte("alive"))
	other.wantPublish("a/b", "alive")
	wantHealthy(t, s)
}

func TestHandlerPanic(t *testing.T) {
	s := start(t, broker.Limits{})
	s.onPublish = func(broker.Client, string, []byte) (bool, error) { panic("bug") }
	s.onConnect = func(c broker.Client) error {
		if c.ID == "early" {
			panic("bug")
		}
		return nil
	}
	w := connect(t, s.addr, "dev", 4)
	w.publish("a", "x", 1, 1)
	if got := w.wantClosed(patience); len(got) != 0 {
		t.Errorf("got %v before the end", got)
	}
	wantReasons(t, s, "dev", broker.ServerError)

	early := dial(t, s.addr)
	early.send(connectPacket("early", 4))
	early.wantClosed(patience)
	if got := s.of("disconnect", "early"); len(got) != 0 {
		t.Errorf("end reported of a session that never was: %v", got)
	}
	s.onPublish = nil
	wantHealthy(t, s)
}

// TestFirstPacket: whatever is not a small CONNECT within the deadline is
// closed without an answer.
func TestFirstPacket(t *testing.T) {
	big := connectPacket("dev", 4)
	big.Connect.UsernameFlag, big.Connect.Username = true, bytes.Repeat([]byte("x"), 17<<10)
	for _, tc := range []struct {
		name string
		send []byte
		fast bool // closed before the deadline
	}{
		{"silence", nil, false},
		{"half a header", []byte{0x10}, false},
		{"half a CONNECT", []byte{0x10, 20, 0, 4, 'M', 'Q'}, false},
		{"PUBLISH", []byte{0x30, 3, 0, 1, 'a'}, true},
		{"huge PUBLISH", []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, true},
		{"huge CONNECT", []byte{0x10, 0xff, 0xff, 0xff, 0x7f}, true},
		{"endless length", []byte{0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, true},
		{"CONNECT of 17 KiB", encode(t, big), true},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), true},
		{"CONNECT of another protocol", []byte{0x10, 12, 0, 4, 'H', 'T', 'T', 'P', 4, 2, 0, 60, 0, 0}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			deadline := 300 * time.Millisecond
			if tc.fast {
				deadline = time.Hour
			}
			s := start(t, broker.Limits{ConnectTimeout: deadline})
			begin := time.Now()
			w := dial(t, s.addr)
			_, _ = w.Write(tc.send)
			w.wantClosed(patience)
			if took := time.Since(begin); !tc.fast && took < deadline {
				t.Errorf("closed after %v, before the deadline", took)
			}
			if got := s.of("connect", ""); len(got) != 0 {
				t.Errorf("sessions %v", got)
			}
			wantHealthy(t, s)
		})
	}
}

func TestPermissions(t *testing.T) {
	s := start(t, broker.Limits{}, func(cfg *broker.Config) {
		cfg.Authorizer = only{publish: "mine/#", subscribe: "mine/#"}
	})
	w := connect(t, s.addr, "dev", 4)
	if got := w.subscribe(1, "mine/a", "theirs/a"); !bytes.Equal(got, []byte{1, 0x80}) {
		t.Errorf("SUBACK %v", got)
	}
	w.publish("mine/a", "x", 0, 0)
	w.wantPublish("mine/a", "x")
	w.publish("theirs/a", "x", 0, 0)
	w.wantClosed(patience)
	wantReasons(t, s, "dev", broker.ForbiddenAccess)
	if got := s.of("publish", ""); len(got) != 1 {
		t.Errorf("the handler got %v", got)
	}
}

func TestNoAuthorizerPermitsNothing(t *testing.T) {
	s := start(t, broker.Limits{}, func(cfg *broker.Config) { cfg.Authorizer, cfg.Handler = nil, nil })
	w := connect(t, s.addr, "dev", 4)
	if got := w.subscribe(1, "a"); got[0] != 0x80 {
		t.Errorf("SUBACK %v", got)
	}
	w.publish("a", "x", 0, 0)
	w.wantClosed(patience)
}

func TestListenerClosedByOthers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.New(broker.Config{Listeners: []net.Listener{listener}})
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := b.Run(context.Background()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
}

// TestShutdown ends Run with clients in all conditions: everyone's end is
// reported, nothing is left.
func TestShutdown(t *testing.T) {
	before := runtime.NumGoroutine()
	s := start(t, broker.Limits{})
	var clients []*wire
	for _, id := range []string{"a", "b", "c"} {
		clients = append(clients, connect(t, s.addr, id, 4))
	}
	v5 := connect(t, s.addr, "v5", 5)
	silent := dial(t, s.addr)
	stalled := connect(t, s.addr, "stalled", 4)
	stalled.subscribe(1, "bulk")
	for range 60 {
		s.Publish("bulk", bytes.Repeat([]byte("x"), 100<<10))
	}
	begin := time.Now()
	s.stop()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("Run returned after %v", took)
	} else {
		t.Logf("Run returned after %v", took)
	}
	for _, id := range []string{"a", "b", "c", "v5", "stalled"} {
		wantReasons(t, s, id, broker.ServerInitiatedDisconnect)
	}
	for _, w := range append(clients, silent) {
		w.wantClosed(patience)
	}
	bye := v5.wantClosed(patience)
	if len(bye) != 1 || bye[0].ReasonCode != packets.ErrServerShuttingDown.Code {
		t.Errorf("the MQTT 5 client was told %v", bye)
	}
	s.Publish("a", nil)
	s.Send(1, "a", nil)
	near, far := net.Pipe()
	go s.Serve(far)
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection after the end: %v", err)
	}
	eventually(t, "goroutines gone", func() bool { return runtime.NumGoroutine() <= before })
}
