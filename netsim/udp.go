package netsim

import (
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/linnet-p2p/linnet/netx"
)

const (
	mtu         = 1500
	socketQueue = 1 << 20 // bytes that wait for ReadFrom
	perDatagram = 64      // what one costs besides its payload
)

// A udpConn is a socket of a Host, guarded by the Internet's mutex.
type udpConn struct {
	host   *Host
	local  netip.AddrPort
	cond   sync.Cond // something arrived, or the socket closed
	queue  []datagram
	queued int // bytes
	closed bool
}

type datagram struct {
	from    netip.AddrPort
	payload []byte
}

func (u *udpConn) receive(p *packet) {
	cost := len(p.payload) + perDatagram
	if u.queued+cost > socketQueue {
		return
	}
	u.queued += cost
	u.queue = append(u.queue, datagram{p.src, p.payload})
	u.cond.Signal()
}

func (u *udpConn) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	u.host.in.mu.Lock()
	defer u.host.in.mu.Unlock()
	for len(u.queue) == 0 && !u.closed {
		u.cond.Wait()
	}
	if u.closed {
		return 0, netip.AddrPort{}, net.ErrClosed
	}
	d := u.queue[0]
	u.queue = u.queue[1:]
	u.queued -= len(d.payload) + perDatagram
	return copy(b, d.payload), d.from, nil
}

func (u *udpConn) WriteTo(b []byte, to netip.AddrPort) (int, error) { return u.write(b, to, 0) }

// WriteHops sends a datagram that passes fewer routers than hops. Between two hosts
// that are not behind the same NAT there are at least eight.
func (u *udpConn) WriteHops(b []byte, to netip.AddrPort, hops int) error {
	_, err := u.write(b, to, hops)
	return err
}

// WriteWhole is WriteTo: nothing is cut here.
func (u *udpConn) WriteWhole(b []byte, to netip.AddrPort) error {
	_, err := u.write(b, to, 0)
	return err
}

func (u *udpConn) write(b []byte, to netip.AddrPort, hops int) (int, error) {
	to = netx.Unmap(to)
	u.host.in.mu.Lock()
	defer u.host.in.mu.Unlock()
	if u.closed {
		return 0, net.ErrClosed
	}
	src := u.local.Addr()
	if src.IsUnspecified() {
		if src.Is4() && !to.Addr().Is4() {
			return 0, syscall.EAFNOSUPPORT
		}
		var err error
		if src, err = u.host.source(to.Addr()); err != nil {
			return 0, err
		}
	} else if src.Is4() != to.Addr().Is4() {
		return 0, syscall.EAFNOSUPPORT
	}
	if !to.IsValid() || to.Port() == 0 {
		return 0, syscall.EINVAL
	}
	p := &packet{proto: udp, src: netip.AddrPortFrom(src, u.local.Port()), dst: to, payload: append([]byte(nil), b...), hops: hops}
	if p.size() > mtu && !to.Addr().IsLoopback() {
		return 0, syscall.EMSGSIZE
	}
	u.host.send(p)
	return len(b), nil
}

func (u *udpConn) LocalAddr() netip.AddrPort { return u.local }

func (u *udpConn) Close() error {
	u.host.in.mu.Lock()
	defer u.host.in.mu.Unlock()
	if u.closed {
		return net.ErrClosed
	}
	u.close()
	return nil
}

func (u *udpConn) close() {
	u.closed, u.queue = true, nil
	delete(u.host.sockets, u.local)
	u.cond.Broadcast()
}
