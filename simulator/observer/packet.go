package observer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The packet types of MQTT 3.1.1 that an observer meets.
const (
	connect   byte = 1
	connack   byte = 2
	publish   byte = 3
	puback    byte = 4
	subscribe byte = 8
	suback    byte = 9
	pingreq   byte = 12
)

// maxPacket is the largest packet that is read, in bytes.
const maxPacket = 1 << 20

// packet is one control packet.
type packet struct {
	kind, flags byte
	body        []byte
}

var errMalformed = errors.New("malformed packet")

// readPacket reads one packet, at most maxPacket long.
func readPacket(r interface {
	io.Reader
	io.ByteReader
},
) (packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return packet{}, err
	}
	n, shift := 0, 0
	for {
		b, err := r.ReadByte()
		if err != nil {
			return packet{}, unexpected(err)
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
		return packet{}, fmt.Errorf("packet of %d bytes, at most %d are read", n, maxPacket)
	}
	p := packet{kind: first >> 4, flags: first & 0xf, body: make([]byte, n)}
	_, err = io.ReadFull(r, p.body)
	return p, unexpected(err)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// message reads a PUBLISH; id is 0 at QoS 0.
func (p packet) message() (m Message, id uint16, err error) {
	qos := p.flags >> 1 & 3
	if p.kind != publish || qos > 1 {
		return m, 0, fmt.Errorf("%w: PUBLISH at QoS %d", errMalformed, qos)
	}
	if len(p.body) < 2 {
		return m, 0, fmt.Errorf("%w: PUBLISH without a topic", errMalformed)
	}
	n, rest := int(binary.BigEndian.Uint16(p.body)), p.body[2:]
	if n == 0 || n > len(rest) {
		return m, 0, fmt.Errorf("%w: topic of %d bytes in %d", errMalformed, n, len(rest))
	}
	m.Topic, rest = string(rest[:n]), rest[n:]
	if qos == 1 {
		if len(rest) < 2 {
			return m, 0, fmt.Errorf("%w: PUBLISH without a packet id", errMalformed)
		}
		if id, rest = binary.BigEndian.Uint16(rest), rest[2:]; id == 0 {
			return m, 0, fmt.Errorf("%w: packet id 0", errMalformed)
		}
	}
	m.Payload = rest
	return m, id, nil
}

// encode puts the fixed header before a body.
func encode(kind, flags byte, body []byte) []byte {
	out := []byte{kind<<4 | flags}
	n := len(body)
	for {
		b := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			out = append(out, b|0x80)
			continue
		}
		return append(append(out, b), body...)
	}
}

func text(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// connectPacket asks for a clean session.
func connectPacket(clientID string, keepAlive time.Duration) []byte {
	body := text(nil, "MQTT")
	body = append(body, 4, 0x02)
	body = binary.BigEndian.AppendUint16(body, uint16(keepAlive/time.Second))
	return encode(connect, 0, text(body, clientID))
}

// subscribePacket asks for every filter at QoS 1.
func subscribePacket(id uint16, filters []string) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	for _, f := range filters {
		body = append(text(body, f), 1)
	}
	return encode(subscribe, 0x02, body)
}

func pubackPacket(id uint16) []byte {
	return encode(puback, 0, binary.BigEndian.AppendUint16(nil, id))
}
