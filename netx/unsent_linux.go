package netx

import (
	"net"

	"golang.org/x/sys/unix"
)

// maxUnsent is how many bytes of a TCP connection the kernel takes before it can
// send them. What waits there can neither be dropped nor overtaken: on a slow
// line a buffer of the usual size holds many seconds of voice.
const maxUnsent = 8 << 10

// boundUnsent sees to it. A kernel that cannot do it delays more.
func boundUnsent(c net.Conn) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
}
