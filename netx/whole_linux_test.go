package netx

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWriteWhole sends what passes and what does not, and leaves the socket as it was.
func TestWriteWhole(t *testing.T) {
	for _, local := range []string{"127.0.0.1:0", "[::]:0", "[::1]:0"} {
		from, err := System{}.ListenUDP(t.Context(), netip.MustParseAddrPort(local))
		if err != nil {
			t.Skip("this machine has no such address:", err)
		}
		defer from.Close()
		there, level, option := "127.0.0.1:0", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
		if local == "[::1]:0" {
			there, level, option = local, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
		}
		to, err := System{}.ListenUDP(t.Context(), netip.MustParseAddrPort(there))
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		discover := func() (v int) {
			from.(udpConn).raw.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), level, option) })
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		before := discover()
		if err := WriteWhole(from, make([]byte, 1452), to.LocalAddr()); err != nil {
			t.Fatalf("from %s: %v", local, err)
		}
		to.(udpConn).SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, _, err := to.ReadFrom(make([]byte, 2048)); n != 1452 || err != nil {
			t.Errorf("from %s: %d bytes came, %v", local, n, err)
		}
		if err := WriteWhole(from, make([]byte, 65500), to.LocalAddr()); err != nil && !errors.Is(err, unix.EMSGSIZE) { // more than most loopbacks take whole, or not
			t.Errorf("from %s: %v", local, err)
		}
		if after := discover(); after != before {
			t.Errorf("from %s: the socket was at %d, and is at %d", local, before, after)
		}
	}
}
