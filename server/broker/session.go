package broker

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// session is one accepted CONNECT. Its fields belong to the connection's
// goroutine unless they say otherwise.
type session struct {
	b      *Broker
	client Client       // never changes
	cl     *mqtt.Client // mochi's side of it
	conn   *conn
	box    *mailbox
	done   chan struct{} // closed when the end has been reported

	connected   bool // Handler.Connect returned nil
	established bool // is or was Broker.current
	inHandler   bool // to tell the handler's panics from mochi's
	release     func()
	will        *will

	refused       []packets.Code    // by filter of the SUBSCRIBE packet at hand
	again         []bool            // by filter of it: the client had it before
	grants        []grant           // of the last SUBSCRIBE packet
	leaving       []string          // filters of the last UNSUBSCRIBE packet
	stranger      []bool            // by filter of an UNSUBSCRIBE packet: the client does not have it
	aliases       map[uint16]string // topics by alias
	publishes     bucket
	publishedSize bucket

	endClean     atomic.Bool // must not outlive its connection
	keepWillBack atomic.Bool // must not send its will
}

// open turns a valid CONNECT packet into the established session of its
// client id: the handler is told, an older session is ended, a persistent one
// inherited. The claim on the client id is held until [session.ready] or the
// end. A returned code is what CONNACK must say.
func (b *Broker) open(cl *mqtt.Client, c *conn, pk packets.Packet) error {
	if code := b.refusal(pk); code != packets.CodeSuccess {
		return code
	}
	s := &session{b: b, cl: cl, conn: c, done: make(chan struct{}), release: func() {}}
	s.client = clientOf(cl, pk)
	s.client.Session = b.lastSession.Add(1)
	var code packets.Code
	if s.will, code = b.newWill(s.client, pk); code != packets.CodeSuccess {
		return code
	}
	s.box = b.newMailbox(window(b.limits.Inflight, pk.Properties.ReceiveMaximum),
		func() { c.fail(ServerInitiatedDisconnect) })

	release, err := b.claim(c, cl.ID)
	if err != nil {
		return err
	}
	s.release = release
	c.session = s // from here on finish undoes everything
	if !b.register(s) {
		return packets.ErrServerShuttingDown
	}
	if err := s.connect(b.ctx); err != nil {
		b.log.Warn("connection refused", "client", cl.ID, "error", err)
		c.end(ServerError)
		return packets.ErrServerUnavailable
	}
	b.takeOver(s)
	b.establish(s, pk.Connect.Clean)
	return nil
}

// refusal is why a CONNECT packet that mochi finds valid is not acceptable.
func (b *Broker) refusal(pk packets.Packet) packets.Code {
	id := pk.Connect.ClientIdentifier
	switch {
	case len(id) > b.limits.ClientIDBytes, strings.HasPrefix(id, "$"):
		return packets.ErrClientIdentifierNotValid
	case pk.Properties.AuthenticationMethod != "":
		return packets.ErrBadAuthenticationMethod
	case breachOfConnect(pk):
		return packets.ErrProtocolViolation
	}
	return packets.CodeSuccess
}

// reportRefusal tells the handler why a CONNECT packet is refused, unless that
// is the server's fault or the client id is not one.
func (b *Broker) reportRefusal(cl *mqtt.Client, pk packets.Packet, code packets.Code) {
	why := ClientError
	switch code {
	case packets.ErrServerUnavailable, packets.ErrServerShuttingDown, packets.ErrClientIdentifierNotValid:
		return
	case packets.ErrNotAuthorized, packets.ErrBadUsernameOrPassword:
		why = AuthorizationFailed
	}
	b.handler.Refused(b.ctx, clientOf(cl, pk), why)
}

// clientOf is a client as its CONNECT packet says, without a session.
func clientOf(cl *mqtt.Client, pk packets.Packet) Client {
	return Client{ID: cl.ID, Remote: cl.Net.Remote, Username: loginName(pk.Connect.Username), Version: pk.ProtocolVersion}
}

// loginName is the part of a user name that is not an SDK's metrics.
func loginName(username []byte) string {
	name, _, _ := strings.Cut(string(username), "?")
	return name
}

// window is how many QoS 1 messages a client takes without acknowledging.
func window(limit int, receiveMaximum uint16) int {
	if receiveMaximum > 0 && int(receiveMaximum) < limit {
		return int(receiveMaximum)
	}
	return limit
}

// claim waits until no other connection is opening a session of the client id.
func (b *Broker) claim(c *conn, id string) (release func(), err error) {
	for {
		release, busy := b.tryClaim(id)
		if busy == nil {
			return release, nil
		}
		select {
		case <-busy:
		case <-c.closing:
			return nil, errors.New("closed while another session of the client id was opening")
		}
	}
}

// tryClaim claims a client id, or returns what is closed when it is free again.
// Releasing twice is harmless.
func (b *Broker) tryClaim(id string) (release func(), busy <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if busy, ok := b.claims[id]; ok {
		return nil, busy
	}
	claimed := make(chan struct{})
	b.claims[id] = claimed
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.claims[id] == claimed {
			delete(b.claims, id)
			close(claimed)
		}
	}, nil
}

// register makes the session known by its number, unless the broker closes.
func (b *Broker) register(s *session) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return false
	}
	b.sessions[s.client.Session] = s
	return true
}

func (s *session) connect(ctx context.Context) error {
	s.inHandler = true
	err := s.b.handler.Connect(ctx, s.client)
	s.inHandler = false
	s.connected = err == nil
	return err
}

// takeOver ends the older session of the client id, if any, and waits for its
// end to be reported. mochi then finds either nothing or a session without
// connection, which it handles without a race.
func (b *Broker) takeOver(s *session) {
	if old := b.session(s.client.ID); old != nil {
		old.drop(DuplicateClientID)
		<-old.done
	}
}

// establish makes s the session of its client id, with the messages that wait
// for a persistent session.
func (b *Broker) establish(s *session, clean bool) {
	id := s.client.ID
	b.mu.Lock()
	_, persistent := b.offline[id]
	waiting := b.boxes[id]
	dead, died := b.wills[id]
	delete(b.offline, id)
	delete(b.wills, id)
	b.schedule(id)
	b.current[id] = s
	b.boxes[id] = s.box
	s.established = true
	b.mu.Unlock()
	switch {
	case persistent && !clean:
		s.box.inherit(waiting)
	case persistent:
		waiting.discard()
	}
	if died && clean { // the session it belonged to ends now
		b.publishWill(b.ctx, dead.will)
	}
}

// ready is called when CONNACK is on its way: what has waited for it follows.
func (s *session) ready() {
	s.dropForbiddenSubscriptions()
	s.box.attach(s.cl.WritePacket)
	s.release()
}

// dropForbiddenSubscriptions ends inherited subscriptions that the client may
// no longer have.
func (s *session) dropForbiddenSubscriptions() {
	for filter := range s.cl.State.Subscriptions.GetAll() {
		if !s.b.auth.CanSubscribe(s.client, filter) {
			s.b.mqtt.Topics.Unsubscribe(filter, s.client.ID)
			s.cl.State.Subscriptions.Delete(filter)
		}
	}
}

// drop ends the session for reason r, telling an MQTT 5 client why. It may be
// called from any goroutine and does not wait.
func (s *session) drop(r Reason) { s.dropWith(r, disconnectCode(r)) }

// dropWith is drop with a code of its own.
func (s *session) dropWith(r Reason, code packets.Code) {
	if s.conn.end(r) && s.client.Version == 5 {
		_ = s.b.mqtt.DisconnectClient(s.cl, code) // closes; the code comes back as an error
		return
	}
	s.cl.Stop(code)
}

// disconnectCode is what a DISCONNECT packet to an MQTT 5 client says.
func disconnectCode(r Reason) packets.Code {
	switch r {
	case DuplicateClientID:
		return packets.ErrSessionTakenOver
	case ForbiddenAccess, AuthError:
		return packets.ErrNotAuthorized
	case APIInitiatedDisconnect:
		return packets.ErrAdministrativeAction
	case ServerInitiatedDisconnect:
		return packets.ErrServerShuttingDown
	case Throttled:
		return packets.ErrMessageRateTooHigh
	case ClientError:
		return packets.ErrProtocolViolation
	case WebsocketTTLExpiration, CustomAuthTTLExpiration:
		return packets.ErrMaxConnectTime
	}
	return packets.ErrUnspecifiedError
}

// finish is the one way out of a session: its state in mochi and here is
// cleaned up or kept for a persistent session, the will is sent, the handler
// told. err is what mochi returned, or its panic.
func (b *Broker) finish(s *session, err error) {
	defer close(s.done)
	reason := s.conn.endReason(err)
	crash, crashed := errors.AsType[*panicError](err)
	if crashed {
		reason = ClientError
		if s.inHandler {
			reason = ServerError
		}
		b.log.Error("panic in an MQTT session", "client", s.client.ID, "remote", s.client.Remote,
			"panic", crash.value, "stack", string(crash.stack))
	}
	s.box.detach()
	keep := !crashed && b.persistent(s)
	if !keep {
		b.forget(s.cl)
	}
	b.unregister(s, keep)
	s.release()
	b.sendWill(s, keep)
	b.log.Debug("MQTT session ended", "client", s.client.ID, "reason", reason, "error", err)
	if s.connected {
		s.reportDisconnect(reason)
	}
}

func (s *session) reportDisconnect(r Reason) {
	defer func() {
		if v := recover(); v != nil {
			s.b.log.Error("panic in the handler's Disconnect", "client", s.client.ID, "panic", v)
		}
	}()
	s.b.handler.Disconnect(s.b.ctx, s.client, r)
}

// persistent reports whether the session outlives its connection. mochi has
// it only if it got as far as CONNACK.
func (b *Broker) persistent(s *session) bool {
	known, ok := b.mqtt.Clients.Get(s.client.ID)
	return ok && known == s.cl && s.established && b.expiry(s) > 0 && !s.endClean.Load()
}

// expiry is how long the session is kept without a connection.
func (b *Broker) expiry(s *session) time.Duration {
	p := &s.cl.Properties
	switch {
	case p.ProtocolVersion == 5:
		return min(time.Duration(p.Props.SessionExpiryInterval)*time.Second, b.limits.SessionExpiry)
	case p.Clean:
		return 0
	}
	return b.limits.SessionExpiry
}

// forget removes every trace of a client from mochi, unless a newer session of
// the same client id owns them.
func (b *Broker) forget(cl *mqtt.Client) {
	known, ok := b.mqtt.Clients.Get(cl.ID)
	if !ok || known != cl {
		return
	}
	cl.ClearInflights()
	b.mqtt.UnsubscribeClient(cl)
	b.mqtt.Clients.Delete(cl.ID)
}

func (b *Broker) unregister(s *session, keep bool) {
	id := s.client.ID
	b.mu.Lock()
	delete(b.sessions, s.client.Session)
	current := b.current[id] == s
	if current {
		delete(b.current, id)
	}
	switch {
	case current && keep:
		b.offline[id] = time.Now().Add(b.expiry(s))
		b.schedule(id)
	case current:
		delete(b.boxes, id)
	}
	b.mu.Unlock()
	if !current || !keep {
		s.box.discard()
	}
}
