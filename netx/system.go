package netx

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// System is the operating system.
type System struct{}

// socketBuffer holds a burst of datagrams while the reader is busy. The kernel
// may grant less.
const socketBuffer = 1 << 20

// ListenUDP opens a socket of the kernel.
func (System) ListenUDP(ctx context.Context, local netip.AddrPort) (PacketConn, error) {
	return listenUDP(ctx, local, nil)
}

// listenUDP has a socket prepared before it is bound.
func listenUDP(ctx context.Context, local netip.AddrPort, prepare func(network, address string, c syscall.RawConn) error) (PacketConn, error) {
	lc := net.ListenConfig{Control: prepare}
	c, err := lc.ListenPacket(ctx, network("udp", local), text(local))
	if err != nil {
		return nil, fmt.Errorf("netx: %w", err)
	}
	conn := c.(*net.UDPConn)
	conn.SetReadBuffer(socketBuffer)
	conn.SetWriteBuffer(socketBuffer)
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("netx: %w", err)
	}
	return udpConn{conn, socket{raw: raw, v4: AddrPort(conn.LocalAddr()).Addr().Is4(), waits: newWaits()}}, nil
}

// ListenTCP opens a listener of the kernel.
func (System) ListenTCP(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, network("tcp", local), text(local))
	if err != nil {
		return nil, fmt.Errorf("netx: %w", err)
	}
	shared(l)
	return tcpListener{l}, nil
}

type tcpListener struct{ net.Listener }

func (l tcpListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		boundUnsent(c)
	}
	return c, err
}

// DialTCP connects by the kernel.
func (System) DialTCP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", remote.String())
	if err != nil {
		return nil, fmt.Errorf("netx: %w", err)
	}
	boundUnsent(c)
	return c, nil
}

// Addrs asks the kernel.
func (System) Addrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("netx: interface addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue // not an IP interface
		}
		if ip := p.Addr().Unmap(); !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			addrs = append(addrs, ip)
		}
	}
	return addrs, nil
}

// network names the family: for 0.0.0.0 the net package would otherwise open
// a socket of both. :: is both, as everywhere here, and on a machine without
// IPv6 the other one alone.
func network(proto string, local netip.AddrPort) string {
	switch {
	case everywhere(local):
		return proto
	case local.Addr().Is4():
		return proto + "4"
	default:
		return proto + "6"
	}
}

func text(local netip.AddrPort) string {
	if everywhere(local) {
		return fmt.Sprintf(":%d", local.Port())
	}
	return local.String()
}

// everywhere says that local is all addresses of both families.
func everywhere(local netip.AddrPort) bool {
	return !local.Addr().IsValid() || local.Addr() == netip.IPv6Unspecified()
}

type udpConn struct {
	*net.UDPConn
	socket
}

// A socket is what the kernel is asked about directly.
type socket struct {
	raw    syscall.RawConn
	v4     bool   // its family
	blocks bool   // who waits for it, waits in the kernel
	waits  *waits // of the reader
}

func (c udpConn) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	return n, Unmap(from), err
}

func (c udpConn) WriteTo(b []byte, to netip.AddrPort) (int, error) {
	return c.WriteToUDPAddrPort(b, to)
}

func (c udpConn) LocalAddr() netip.AddrPort { return AddrPort(c.UDPConn.LocalAddr()) }
