package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// Friends behind NATs of all kinds talk directly if there is any way, and do so when
// the callee answers after two seconds. Where it takes guessing, it may take longer.
func TestPathsThroughNATs(t *testing.T) {
	cone, symmetric := netsim.PortRestrictedCone, netsim.Symmetric
	spoiling := cone()
	spoiling.Spoils = true
	for _, tt := range []struct {
		name    string
		a, b    netsim.NATOptions
		want    linnet.PathKind
		guesses bool
	}{
		{"cones", cone(), cone(), linnet.DirectUDP, false},
		{"routers that take early packets for themselves", spoiling, spoiling, linnet.DirectUDP, false},
		{"symmetric calls cone", symmetric(), cone(), linnet.DirectUDP, true},
		{"cone calls symmetric", cone(), symmetric(), linnet.DirectUDP, true},
		{"symmetric calls a full cone", symmetric(), netsim.NATOptions{}, linnet.DirectUDP, false},
		{"symmetric calls symmetric", symmetric(), symmetric(), linnet.RelayUDP, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				alice := w.user("alice", netsim.HostOptions{Behind: w.in.NAT(tt.a)})
				bob := w.user("bob", netsim.HostOptions{Behind: w.in.NAT(tt.b)})
				befriend(alice, bob)
				for try := 1; ; try++ {
					m := linnet.CallMedia{Play: w.speech(), Seconds: 3}
					if tt.guesses {
						m.Seconds = 13
					}
					id := alice.call(bob.user(), m)
					bob.heard.await("it rings", func(e linnet.Event) bool { return isRinging(e) && e.Call.ID == id })
					time.Sleep(2 * time.Second)
					bob.answer(id, linnet.CallMedia{Play: w.speech(), Stay: true})
					here, there := alice.ended(id), bob.ended(id)
					time.Sleep(pairLinger + 2*sweepEvery)
					for _, m := range []*computer{alice, bob} { // spare ones are closed when the call is forgotten
						if n := m.host.Sockets(); n != 1 {
							t.Errorf("%s has %d sockets", m.name, n)
						}
					}
					if tt.guesses && try < 4 && here.Path != tt.want {
						continue // one in 3,000 has no luck
					}
					for _, r := range []linnet.CallRecord{here, there} {
						if r.Path != tt.want || r.Loss > 0 || !tt.guesses && len(r.Paths) != 1 {
							t.Errorf("by %v with loss %v; want %v", r.Paths, r.Loss, tt.want)
						}
					}
					return
				}
			})
		})
	}
}
