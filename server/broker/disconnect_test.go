package broker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/server/broker"
)

// TestVirtualDisconnect ends a persistent session with a will, with and
// without its connection, in every way that the options allow.
func TestVirtualDisconnect(t *testing.T) {
	const delay = 30
	for _, c := range []struct {
		name    string
		offline bool
		delayed bool // the will waits
		options broker.DisconnectOptions
		found   bool
		kept    bool
		will    bool // is sent at once
		later   bool // is sent when its delay is over
	}{
		{name: "connected", found: true, kept: true, will: true},
		{name: "connected, clean", options: broker.DisconnectOptions{CleanSession: true}, found: true, will: true},
		{name: "connected, no will", options: broker.DisconnectOptions{PreventWill: true}, found: true, kept: true},
		{name: "connected, clean, no will", options: broker.DisconnectOptions{CleanSession: true, PreventWill: true}, found: true},
		{name: "connected, will waits", delayed: true, found: true, kept: true, later: true},
		{name: "connected, will waits, clean", delayed: true, options: broker.DisconnectOptions{CleanSession: true}, found: true, will: true},
		{name: "connected, will waits, no will", delayed: true, options: broker.DisconnectOptions{PreventWill: true}, found: true, kept: true},
		{name: "offline", offline: true, kept: true},
		{name: "offline, clean", offline: true, options: broker.DisconnectOptions{CleanSession: true}, found: true},
		{name: "offline, will waits, clean", offline: true, delayed: true, options: broker.DisconnectOptions{CleanSession: true}, found: true, will: true},
		{name: "offline, will waits, clean, no will", offline: true, delayed: true, options: broker.DisconnectOptions{CleanSession: true, PreventWill: true}, found: true},
		{name: "offline, will waits", offline: true, delayed: true, kept: true, later: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
				watcher := s.pipe(t)
				watcher.hello(connectPacket("watcher", 4))
				watcher.subscribe(0, "wills/dev")
				hello := persistent("dev", 5, 3600)
				hello.Connect.WillFlag, hello.Connect.WillTopic, hello.Connect.WillPayload = true, "wills/dev", []byte("gone")
				if c.delayed {
					hello.Connect.WillProperties.WillDelayInterval = delay
				}
				w := s.pipe(t)
				w.hello(hello)
				w.subscribe(1, "a/b")
				if c.offline {
					_ = w.Close()
					synctest.Wait()
					if !c.delayed {
						watcher.wantPublish("wills/dev", "gone")
					}
				}
				found, err := s.Disconnect(t.Context(), "dev", c.options)
				if found != c.found || err != nil {
					t.Fatalf("found %v, error %v", found, err)
				}
				if !c.offline {
					if reasons := s.reasons("dev"); len(reasons) != 1 || reasons[0] != broker.APIInitiatedDisconnect {
						t.Errorf("reasons %v when Disconnect has returned", reasons)
					}
					if pks := w.wantClosed(time.Minute); len(pks) != 1 || pks[0].ReasonCode != 0x98 {
						t.Errorf("the client was told %+v", pks)
					}
				}
				if c.will {
					watcher.wantPublish("wills/dev", "gone")
				}
				watcher.wantNothing()
				<-time.After((delay + 2) * time.Second)
				if c.later {
					watcher.wantPublish("wills/dev", "gone")
				}
				watcher.wantNothing()
				again := s.pipe(t)
				if ack := again.hello(persistent("dev", 5, 3600)); ack.SessionPresent != c.kept {
					t.Errorf("session present %v, want %v", ack.SessionPresent, c.kept)
				}
			})
		})
	}
}

func TestVirtualDisconnectOfNobody(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		for _, clean := range []bool{false, true} {
			if found, err := s.Disconnect(t.Context(), "nobody", broker.DisconnectOptions{CleanSession: clean}); found || err != nil {
				t.Errorf("clean %v: found %v, error %v", clean, found, err)
			}
		}
	})
}

// TestVirtualDisconnectWaits: a caller that gives up does not wait for a handler
// that hangs, and a session that is just opening is waited for.
func TestVirtualDisconnectWaits(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		opening, ended := make(chan struct{}), make(chan struct{})
		s.onConnect = func(broker.Client) error { <-opening; return nil }
		s.onEnd = func(broker.Client) { <-ended }
		w := s.pipe(t)
		go func() { w.hello(connectPacket("dev", 4)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Disconnect(ctx, "dev", broker.DisconnectOptions{CleanSession: true}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the session opens: %v", err)
		}
		close(opening)
		synctest.Wait()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if found, err := s.Disconnect(ctx, "dev", broker.DisconnectOptions{}); !found || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the handler hangs: found %v, %v", found, err)
		}
		close(ended)
	})
}
