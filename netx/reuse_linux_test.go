package netx

import (
	"net"
	"testing"
)

// Connections leave from the port of a listener, which stays the listener's alone.
func TestDialFrom(t *testing.T) {
	listener := func() net.Listener {
		l, err := System{}.ListenTCP(t.Context(), loopback)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	a, b := listener(), listener()
	from, to := AddrPort(a.Addr()), AddrPort(b.Addr())
	c, err := DialFrom(t.Context(), System{}, from, to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if got := AddrPort(far.RemoteAddr()); got != from {
		t.Errorf("it comes from %v, want %v", got, from)
	}
	if _, err := (System{}).ListenTCP(t.Context(), from); err == nil {
		t.Error("somebody else listens at the same port")
	}
}
