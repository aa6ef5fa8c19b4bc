package netx

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// ErrReuse says that connections cannot leave from a listener's port: this system does
// not know how, or they go through a proxy.
var ErrReuse = errors.New("netx: connections cannot be made from the port of a listener here")

// DialFrom connects from the address and port of a listener that the same Network
// opened. NATs give both one outer port, and two who dial each other so at the same time
// meet. It fails at once if the two are connected already.
func DialFrom(ctx context.Context, n Network, local, remote netip.AddrPort) (net.Conn, error) {
	if n, ok := n.(interface {
		DialFrom(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error)
	}); ok {
		return n.DialFrom(ctx, local, remote)
	}
	return nil, ErrReuse
}
