package observer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestEncodeAndRead(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16383, 16384, 300_000} {
		body := bytes.Repeat([]byte{'x'}, size)
		p, err := readPacket(bufio.NewReader(bytes.NewReader(encode(publish, 2, body))))
		if err != nil || p.kind != publish || p.flags != 2 || !bytes.Equal(p.body, body) {
			t.Errorf("a body of %d bytes comes back with %d and %v", size, len(p.body), err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"nothing", nil, io.EOF},
		{"no length", []byte{0x30}, io.ErrUnexpectedEOF},
		{"half a body", []byte{0x30, 5, 'a'}, io.ErrUnexpectedEOF},
		{"a length of five bytes", []byte{0x30, 0xff, 0xff, 0xff, 0xff, 1}, errMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := readPacket(bufio.NewReader(bytes.NewReader(c.bytes))); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
	huge := append([]byte{0x30}, 0xff, 0xff, 0xff, 0x7f)
	if _, err := readPacket(bufio.NewReader(bytes.NewReader(huge))); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a packet of 256 MB: %v", err)
	}
}

func TestMessage(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet packet
		topic  string
		id     uint16
		fails  bool
	}{
		{"at QoS 0", packet{publish, 0, []byte("\x00\x01thello")}, "t", 0, false},
		{"at QoS 1", packet{publish, 2, []byte("\x00\x01t\x00\x07hello")}, "t", 7, false},
		{"at QoS 2", packet{publish, 4, []byte("\x00\x01t\x00\x07hello")}, "", 0, true},
		{"no topic", packet{publish, 0, []byte("\x00")}, "", 0, true},
		{"an empty topic", packet{publish, 0, []byte("\x00\x00x")}, "", 0, true},
		{"a topic that is longer than all", packet{publish, 0, []byte("\x00\x09t")}, "", 0, true},
		{"no packet id", packet{publish, 2, []byte("\x00\x01t\x00")}, "", 0, true},
		{"packet id 0", packet{publish, 2, []byte("\x00\x01t\x00\x00")}, "", 0, true},
		{"another packet", packet{suback, 0, nil}, "", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, id, err := c.packet.message()
			if (err != nil) != c.fails {
				t.Fatalf("error %v", err)
			}
			if err == nil && (m.Topic != c.topic || id != c.id || string(m.Payload) != "hello") {
				t.Errorf("topic %q, id %d, payload %q", m.Topic, id, m.Payload)
			}
		})
	}
}

func FuzzReadPacket(f *testing.F) {
	f.Add(encode(publish, 2, []byte("\x00\x01t\x00\x07hello")))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReader(bytes.NewReader(data))
		for {
			p, err := readPacket(in)
			if err != nil {
				return
			}
			m, _, err := p.message()
			if err == nil && len(m.Topic)+len(m.Payload) > len(p.body) {
				t.Fatal("a message is longer than its packet")
			}
		}
	})
}
