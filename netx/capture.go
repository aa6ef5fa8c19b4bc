package netx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// A Capture is a Network that writes down what goes through it: every datagram
// sent or received, and every Read and Write of a TCP connection as a segment,
// with the handshake and the end that belong to it. It shows the bytes as the
// node saw them, not as the wire did: there are no retransmissions, and a
// datagram counts as sent although it may get lost.
//
// A capture that cannot be written (disk full) never disturbs the node; Err
// tells.
type Capture struct {
	Network

	mu    sync.Mutex // all of below
	file  *PcapWriter
	err   error
	addrs []netip.Addr
}

// NewCapture records what goes through n to w. Every packet is handed to w at
// once and whole, so that the file of a killed process can be read.
func NewCapture(n Network, w io.Writer) *Capture {
	c := &Capture{Network: n, file: NewPcapWriter(w)}
	c.write(c.file.Header)
	return c
}

// Err is why the capture ended early; nil while it goes on.
func (c *Capture) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// ListenUDP records what the socket sends and receives.
func (c *Capture) ListenUDP(ctx context.Context, local netip.AddrPort) (PacketConn, error) {
	conn, err := c.Network.ListenUDP(ctx, local)
	if err != nil {
		return nil, err
	}
	return &capturedUDP{conn, c, conn.LocalAddr()}, nil
}

// ListenTCP records what accepted connections carry.
func (c *Capture) ListenTCP(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	l, err := c.Network.ListenTCP(ctx, local)
	if err != nil {
		return nil, err
	}
	return capturedListener{l, c}, nil
}

// Routers is not recorded: its packets are the kernel's business, and end on their way.
func (c *Capture) Routers(ctx context.Context, to netip.AddrPort, payload []byte) ([]netip.Addr, error) {
	return Routers(ctx, c.Network, to, payload)
}

// DialTCP records what the connection carries. An attempt that fails leaves
// no trace.
func (c *Capture) DialTCP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	conn, err := c.Network.DialTCP(ctx, remote)
	if err != nil {
		return nil, err
	}
	return c.tcp(conn, true), nil
}

// DialFrom records what the connection carries.
func (c *Capture) DialFrom(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error) {
	conn, err := DialFrom(ctx, c.Network, local, remote)
	if err != nil {
		return nil, err
	}
	return c.tcp(conn, true), nil
}

type capturedUDP struct {
	PacketConn
	c     *Capture
	local netip.AddrPort
}

func (u *capturedUDP) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	n, from, err := u.PacketConn.ReadFrom(b)
	if err == nil {
		u.c.datagram(from, u.c.facing(u.local, from), b[:n])
	}
	return n, from, err
}

// WriteTo records before it sends: the answer may be there before it returns.
func (u *capturedUDP) WriteTo(b []byte, to netip.AddrPort) (int, error) {
	u.c.datagram(u.c.facing(u.local, to), to, b)
	return u.PacketConn.WriteTo(b, to)
}

func (u *capturedUDP) WriteHops(b []byte, to netip.AddrPort, hops int) error {
	u.c.datagram(u.c.facing(u.local, to), to, b)
	return WriteHops(u.PacketConn, b, to, hops)
}

func (u *capturedUDP) WriteWhole(b []byte, to netip.AddrPort) error {
	u.c.datagram(u.c.facing(u.local, to), to, b)
	return WriteWhole(u.PacketConn, b, to)
}

type capturedListener struct {
	net.Listener
	c *Capture
}

func (l capturedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.c.tcp(conn, false), nil
}

// capturedTCP counts the bytes of both directions as TCP would. Sequence
// numbers start at 0 on both sides, which a real one would not do.
type capturedTCP struct {
	net.Conn
	c             *Capture
	local, remote netip.AddrPort

	mu                 sync.Mutex
	sent, received     uint32 // next sequence number of either side
	sentFIN, sawRemote bool   // the end of either side was written
}

func (c *Capture) tcp(conn net.Conn, dialed bool) net.Conn {
	t := &capturedTCP{Conn: conn, c: c, local: AddrPort(conn.LocalAddr()), remote: AddrPort(conn.RemoteAddr())}
	if dialed {
		t.out(flagSYN, nil)
		t.in(flagSYN|flagACK, nil)
		t.out(flagACK, nil)
	} else {
		t.in(flagSYN, nil)
		t.out(flagSYN|flagACK, nil)
		t.in(flagACK, nil)
	}
	return t
}

func (t *capturedTCP) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := b[:n]; len(rest) > 0; {
		k := min(len(rest), maxSegment)
		t.in(flagACK|flagPSH, rest[:k])
		rest = rest[k:]
	}
	reset := errors.Is(err, syscall.ECONNRESET)
	if (err == io.EOF || reset) && !t.sawRemote {
		t.sawRemote = true
		end := byte(flagFIN)
		if reset {
			end = flagRST
		}
		t.in(flagACK|end, nil)
	}
	return n, err
}

func (t *capturedTCP) Write(b []byte) (int, error) {
	t.mu.Lock()
	for rest := b; len(rest) > 0; {
		k := min(len(rest), maxSegment)
		t.out(flagACK|flagPSH, rest[:k])
		rest = rest[k:]
	}
	t.mu.Unlock() // the write may block
	return t.Conn.Write(b)
}

func (t *capturedTCP) Close() error {
	t.mu.Lock()
	if !t.sentFIN {
		t.sentFIN = true
		t.out(flagACK|flagFIN, nil)
	}
	t.mu.Unlock()
	return t.Conn.Close()
}

func (t *capturedTCP) out(flags byte, payload []byte) {
	t.c.segment(t.local, t.remote, Segment{flags, t.sent, t.received}, payload)
	t.sent += span(flags, payload)
}

func (t *capturedTCP) in(flags byte, payload []byte) {
	t.c.segment(t.remote, t.local, Segment{flags, t.received, t.sent}, payload)
	t.received += span(flags, payload)
}

// span is how many sequence numbers a segment takes.
func span(flags byte, payload []byte) uint32 {
	n := uint32(len(payload))
	if flags&(flagSYN|flagFIN) != 0 {
		n++
	}
	return n
}

// maxSegment keeps header and payload within the 16-bit length of an IP packet.
const maxSegment = math.MaxUint16 - 60

func (c *Capture) datagram(from, to netip.AddrPort, payload []byte) {
	if from.Addr().Is4() != to.Addr().Is4() || len(payload) > maxSegment {
		return // the socket will not send it
	}
	c.write(func() error { return c.file.Datagram(time.Now(), from, to, payload) })
}

func (c *Capture) segment(from, to netip.AddrPort, s Segment, payload []byte) {
	c.write(func() error { return c.file.Segment(time.Now(), from, to, s, payload) })
}

// write adds to the file unless that failed before.
func (c *Capture) write(what func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	if err := what(); err != nil {
		c.err = fmt.Errorf("netx: capture: %w", err)
	}
}

// facing is the local end of a packet between local and remote. A socket that
// listens on all addresses does not say which one it used; then it is the
// host's first of the family.
func (c *Capture) facing(local, remote netip.AddrPort) netip.AddrPort {
	if local.Addr().IsValid() && !local.Addr().IsUnspecified() {
		return local
	}
	if remote.Addr().IsLoopback() {
		return netip.AddrPortFrom(remote.Addr(), local.Port())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.addrs == nil {
		c.addrs, _ = c.Network.Addrs() // without it packets come from 0.0.0.0 or ::
	}
	for _, a := range c.addrs {
		if a.Is4() == remote.Addr().Is4() {
			return netip.AddrPortFrom(a, local.Port())
		}
	}
	if remote.Addr().Is4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), local.Port())
}
