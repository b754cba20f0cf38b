package broker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// WebSocket upgrades requests to MQTT over WebSocket (MQTT 5, chapter 6) and
// serves them like connections of the listeners; where it stands is the
// caller's. Both names that MQTT clients ask for are offered as subprotocol. A
// browser's page may connect only to the host that it came from.
func (b *Broker) WebSocket() http.Handler {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: b.limits.ConnectTimeout,
		ReadBufferSize:   1024, WriteBufferSize: 1024, WriteBufferPool: &sync.Pool{},
		Subprotocols: []string{"mqtt", "mqttv3.1"},
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			http.Error(w, fmt.Sprintf("MQTT over WebSocket: %v", reason), status)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // it has been answered
		}
		// A frame of control is at most 125 bytes; gorilla answers pings itself.
		ws.SetReadLimit(int64(b.limits.PacketBytes) + wsSlack)
		b.Serve(&wsConn{ws: ws})
	})
}

// wsSlack is what a message may hold besides the largest packet: clients may
// put small packets together.
const wsSlack = 64 << 10

var errTextFrame = errors.New("text frame: MQTT over WebSocket is binary")

// wsConn is a WebSocket as a stream of bytes: the boundaries of messages mean
// nothing to MQTT. Like a network connection it is read by one goroutine and
// written by one, and any may set deadlines.
type wsConn struct {
	ws     *websocket.Conn
	reader io.Reader // of the message that is being read; nil between two

	mu            sync.Mutex
	writeDeadline time.Time
}

func (c *wsConn) Read(p []byte) (int, error) {
	for {
		if c.reader == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				return 0, plain(err)
			}
			if kind != websocket.BinaryMessage {
				return 0, errTextFrame
			}
			c.reader = r
		}
		n, err := c.reader.Read(p)
		if err == io.EOF {
			c.reader, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, plain(err)
		}
	}
}

func (c *wsConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	_ = c.ws.SetWriteDeadline(c.writeDeadline)
	c.mu.Unlock()
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, plain(err)
	}
	return len(p), nil
}

// plain gives a passed deadline its name back, which gorilla hides.
func plain(err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Close says goodbye as far as that needs no waiting.
func (c *wsConn) Close() error {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Millisecond))
	return c.ws.Close()
}

func (c *wsConn) LocalAddr() net.Addr  { return c.ws.LocalAddr() }
func (c *wsConn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

func (c *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *wsConn) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// SetWriteDeadline holds for a write that is under way, too. One that begins at
// this very moment may keep the deadline before.
func (c *wsConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.writeDeadline = t
	c.mu.Unlock()
	return c.ws.NetConn().SetWriteDeadline(t)
}
