package main

import (
	"net/netip"
	"testing"

	"github.com/linnet-p2p/linnet/netx"
)

func TestFreePorts(t *testing.T) {
	t.Parallel()
	given := make(map[uint16]bool)
	for _, n := range []int{3, 1, 7, 2} {
		first, err := freePorts(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		for port := first; port < first+uint16(n); port++ {
			if given[port] {
				t.Errorf("port %d was given twice", port)
			}
			given[port] = true
		}
		taken, err := netx.System{}.ListenUDP(t.Context(), netip.AddrPortFrom(loopback.Addr(), first))
		if err != nil {
			t.Fatal(err)
		}
		if free(t.Context(), first, n) {
			t.Errorf("port %d is used and said to be free", first)
		}
		taken.Close()
	}
}
