package floor

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The packet types of MQTT 3.1.1 that are met here.
const (
	connect    byte = 1
	connack    byte = 2
	publish    byte = 3
	puback     byte = 4
	subscribe  byte = 8
	suback     byte = 9
	pingreq    byte = 12
	pingresp   byte = 13
	disconnect byte = 14
)

// maxPacket is the largest packet that is read, in bytes.
const maxPacket = 256 << 10

// packet is one control packet; its body is good until the next one is read.
type packet struct {
	kind, qos byte
	body      []byte
}

var errMalformed = errors.New("malformed packet")

// reader reads packets into one buffer.
type reader struct {
	in   *bufio.Reader
	body []byte
}

func (r *reader) next() (packet, error) {
	first, err := r.in.ReadByte()
	if err != nil {
		return packet{}, err
	}
	n, shift := 0, 0
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			return packet{}, err
		}
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if shift += 7; shift > 21 {
			return packet{}, fmt.Errorf("%w: length of more than four bytes", errMalformed)
		}
	}
	if n > maxPacket {
		return packet{}, fmt.Errorf("%w: %d bytes, at most %d are read", errMalformed, n, maxPacket)
	}
	if cap(r.body) < n {
		r.body = make([]byte, n)
	}
	p := packet{kind: first >> 4, qos: first >> 1 & 3, body: r.body[:n]}
	_, err = io.ReadFull(r.in, p.body)
	return p, err
}

// message takes a PUBLISH apart; id is empty at QoS 0.
func (p packet) message() (topic, id, payload []byte, err error) {
	topic, rest, ok := cut(p.body)
	if !ok || p.qos > 1 {
		return nil, nil, nil, fmt.Errorf("%w: PUBLISH", errMalformed)
	}
	if p.qos == 0 {
		return topic, nil, rest, nil
	}
	if len(rest) < 2 {
		return nil, nil, nil, fmt.Errorf("%w: PUBLISH without a packet id", errMalformed)
	}
	return topic, rest[:2], rest[2:], nil
}

// cut takes a text with its length off the front.
func cut(b []byte) (text, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > len(b)-2 {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// head appends a fixed header.
func head(b []byte, kind, flags byte, length int) []byte {
	b = append(b, kind<<4|flags)
	for ; length > 0x7f; length >>= 7 {
		b = append(b, byte(length)|0x80)
	}
	return append(b, byte(length))
}

// text appends a text with its length.
func text(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// appendPublish appends a PUBLISH at QoS 1.
func appendPublish(b []byte, id uint16, topic string, payload []byte) []byte {
	b = head(b, publish, 1<<1, 2+len(topic)+2+len(payload))
	b = text(b, topic)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, payload...)
}
