package netx

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"
)

// Share uses SO_REUSEPORT, which the kernel wants to see set on all sockets of a
// port, but not before the first is bound: bound without it, that one had the port
// alone. From then on only processes of the same user who ask for it could join.
func (c udpConn) Share() (PacketConn, error) {
	if err := reusePort(c.raw); err != nil {
		return nil, err
	}
	return listenUDP(context.Background(), c.LocalAddr(), func(_, _ string, raw syscall.RawConn) error { return reusePort(raw) })
}

func reusePort(raw syscall.RawConn) (err error) {
	if failed := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); failed != nil {
		return failed
	}
	return err
}
