// Package broker is the fleet's MQTT broker: mochi-mqtt v2.7.9 behind our own
// guard. It is the only importer of mochi.
//
// It owns connections, sessions, subscriptions and the queues of messages on
// their way to devices. It never decides what a message means: every accepted
// publish of a device goes to the [Handler], every question of permission to
// the [Authorizer].
//
// mochi is frozen upstream and has known holes, so only its packet codec, its
// acknowledgements and its topic tree are used. Everything around them is done
// here:
//
//   - conn.go    bounded writes that never block, deadlines, the first packet
//   - accept.go  accepting, connection caps, recovery from panics
//   - websocket.go MQTT over WebSocket
//   - session.go from CONNECT to the end of a session: take-over, reasons, wills
//   - hook.go    where mochi calls us: limits and permissions of each packet
//   - mailbox.go QoS 1 messages on their way to one client id
//   - deliver.go fan-out to subscribers and direct sends
//   - message.go messages from and to packets
//   - retain.go  retained messages, which the handler keeps, for new subscriptions
//   - disconnect.go sessions that are ended from outside
//   - expire.go, deadlines.go the end of persistent sessions, delayed wills
//
// mochi's own event loop, listeners, retained messages, wills, $SYS topics and
// outbound queues are never started: they block publishers, drop messages, or
// cost time per connected client and second.
//
// What devices notice: the limits of the AWS IoT reference 10.1 (see [Limits]),
// QoS 2 is granted as 1 and a QoS 2 publish ends the connection, messages are
// not retained, shared subscriptions are refused.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"github.com/muster-iot/muster/protocol"
)

// Client is one session of one MQTT client.
type Client struct {
	// ID is the client id; the broker makes one up when the client sends none.
	ID string
	// Session tells the sessions of a client id apart. It is unique in the
	// process and grows with every accepted CONNECT.
	Session uint64
	// Remote is the address of the other end, host:port where there is one.
	Remote string
	// Username is the user name up to the first '?'; what follows it is the
	// metrics of an AWS SDK.
	Username string
	// Version is the protocol level of the CONNECT packet: 3, 4 (3.1.1) or 5.
	Version byte
}

// Reason says why a session ended. The values are the wire names of presence
// events (AWS IoT reference 10.2).
type Reason string

// The reasons of the AWS IoT reference 10.2. The broker itself uses those
// down to ServerInitiatedDisconnect; the others come from callers of Kick.
const (
	// ClientInitiatedDisconnect: a DISCONNECT packet; the only one without will.
	ClientInitiatedDisconnect Reason = "CLIENT_INITIATED_DISCONNECT"
	// ConnectionLost: the connection broke without a DISCONNECT packet.
	ConnectionLost Reason = "CONNECTION_LOST"
	// KeepAliveTimeout: no packet for one and a half times the keep-alive.
	KeepAliveTimeout Reason = "MQTT_KEEP_ALIVE_TIMEOUT"
	// DuplicateClientID: another connection took the client id over.
	DuplicateClientID Reason = "DUPLICATE_CLIENTID"
	// ClientError: the client broke the protocol or a limit.
	ClientError Reason = "CLIENT_ERROR"
	// ForbiddenAccess: the client published where it may not.
	ForbiddenAccess Reason = "FORBIDDEN_ACCESS"
	// ServerError: the handler failed.
	ServerError Reason = "SERVER_ERROR"
	// ServerInitiatedDisconnect: the server closes, or the client does not
	// read what it is sent.
	ServerInitiatedDisconnect Reason = "SERVER_INITIATED_DISCONNECT"

	// APIInitiatedDisconnect: an operator ended the session, see Disconnect.
	APIInitiatedDisconnect Reason = "API_INITIATED_DISCONNECT"
	// Throttled: a message is over a quota and the client cannot be told so.
	Throttled Reason = "THROTTLED"

	AuthError               Reason = "AUTH_ERROR"
	WebsocketTTLExpiration  Reason = "WEBSOCKET_TTL_EXPIRATION"
	CustomAuthTTLExpiration Reason = "CUSTOMAUTH_TTL_EXPIRATION"
)

// Handler is told what devices do. Calls of one session come one after the
// other, those of different sessions at once. A call must return soon after
// its context is done, which happens some seconds after Run was told to stop.
type Handler interface {
	// Connect is called after authentication and before CONNACK; the device
	// counts as connected when it returns nil. An error refuses the connection
	// as "server unavailable". On a take-over it is called for the new session
	// before Disconnect is called for the old one.
	Connect(ctx context.Context, c Client) error
	// Disconnect is called exactly once for every session whose Connect
	// returned nil, whatever ended it.
	Disconnect(ctx context.Context, c Client, r Reason)
	// Refused is called for a client whose CONNECT packet is not acceptable;
	// it has no session. The reason is ClientError or AuthorizationFailed.
	Refused(ctx context.Context, c Client, why Reason)
	// Publish is called for every accepted publish of a device, and for its
	// will. The PUBACK is sent when it has returned nil. When handled is true
	// the message is not passed on to subscribers. An error of code
	// LimitExceeded refuses the message: of QoS 0 it is dropped, MQTT 5 is
	// told by PUBACK, any other connection ends as Throttled. Another error
	// ends the connection without PUBACK. The message may be kept but must
	// not be changed.
	Publish(ctx context.Context, c Client, m protocol.Message) (handled bool, err error)
	// Subscribed is called after the SUBACK of filters that were granted. The
	// handler calls retained with the retained message of every filter that has
	// one, in the order of what it has the broker deliver and not after a later
	// message; retained does not wait. An error ends the connection.
	Subscribed(ctx context.Context, c Client, filters []string, retained func(protocol.Message)) error
	// Unsubscribed is called after the UNSUBACK of filters that the client had.
	Unsubscribed(ctx context.Context, c Client, filters []string)
}

// Authorizer answers what a client may do. It is asked after the broker's own
// rules: nobody publishes to topics of the server ($aws/events/#, .../accepted,
// .../rejected, any $ topic outside $aws/) or subscribes to $share. It must
// answer from memory.
type Authorizer interface {
	CanPublish(c Client, topic string) bool
	CanSubscribe(c Client, filter string) bool
}

// AllowAll lets every client use every topic; for development only.
type AllowAll struct{}

// CanPublish is always true.
func (AllowAll) CanPublish(Client, string) bool { return true }

// CanSubscribe is always true.
func (AllowAll) CanSubscribe(Client, string) bool { return true }

// Config is what a broker is made from.
type Config struct {
	// Listeners accept MQTT connections, with TLS or without; they are bound
	// already and closed by Run. Others come through Serve and WebSocket.
	Listeners []net.Listener
	// Handler is told what devices do; without one, connections are accepted
	// and messages passed on.
	Handler Handler
	// Authorizer permits topics; without one, nothing is permitted.
	Authorizer Authorizer
	// Limits; zero fields take the documented defaults.
	Limits Limits
	// Logger gets warnings about connections and panics; default: none.
	Logger *slog.Logger
}

// Broker serves MQTT clients. Make it with [New].
type Broker struct {
	listeners []net.Listener
	handler   Handler
	auth      Authorizer
	limits    Limits
	log       *slog.Logger
	mqtt      *mqtt.Server

	ctx    context.Context // of all handler calls
	cancel context.CancelFunc

	lastSession atomic.Uint64
	queued      atomic.Int64  // bytes in all connections' queues and mailboxes
	earlier     chan struct{} // wakes expireLoop: something is due earlier

	mu       sync.RWMutex
	closing  bool
	serving  sync.WaitGroup           // connections; Add only under mu and not closing
	conns    map[*conn]struct{}       // every admitted connection
	perIP    map[string]int           // admitted connections by remote host
	sessions map[uint64]*session      // from before Handler.Connect to the end
	current  map[string]*session      // the established session of a client id
	boxes    map[string]*mailbox      // of established and of offline sessions
	offline  map[string]time.Time     // persistent sessions without connection: expiry
	wills    map[string]delayedWill   // by client id
	due      deadlines                // of offline and wills
	claims   map[string]chan struct{} // client ids whose session is changing hands
}

// drainTime is how long handler calls may go on after Run was told to stop.
const drainTime = 5 * time.Second

// New makes a broker. It starts nothing and accepts nothing before [Broker.Run].
func New(cfg Config) (*Broker, error) {
	b := &Broker{
		listeners: cfg.Listeners,
		handler:   cfg.Handler,
		auth:      cfg.Authorizer,
		limits:    cfg.Limits.withDefaults(),
		log:       cfg.Logger,
		earlier:   make(chan struct{}, 1),
		conns:     map[*conn]struct{}{},
		perIP:     map[string]int{},
		sessions:  map[uint64]*session{},
		current:   map[string]*session{},
		boxes:     map[string]*mailbox{},
		offline:   map[string]time.Time{},
		wills:     map[string]delayedWill{},
		claims:    map[string]chan struct{}{},
	}
	if b.handler == nil {
		b.handler = noHandler{}
	}
	if b.auth == nil {
		b.auth = denyAll{}
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if err := b.limits.check(); err != nil {
		return nil, err
	}
	b.mqtt = mqtt.New(b.limits.mochiOptions())
	if err := b.mqtt.AddHook(&hook{b: b}, nil); err != nil {
		return nil, fmt.Errorf("cannot set up the MQTT server: %w", err)
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// Run accepts and serves connections until ctx is done, then closes them all,
// reports every session's end to the handler and returns nil. It returns an
// error only when the listener was closed by somebody else. A broker runs once.
func (b *Broker) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var loops sync.WaitGroup
	for _, l := range b.listeners {
		loops.Go(func() { stop(b.acceptLoop(ctx, l)) })
	}
	loops.Go(func() { b.expireLoop(ctx) })

	<-ctx.Done()
	for _, l := range b.listeners {
		_ = l.Close() // its accept loop reports what matters
	}
	loops.Wait()
	b.shut()
	if cause := context.Cause(ctx); errors.Is(cause, net.ErrClosed) {
		return fmt.Errorf("cannot accept MQTT connections: %w", cause)
	}
	return nil
}

// shut ends every connection and waits for their goroutines. With the sessions
// that are kept their delayed wills become due.
func (b *Broker) shut() {
	b.mu.Lock()
	b.closing = true
	sessions := slices.Collect(maps.Values(b.sessions))
	conns := slices.Collect(maps.Keys(b.conns))
	b.mu.Unlock()

	for _, s := range sessions {
		s.drop(ServerInitiatedDisconnect)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	late := time.AfterFunc(drainTime, b.cancel)
	b.serving.Wait()
	b.sendLeftWills()
	late.Stop()
	b.cancel()
	_ = b.mqtt.Close() // has no listener and no hook that could fail
}

// Connected returns the number of established sessions.
func (b *Broker) Connected() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.current)
}

// Kick ends the session of a client id and reports whether there was one.
// Disconnect is reported with r, from the session's own goroutine.
func (b *Broker) Kick(clientID string, r Reason) bool {
	s := b.session(clientID)
	if s == nil {
		return false
	}
	s.drop(r)
	return true
}

// AuthorizationFailed is why a client is refused that may not connect so (AWS
// IoT reference 10.2).
const AuthorizationFailed Reason = "AUTHORIZATION_FAILED"

type noHandler struct{}

func (noHandler) Connect(context.Context, Client) error      { return nil }
func (noHandler) Disconnect(context.Context, Client, Reason) {}
func (noHandler) Refused(context.Context, Client, Reason)    {}
func (noHandler) Publish(context.Context, Client, protocol.Message) (bool, error) {
	return false, nil
}

func (noHandler) Subscribed(context.Context, Client, []string, func(protocol.Message)) error {
	return nil
}
func (noHandler) Unsubscribed(context.Context, Client, []string) {}

type denyAll struct{}

func (denyAll) CanPublish(Client, string) bool   { return false }
func (denyAll) CanSubscribe(Client, string) bool { return false }
