package netx

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestShare(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		t.Run(text, func(t *testing.T) {
			local := netip.MustParseAddrPort(text)
			first, err := System{}.ListenUDP(t.Context(), local)
			if err != nil {
				t.Skip("this machine has no such address:", err)
			}
			defer first.Close()
			second, err := Share(first)
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			if first.LocalAddr() != second.LocalAddr() {
				t.Errorf("shared %v as %v", first.LocalAddr(), second.LocalAddr())
			}
			to := first.LocalAddr()
			if to.Addr().IsUnspecified() {
				to = netip.AddrPortFrom(loopback.Addr(), to.Port())
			}
			// Each hears somebody: who is whose depends on a hash.
			heard := make(chan PacketConn)
			for _, c := range []PacketConn{first, second} {
				go func() {
					if _, _, err := c.ReadFrom(make([]byte, 10)); err == nil {
						heard <- c
					}
				}()
			}
			for range 64 {
				c, err := System{}.ListenUDP(t.Context(), netip.AddrPortFrom(to.Addr(), 0))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := c.WriteTo([]byte("x"), to); err != nil {
					t.Fatal(err)
				}
			}
			if <-heard == <-heard {
				t.Error("one socket heard all")
			}

			if c, err := (System{}).ListenUDP(t.Context(), first.LocalAddr()); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("a stranger on the port: %v, %v", c, err)
			}
		})
	}
}

// A port that another program was ready to share is taken all the same.
func TestPortOfOthersIsTaken(t *testing.T) {
	other, err := listenUDP(t.Context(), loopback, func(_, _ string, c syscall.RawConn) error { return reusePort(c) })
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if c, err := (System{}).ListenUDP(t.Context(), other.LocalAddr()); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("%v, %v", c, err)
	}
}
