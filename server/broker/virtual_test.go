package broker_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/protocol"
	"github.com/muster-iot/muster/server/broker"
)

// virtual runs f in a bubble of virtual time with a running broker without a
// listener. The bubble ends only when every goroutine has.
func virtual(t *testing.T, limits broker.Limits, f func(t *testing.T, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{recorder: &recorder{}}
		var err error
		s.Broker, err = broker.New(broker.Config{Handler: tap{s.recorder}, Authorizer: broker.AllowAll{}, Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		f(t, s)
	})
}

// pipe opens a connection to the broker that has no network in between.
func (s *server) pipe(t testing.TB) *wire {
	near, far := net.Pipe()
	go s.Serve(far)
	return newWire(t, near)
}

func persistent(id string, version byte, expiry uint32) packets.Packet {
	pk := connectPacket(id, version)
	pk.Connect.Clean = false
	if version == 5 {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = expiry, true
	}
	return pk
}

func TestVirtualKeepAlive(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		w := s.pipe(t)
		pk := connectPacket("dev", 4)
		pk.Connect.Keepalive = 100
		w.hello(pk)
		for range 5 {
			<-time.After(149 * time.Second)
			w.wantNothing()
		}
		begin := time.Now()
		w.wantClosed(time.Hour)
		if took := time.Since(begin); took != 150*time.Second {
			t.Errorf("closed after %v, want 150 s", took)
		}
		wantReasons(t, s, "dev", broker.KeepAliveTimeout)
	})
}

func TestVirtualConnectDeadline(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		begin := time.Now()
		w := s.pipe(t)
		w.wantClosed(time.Hour)
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("closed after %v, want 10 s", took)
		}
	})
}

// TestDefect4ExpiredSubscriptions: mochi leaves the subscriptions of expired
// sessions in its topic tree. Here they go with the session, to the second.
func TestDefect4ExpiredSubscriptions(t *testing.T) {
	for _, tc := range []struct {
		name    string
		version byte
		expiry  uint32
		want    time.Duration
	}{
		{"v4", 4, 0, time.Hour},
		{"v5 shorter", 5, 60, time.Minute},
		{"v5 longer", 5, 1_000_000, time.Hour},
		{"v5 for ever", 5, 0xffffffff, time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
				for i := range 20 {
					w := s.pipe(t)
					w.hello(persistent(fmt.Sprint("dev", i), tc.version, tc.expiry))
					w.subscribe(1, "a/+", "b")
					_ = w.Close()
				}
				synctest.Wait()
				if offline, _ := s.Known(); offline != 20 || len(s.SubscribersOf("a/x")) != 20 {
					t.Fatalf("%d offline, subscribers %v", offline, s.SubscribersOf("a/x"))
				}
				<-time.After(tc.want - 2*time.Second)
				again := s.pipe(t)
				if !again.hello(persistent("dev0", tc.version, tc.expiry)).SessionPresent {
					t.Error("the session is gone too early")
				}
				<-time.After(4 * time.Second)
				again.wantNothing()
				if offline, mochi := s.Known(); offline != 0 || mochi != 1 {
					t.Errorf("%d offline, mochi knows %d", offline, mochi)
				}
				for _, topic := range []string{"a/x", "b"} {
					if got := s.SubscribersOf(topic); len(got) != 1 || got[0] != "dev0" {
						t.Errorf("subscribers of %s: %v", topic, got)
					}
				}
				_ = again.Close()
				late := s.pipe(t)
				if late.hello(persistent("dev1", tc.version, tc.expiry)).SessionPresent {
					t.Error("the session is still there")
				}
				_ = late.Close()
			})
		})
	}
}

// TestVirtualExpiryOrder: sessions of different lifetimes end at their own
// times, in whatever order they were left, and those that come back do not.
func TestVirtualExpiryOrder(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		begin := time.Now()
		const n = 40
		lives := func(i int) int { return 10 + 7*i%n } // seconds, all different
		for i := range n {
			w := s.pipe(t)
			w.hello(persistent(fmt.Sprint("dev", i), 5, uint32(lives(i))))
			_ = w.Close()
		}
		var back []*wire
		for i := 0; i < n; i += 4 {
			w := s.pipe(t)
			w.hello(persistent(fmt.Sprint("dev", i), 5, 3600))
			back = append(back, w)
		}
		synctest.Wait()
		for second := range 60 {
			<-time.After(time.Until(begin.Add(time.Duration(second)*time.Second + time.Millisecond)))
			synctest.Wait()
			want := 0
			for i := range n {
				if i%4 != 0 && lives(i) > second {
					want++
				}
			}
			if offline, mochi := s.Known(); offline != want || mochi != want+len(back) {
				t.Fatalf("after %d s: %d offline, mochi knows %d; want %d and %d", second, offline, mochi, want, want+len(back))
			}
			if second%20 == 0 {
				for _, w := range back {
					w.wantNothing() // pings
				}
			}
		}
		for _, w := range back {
			_ = w.Close()
		}
	})
}

func TestVirtualDelayedWill(t *testing.T) {
	hello := func(id string) packets.Packet {
		pk := persistent(id, 5, 600)
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "wills/"+id, []byte("gone")
		pk.Connect.WillProperties.WillDelayInterval = 100
		return pk
	}
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		watcher := s.pipe(t)
		watcher.hello(connectPacket("watcher", 4))
		watcher.subscribe(0, "wills/+")
		for _, id := range []string{"back", "lost"} {
			w := s.pipe(t)
			w.hello(hello(id))
			_ = w.Close()
		}
		<-time.After(50 * time.Second)
		watcher.wantNothing()
		back := s.pipe(t)
		back.hello(hello("back"))
		begin := time.Now()
		watcher.wantPublishWithin(time.Hour, "wills/lost", "gone")
		if took := time.Since(begin); took < 49*time.Second || took > 51*time.Second {
			t.Errorf("the will came after %v", took)
		}
		watcher.wantNothing()
		_ = back.Close()
		_ = watcher.Close()
	})
}

// TestVirtualStalledWrite: a client that takes nothing at all is given up
// after the write timeout.
func TestVirtualStalledWrite(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		w := s.pipe(t)
		w.hello(connectPacket("dev", 4))
		begin := time.Now()
		s.Send(s.of("connect", "dev")[0].client.Session, "a", []byte("x"))
		for len(s.reasons("dev")) == 0 {
			<-time.After(time.Second)
		}
		if took := time.Since(begin); took > 31*time.Second {
			t.Errorf("given up after %v", took)
		}
		wantReasons(t, s, "dev", broker.ServerInitiatedDisconnect)
	})
}

// TestVirtualSlowReader: a client that reads slowly but steadily gets
// everything, however long it takes.
func TestVirtualSlowReader(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		w := s.pipe(t)
		w.hello(connectPacket("dev", 4))
		_ = w.SetReadDeadline(time.Time{})
		const size, rate = 400_000, 4000 // bytes, bytes a second
		for range size / 100_000 {
			s.Send(s.of("connect", "dev")[0].client.Session, "a", make([]byte, 100_000))
		}
		for got := 0; got < size; {
			<-time.After(time.Second)
			for quota := rate; quota > 0; {
				n, err := w.Read(make([]byte, quota))
				if err != nil {
					t.Fatalf("after %d bytes: %v", got, err)
				}
				got, quota = got+n, quota-n
			}
			if got%40_000 == 0 { // ping: the test is not about keep-alive
				w.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
			}
		}
	})
}

func TestVirtualTakeOverWithPaho(t *testing.T) {
	virtual(t, broker.Limits{}, func(t *testing.T, s *server) {
		connect := func() (paho.Client, chan string, chan error) {
			got, lost := make(chan string, 10), make(chan error, 1)
			opts := paho.NewClientOptions().AddBroker("tcp://pipe:1").SetClientID("dev").
				SetAutoReconnect(false).SetOrderMatters(false).SetKeepAlive(time.Minute).
				SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err }).
				SetCustomOpenConnectionFn(func(_ *url.URL, _ paho.ClientOptions) (net.Conn, error) {
					near, far := net.Pipe()
					go s.Serve(far)
					return near, nil
				})
			c := paho.NewClient(opts)
			await(t, c.Connect())
			await(t, c.Subscribe("n", 1, func(_ paho.Client, m paho.Message) { got <- string(m.Payload()) }))
			return c, got, lost
		}
		_, _, lost := connect()
		<-time.After(10 * time.Minute) // pings keep it alive
		second, got, _ := connect()
		if err := <-lost; err == nil {
			t.Error("the first client lost nothing")
		}
		s.Publish("n", []byte("hello"))
		if m := <-got; m != "hello" {
			t.Errorf("got %q", m)
		}
		second.Disconnect(100)
		synctest.Wait()
		wantReasons(t, s, "dev", broker.DuplicateClientID, broker.ClientInitiatedDisconnect)
	})
}

// TestVirtualHandlerOutlivesRun: a handler call that hangs is told to stop
// some seconds after Run is.
func TestVirtualHandlerOutlivesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := &hanging{entered: make(chan struct{})}
		b, err := broker.New(broker.Config{Handler: hang, Authorizer: broker.AllowAll{}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		near, far := net.Pipe()
		go b.Serve(far)
		w := newWire(t, near)
		w.hello(connectPacket("dev", 4))
		w.publish("a", "x", 1, 1)
		<-hang.entered
		cancel()
		begin := time.Now()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("Run returned after %v, want 5 s", took)
		}
	})
}

// hanging is a handler whose Publish returns only when told to.
type hanging struct{ entered chan struct{} }

func (h *hanging) Connect(context.Context, broker.Client) error             { return nil }
func (h *hanging) Disconnect(context.Context, broker.Client, broker.Reason) {}
func (h *hanging) Refused(context.Context, broker.Client, broker.Reason)    {}
func (h *hanging) Unsubscribed(context.Context, broker.Client, []string)    {}
func (h *hanging) Subscribed(context.Context, broker.Client, []string, func(protocol.Message)) error {
	return nil
}

func (h *hanging) Publish(ctx context.Context, _ broker.Client, _ protocol.Message) (bool, error) {
	close(h.entered)
	<-ctx.Done()
	return false, ctx.Err()
}
