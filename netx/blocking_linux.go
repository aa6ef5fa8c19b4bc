package netx

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

type blockingConn struct {
	socket
	file  *os.File
	local netip.AddrPort
}

// Blocking takes the socket away from the runtime, which has the kernel tell it of every
// datagram that comes, and of the room that every one leaves that has gone.
func (c udpConn) Blocking() (PacketConn, error) {
	var fd int
	var err error
	if failed := c.raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); failed != nil || err != nil {
		return nil, fmt.Errorf("netx: duplicate a socket: %w", errors.Join(failed, err))
	}
	b := blockingConn{c.socket, nil, c.LocalAddr()}
	b.blocks = true
	if err = unix.SetNonblock(fd, false); err == nil {
		b.file = os.NewFile(uintptr(fd), "udp") // left alone by the runtime, since it blocks
		b.raw, err = b.file.SyscallConn()
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netx: let a socket block: %w", err)
	}
	c.Close()
	return b, nil
}

func (c blockingConn) ReadFrom(b []byte) (int, netip.AddrPort, error) {
	d := [1]Datagram{{Data: b[:0:len(b)]}}
	_, err := c.ReadBatch(d[:])
	return len(d[0].Data), d[0].Addr, err
}

func (c blockingConn) WriteTo(b []byte, to netip.AddrPort) (int, error) {
	d := [1]Datagram{{Addr: to, Data: b}}
	if _, err := c.WriteBatch(d[:]); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c blockingConn) LocalAddr() netip.AddrPort { return c.local }

// Close wakes who waits in the kernel: shutdown does, though it fails for a socket
// without a peer.
func (c blockingConn) Close() error {
	c.raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	return c.file.Close()
}
