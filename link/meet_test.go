package link

import (
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
)

// Two behind NATs that let in whom they asked meet by TCP, though the first packet of
// one is lost; and who is not there is given up.
func TestMeet(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		home := func() (*netsim.NAT, *netsim.Host) {
			nat := in.NAT(netsim.PortRestrictedCone())
			return nat, in.Host(netsim.HostOptions{Behind: nat, Link: netsim.Link{Delay: delay}})
		}
		natA, a := home()
		natB, b := home()
		alice, ha := start(t, on(a))
		bob, hb := start(t, on(b))
		at := func(n *netsim.NAT, l *Link) netip.AddrPort { return netip.AddrPortFrom(n.Addr(), l.Addr().Port()) }

		type met struct {
			stream uint64
			err    error
		}
		later := make(chan met)
		go func() {
			time.Sleep(7 * delay)
			s, err := bob.Meet(t.Context(), at(natA, alice), 6*delay, 8)
			later <- met{s, err}
		}()
		sa, err := alice.Meet(t.Context(), at(natB, bob), 6*delay, 8)
		other := <-later
		if err != nil || other.err != nil || sa == 0 || other.stream == 0 {
			t.Fatalf("alice: stream %d, %v; bob: stream %d, %v", sa, err, other.stream, other.err)
		}
		if err := alice.SendPacket(Origin{Stream: sa}, 0x10, []byte("there")); err != nil {
			t.Error(err)
		}
		if err := bob.SendPacket(Origin{Stream: other.stream}, 0x12, []byte("back")); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * delay)
		if p, q := hb.told().packets, ha.told().packets; len(p) != 1 || p[0] != "10 there" || len(q) != 1 || q[0] != "12 back" {
			t.Errorf("bob got %q, alice %q", p, q)
		}

		if s, err := alice.Meet(t.Context(), at(natB, bob), 6*delay, 8); s != 0 || err != nil {
			t.Errorf("a second time: stream %d, %v", s, err)
		}
		began := time.Now()
		nobody := netip.AddrPortFrom(natB.Addr(), 9)
		if s, err := alice.Meet(t.Context(), nobody, 6*delay, 3); s != 0 || err == nil {
			t.Errorf("with nobody: stream %d, %v", s, err)
		}
		if took := time.Since(began); took != 18*delay {
			t.Errorf("gave up after %v", took)
		}
	})
}
