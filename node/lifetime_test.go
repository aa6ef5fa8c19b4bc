package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/traverse"
)

// in runs f in the loop.
func (m *computer) in(f func(now time.Time, s *station)) {
	m.w.t.Helper()
	if err := m.node.inStation(m.w.t.Context(), func(now time.Time, s *station) error {
		f(now, s)
		return nil
	}); err != nil {
		m.w.t.Fatal(err)
	}
}

// A supernode that says that mappings last is not enough to hold them less often, and who
// says that they do not counts.
func TestLifetimeIsBorneOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 6})
		o := netsim.PortRestrictedCone()
		o.Timeout = 35 * time.Second
		m := w.user("alice", netsim.HostOptions{Behind: w.in.NAT(o)})
		var liar linnet.NodeID
		m.eventually("it measures", func() (measures bool) {
			m.in(func(_ time.Time, s *station) { measures, liar = s.lifetime.measure != nil, s.lifetime.by })
			return measures
		})
		m.in(func(_ time.Time, s *station) {
			s.endLifetime(traverse.Kept{AtLeast: 160 * time.Second}, true)
			if s.lifetime.belief.KeepAlive() != 0 || s.lifetime.belief.Needs(liar) || s.lifetime.measure != nil {
				t.Errorf("believed at once: %+v", s.lifetime)
			}
		})
		time.Sleep(5 * time.Minute)
		m.in(func(_ time.Time, s *station) {
			if h := s.lifetime; h.belief.KeepAlive() != 22500*time.Millisecond || h.by == liar || !h.begun {
				t.Errorf("in the end: %+v", h)
			}
		})
	})
}

// No spare socket is left by a measurement that was overtaken, and none by who signs out.
func TestLifetimeLeavesNoSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		m := w.user("alice", netsim.HostOptions{Behind: w.in.NAT(netsim.PortRestrictedCone())})
		time.Sleep(20 * time.Second)
		if n := m.host.Sockets(); n != 1+traverse.LifetimeSockets {
			t.Fatalf("%d sockets while it measures", n)
		}
		m.in(func(_ time.Time, s *station) {
			for range 3 { // the network changes, again and again
				s.forgetLifetime()
				for by, at := range s.witnesses {
					s.measureLifetime(by, at)
				}
			}
		})
		time.Sleep(time.Second)
		if n := m.host.Sockets(); n != 1+traverse.LifetimeSockets {
			t.Errorf("%d sockets after changes of the network", n)
		}
		if err := m.node.Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := m.host.Sockets(); n != 1 {
			t.Errorf("%d sockets after the sign-out", n)
		}
	})
}
