package netx

import (
	"context"
	"errors"
	"net/netip"
)

// ErrHops says that this system, or this kind of socket, cannot limit how far a
// datagram goes.
var ErrHops = errors.New("netx: datagrams cannot be given a number of hops here")

// WriteHops sends a datagram that gets no farther than so many routers: it opens
// the sender's own NATs, and leaves no trace at those of the other side.
func WriteHops(c PacketConn, b []byte, to netip.AddrPort, hops int) error {
	if c, ok := c.(interface {
		WriteHops(b []byte, to netip.AddrPort, hops int) error
	}); ok {
		return c.WriteHops(b, to, hops)
	}
	return ErrHops
}

// Routers are the first ones on the way to an address, as far as they tell; zero is
// one that does not. The payload is sent to the address a few times, most of which end
// before it.
func Routers(ctx context.Context, n Network, to netip.AddrPort, payload []byte) ([]netip.Addr, error) {
	if n, ok := n.(interface {
		Routers(ctx context.Context, to netip.AddrPort, payload []byte) ([]netip.Addr, error)
	}); ok {
		return n.Routers(ctx, to, payload)
	}
	return nil, ErrHops
}
