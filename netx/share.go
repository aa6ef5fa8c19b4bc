package netx

import "errors"

// Share opens one more socket on the port of a socket, among which the system
// divides those who send to it: what comes from one address always goes to the same
// one. So each may have a reader on a processor of its own. The first one was alone
// when it was opened, so a port that somebody else has is still found taken. It is
// errors.ErrUnsupported where the system divides nothing.
func Share(c PacketConn) (PacketConn, error) {
	if c, ok := c.(interface{ Share() (PacketConn, error) }); ok {
		return c.Share()
	}
	return nil, errors.ErrUnsupported
}
