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
	t.Parallel()
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

// TestRelayComesBack kills a relay in the middle of a call. The other one carries on,
// and when the first is back it has the call's reservation again, by itself.
func TestRelayComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 2})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		id := alice.call("bob", linnet.CallMedia{Play: w.speech(), Stay: true})
		bob.rings()
		bob.answer(id, linnet.CallMedia{Stay: true})
		alice.reaches(id, linnet.CallActive)
		relays := func(m *computer, peer linnet.NodeID) (n int) {
			if err := m.node.inStation(t.Context(), func(_ time.Time, s *station) error {
				if p := s.pairs[peer]; p != nil {
					n = len(p.relays)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		a, b := alice.id(), bob.id()
		both := func() bool { return relays(alice, b) == 2 && relays(bob, a) == 2 }
		alice.eventually("two relays", both)
		w.supernodes[0].kill()
		alice.inTime(time.Minute, "one relay", func() bool { return relays(alice, b) == 1 })
		w.supernodes[0].start()
		alice.inTime(3*time.Minute, "two relays again", both)
	})
}
