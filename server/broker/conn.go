package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lingerTime     = time.Second // for what is still queued when a connection closes
	crowdedQueue   = 64 << 10    // queue of a connection when all queues together are full
	writeChunk     = 32 << 10    // what must get through within the write timeout
	firstReadBytes = 512
)

var (
	errSlowClient   = errors.New("client does not read what it is sent")
	errFirstPacket  = errors.New("first packet is not CONNECT")
	errFirstTooLong = errors.New("first packet is too long")
)

// conn guards a network connection. Write never blocks: it queues, and a
// goroutine that lives only while something is queued does the writing. A
// queue above its bound, or a write that stalls, ends the connection. Close
// sends what is queued, within lingerTime, and makes Read return at once.
type conn struct {
	net.Conn
	ip           string
	queueLimit   int
	totalLimit   int64
	total        *atomic.Int64 // shared by all connections
	writeTimeout time.Duration

	// of the reading goroutine
	prefix  []byte   // read ahead to look at the first packet
	last    byte     // the last one read: the end of a DISCONNECT, for nothing follows it
	readErr error    // why the last Read failed
	session *session // from the CONNECT packet on

	emptyWill bool // the CONNECT packet has a will without payload

	closing chan struct{} // closed by the first Close
	flushed chan struct{} // closed when the connection is closed for good

	mu       sync.Mutex
	queue    []byte
	spare    []byte // written out, for reuse
	unsent   int    // bytes in queue and in the hands of drain
	draining bool   // the writing goroutine runs
	held     bool   // what is queued waits for release
	closed   bool   // no more writes; implies draining until flushed
	broken   bool   // closed without sending what is queued
	spoken   bool   // something is on its way to the client: CONNACK first
	reason   Reason // why the session ends; the first one stays
}

func (b *Broker) newConn(nc net.Conn) *conn {
	return &conn{
		Conn:         nc,
		ip:           remoteIP(nc),
		queueLimit:   b.limits.QueueBytes,
		totalLimit:   int64(b.limits.TotalQueueBytes),
		total:        &b.queued,
		writeTimeout: b.limits.WriteTimeout,
		closing:      make(chan struct{}),
		flushed:      make(chan struct{}),
	}
}

// remoteIP is the host part of the remote address, "" where there is none.
func remoteIP(nc net.Conn) string {
	if addr, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return addr.IP.String()
	}
	return ""
}

// expectConnect reads the start of the first packet, within timeout, and
// fails unless it is a CONNECT packet of at most limit bytes. Nothing is
// allocated for a packet before that. The deadline stays in force.
func (c *conn) expectConnect(timeout time.Duration, limit int) error {
	// For writing too: a TLS handshake writes while it reads. Later writes set
	// their own deadline.
	if err := c.Conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	buf := make([]byte, firstReadBytes)
	n := 0
	for {
		m, err := c.Conn.Read(buf[n:])
		n += m
		if err != nil {
			return fmt.Errorf("cannot read the first packet: %w", err)
		}
		if n > 0 && buf[0] != 0x10 {
			return errFirstPacket
		}
		size, done := remainingLength(buf[1:max(n, 1)])
		if size > limit {
			return errFirstTooLong
		}
		if done {
			c.prefix = buf[:n]
			return nil
		}
	}
}

// remainingLength decodes the length field of a fixed header. It is done with
// the first byte that does not announce another one; a field of more than
// four bytes is reported as a huge size.
func remainingLength(b []byte) (size int, done bool) {
	for i, x := range b {
		if i == 4 {
			return 1 << 28, true
		}
		size |= int(x&0x7f) << (7 * i)
		if x&0x80 == 0 {
			return size, true
		}
	}
	return size, false
}

func (c *conn) note(read []byte) {
	if len(read) > 0 {
		c.last = read[len(read)-1]
	}
}

// Read belongs to the connection's goroutine.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.prefix) > 0 {
		n := copy(p, c.prefix)
		c.prefix = c.prefix[n:]
		c.note(p[:n])
		return n, nil
	}
	n, err := c.Conn.Read(p)
	c.note(p[:n])
	if err != nil {
		c.readErr = err
	}
	return n, err
}

// Write queues a copy of p.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	size := c.unsent + len(p)
	if size > c.queueLimit || size > crowdedQueue && c.total.Load() > c.totalLimit {
		c.breakLocked(ServerInitiatedDisconnect)
		return 0, errSlowClient
	}
	c.queue = append(c.queue, p...)
	c.spoken = true
	c.count(len(p))
	if !c.held {
		c.startDrainLocked()
	}
	return len(p), nil
}

// Close ends the connection after sending what is queued. It does not wait.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closeLocked()
	_ = c.Conn.SetWriteDeadline(time.Now().Add(lingerTime))
	return nil
}

// fail ends the connection without sending what is queued.
func (c *conn) fail(r Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breakLocked(r)
}

func (c *conn) breakLocked(r Reason) {
	if c.reason == "" {
		c.reason = r
	}
	c.broken = true
	if !c.closed {
		c.closeLocked()
	}
	_ = c.Conn.SetWriteDeadline(time.Unix(1, 0)) // ends a stalled write
}

func (c *conn) closeLocked() {
	c.closed = true
	close(c.closing)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // ends a waiting read
	c.startDrainLocked()
}

func (c *conn) startDrainLocked() {
	if !c.draining {
		c.draining = true
		go c.drain()
	}
}

// count adds n bytes to what is unsent; mu is held.
func (c *conn) count(n int) {
	c.unsent += n
	c.total.Add(int64(n))
}

// hold lets what is queued wait for release: the answers to a packet and its
// acknowledgement, which come one by one, become one write.
func (c *conn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

// release ends hold.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	if len(c.queue) > 0 {
		c.startDrainLocked()
	}
}

// drain writes the queue until it is empty. Once the connection is closed it
// also closes the network connection: that may take a while (TLS), so nobody
// else does it.
func (c *conn) drain() {
	for {
		buf, more := c.takeQueue()
		if !more {
			return
		}
		for rest := buf; len(rest) > 0 && c.allowWrite(); {
			n, err := c.Conn.Write(rest[:min(len(rest), writeChunk)])
			c.wrote(n, err)
			rest = rest[n:]
		}
		c.keepBuffer(buf)
	}
}

// takeQueue returns what to write next, or ends the drain.
func (c *conn) takeQueue() (buf []byte, more bool) {
	c.mu.Lock()
	if len(c.queue) > 0 && !c.broken {
		buf, c.queue, c.spare = c.queue, c.spare, nil
		c.mu.Unlock()
		return buf, true
	}
	closed := c.closed
	c.draining = closed // nobody starts another one after the end
	if closed {
		c.count(-c.unsent)
		c.queue = nil
	}
	c.mu.Unlock()
	if closed {
		_ = c.Conn.Close()
		close(c.flushed)
	}
	return nil, false
}

// allowWrite sets the deadline of the next write; there is none on a broken
// connection.
func (c *conn) allowWrite() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(c.writeTimeout))
	}
	return !c.broken
}

func (c *conn) wrote(n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(-n)
	if err != nil {
		c.breakLocked(writeFailure(err))
	}
}

// keepBuffer keeps a written buffer for reuse unless it has grown large.
func (c *conn) keepBuffer(buf []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cap(buf) <= writeChunk {
		c.spare = buf[:0]
	}
}

func writeFailure(err error) Reason {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ServerInitiatedDisconnect
	}
	return ConnectionLost
}

// end notes why the session ends; the first reason stays. It reports whether
// CONNACK is on its way, so that the client can be told: as soon as it has read
// that, it may expect to be.
func (c *conn) end(r Reason) (acknowledged bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == "" {
		c.reason = r
	}
	return c.spoken
}

// endReason is why the session ended, where mochi returned err. It belongs to
// the connection's goroutine.
func (c *conn) endReason(err error) Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.reason != "":
		return c.reason
	case errors.Is(c.readErr, os.ErrDeadlineExceeded):
		return KeepAliveTimeout
	case c.readErr != nil:
		return ConnectionLost
	case err != nil:
		return ClientError
	}
	return ServerInitiatedDisconnect
}

// SetDeadline sets the read deadline only: mochi's keep-alive must not touch
// the write deadline, which belongs to drain.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.Conn.SetReadDeadline(t)
}

// SetReadDeadline is SetDeadline.
func (c *conn) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }

// SetWriteDeadline does nothing: writes never block.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
