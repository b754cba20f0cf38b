package proctest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// TestGarbage feeds the server with what no client should send, while its
// operators and devices work: they notice nothing, and nothing that they were
// told is lost.
func TestGarbage(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	h := newHavoc(t, rng)
	h.round = 1
	h.work(func() {
		var wg sync.WaitGroup
		wg.Go(func() { mqttGarbage(t, h.mqtt, split(rng)) })
		wg.Go(func() { slowHeaders(t, h.server.http) })
		for _, g := range httpGarbage() {
			g.run(t, h.server.http)
		}
		wg.Wait()
		before := h.ledger.Acks()
		h.await(200)
		if h.ledger.Acks() < before+200 {
			t.Error("the clients do not get on any more")
		}
	}, func() {})
	h.verify("fed with garbage")
	h.server.Stop()
}

// mqttGarbage opens connections and sends packets that are random, cut short or
// changed in places, most of them after a proper CONNECT.
func mqttGarbage(t *testing.T, address string, rng *rand.Rand) {
	for i := range 400 {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			t.Errorf("connection %d: %v", i, err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		var sent []byte
		if rng.IntN(4) > 0 {
			sent = encode(connectPacket(fmt.Sprintf("garbage-%d", rng.IntN(40))))
		}
		for range 1 + rng.IntN(4) {
			sent = append(sent, spoil(rng, somePacket(rng))...)
		}
		// The server may close at any byte: errors are its right.
		_, _ = c.Write(sent)
		if rng.IntN(2) == 0 {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}
		c.Close()
	}
}

func connectPacket(id string) packets.ControlPacket {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.Keepalive, p.ClientIdentifier = "MQTT", 4, true, 60, id
	return p
}

func encode(p packets.ControlPacket) []byte {
	var b bytes.Buffer
	_ = p.Write(&b)
	return b.Bytes()
}

// somePacket is a proper packet, on topics of a thing that nobody else uses.
func somePacket(rng *rand.Rand) []byte {
	kinds := []byte{
		packets.Connect, packets.Publish, packets.Publish, packets.Publish, packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp,
		packets.Subscribe, packets.Unsubscribe, packets.Pingreq, packets.Disconnect, packets.Connack, packets.Suback,
	}
	p := packets.NewControlPacket(kinds[rng.IntN(len(kinds))])
	switch p := p.(type) {
	case *packets.ConnectPacket:
		return encode(connectPacket("garbage-again"))
	case *packets.PublishPacket:
		suffix := []string{"shadow/update", "shadow/get", "shadow/name/x/update", "jobs/get", "jobs/start-next", "jobs/j/update", "jobs/$next/get", "nothing/at/all"}
		p.TopicName, p.Qos, p.MessageID = "$aws/things/garbage/"+suffix[rng.IntN(len(suffix))], byte(rng.IntN(2)), uint16(1+rng.IntN(100))
		p.Payload = somePayload(rng)
	case *packets.SubscribePacket:
		p.MessageID, p.Topics, p.Qoss = 7, []string{"$aws/things/garbage/#", "a/+/#"}, []byte{1, 0}
	case *packets.UnsubscribePacket:
		p.MessageID, p.Topics = 8, []string{"a/+/#"}
	}
	return encode(p)
}

func somePayload(rng *rand.Rand) []byte {
	switch rng.IntN(6) {
	case 0:
		return []byte(`{"state":{"reported":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000) + `}}`)
	case 1:
		return []byte(`{"status":"IN_PROGRESS","expectedVersion":1e99,"statusDetails":{"a":5}}`)
	case 2:
		return []byte("{\"state\":{\"reported\":{\"\xff\xfe\":\"\xc3\x28\"}}}")
	case 3:
		return bytes.Repeat([]byte("["), 100_000)
	case 4:
		return randomBytes(rng, rng.IntN(2000))
	}
	return []byte(`{"clientToken":"` + strings.Repeat("x", rng.IntN(200)) + `"}`)
}

// spoil changes a packet.
func spoil(rng *rand.Rand, b []byte) []byte {
	switch rng.IntN(5) {
	case 0:
		return randomBytes(rng, rng.IntN(300))
	case 1:
		return b[:rng.IntN(len(b)+1)]
	case 2:
		for range 1 + rng.IntN(4) {
			b[rng.IntN(min(len(b), 40))] ^= 1 << rng.IntN(8)
		}
	case 3:
		b[1] = byte(rng.Uint32())
	}
	return b
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// httpRequest is a bad request and the status that it is refused with.
type httpRequest struct {
	name, method, path, body string
	status                   int
	// says is part of the answer.
	says string
}

func httpGarbage() []httpRequest {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	return []httpRequest{
		{"no JSON", "POST", "/things/garbage", "garbage", 400, "InvalidRequest"},
		{"half JSON", "POST", "/things/garbage", `{"attributePayload":{"attr`, 400, "InvalidRequest"},
		{"two documents", "POST", "/things/garbage", `{} {}`, 400, "InvalidRequest"},
		{"JSON array", "POST", "/things/garbage", `[]`, 400, "InvalidRequest"},
		{"wrong type", "POST", "/things/garbage", `{"attributePayload":7}`, 400, "InvalidRequest"},
		{"invalid UTF-8 in a body", "POST", "/things/garbage", "{\"attributePayload\":{\"attributes\":{\"a\":\"\xff\xfe\"}}}", 400, "InvalidRequest"},
		{"deep body", "POST", "/things/garbage", `{"attributePayload":` + deep(100_000) + `}`, 400, "InvalidRequest"},
		{"deep brackets", "POST", "/things/garbage", strings.Repeat("[", 1_000_000), 400, "InvalidRequest"},
		{"deep shadow", "POST", "/things/garbage/shadow", `{"state":{"desired":` + deep(1000) + `}}`, 400, ""},
		{"deep query", "POST", "/dynamic-thing-groups/garbage", `{"queryString":"` + strings.Repeat("(", 5000) + `"}`, 400, "InvalidQuery"},
		{"bad query", "POST", "/dynamic-thing-groups/garbage", `{"queryString":"attributes.a:(1 OR"}`, 400, "column"},
		{"long query", "POST", "/indices/search", `{"queryString":"` + strings.Repeat("a", 200_000) + `"}`, 400, ""},
		{"2 MiB body", "POST", "/things/garbage", `{"attributePayload":{"attributes":{"a":"` + strings.Repeat("x", 2<<20) + `"}}}`, 413, "at most"},
		{"2 MiB shadow", "POST", "/things/garbage/shadow", `{"state":{"desired":{"a":"` + strings.Repeat("x", 2<<20) + `"}}}`, 413, ""},
		{"invalid UTF-8 in a name", "POST", "/things/%ff%fe", "{}", 400, "InvalidRequest"},
		{"NUL in a name", "POST", "/things/%00", "{}", 400, "InvalidRequest"},
		{"slash in a name", "POST", "/things/..%2f..%2fetc", "{}", 400, "InvalidRequest"},
		{"long name", "POST", "/things/" + strings.Repeat("n", 5000), "{}", 400, "InvalidRequest"},
		{"no name", "POST", "/things/", "{}", 404, ""},
		{"dots in the path", "GET", "/things/../../../etc/passwd", "", 404, ""},
		{"dots in the repository", "GET", "/tuf/..%2f..%2f..%2fetc%2fpasswd", "", 404, ""},
		{"unknown path", "GET", "/nothing/here", "", 404, "UnknownOperation"},
		{"unknown method", "BREW", "/things/garbage", "", 404, "UnknownOperation"},
		{"wrong method", "DELETE", "/jobs", "", 404, "UnknownOperation"},
		{"bad number", "GET", "/things?maxResults=many", "", 400, "InvalidRequest"},
		{"number out of range", "GET", "/things?maxResults=99999999999999999999", "", 400, "InvalidRequest"},
		{"bad token", "GET", "/things?nextToken=garbage", "", 400, "InvalidRequest"},
		{"bad version", "DELETE", "/things/garbage?expectedVersion=-1x", "", 400, "InvalidRequest"},
		{"unknown thing", "GET", "/things/unknown", "", 404, "ResourceNotFound"},
		{"job without targets", "PUT", "/jobs/garbage", `{"document":"{}","targets":[]}`, 400, "InvalidRequest"},
		{"job with a bad target", "PUT", "/jobs/garbage", `{"document":"{}","targets":["arn:::"]}`, 400, "InvalidRequest"},
		{"job with a bad document", "PUT", "/jobs/garbage", `{"document":"{","targets":["arn:aws:iot:us-east-1:123456789012:thing/device-0"]}`, 400, "InvalidRequest"},
		{"job with a bad time-out", "PUT", "/jobs/garbage", `{"document":"{}","targets":["arn:aws:iot:us-east-1:123456789012:thing/device-0"],"timeoutConfig":{"inProgressTimeoutInMinutes":1e30}}`, 400, ""},
		{"bad timestamp", "PUT", "/jobs/garbage", `{"document":"{}","targets":["arn:aws:iot:us-east-1:123456789012:thing/device-0"],"schedulingConfig":{"startTime":"yesterday"}}`, 400, "InvalidRequest"},
		{"bad metadata", "POST", "/muster/v1/repository/publish", `{"roots":["x"],"targets":"y"}`, 400, ""},
		{"bad artifact name", "POST", "/muster/v1/repository/artifacts/nothex", "x", 400, ""},
		{"artifact of another digest", "POST", "/muster/v1/repository/artifacts/" + strings.Repeat("0", 64), "x", 400, ""},
	}
}

// run sends the request and wants a JSON error.
func (g httpRequest) run(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, g.method, "http://"+address, strings.NewReader(g.body))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(g.path, "?")
	r.URL.Opaque, r.URL.RawQuery = "//"+address+path, query // as it is, not cleaned
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Errorf("%s: %v", g.name, err)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var object struct{ Message *string }
	switch {
	case err != nil:
		t.Errorf("%s: %v", g.name, err)
	case response.StatusCode != g.status:
		t.Errorf("%s: answered %d %.300s, want %d", g.name, response.StatusCode, text, g.status)
	case json.Unmarshal(text, &object) != nil || object.Message == nil:
		t.Errorf("%s: the answer is no JSON error: %.300q", g.name, text)
	case !strings.Contains(response.Header.Get("x-amzn-ErrorType")+string(text), g.says):
		t.Errorf("%s: answered %s %.300s, want something with %q", g.name, response.Header.Get("x-amzn-ErrorType"), text, g.says)
	}
}

// slowHeaders opens connections that send a header byte by byte: the server
// gives each of them up in time.
func slowHeaders(t *testing.T, address string) {
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			c, err := net.DialTimeout("tcp", address, 5*time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				_, _ = bufio.NewReader(c).ReadString(0) // until the server closes
			}()
			if _, err := io.WriteString(c, "GET /things HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
				t.Error(err)
			}
			timeout := time.After(25 * time.Second)
			for {
				select {
				case <-closed:
					return
				case <-timeout:
					t.Error("a header that never ends is waited for longer than 25 s")
					return
				case <-time.After(200 * time.Millisecond):
					_, _ = io.WriteString(c, "x") // fails when it is closed
				}
			}
		})
	}
	wg.Wait()
}
