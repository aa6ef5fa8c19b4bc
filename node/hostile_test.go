package node

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// within runs f in the machine's loop.
func (m *computer) within(f func(now time.Time, s *station)) {
	m.w.t.Helper()
	err := m.node.inStation(m.w.t.Context(), func(now time.Time, s *station) error { f(now, s); return nil })
	if err != nil {
		m.w.t.Fatalf("%s: %v", m.name, err)
	}
}

// tell says something to a node in the session that there is with it.
func (m *computer) tell(to linnet.NodeID, messages ...message.Message) {
	m.w.t.Helper()
	m.within(func(now time.Time, s *station) {
		for _, x := range messages {
			if err := s.sessions.Send(now, to, x); err != nil {
				m.w.t.Fatalf("%s: %T: %v", m.name, x, err)
			}
		}
	})
}

// Somebody with an account offers a supernode itself as the relay to reach him
// by, and calls it. It has no use for either.
func TestOperatorsMachineIsNotCalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 1})
		mallory, supernode := w.user("mallory", netsim.HostOptions{}), w.supernodes[0]
		var entry []byte
		supernode.within(func(_ time.Time, s *station) { entry = s.overlay.Entry() })
		mallory.tell(supernode.status().Node,
			&message.SessionRequest{
				Callee: "node:supernode-1", Caller: message.Location{Node: mallory.status().Node},
				Relays: []message.RelayOffer{{Session: 1, Relay: 2, Addr: supernode.opts.Advertise, Entry: entry}},
			},
			&message.CallRequest{Call: linnet.NewCallID(), Time: uint64(time.Now().UnixMilli()), Codecs: []string{"opus"}})
		time.Sleep(time.Second)
		if calls := supernode.status().Calls; len(calls) != 0 {
			t.Errorf("it has calls: %+v", calls)
		}
		supernode.within(func(_ time.Time, s *station) {
			if len(s.pairs) != 0 || len(s.sessions.Paths(s.id)) != 0 {
				t.Errorf("it looks for paths to %d callers", len(s.pairs))
			}
		})
	})
}

// Who calls says where he is, and nothing of where others are.
func TestCallerSpeaksForItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 1})
		mallory, bob := w.user("mallory", netsim.HostOptions{}), w.user("bob", netsim.HostOptions{})
		id := mallory.call("bob", linnet.CallMedia{})
		bob.rings()
		friend := linnet.NodeID{1}
		mallory.tell(bob.status().Node, &message.SessionRequest{
			Callee: "bob", Caller: message.Location{Node: friend, Supernodes: []linnet.NodeID{{2}}},
		})
		time.Sleep(time.Second)
		bob.within(func(_ time.Time, s *station) {
			if l, known := s.places.get(friend); known {
				t.Errorf("bob believes that %v is at %v", friend, l.Supernodes)
			}
			if n := len(s.unrouted); n != 0 {
				t.Errorf("%d Hellos without a way", n)
			}
		})
		supernode := w.supernodes[0]
		supernode.tell(bob.status().Node, &message.Unroutable{Target: friend})
		time.Sleep(time.Second)
		bob.within(func(_ time.Time, s *station) {
			if n := len(s.unrouted); n != 0 {
				t.Errorf("bob counts %d nodes that nobody asked for", n)
			}
		})
		mallory.node.HangUp(t.Context(), id)
		bob.ended(id)
	})
}

// An address tells nobody whose it is, even if he knows whom to ask for.
func TestOrdinaryNodeTakesNoDirectHello(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 1})
		mallory, bob := w.user("mallory", netsim.HostOptions{}), w.user("bob", netsim.HostOptions{})
		if _, err := mallory.node.Lookup(t.Context(), "bob"); err != nil {
			t.Fatal(err)
		}
		id, at := bob.status().Node, netip.AddrPortFrom(bob.host.Addr(), bob.node.Addr().Port())
		mallory.within(func(now time.Time, s *station) {
			peer := session.Peer{Node: id, Agreement: s.certificates[id].Agreement}
			if err := s.sessions.Dial(now, peer, session.Path{Kind: linnet.DirectUDP, Addr: at}); err != nil {
				t.Fatal(err)
			}
		})
		time.Sleep(5 * time.Second)
		mallory.within(func(_ time.Time, s *station) {
			if s.sessions.Up(id) {
				t.Error("bob answered")
			}
		})
	})
}

// Strangers keep pairs by pings for as long as they like, and keep nobody out.
func TestStrangersFillPairs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 1})
		carol, bob := w.user("carol", netsim.HostOptions{}), w.user("bob", netsim.HostOptions{})
		bob.within(func(now time.Time, s *station) {
			for i := range maxPairs {
				p := s.pairWith(now, linnet.NodeID{1, byte(i)}, linnet.UserName(fmt.Sprint("eve", i)))
				p.began = now.Add(time.Duration(i-maxPairs) * time.Second)
				p.seen = now.Add(time.Hour)
				p.contact = i == 0
			}
		})
		id := carol.call("bob", linnet.CallMedia{})
		bob.rings()
		bob.within(func(_ time.Time, s *station) {
			if s.pairs[carol.status().Node] == nil || len(s.pairs) != maxPairs {
				t.Errorf("%d pairs, and carol's is %v", len(s.pairs), s.pairs[carol.status().Node])
			}
			if s.pairs[linnet.NodeID{1, 0}] == nil || s.pairs[linnet.NodeID{1, 1}] != nil {
				t.Error("it is not the oldest stranger who went")
			}
		})
		carol.node.HangUp(t.Context(), id)
		bob.ended(id)
	})
}

// Who offers all relays that there are has nobody open sessions with all of them.
func TestOffersOfAllRelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const relays = joinBurst + 4
		w := newWorld(t, worldOptions{supernodes: relays})
		mallory, bob := w.user("mallory", netsim.HostOptions{}), w.user("bob", netsim.HostOptions{})
		var offers []message.RelayOffer
		for i, sn := range w.supernodes {
			sn.within(func(_ time.Time, s *station) {
				offers = append(offers, message.RelayOffer{Session: 1, Relay: uint32(i + 1), Addr: sn.opts.Advertise, Entry: s.overlay.Entry()})
			})
		}
		id := mallory.call("bob", linnet.CallMedia{})
		bob.rings()
		for offers := range slices.Chunk(offers, maxOffers) {
			mallory.tell(bob.status().Node, &message.SessionRequest{Callee: "bob", Caller: message.Location{Node: mallory.status().Node}, Relays: offers})
		}
		time.Sleep(time.Second)
		bob.within(func(_ time.Time, s *station) {
			if n := len(s.pairs[mallory.status().Node].hosts); n > joinBurst {
				t.Errorf("bob has looked for %d relays", n)
			}
		})
		mallory.node.HangUp(t.Context(), id)
		bob.ended(id)
	})
}
