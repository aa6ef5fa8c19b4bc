package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
)

// TestRelayGivenBack shows that a relay which one side gives back is no way any
// more for the other side either.
func TestRelayGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome()) // strangers: nothing else joins them
		id := alice.call("bob", linnet.CallMedia{Play: w.speech()})
		bob.rings()
		bob.answer(id, linnet.CallMedia{})
		alice.reaches(id, linnet.CallActive)
		time.Sleep(time.Second)
		with := map[*computer]*computer{alice: bob, bob: alice}
		relays := func(m *computer) (pair, tags int) {
			peer := with[m].id()
			if err := m.node.inStation(t.Context(), func(_ time.Time, s *station) error {
				pair, tags = len(s.pairs[peer].relays), len(s.relayed)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return pair, tags
		}
		for m := range with {
			if pair, tags := relays(m); pair == 0 || tags != pair {
				t.Fatalf("%s has %d relays by %d tags", m.name, pair, tags)
			}
		}
		if err := bob.node.inStation(t.Context(), func(now time.Time, s *station) error {
			for _, p := range s.pairs {
				s.unpair(now, p)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * hostRTT)
		if pair, tags := relays(alice); pair != 0 || tags != 0 {
			t.Errorf("alice keeps %d relays by %d tags", pair, tags)
		}
	})
}
