package clients_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// wire is a connection on which a client's packets are written as that client
// writes them. It knows just enough of MQTT 3.1.1 to read answers.
type wire struct {
	t      *testing.T
	conn   net.Conn
	r      *bufio.Reader
	id     uint16
	unread []string // messages that came while another packet was awaited
}

// The packet types of MQTT that are read, in the upper half of the first byte.
const (
	typeConnack = 2
	typePublish = 3
	typePuback  = 4
	typeSuback  = 9
)

func newWire(t *testing.T, conn net.Conn, err error) *wire {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(deviceTime)); err != nil {
		t.Fatal(err)
	}
	return &wire{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// text is a string with its length before it, as MQTT has them.
func text(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }

func (w *wire) send(first byte, body string) {
	w.t.Helper()
	packet := binary.AppendUvarint([]byte{first}, uint64(len(body)))
	if _, err := w.conn.Write(append(packet, body...)); err != nil {
		w.t.Fatalf("cannot send packet %x: %v", first, err)
	}
}

// read returns the next packet.
func (w *wire) read() (first byte, body string, err error) {
	if first, err = w.r.ReadByte(); err != nil {
		return 0, "", err
	}
	length, err := binary.ReadUvarint(w.r)
	if err != nil {
		return 0, "", err
	}
	all := make([]byte, length)
	_, err = io.ReadFull(w.r, all)
	return first, string(all), err
}

// await reads until a packet of that kind comes; messages are kept.
func (w *wire) await(kind byte) string {
	w.t.Helper()
	for {
		first, body, err := w.read()
		if err != nil {
			w.t.Fatalf("no packet of type %d: %v; messages that nobody took: %q", kind, err, w.unread)
		}
		if first>>4 == typePublish {
			w.unread = append(w.unread, w.accept(first, body))
			if kind == typePublish {
				return ""
			}
			continue
		}
		if first>>4 == kind {
			return body
		}
	}
}

// accept takes a message, acknowledges it, and returns topic and payload.
func (w *wire) accept(first byte, body string) string {
	length := int(binary.BigEndian.Uint16([]byte(body)))
	topic, payload := body[2:2+length], body[2+length:]
	if first>>1&3 > 0 {
		w.send(0x40, payload[:2])
		payload = payload[2:]
	}
	return topic + " " + payload
}

// message returns the first message on a topic that has not been taken yet.
func (w *wire) message(topic string) object {
	w.t.Helper()
	for {
		for i, m := range w.unread {
			payload, ok := strings.CutPrefix(m, topic+" ")
			if !ok {
				continue
			}
			w.unread = append(w.unread[:i:i], w.unread[i+1:]...)
			var o object
			if err := json.Unmarshal([]byte(payload), &o); err != nil {
				w.t.Fatalf("%s: %v", m, err)
			}
			return o
		}
		w.await(typePublish)
	}
}

// connect sends a CONNECT of MQTT 3.1.1 without a will, and says whether the
// server had a session.
func (w *wire) connect(flags byte, keepAlive uint16, fields ...string) (present bool) {
	w.t.Helper()
	body := text("MQTT") + string([]byte{4, flags}) + string(binary.BigEndian.AppendUint16(nil, keepAlive))
	for _, f := range fields {
		body += text(f)
	}
	w.send(0x10, body)
	answer := w.await(typeConnack)
	if answer[1] != 0 {
		w.t.Fatalf("refused with return code %d", answer[1])
	}
	return answer[0] == 1
}

// subscribe asks for filters at QoS 1 in one packet, all of which must be granted.
func (w *wire) subscribe(filters ...string) {
	w.t.Helper()
	w.id++
	body := string(binary.BigEndian.AppendUint16(nil, w.id))
	for _, f := range filters {
		body += text(f) + "\x01"
	}
	w.send(0x82, body)
	granted := w.await(typeSuback)[2:]
	if granted != strings.Repeat("\x01", len(filters)) {
		w.t.Fatalf("subscribed to %q, granted %x", filters, granted)
	}
}

// publish sends a message at QoS 1 and waits for its acknowledgement.
func (w *wire) publish(topic string, payload object) {
	w.t.Helper()
	content, err := json.Marshal(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	w.id++
	w.send(0x32, text(topic)+string(binary.BigEndian.AppendUint16(nil, w.id))+string(content))
	w.await(typePuback)
}

func (w *wire) want(topic string, want object) object {
	w.t.Helper()
	got := w.message(topic)
	for _, problem := range differences(topic, want, got) {
		w.t.Error(problem)
	}
	return got
}

// quiet requires that no message is there which nobody has taken.
func (w *wire) quiet(topics ...string) {
	w.t.Helper()
	for _, m := range w.unread {
		for _, topic := range topics {
			if strings.HasPrefix(m, topic+" ") {
				w.t.Errorf("a message too many: %s", m)
			}
		}
	}
}

// TestSeqsense replays seqsense/aws-iot-device-sdk-go v6: no user name, no ALPN,
// the filters jobs/notify, jobs/get/# and jobs/+/get/#, which leave out the answers
// to updates: those must come all the same.
func TestSeqsense(t *testing.T) {
	t.Parallel()
	p := startPlant(t)
	for _, way := range []struct {
		name string
		dial func() (net.Conn, error)
	}{
		{"TCP", func() (net.Conn, error) { return net.Dial("tcp", p.MQTT) }},
		{"TLS without ALPN", func() (net.Conn, error) { return tls.Dial("tcp", p.MQTTS, p.tlsConfig(t)) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			p.api.t = t
			thing := "seqsense-" + strings.ReplaceAll(way.name, " ", "-")
			p.api.ok("CreateThing", object{"thingName": thing}, nil)
			p.createJob(thing+"-job", thing)
			conn, err := way.dial()
			w := newWire(t, conn, err)
			w.connect(0x02, 60, thing) // clean session, client id only
			p.connected(thing, object{"connected": true})
			w.runSeqsense(p, thing)
		})
	}
}

func (w *wire) runSeqsense(p *plant, thing string) {
	w.t.Helper()
	jobs, id := "$aws/things/"+thing+"/jobs/", thing+"-job"
	w.subscribe(jobs + "notify")
	w.subscribe(jobs + "get/#")
	w.subscribe(jobs + "+/get/#")
	w.publish(jobs+"get", object{"clientToken": "t1"})
	w.want(jobs+"get/accepted", object{"clientToken": "t1", "queuedJobs": []any{object{"jobId": id, "executionNumber": 1}}})
	w.publish(jobs+id+"/get", object{"executionNumber": 1, "includeJobDocument": true, "clientToken": "t2"})
	w.want(jobs+id+"/get/accepted", object{"clientToken": "t2", "execution": object{"jobId": id, "status": "QUEUED", "jobDocument": object{"version": "6"}}})
	// What follows is not subscribed.
	update := func(status, token string, version int) {
		w.publish(jobs+id+"/update", object{"status": status, "statusDetails": object{}, "expectedVersion": version, "clientToken": token})
	}
	update("IN_PROGRESS", "t3", 1)
	w.want(jobs+id+"/update/accepted", object{"clientToken": "t3"})
	update("IN_PROGRESS", "t4", 1)
	w.want(jobs+id+"/update/rejected", object{"clientToken": "t4", "code": "VersionMismatch", "executionState": object{"versionNumber": 2}})
	update("SUCCEEDED", "t5", 2)
	w.want(jobs+id+"/update/accepted", object{"clientToken": "t5"})
	w.want(jobs+"notify", object{"jobs": object{}})
	p.createJob(thing+"-more", thing)
	w.want(jobs+"notify", object{"jobs": object{"QUEUED": []any{object{"jobId": thing + "-more"}}}})
	w.quiet(jobs+"get/accepted", jobs+id+"/get/accepted", jobs+id+"/update/accepted", jobs+id+"/update/rejected", jobs+"notify-next")
}

// tlsConfig trusts the server and shows the device's certificate, or another
// pair of files.
func (p *plant) tlsConfig(t *testing.T, protocols ...string) *tls.Config {
	t.Helper()
	authority, err := os.ReadFile(p.CA)
	certificate, pairErr := tls.LoadX509KeyPair(p.RSACert, p.RSAKey)
	if err := errors.Join(err, pairErr); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{certificate}, NextProtos: protocols}
}

// deviceClient is the AWS IoT Device Client in C++, on the port that is 443 on
// AWS.
type deviceClient struct {
	*wire
	p           *plant
	thing, jobs string
}

// dialDeviceClient connects as it does: ALPN, a user name that only tells the
// SDK, no clean session.
func (p *plant) dialDeviceClient(t *testing.T, thing string) (d *deviceClient, present bool) {
	t.Helper()
	conn, err := tls.Dial("tcp", p.HTTPS, p.tlsConfig(t, "x-amzn-mqtt-ca"))
	w := newWire(t, conn, err)
	if got := conn.ConnectionState().NegotiatedProtocol; got != "x-amzn-mqtt-ca" {
		t.Fatalf("the server chose the protocol %q", got)
	}
	present = w.connect(0x80, 1200, thing, "?SDK=CPPv2&Version=1.32.0&Platform=Linux")
	return &deviceClient{wire: w, p: p, thing: thing, jobs: "$aws/things/" + thing + "/jobs/"}, present
}

// subscribeAll is one SUBSCRIBE per filter, any job's updates by a wildcard.
func (d *deviceClient) subscribeAll() {
	d.t.Helper()
	for _, filter := range []string{
		"start-next/accepted", "start-next/rejected", "notify-next", "+/update/accepted", "+/update/rejected",
	} {
		d.subscribe(d.jobs + filter)
	}
}

func (d *deviceClient) startNext(want object) {
	d.t.Helper()
	d.publish(d.jobs+"start-next", object{"thingName": d.thing, "clientToken": "start"})
	d.want(d.jobs+"start-next/accepted", object{"clientToken": "start", "execution": want})
}

func (d *deviceClient) update(job, status string) {
	d.t.Helper()
	d.publish(d.jobs+job+"/update", object{
		"thingName": d.thing, "jobId": job, "status": status, "statusDetails": object{"stdout": status}, "clientToken": status,
	})
}

// setVersion makes the thing a member of the group "fives", or not.
func (d *deviceClient) setVersion(version string) {
	d.t.Helper()
	d.p.api.ok("UpdateThing", object{"thingName": d.thing, "attributePayload": object{"attributes": object{"version": version}}}, nil)
}

// TestDeviceClient replays the AWS IoT Device Client in C++: it drops
// a notification with the job id and execution number of the last one, and gives
// up on every refusal but RequestThrottled and InternalError.
func TestDeviceClient(t *testing.T) {
	t.Parallel()
	p := startPlant(t)
	p.api.t = t
	const thing = "device-client"
	p.api.ok("CreateThing", object{"thingName": thing, "attributePayload": object{"attributes": object{"version": "5"}}}, nil)
	p.api.ok("CreateDynamicThingGroup", object{"thingGroupName": "fives", "queryString": "attributes.version:5"}, nil)
	p.api.eventually("DescribeThingGroup", object{"thingGroupName": "fives"}, object{"status": "ACTIVE"})
	d, present := p.dialDeviceClient(t, thing)
	if present {
		t.Error("a session is said to be there before the first connect")
	}
	d.subscribeAll()
	d.startNext(nil)
	p.api.ok("CreateJob", object{
		"jobId": "fw-6", "targets": []any{arn("thinggroup/fives")}, "targetSelection": "CONTINUOUS", "document": jobDocument,
	}, nil)
	d.want(d.jobs+"notify-next", object{"execution": object{"jobId": "fw-6", "status": "QUEUED", "executionNumber": 1}})

	// The group is left and joined again: it is another execution.
	d.setVersion("6")
	d.want(d.jobs+"notify-next", object{"execution": nil})
	d.setVersion("5")
	d.want(d.jobs+"notify-next", object{"execution": object{"jobId": "fw-6", "executionNumber": 2, "jobDocument": object{"version": "6"}}})

	// A fast job: its end overtakes its beginning.
	d.update("fw-6", "SUCCEEDED")
	d.want(d.jobs+"fw-6/update/accepted", object{"clientToken": "SUCCEEDED"})
	d.want(d.jobs+"notify-next", object{"execution": nil})
	for _, status := range []string{"IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"} {
		d.update("fw-6", status)
		d.want(d.jobs+"fw-6/update/rejected", object{"clientToken": status, "code": "TerminalStateReached", "message": some, "timestamp": recent})
	}
	d.update("none", "IN_PROGRESS")
	d.want(d.jobs+"none/update/rejected", object{"clientToken": "IN_PROGRESS", "code": "ResourceNotFound"})
	d.quiet(d.jobs+"notify-next", d.jobs+"fw-6/update/accepted", d.jobs+"fw-6/update/rejected")
	d.resume()
}

// resume loses the connection and comes back to the session, which still has
// the subscriptions.
func (d *deviceClient) resume() {
	d.t.Helper()
	d.conn.Close()
	d.p.connected(d.thing, object{"connected": false, "disconnectReason": "CONNECTION_LOST"})
	again, present := d.p.dialDeviceClient(d.t, d.thing)
	if !present {
		d.t.Error("the session is gone after a lost connection")
	}
	d.p.createJob("later", d.thing)
	again.want(d.jobs+"notify-next", object{"execution": object{"jobId": "later", "executionNumber": 1}})
	again.startNext(object{"jobId": "later", "status": "IN_PROGRESS"})
	again.update("later", "SUCCEEDED")
	again.want(d.jobs+"later/update/accepted", object{"clientToken": "SUCCEEDED"})
}
