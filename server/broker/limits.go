package broker

import (
	"errors"
	"log/slog"
	"math"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// Limits bound what one connection, and all together, may take. A zero field
// means the default named beside it. Those of the AWS IoT reference 10.1 are
// marked AWS.
type Limits struct {
	PacketBytes      int           // 144 KiB; a larger packet ends the connection
	PayloadBytes     int           // 128 KiB (AWS)
	ConnectBytes     int           // 16 KiB; size of the first packet
	ConnectTimeout   time.Duration // 10 s from accepting to the whole CONNECT packet
	ClientIDBytes    int           // 128 (AWS)
	TopicBytes       int           // 256 (AWS), of topics and filters
	TopicSlashes     int           // 7 (AWS), of topics and filters
	SubscribeFilters int           // 8 in a SUBSCRIBE packet (AWS)
	Subscriptions    int           // 50 of one connection (AWS)
	Inflight         int           // 100 unacknowledged QoS 1 messages each way (AWS)
	TopicAliases     int           // 8 of a connection, from the client only (AWS)

	// MinKeepAlive and MaxKeepAlive clamp what clients ask for: 30 s and
	// 1200 s; 0 means the maximum (AWS). MQTT 5 clients are told the clamped
	// value in CONNACK, MQTT 3 has no way to.
	MinKeepAlive, MaxKeepAlive time.Duration

	// SessionExpiry is how long a persistent session without connection is
	// kept: 1 h (AWS). A shorter wish of an MQTT 5 client is granted.
	SessionExpiry time.Duration

	// MessageExpiry bounds the expiry that an MQTT 5 publisher may set: 7 days
	// (AWS). A message without one does not expire while its session lives.
	MessageExpiry time.Duration

	// PublishRate and PublishBytesRate are publishes and payload bytes per
	// second of a connection: 100 and 512 KiB (AWS); negative is no limit.
	// SUBSCRIBE, UNSUBSCRIBE and PINGREQ packets count like publishes. A
	// faster client is read more slowly; nothing is dropped.
	PublishRate, PublishBytesRate int

	// QueueBytes bounds what waits to be sent on one connection: 8 MiB.
	// A client that lets more pile up is disconnected.
	QueueBytes int
	// TotalQueueBytes bounds the sum over all connections, of what waits to be
	// sent and of QoS 1 messages that wait to be acknowledged: 256 MiB. Above
	// it every connection is held to 64 KiB.
	TotalQueueBytes int
	// WriteTimeout is how long one write to a connection may stall: 30 s.
	WriteTimeout time.Duration

	Connections      int // 100,000
	ConnectionsPerIP int // 50,000
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.PacketBytes, 144<<10)
	orDefault(&l.PayloadBytes, 128<<10)
	orDefault(&l.ConnectBytes, 16<<10)
	orDefault(&l.ConnectTimeout, 10*time.Second)
	orDefault(&l.ClientIDBytes, 128)
	orDefault(&l.TopicBytes, 256)
	orDefault(&l.TopicSlashes, 7)
	orDefault(&l.SubscribeFilters, 8)
	orDefault(&l.Subscriptions, 50)
	orDefault(&l.Inflight, 100)
	orDefault(&l.TopicAliases, 8)
	orDefault(&l.MinKeepAlive, 30*time.Second)
	orDefault(&l.MaxKeepAlive, 1200*time.Second)
	orDefault(&l.SessionExpiry, time.Hour)
	orDefault(&l.MessageExpiry, 7*24*time.Hour)
	orDefault(&l.PublishRate, 100)
	orDefault(&l.PublishBytesRate, 512<<10)
	orDefault(&l.QueueBytes, 8<<20)
	orDefault(&l.TotalQueueBytes, 256<<20)
	orDefault(&l.WriteTimeout, 30*time.Second)
	orDefault(&l.Connections, 100_000)
	orDefault(&l.ConnectionsPerIP, 50_000)
	return l
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// check refuses what mochi would misunderstand.
func (l Limits) check() error {
	const largestKeepAlive = 43_000 * time.Second // mochi adds half of it in 16 bits
	switch {
	case l.Inflight < 1 || l.Inflight > math.MaxUint16:
		return errors.New("limit Inflight must be 1 to 65535")
	case l.MinKeepAlive < time.Second || l.MaxKeepAlive < l.MinKeepAlive || l.MaxKeepAlive > largestKeepAlive:
		return errors.New("limits of the keep-alive must be 1 s to 43000 s, the smaller one first")
	case l.SessionExpiry < 0 || l.SessionExpiry > math.MaxUint32*time.Second:
		return errors.New("limit SessionExpiry must be at most 136 years")
	case l.MessageExpiry < time.Second || l.MessageExpiry > math.MaxUint32*time.Second:
		return errors.New("limit MessageExpiry must be 1 s to 136 years")
	case l.TopicAliases < 0 || l.TopicAliases > math.MaxUint16:
		return errors.New("limit TopicAliases must be at most 65535")
	case l.PacketBytes < 0 || l.PacketBytes > math.MaxInt32:
		return errors.New("limit PacketBytes must be below 2 GiB")
	}
	return nil
}

// keepAlive clamps what a client asked for, in seconds.
func (l Limits) keepAlive(asked uint16) uint16 {
	wish := time.Duration(asked) * time.Second
	if wish == 0 || wish > l.MaxKeepAlive {
		wish = l.MaxKeepAlive
	}
	return uint16(max(wish, l.MinKeepAlive) / time.Second)
}

// mochiOptions are the settings of the embedded server. Its queues are not
// used, so they are as small as they can be.
func (l Limits) mochiOptions() *mqtt.Options {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumClientWritesPending = 0
	caps.MaximumPacketSize = uint32(l.PacketBytes)
	caps.MaximumSessionExpiryInterval = uint32(l.SessionExpiry / time.Second)
	caps.ReceiveMaximum = uint16(l.Inflight)
	caps.MaximumInflight = uint16(l.Inflight)
	caps.TopicAliasMaximum = 0 // the guard resolves them
	caps.SharedSubAvailable = 0
	caps.MaximumQos = 1
	caps.Compatibilities.NoInheritedPropertiesOnAck = true
	return &mqtt.Options{
		Capabilities:             caps,
		ClientNetReadBufferSize:  512,
		ClientNetWriteBufferSize: 1024,
		SysTopicResendInterval:   365 * 24 * 60 * 60,            // never: its loop does not run
		Logger:                   slog.New(slog.DiscardHandler), // it logs whole packets
	}
}

// bucket is a token bucket that may go into debt. It belongs to one goroutine.
type bucket struct {
	tokens float64
	last   time.Time
}

// take removes n tokens and returns how long to wait for them. A new bucket
// is full; it holds the tokens of one second.
func (b *bucket) take(now time.Time, rate int, n int) time.Duration {
	if rate <= 0 {
		return 0
	}
	full := float64(rate)
	if b.last.IsZero() {
		b.tokens = full
	} else {
		b.tokens = min(full, b.tokens+now.Sub(b.last).Seconds()*full)
	}
	b.last = now
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / full * float64(time.Second))
}
