package netx

import (
	"net/netip"
	"testing"
)

// On loopback there are no routers, and asking for them does no harm.
func TestRoutersOnLoopback(t *testing.T) {
	to, err := System{}.ListenUDP(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	routers, err := Routers(t.Context(), System{}, to.LocalAddr(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routers {
		if r.IsValid() {
			t.Errorf("routers: %v", routers)
		}
	}
}
