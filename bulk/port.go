package bulk

import (
	"bytes"
	"net"
	"os"
	"sync"
	"time"

	"github.com/linnet-p2p/linnet"
)

// addr is a device: where its packets go is the session's business, and changes.
type addr linnet.NodeID

func (addr) Network() string  { return "linnet" }
func (a addr) String() string { return linnet.NodeID(a).String() }

// maxWaiting packets may wait to be read: what is beyond is lost, as on any line.
const maxWaiting = 1024

// A port is what QUIC takes for its socket.
type port struct {
	send    func(linnet.NodeID, []byte)
	packets chan packet
	closed  chan struct{}
	once    sync.Once

	mu      sync.Mutex
	expired chan struct{} // closed once the read deadline is over
}

type packet struct {
	from linnet.NodeID
	body []byte
}

var _ net.PacketConn = (*port)(nil)

func newPort(send func(linnet.NodeID, []byte)) *port {
	return &port{send: send, packets: make(chan packet, maxWaiting), closed: make(chan struct{}), expired: make(chan struct{})}
}

func (p *port) put(from linnet.NodeID, b []byte) {
	select {
	case p.packets <- packet{from, bytes.Clone(b)}:
	default:
	}
}

// ReadFrom implements net.PacketConn.
func (p *port) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	expired := p.expired
	p.mu.Unlock()
	select {
	case in := <-p.packets:
		return copy(b, in.body), addr(in.from), nil
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo implements net.PacketConn.
func (p *port) WriteTo(b []byte, to net.Addr) (int, error) {
	if a, ok := to.(addr); ok {
		p.send(linnet.NodeID(a), b)
	}
	return len(b), nil
}

// Close implements net.PacketConn.
func (p *port) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// SetReadDeadline implements net.PacketConn: QUIC uses it to stop reading at once.
func (p *port) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	over := false
	select {
	case <-p.expired:
		over = true
	default:
	}
	switch now := !t.IsZero() && !t.After(time.Now()); {
	case now && !over:
		close(p.expired)
	case !now && over:
		p.expired = make(chan struct{})
	}
	return nil
}

// SetDeadline implements net.PacketConn.
func (p *port) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn: writing never waits.
func (p *port) SetWriteDeadline(time.Time) error { return nil }

// SetReadBuffer is asked for by QUIC, which warns on stderr where it is missing.
func (p *port) SetReadBuffer(int) error { return nil }

// SetWriteBuffer is the same for what is sent.
func (p *port) SetWriteBuffer(int) error { return nil }

// LocalAddr implements net.PacketConn.
func (p *port) LocalAddr() net.Addr { return addr{} }
