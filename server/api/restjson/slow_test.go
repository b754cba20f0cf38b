package restjson_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-iot/muster/server/api/restjson"
)

// pipes is a listener that accepts the connections sent to it.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close is called once, by the server.
func (p pipes) Close() error {
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// connect serves one connection in virtual time and returns its other end.
func connect(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	var s seen
	h, err := restjson.New(config(fake(&s)))
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	listener := make(pipes, 1)
	listener <- far
	server := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		near.Close()
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return near, bufio.NewReader(near)
}

// TestSlowBody: a client that sends its body byte by byte is refused in time
// and loses the connection.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, in := connect(t)
		begin := time.Now()
		sent := make(chan struct{}) // closed when nothing can be sent any more
		go func() {
			defer close(sent)
			_, err := io.WriteString(c, "POST /things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
			for err == nil {
				<-time.After(700 * time.Millisecond)
				_, err = io.WriteString(c, " ")
			}
		}()
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if took := time.Since(begin); took < 29*time.Second || took > 31*time.Second {
			t.Errorf("answered after %v", took)
		}
		if err != nil || response.StatusCode != 400 || !strings.Contains(string(text), "did not arrive within 30s") {
			t.Errorf("answered %d %s, %v", response.StatusCode, text, err)
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the connection is still open: %v", err)
		}
		<-sent
	})
}

// TestPatientConnection: the time for one body does not count for the next.
func TestPatientConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, in := connect(t)
		for range 3 {
			if _, err := io.WriteString(c, "POST /things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
				t.Fatal(err)
			}
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
				t.Errorf("answered %d, %v", response.StatusCode, err)
			}
			<-time.After(time.Minute)
		}
	})
}
