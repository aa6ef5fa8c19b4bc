package node

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// Who walks out of one network into another one in a call goes on talking, and
// stays attached: the sessions survive.
func TestNetworkChangesInACall(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"another NAT", "a public address"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
				befriend(alice, bob)
				id := alice.call("bob", linnet.CallMedia{Play: w.speech()})
				bob.rings()
				heard := filepath.Join(w.dir, "heard.ogg")
				bob.answer(id, linnet.CallMedia{Record: heard})
				alice.reaches(id, linnet.CallActive)
				time.Sleep(4 * time.Second)
				attached := alice.status().Supernodes
				var nat *netsim.NAT
				if to == "another NAT" {
					nat = w.in.NAT(netsim.PortRestrictedCone())
				}
				alice.host.Move(nat)
				for _, m := range []*computer{alice, bob} {
					if r := m.ended(id); r.Outcome != linnet.OutcomeCompleted || r.Path != linnet.DirectUDP {
						t.Errorf("%s: %v by %v in the end", m.name, r.Outcome, r.Path)
					}
				}
				_, lasts := w.frames(w.speech())
				if same, most := w.compare(heard), 1-float64(time.Second)/float64(lasts); same < most {
					t.Errorf("%.1f %% of the packets were heard, want no more than a second to be missing", 100*same)
				} else {
					t.Logf("missing: %v", time.Duration(float64(lasts)*(1-same)).Round(time.Millisecond))
				}
				now := alice.status().Supernodes
				if len(now) != 2 || len(attached) != 2 || now[0].Node != attached[0].Node || now[1].Node != attached[1].Node {
					t.Errorf("attached to %v, before to %v", now, attached)
				}
			})
		})
	}
}
