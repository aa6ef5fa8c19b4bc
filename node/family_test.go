package node

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// Who has IPv6 alone joins, is attached by it, and talks to who has IPv4 alone
// over a relay that has both.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{dual: true})
		six := netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr("2001:db8:100::2")}}
		alice, bob := w.user("alice", six), w.user("bob", w.atHome())
		for m, is4 := range map[*computer]bool{alice: false, bob: true} {
			for _, a := range m.status().Supernodes {
				if a.Addr.Addr().Is4() != is4 || a.By != linnet.RungUDP {
					t.Errorf("%s is attached by %v at %v", m.name, a.By, a.Addr)
				}
			}
		}
		befriend(alice, bob)
		heard := talk(alice, bob)
		if same := w.compare(heard); same < 1 {
			t.Errorf("%.2f %% of the packets are those that were played", 100*same)
		}
		for _, m := range []*computer{alice, bob} {
			if path := m.calls()[0].Path; path != linnet.RelayUDP {
				t.Errorf("%s: the call took %v", m.name, path)
			}
		}
	})
}
