package netx

import (
	"bytes"
	"net/netip"
	"testing"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func TestSystemUDPDoesNotAllocate(t *testing.T) {
	a, err := System{}.ListenUDP(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b := make([]byte, 100)
	var from netip.AddrPort
	n := testing.AllocsPerRun(100, func() {
		a.WriteTo(b, a.LocalAddr())
		_, from, err = a.ReadFrom(b)
	})
	if err != nil || from != a.LocalAddr() {
		t.Fatalf("read from %v: %v", from, err)
	}
	if n > 2 { // LocalAddr, called twice
		t.Errorf("%v allocations a round trip", n)
	}
}

// A socket of both families must show IPv4 peers as IPv4. [::] is such a socket.
func TestSystemUnmaps(t *testing.T) {
	for _, local := range []netip.AddrPort{{}, netip.AddrPortFrom(netip.IPv6Unspecified(), 0)} {
		t.Run(local.String(), func(t *testing.T) { testUnmaps(t, local) })
	}
}

func testUnmaps(t *testing.T, local netip.AddrPort) {
	a, err := System{}.ListenUDP(t.Context(), local)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := System{}.ListenUDP(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.WriteTo([]byte("x"), netip.AddrPortFrom(loopback.Addr(), a.LocalAddr().Port()))
	buf := make([]byte, 10)
	if _, from, err := a.ReadFrom(buf); err != nil || from != b.LocalAddr() {
		t.Errorf("from %v, %v; want %v", from, err, b.LocalAddr())
	}
	if _, err := a.WriteTo([]byte("y"), b.LocalAddr()); err != nil {
		t.Error(err)
	}
	if n, _, err := b.ReadFrom(buf); err != nil || !bytes.Equal(buf[:n], []byte("y")) {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

func TestSystemListensOnBothFamilies(t *testing.T) {
	l, err := System{}.ListenTCP(t.Context(), netip.AddrPortFrom(netip.IPv6Unspecified(), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := System{}.DialTCP(t.Context(), netip.AddrPortFrom(loopback.Addr(), AddrPort(l.Addr()).Port()))
	if err != nil {
		t.Fatalf("IPv4 to a listener on [::]: %v", err)
	}
	c.Close()
}

func TestSystemTCP(t *testing.T) {
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
	if got := AddrPort(c.RemoteAddr()); got != AddrPort(l.Addr()) {
		t.Errorf("connected to %v", got)
	}
}
