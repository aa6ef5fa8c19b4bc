package node

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/spare"
	"github.com/linnet-p2p/linnet/suite"
)

// full has an operator's relay admit nobody.
func (m *computer) full() {
	if err := m.node.inStation(m.w.t.Context(), func(_ time.Time, s *station) error {
		s.relaying.server.HandBack()
		return nil
	}); err != nil {
		m.w.t.Fatal(err)
	}
}

func (m *computer) relays(c linnet.RelayConsent) {
	m.w.t.Helper()
	if err := m.node.VolunteerRelay(m.w.t.Context(), c); err != nil {
		m.w.t.Fatal(err)
	}
}

// A user's machine relays if its owner agreed to that, too, when the operators' relays
// are full, and for contacts alone.
func TestVolunteerRelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 4, promotion: suite.PromotionOpen})
		var state atomic.Pointer[spare.State]
		state.Store(&spare.State{CPU: 5})
		alice := w.volunteer("alice", netsim.HostOptions{}, &state)
		if err := alice.node.VolunteerRelay(t.Context(), linnet.RelayConsent{On: true, BitRate: 1}); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("a bit a second: %v", err)
		}
		alice.relays(linnet.RelayConsent{On: true, BitRate: 2 * shareBits})
		alice.agree(true)
		alice.inTime(time.Hour, "serves", alice.serves)
		relaying := func() linnet.VolunteerRelaying { return alice.status().Volunteer.Relay }
		if r := relaying(); !r.On || !r.Serving || r.DailyBytes != relayDaily {
			t.Errorf("relays: %+v", r)
		}

		symmetric := func() netsim.HostOptions {
			return netsim.HostOptions{Behind: w.in.NAT(netsim.NATOptions{Mapping: netsim.AddressAndPortDependent, Filtering: netsim.AddressAndPortDependent})}
		}
		// One operator's supernode is left, so that everybody has alice's besides.
		for _, m := range w.supernodes[1:] {
			m.kill()
		}
		alice.inTime(10*time.Minute, "knows that they are gone", func() bool { return alice.status().Known == 2 })
		bob, carol, stranger := w.user("bob", symmetric()), w.user("carol", symmetric()), w.user("stranger", symmetric())
		bob.inTime(10*time.Minute, "is attached to alice", func() bool {
			return slices.ContainsFunc(bob.status().Supernodes, func(a linnet.Attachment) bool { return a.Node == alice.id() })
		})
		befriend(bob, carol)
		w.supernodes[0].full()
		id := bob.call("carol", linnet.CallMedia{Play: w.speech()})
		carol.rings()
		carol.answer(id, linnet.CallMedia{})
		bob.reaches(id, linnet.CallActive)
		time.Sleep(5 * time.Second)
		if r := relaying(); r.Reservations != 1 || r.Calls != 1 || r.BPS < 10_000 || r.BPS > shareBits || r.Today == 0 {
			t.Errorf("during a call: %+v", r)
		}
		if paths := bob.status().Calls[0].Receipt.Paths; len(paths) == 0 || paths[len(paths)-1].Via != alice.id().Short() {
			t.Errorf("the call went by %+v, want alice", paths)
		}
		if r := bob.ended(id); r.Outcome != linnet.OutcomeCompleted {
			t.Errorf("%v", r.Outcome)
		}
		time.Sleep(3 * time.Minute)
		if r := relaying(); r.Reservations != 0 || r.BPS != 0 {
			t.Errorf("after the call: %+v", r)
		}

		bob.call("stranger", linnet.CallMedia{Play: w.speech()})
		stranger.rings()
		time.Sleep(5 * time.Second)
		if r := relaying(); r.Reservations != 0 {
			t.Errorf("for a stranger: %+v", r)
		}

		// What was relayed today counts when it starts again.
		spent := relaying().Today
		alice.relays(linnet.RelayConsent{})
		if r := relaying(); r.On || r.Serving {
			t.Errorf("switched off: %+v", r)
		}
		alice.relays(linnet.RelayConsent{On: true})
		if r := relaying(); !r.Serving || r.Today != spent {
			t.Errorf("switched on again: %+v, %d bytes before", r, spent)
		}
		alice.agree(false)
		if r := relaying(); r.Serving {
			t.Errorf("relays without serving: %+v", r)
		}
	})
}

// Networks of operators' machines alone take no relays.
func TestVolunteerRelayHosted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice := w.user("alice", netsim.HostOptions{})
		if err := alice.node.VolunteerRelay(t.Context(), linnet.RelayConsent{On: true}); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("%v", err)
		}
	})
}
