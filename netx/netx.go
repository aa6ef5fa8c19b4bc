// Package netx is what a node asks for sockets: the operating system (System)
// is one provider, the simulated internet of package netsim the other.
//
// It carries bytes and understands none. NewCapture puts a recorder in front
// of any Network; its file is a pcap of raw IP packets (LINKTYPE_RAW).
package netx

import (
	"context"
	"net"
	"net/netip"
)

// A Network opens sockets.
type Network interface {
	// ListenUDP opens a UDP socket. No address, and [::], mean all addresses of
	// both families; port 0 means any.
	ListenUDP(ctx context.Context, local netip.AddrPort) (PacketConn, error)
	// ListenTCP is the same for a TCP listener.
	ListenTCP(ctx context.Context, local netip.AddrPort) (net.Listener, error)
	// DialTCP gives up when ctx ends.
	DialTCP(ctx context.Context, remote netip.AddrPort) (net.Conn, error)
	// Addrs are the host's own interface addresses, without loopback and
	// link-local ones.
	Addrs() ([]netip.Addr, error)
	// Watch calls changed whenever those, or the ways out, have changed, until ctx
	// ends. Another network may have given the host the address that it had.
	Watch(ctx context.Context, changed func()) error
}

// A PacketConn is a UDP socket. Its addresses are plain IPv4 or IPv6, never
// IPv4 inside IPv6. ReadFrom and WriteTo do not allocate; after Close, which
// wakes them, they return net.ErrClosed.
type PacketConn interface {
	ReadFrom(b []byte) (n int, from netip.AddrPort, err error)
	WriteTo(b []byte, to netip.AddrPort) (int, error)
	LocalAddr() netip.AddrPort
	Close() error
}

// AddrPort is the address of a TCP or UDP socket as the rest of the code wants
// it: never IPv4 inside IPv6, zero if a is neither.
func AddrPort(a net.Addr) netip.AddrPort {
	if a, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		return Unmap(a.AddrPort())
	}
	return netip.AddrPort{}
}

// Unmap turns an IPv4 address inside an IPv6 one into itself.
func Unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
