package netx

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// What a peer does not read stays with the sender, who may drop what got old.
func TestLittleWaitsInTheKernel(t *testing.T) {
	l, err := System{}.ListenTCP(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := System{}.DialTCP(t.Context(), AddrPort(l.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for name, c := range map[string]net.Conn{"dialled": c, "accepted": accepted} {
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); n != maxUnsent {
				t.Errorf("%s: %d bytes may wait (%v)", name, n, err)
			}
		})
	}
}
