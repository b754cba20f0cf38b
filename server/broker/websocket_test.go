package broker_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

// wsStream is the client's end of a WebSocket as a stream of bytes, every
// write a message.
type wsStream struct {
	net.Conn
	ws     *websocket.Conn
	reader io.Reader
}

func (s *wsStream) Write(p []byte) (int, error) {
	return len(p), s.ws.WriteMessage(websocket.BinaryMessage, p)
}

func (s *wsStream) Read(p []byte) (n int, err error) {
	for n == 0 && err == nil {
		if s.reader == nil {
			if _, s.reader, err = s.ws.NextReader(); err != nil {
				return 0, err
			}
		}
		if n, err = s.reader.Read(p); err == io.EOF {
			s.reader, err = nil, nil
		}
	}
	return n, err
}

// dialWebSocket connects to the WebSocket at url, ws:// or wss://.
func dialWebSocket(t *testing.T, url string, subprotocols ...string) *wsStream {
	t.Helper()
	d := websocket.Dialer{Subprotocols: subprotocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // a self-signed certificate
	ws, response, err := d.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if len(subprotocols) > 0 && ws.Subprotocol() != subprotocols[0] {
		t.Fatalf("subprotocol %q was chosen, not %q", ws.Subprotocol(), subprotocols[0])
	}
	return &wsStream{Conn: ws.NetConn(), ws: ws}
}

// TestWebSocket: publishing and receiving, both subprotocols, packets in
// pieces and together, what is not MQTT over WebSocket, the end of a session.
func TestWebSocket(t *testing.T) {
	s := start(t, broker.Limits{})
	web := httptest.NewServer(s.WebSocket())
	t.Cleanup(web.Close)
	url := "ws" + strings.TrimPrefix(web.URL, "http") + "/mqtt"

	for _, subprotocol := range []string{"mqtt", "mqttv3.1"} {
		w := newWire(t, dialWebSocket(t, url, subprotocol))
		w.hello(connectPacket(subprotocol, 4))
		w.subscribe(0, "a")
		s.Publish("a", []byte("x"))
		w.wantPublish("a", "x")
		_ = w.Close()
		wantReasons(t, s, subprotocol, broker.ConnectionLost)
	}

	slow := dialWebSocket(t, url, "mqtt")
	for _, b := range encode(t, connectPacket("pieces", 4)) {
		if _, err := slow.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if pk := newWire(t, slow).receive(); pk.FixedHeader.Type != packets.Connack {
		t.Errorf("CONNECT in pieces is answered with packet type %d", pk.FixedHeader.Type)
	}

	text := dialWebSocket(t, url, "mqtt")
	if err := text.ws.WriteMessage(websocket.TextMessage, encode(t, connectPacket("text", 4))); err != nil {
		t.Fatal(err)
	}
	if _, err := text.Read(make([]byte, 1)); err == nil {
		t.Error("a text frame was answered")
	}

	response, err := http.Get(web.URL + "/mqtt")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("a request without upgrade is answered %s", response.Status)
	}
}
