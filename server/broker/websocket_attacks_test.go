package broker_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/muster-iot/muster/server/broker"
)

const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
)

// frame is a WebSocket frame as a client should not always send it.
type frame struct {
	op       byte
	more     bool // not the last one of its message
	reserved byte // bits that must be 0
	unmasked bool
	payload  []byte
	claim    uint64 // length, if it is not that of the payload
}

// bytes encodes the frame.
func (f frame) bytes() []byte {
	first := f.op | f.reserved<<4
	if !f.more {
		first |= 0x80
	}
	n := uint64(len(f.payload))
	if f.claim != 0 {
		n = f.claim
	}
	var mask byte = 0x80
	if f.unmasked {
		mask = 0
	}
	out := []byte{first}
	switch {
	case n < 126:
		out = append(out, mask|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, mask|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, mask|127), n)
	}
	if f.unmasked {
		return append(out, f.payload...)
	}
	key := [4]byte{1, 2, 3, 4}
	out = append(out, key[:]...)
	for i, b := range f.payload {
		out = append(out, b^key[i%4])
	}
	return out
}

// upgrade is a WebSocket whose frames the test writes itself.
func (s *reachable) upgrade(t testing.TB) net.Conn {
	t.Helper()
	nc := s.raw(t)
	_, err := fmt.Fprintf(nc, "GET /mqtt HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b[0]) {
		if _, err := io.ReadFull(nc, b); err != nil {
			t.Fatalf("upgrade: %v after %q", err, head)
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("upgrade answered by %q", head)
	}
	return nc
}

// ended reads until the server hangs up.
func ended(t *testing.T, nc net.Conn) {
	t.Helper()
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, nc); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Fatal("still open")
		}
	}
}

// TestWebSocketFrames: what is not a well-formed frame of a client, or too
// large, ends the connection at once; nothing is allocated for a length that
// is only claimed.
func TestWebSocketFrames(t *testing.T) {
	hello := encode(t, connectPacket(hostile, 4))
	first := frame{op: opBinary, payload: hello}.bytes()
	after := func(f ...frame) (out []byte) {
		out = first
		for _, f := range f {
			out = append(out[:len(out):len(out)], f.bytes()...)
		}
		return out
	}
	large := frame{op: opContinue, more: true, payload: make([]byte, 60<<10)}
	for _, c := range []struct {
		name    string
		send    []byte
		session bool // CONNECT was fine
	}{
		{"text", frame{op: opText, payload: hello}.bytes(), false},
		{"text after CONNECT", after(frame{op: opText, payload: []byte{0xc0, 0}}), true},
		{"unmasked", frame{op: opBinary, unmasked: true, payload: hello}.bytes(), false},
		{"reserved bits", frame{op: opBinary, reserved: 4, payload: hello}.bytes(), false},
		{"reserved kind", frame{op: 5, payload: hello}.bytes(), false},
		{"reserved kind of control", frame{op: 0xb, payload: hello}.bytes(), false},
		{"continuation of nothing", frame{op: opContinue, payload: hello}.bytes(), false},
		{"a message in a message", append(frame{op: opBinary, more: true, payload: hello[:3]}.bytes(), first...), false},
		{"ping in pieces", after(frame{op: opPing, more: true}), true},
		{"ping of 126 bytes", after(frame{op: opPing, payload: make([]byte, 126)}), true},
		{"close of one byte", after(frame{op: opClose, payload: []byte{3}}), true},
		{"claims 256 MiB", after(frame{op: opBinary, claim: 256 << 20}), true},
		{"claims 2^62", after(frame{op: opBinary, claim: 1 << 62}), true},
		{"claims 2^63", after(frame{op: opBinary, claim: 1 << 63}), true},
		{"claims 2^64-1", after(frame{op: opBinary, claim: 1<<64 - 1}), true},
		{"a message of many pieces", after(
			frame{op: opBinary, more: true, payload: []byte{0x30, 0x80, 0x80, 0x08, 0, 1, 'a'}}, // 128 KiB are to come
			large, large, large, large), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := transport{socket: true}.start(t, broker.Limits{PublishRate: -1, PublishBytesRate: -1})
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			nc := s.upgrade(t)
			_, _ = nc.Write(c.send) // may fail: the server hangs up
			ended(t, nc)
			runtime.ReadMemStats(&now)
			if grown := now.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
			if got := len(s.of("connect", hostile)); (got == 1) != c.session {
				t.Errorf("%d sessions", got)
			}
			if c.session {
				eventually(t, "session ended", func() bool { return len(s.reasons(hostile)) == 1 })
			}
			s.wantHealthy(t)
			eventually(t, "connections gone", func() bool { return s.Connections() == 0 })
		})
	}
}

// TestWebSocketLengths: frames shorter than they claim wait for the rest like
// any connection that falls silent; the boundaries of frames mean nothing.
func TestWebSocketLengths(t *testing.T) {
	hello := encode(t, connectPacket(hostile, 4))
	t.Run("shorter than claimed, then closed", func(t *testing.T) {
		s := transport{socket: true}.start(t, broker.Limits{})
		nc := s.upgrade(t)
		_, _ = nc.Write(frame{op: opBinary, payload: hello, claim: uint64(len(hello)) + 100}.bytes())
		_ = nc.(*net.TCPConn).CloseWrite()
		ended(t, nc)
		wantReasons(t, s.server, hostile, broker.ConnectionLost)
	})
	t.Run("half a CONNECT, then silence", func(t *testing.T) {
		s := transport{socket: true}.start(t, broker.Limits{ConnectTimeout: 300 * time.Millisecond})
		nc := s.upgrade(t)
		_, _ = nc.Write(frame{op: opBinary, payload: hello[:5], claim: uint64(len(hello))}.bytes())
		ended(t, nc)
		if got := s.of("connect", ""); len(got) != 0 {
			t.Errorf("sessions %v", got)
		}
	})
	t.Run("empty frames and pings keep nobody alive", func(t *testing.T) {
		s := transport{socket: true}.start(t, broker.Limits{ConnectTimeout: 500 * time.Millisecond})
		nc := s.upgrade(t)
		go func() { _, _ = io.Copy(io.Discard, nc) }()
		nothing := append(frame{op: opBinary}.bytes(), frame{op: opPing}.bytes()...)
		_ = nc.SetWriteDeadline(time.Now().Add(patience))
		for {
			if _, err := nc.Write(nothing); err != nil {
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Fatal("still open")
				}
				break
			}
		}
		eventually(t, "connection gone", func() bool { return s.Connections() == 0 })
	})
	t.Run("every byte in a frame of its own", func(t *testing.T) {
		s := transport{socket: true}.start(t, broker.Limits{})
		nc := s.upgrade(t)
		for i, b := range hello {
			_, _ = nc.Write(frame{op: opBinary, payload: []byte{b}}.bytes())
			if i%3 == 0 {
				_, _ = nc.Write(frame{op: opPing, payload: []byte("between")}.bytes())
			}
		}
		eventually(t, "session", func() bool { return len(s.of("connect", hostile)) == 1 })
	})
	t.Run("one message in frames of a byte, a ping in between", func(t *testing.T) {
		s := transport{socket: true}.start(t, broker.Limits{})
		nc := s.upgrade(t)
		for i, b := range hello {
			f := frame{op: opContinue, more: i < len(hello)-1, payload: []byte{b}}
			if i == 0 {
				f.op = opBinary
			}
			_, _ = nc.Write(f.bytes())
			_, _ = nc.Write(frame{op: opPing}.bytes())
		}
		eventually(t, "session", func() bool { return len(s.of("connect", hostile)) == 1 })
	})
}

// TestWebSocketPingsOfAStalledReader: answering pings is no reason to give a
// client up sooner than others that do not read, nor to hold anything for it.
func TestWebSocketPingsOfAStalledReader(t *testing.T) {
	s := transport{socket: true}.start(t, broker.Limits{QueueBytes: 32 << 20, PublishRate: -1})
	nc := s.upgrade(t)
	_, _ = nc.Write(frame{op: opBinary, payload: encode(t, connectPacket("slow", 4))}.bytes())
	eventually(t, "session", func() bool { return len(s.of("connect", "slow")) == 1 })
	session := s.of("connect", "slow")[0].client.Session
	const messages, size = 160, 100_000 // more than the kernel buffers
	for range messages {
		s.Send(session, "bulk", make([]byte, size))
	}
	for range 20 {
		_, _ = nc.Write(frame{op: opPing, payload: []byte("?")}.bytes())
	}
	select { // longer than gorilla waits for a control frame to be written
	case <-time.After(1500 * time.Millisecond):
	case <-t.Context().Done():
	}
	if got := s.reasons("slow"); len(got) != 0 || s.Queued() == 0 {
		t.Fatalf("ended with %v, %d bytes queued", got, s.Queued())
	}
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.CopyN(io.Discard, nc, messages*size); err != nil {
		t.Fatal(err)
	}
	eventually(t, "queue empty", func() bool { return s.Queued() == 0 })
}

// TestUpgradeRefused: requests that are no WebSocket handshake are answered as
// HTTP says and never become connections of the broker.
func TestUpgradeRefused(t *testing.T) {
	const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	const asks = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	for _, c := range []struct {
		name, method, header string
		want                 int
	}{
		{"no upgrade", "GET", "", http.StatusBadRequest},
		{"no key", "GET", asks + "Sec-WebSocket-Version: 13\r\n", http.StatusBadRequest},
		{"short key", "GET", asks + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n", http.StatusBadRequest},
		{"another version", "GET", asks + key + "Sec-WebSocket-Version: 8\r\n", http.StatusBadRequest},
		{"POST", "POST", asks + key + "Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n", http.StatusMethodNotAllowed},
		{"page of another host", "GET", asks + key + "Sec-WebSocket-Version: 13\r\nOrigin: https://evil.example\r\n", http.StatusForbidden},
		{"header without end", "GET", "X: " + strings.Repeat("x", 2<<20) + "\r\n", http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := transport{socket: true}.start(t, broker.Limits{})
			nc := s.raw(t)
			go func() { _, _ = fmt.Fprintf(nc, "%s /mqtt HTTP/1.1\r\nHost: %s\r\n%s\r\n", c.method, s.addr, c.header) }()
			_ = nc.SetReadDeadline(time.Now().Add(patience))
			response, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != c.want {
				t.Errorf("answered %s, want %d", response.Status, c.want)
			}
			if s.Connections() != 0 {
				t.Errorf("%d connections", s.Connections())
			}
		})
	}
}

// FuzzWebSocket sends random bytes as the frames of a WebSocket, after its
// handshake and, if sessions, after CONNECT: the connection ends, its session
// is reported, and nothing is left.
func FuzzWebSocket(f *testing.F) {
	publish := encode(f, packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: "a/b", Payload: []byte("x"), PacketID: 1,
	})
	for _, seed := range [][]byte{
		frame{op: opBinary, payload: encode(f, connectPacket("other", 4))}.bytes(),
		frame{op: opBinary, payload: publish}.bytes(),
		frame{op: opBinary, more: true, payload: publish[:3]}.bytes(),
		append(frame{op: opBinary, more: true, payload: publish[:3]}.bytes(), frame{op: opContinue, payload: publish[3:]}.bytes()...),
		frame{op: opText, payload: []byte("x")}.bytes(),
		frame{op: opPing, payload: []byte("x")}.bytes(),
		frame{op: opClose, payload: []byte{3, 0xe8}}.bytes(),
		frame{op: opBinary, claim: 1 << 63}.bytes(),
		frame{op: opBinary, unmasked: true, payload: publish}.bytes(),
		{0x82},
		{0x82, 0xfe, 0},
		{0x82, 0xff, 0, 0, 0},
	} {
		f.Add(false, seed)
		f.Add(true, seed)
	}
	sessions := &counter{}
	s := transport{socket: true}.start(f, broker.Limits{PublishRate: -1, PublishBytesRate: -1},
		func(cfg *broker.Config) { cfg.Handler = sessions })
	f.Fuzz(func(t *testing.T, session bool, data []byte) {
		nc := s.upgrade(t)
		defer nc.Close()
		if session {
			_, _ = nc.Write(frame{op: opBinary, payload: encode(t, connectPacket("fuzz", 4))}.bytes())
		}
		_, _ = nc.Write(data) // may fail: the server hangs up
		_ = nc.(*net.TCPConn).CloseWrite()
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, nc); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Fatal("the connection does not end")
			}
		}
		eventually(t, "nothing left", func() bool { return s.Connections() == 0 && sessions.open.Load() == 0 })
	})
}
