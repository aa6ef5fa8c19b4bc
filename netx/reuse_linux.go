package netx

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// shared lets connections be made from the port of a listener. It is set after the port is
// its own: whoever wants to listen there as well still hears that it is taken.
func shared(l net.Listener) {
	if raw, err := l.(*net.TCPListener).SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}
}

// DialFrom connects from the port of a listener.
func (System) DialFrom(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{
		LocalAddr: &net.TCPAddr{Port: int(local.Port())},
		Control: func(_, _ string, c syscall.RawConn) (err error) {
			failed := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
				if err == nil {
					err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
				}
			})
			if failed != nil {
				return failed
			}
			return err
		},
	}
	if ip := local.Addr(); ip.IsValid() && !ip.IsUnspecified() {
		d.LocalAddr = net.TCPAddrFromAddrPort(local)
	}
	c, err := d.DialContext(ctx, "tcp", remote.String())
	if err != nil {
		return nil, fmt.Errorf("netx: %w", err)
	}
	boundUnsent(c)
	return c, nil
}
