package netsim

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/linnet-p2p/linnet/netx"
)

const (
	maxSegment = 1440
	window     = 256 << 10 // bytes under way or unread, each way
	backlog    = 128       // connections that wait for Accept
	giveUp     = time.Minute
	firstRetry = 200 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// A segment is what two ends of a connection exchange. Segments are numbered,
// not bytes: the handshake takes number 0 (and 1 at the dialling side). Where both
// dial, each answers the other's SYN, and its own one needs no answer any more.
type segment struct {
	kind  segmentKind
	seq   uint64
	from  *conn
	first time.Time // when it was sent at first
}

type segmentKind uint8

const (
	segSYN segmentKind = iota
	segSYNACK
	segACK // the third of the handshake
	segData
	segFIN
	segRST // has no number
)

type connKey struct{ local, remote netip.AddrPort }

// A conn is one end of a connection, guarded by the Internet's mutex.
type conn struct {
	host        *Host
	key         connKey
	cond        sync.Cond // any change that Read, Write, dial wait for
	established bool
	closed      bool  // by its owner
	err         error // why it broke
	peer        *conn // known after the handshake

	sent     uint64 // segments
	inFlight int    // bytes that the peer has not read

	next  uint64 // the segment to come
	early map[uint64]*packet
	buf   []byte
	eof   bool
	delay time.Duration // that the latest data took

	readBy, writeBy deadline
}

func (h *Host) newConn(key connKey) *conn {
	c := &conn{host: h, key: key, early: make(map[uint64]*packet)}
	c.cond.L = &h.in.mu
	h.conns[key] = c
	return c
}

// dial connects from a port of the host, or, 0, from one that is free.
func (h *Host) dial(ctx context.Context, port uint16, remote netip.AddrPort) (*conn, error) {
	in := h.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if h.dead {
		return nil, syscall.ENETDOWN
	}
	src, err := h.source(remote.Addr())
	if err != nil {
		return nil, err
	}
	key := connKey{netip.AddrPortFrom(src, port), remote}
	for tries := 0; port == 0 && tries < 1<<16-firstEphemeral; tries++ {
		if key.local = netip.AddrPortFrom(src, h.ephemeral()); h.conns[key] == nil {
			break
		}
	}
	if h.conns[key] != nil {
		return nil, syscall.EADDRNOTAVAIL
	}
	c := h.newConn(key)
	c.transmit(segSYN, nil)
	in.after(giveUp, func() {
		if !c.established && c.err == nil {
			c.fail(syscall.ETIMEDOUT)
		}
	})
	stop := context.AfterFunc(ctx, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		c.cond.Broadcast()
	})
	defer stop()
	for !c.established && c.err == nil {
		if ctx.Err() != nil {
			c.fail(ctx.Err())
			break
		}
		c.cond.Wait()
	}
	if c.err != nil {
		return nil, c.err
	}
	return c, nil
}

// segment takes a packet that reached the host.
func (h *Host) segment(p *packet) {
	key := connKey{p.dst, p.src}
	c := h.conns[key]
	if p.seg.kind == segSYN {
		if c != nil && !c.established && c.peer == nil && c.sent == 1 { // it dials, too
			c.established, c.peer, c.next, c.sent = true, p.seg.from, 1, 0
			c.transmit(segSYNACK, nil)
			c.cond.Broadcast()
			return
		}
		if c != nil {
			c.fail(syscall.ECONNRESET) // its peer forgot it
		}
		l := find(h.listeners, p.dst)
		switch {
		case l == nil:
			h.reset(p)
		case len(l.ready) >= backlog:
			p.drop()
		default:
			c = h.newConn(key)
			c.peer = p.seg.from
			c.next = 1
			c.transmit(segSYNACK, nil)
		}
		return
	}
	if c == nil || c.closed && p.seg.kind == segData {
		if p.seg.kind != segRST {
			h.reset(p)
		}
		return
	}
	if p.seg.kind == segRST {
		if !c.established && c.peer == nil {
			c.fail(syscall.ECONNREFUSED)
		} else {
			c.fail(syscall.ECONNRESET)
		}
		return
	}
	if p.seg.seq < c.next {
		return
	}
	c.early[p.seg.seq] = p
	for c.early[c.next] != nil {
		p := c.early[c.next]
		delete(c.early, c.next)
		c.next++
		c.take(p)
	}
}

// reset answers a segment that belongs to no connection.
func (h *Host) reset(p *packet) {
	h.send(&packet{proto: tcp, src: p.dst, dst: p.src, seg: &segment{kind: segRST}})
}

func (c *conn) sendReset() {
	c.host.send(&packet{proto: tcp, src: c.key.local, dst: c.key.remote, seg: &segment{kind: segRST}})
}

// take handles segments in their order.
func (c *conn) take(p *packet) {
	switch p.seg.kind {
	case segSYNACK:
		c.established, c.peer = true, p.seg.from
		c.transmit(segACK, nil)
	case segACK:
		if c.established { // both dialled
			break
		}
		l := find(c.host.listeners, c.key.local)
		if l == nil {
			c.sendReset()
			c.fail(syscall.ECONNRESET)
			return
		}
		c.established = true
		l.ready = append(l.ready, c)
		l.cond.Signal()
	case segData:
		c.buf = append(c.buf, p.payload...)
		c.delay = time.Since(p.seg.first)
	case segFIN:
		c.eof = true
		if c.closed {
			delete(c.host.conns, c.key)
		}
	}
	c.cond.Broadcast()
}

// transmit sends the next segment, until it arrives.
func (c *conn) transmit(kind segmentKind, payload []byte) {
	s := &segment{kind: kind, seq: c.sent, from: c, first: time.Now()}
	c.sent++
	c.attempt(s, payload, firstRetry)
}

func (c *conn) attempt(s *segment, payload []byte, retry time.Duration) {
	p := &packet{proto: tcp, src: c.key.local, dst: c.key.remote, payload: payload, seg: s}
	p.lost = func() {
		switch {
		case c.err != nil, s.kind == segSYN && c.established:
		case time.Since(s.first) > giveUp:
			c.fail(syscall.ETIMEDOUT)
		default:
			c.host.in.after(retry, func() {
				if c.err == nil && !(s.kind == segSYN && c.established) {
					c.attempt(s, payload, min(2*retry, lastRetry))
				}
			})
		}
	}
	c.host.send(p)
}

func (c *conn) fail(err error) {
	c.err = err
	if c.host.conns[c.key] == c {
		delete(c.host.conns, c.key)
	}
	c.cond.Broadcast()
}

func (c *conn) Read(b []byte) (int, error) {
	in := c.host.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.opError("read", net.ErrClosed)
		case c.readBy.passed:
			return 0, c.opError("read", os.ErrDeadlineExceeded)
		case len(b) == 0:
			return 0, nil
		case len(c.buf) > 0:
			n := copy(b, c.buf)
			c.buf = c.buf[n:]
			peer := c.peer
			in.after(c.delay, func() { // the news has to travel back
				peer.inFlight -= n
				peer.cond.Broadcast()
			})
			return n, nil
		case c.err != nil:
			return 0, c.opError("read", c.err)
		case c.eof:
			return 0, io.EOF
		}
		c.cond.Wait()
	}
}

func (c *conn) Write(b []byte) (n int, err error) {
	c.host.in.mu.Lock()
	defer c.host.in.mu.Unlock()
	for n < len(b) {
		switch {
		case c.closed:
			return n, c.opError("write", net.ErrClosed)
		case c.err != nil:
			return n, c.opError("write", c.err)
		case c.writeBy.passed:
			return n, c.opError("write", os.ErrDeadlineExceeded)
		case c.inFlight >= window:
			c.cond.Wait()
		default:
			k := min(len(b)-n, maxSegment, window-c.inFlight)
			c.inFlight += k
			c.transmit(segData, append([]byte(nil), b[n:n+k]...))
			n += k
		}
	}
	return n, nil
}

// Close sends what was written and then the end. The peer's end is waited for
// a minute, in which its data is answered by a reset.
func (c *conn) Close() error {
	in := c.host.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.close()
	return nil
}

func (c *conn) close() {
	c.closed = true
	c.readBy.stop()
	c.writeBy.stop()
	if c.err == nil {
		c.transmit(segFIN, nil)
	}
	forget := func() {
		if c.host.conns[c.key] == c {
			delete(c.host.conns, c.key)
		}
	}
	if c.eof {
		forget()
	} else {
		c.host.in.after(giveUp, forget)
	}
	c.cond.Broadcast()
}

func (c *conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func (c *conn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.key.local) }
func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.key.remote) }

func (c *conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error  { return c.setDeadline(&c.readBy, t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.writeBy, t) }

func (c *conn) setDeadline(d *deadline, t time.Time) error {
	c.host.in.mu.Lock()
	defer c.host.in.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	d.stop()
	d.passed = !t.IsZero() && time.Until(t) <= 0
	if !t.IsZero() && !d.passed {
		var timer *time.Timer
		timer = time.AfterFunc(time.Until(t), func() {
			c.host.in.mu.Lock()
			defer c.host.in.mu.Unlock()
			if d.timer == timer { // no later deadline replaced it
				d.passed = true
				c.cond.Broadcast()
			}
		})
		d.timer = timer
	}
	c.cond.Broadcast()
	return nil
}

// A deadline is guarded by the Internet's mutex.
type deadline struct {
	timer  *time.Timer
	passed bool
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// A listener is guarded by the Internet's mutex.
type listener struct {
	host   *Host
	local  netip.AddrPort
	cond   sync.Cond // a connection is ready, or the listener closed
	ready  []*conn
	closed bool
}

func (l *listener) Accept() (net.Conn, error) {
	l.host.in.mu.Lock()
	defer l.host.in.mu.Unlock()
	for len(l.ready) == 0 && !l.closed {
		l.cond.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	c := l.ready[0]
	l.ready = l.ready[1:]
	return c, nil
}

func (l *listener) Close() error {
	l.host.in.mu.Lock()
	defer l.host.in.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.close()
	return nil
}

func (l *listener) close() {
	l.closed = true
	delete(l.host.listeners, l.local)
	for _, c := range l.ready {
		c.sendReset()
		c.fail(syscall.ECONNRESET)
	}
	l.ready = nil
	l.cond.Broadcast()
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(netx.Unmap(l.local)) }
