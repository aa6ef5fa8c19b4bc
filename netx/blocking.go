package netx

import "errors"

// Blocking gives a socket for another one, which is not to be used any more, whose reader
// waits in the kernel, on a thread that it keeps, and not for the runtime to wake it. A
// server that reads all the time has its datagrams sooner so, and each that it sends and
// receives costs less. It is errors.ErrUnsupported, and the socket good, where the system
// has no such thing.
func Blocking(c PacketConn) (PacketConn, error) {
	if c, ok := c.(interface{ Blocking() (PacketConn, error) }); ok {
		return c.Blocking()
	}
	return nil, errors.ErrUnsupported
}
