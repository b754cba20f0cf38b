package floor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Echo serves MQTT with a mochi that does nothing but answer: a message to
// in/X is published to out/X at QoS 1, through mochi's topic tree and its
// queues. Its settings are small, as for many idle connections. It closes the
// listener and every connection when ctx ends, and returns nil then.
func Echo(ctx context.Context, l net.Listener) error {
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumClientWritesPending = 64
	caps.MaximumInflight, caps.ReceiveMaximum = 64, 64
	caps.TopicAliasMaximum = 0
	s := mochi.New(&mochi.Options{
		Capabilities: caps, ClientNetReadBufferSize: 512, ClientNetWriteBufferSize: 1024,
		InlineClient: true, Logger: slog.New(slog.DiscardHandler),
	})
	err := errors.Join(s.AddHook(&echo{server: s}, nil), s.AddListener(listeners.NewNet("floor", l)), s.Serve())
	if err != nil {
		return fmt.Errorf("cannot serve a bare mochi: %w", err)
	}
	<-ctx.Done()
	return s.Close()
}

// echo is where mochi calls us.
type echo struct {
	mochi.HookBase
	server *mochi.Server
}

// ID names the hook.
func (e *echo) ID() string { return "echo" }

// Provides says which calls are wanted.
func (e *echo) Provides(h byte) bool {
	return h == mochi.OnConnectAuthenticate || h == mochi.OnACLCheck || h == mochi.OnPublish
}

// OnConnectAuthenticate lets everybody in.
func (e *echo) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

// OnACLCheck permits everything.
func (e *echo) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// OnPublish answers a message; mochi acknowledges it and passes it on to
// nobody.
func (e *echo) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	name, ok := strings.CutPrefix(pk.TopicName, in)
	if !ok || cl.Net.Inline {
		return pk, nil
	}
	if err := e.server.Publish(out+name, pk.Payload, false, 1); err != nil {
		return pk, err
	}
	return pk, packets.CodeSuccessIgnore
}
