package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// maxFilters is how many filters one SUBSCRIBE may carry (AWS IoT reference 10.1).
const maxFilters = 8

// goodbye is how long a DISCONNECT may take to leave, in milliseconds.
const goodbye = 250

// errLost is that the connection ended before the answer came.
var errLost = errors.New("the connection was lost")

// session is one connection. It is an [agent.Session].
type session struct {
	conn   *conn
	client paho.Client
}

// Publish returns when the broker has acknowledged the message.
func (s *session) Publish(ctx context.Context, topic string, payload []byte) error {
	return s.await(ctx, func() paho.Token { return s.client.Publish(topic, 1, false, payload) })
}

// Done is closed when the connection is.
func (s *session) Done() <-chan struct{} { return s.conn.closed }

// Close says goodbye and closes the connection.
func (s *session) Close() {
	select {
	case <-s.conn.closed:
	default:
		s.client.Disconnect(goodbye)
	}
	_ = s.conn.Close()
}

// subscribe subscribes to every filter at QoS 1, few at a time.
func (s *session) subscribe(ctx context.Context, filters []string) error {
	for len(filters) > 0 {
		n := min(len(filters), maxFilters)
		want := make(map[string]byte, n)
		for _, filter := range filters[:n] {
			want[filter] = 1
		}
		filters = filters[n:]
		var token *paho.SubscribeToken
		err := s.await(ctx, func() paho.Token {
			t := s.client.SubscribeMultiple(want, nil)
			token, _ = t.(*paho.SubscribeToken)
			return t
		})
		if err != nil {
			return fmt.Errorf("cannot subscribe: %w", err)
		}
		for filter, granted := range token.Result() {
			if granted > 1 {
				return fmt.Errorf("the server refuses a subscription to %s", filter)
			}
		}
	}
	return nil
}

// await runs an operation of paho and waits for its end, for ctx, or for the
// end of the connection. paho may block while it takes an operation, for
// WriteTimeout at most, so that happens on a goroutine of its own.
func (s *session) await(ctx context.Context, operation func() paho.Token) error {
	taken := make(chan paho.Token, 1)
	go func() { taken <- operation() }()
	var done <-chan struct{}
	var token paho.Token
	for {
		select {
		case token = <-taken:
			done = token.Done()
		case <-done:
			return token.Error()
		case <-s.conn.closed:
			return lost(token, taken)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lost returns why an operation ended with the connection: paho's own reason
// when it has one, which it finds out just after it has closed the
// connection, and perhaps before it has even handed its token over.
func lost(token paho.Token, taken <-chan paho.Token) error {
	late := time.NewTimer(time.Second)
	defer late.Stop()
	if token == nil {
		select {
		case token = <-taken:
		case <-late.C:
			return errLost
		}
	}
	select {
	case <-token.Done():
	case <-late.C:
	}
	if err := token.Error(); err != nil {
		return err
	}
	return errLost
}
