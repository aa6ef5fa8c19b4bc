package netx

import (
	"errors"
	"net/netip"
)

// ErrWhole says that this system, or this kind of socket, cannot keep routers from cutting
// a datagram.
var ErrWhole = errors.New("netx: datagrams cannot be kept whole here")

// WriteWhole sends a datagram that arrives whole or not at all: it finds out what passes.
func WriteWhole(c PacketConn, b []byte, to netip.AddrPort) error {
	if c, ok := c.(interface {
		WriteWhole(b []byte, to netip.AddrPort) error
	}); ok {
		return c.WriteWhole(b, to)
	}
	return ErrWhole
}
