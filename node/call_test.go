package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// TestCall is what Linnet is for: what one plays is what the other hears.
func TestCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		befriend(alice, bob)
		heard := talk(alice, bob)
		if same := w.compare(heard); same < 1 {
			t.Errorf("%.2f %% of the packets are those that were played", 100*same)
		}
		for _, m := range []*computer{alice, bob} {
			for _, r := range m.calls() {
				if len(r.Paths) != 1 || r.Path != linnet.DirectUDP {
					t.Errorf("%s: the call took %+v, want the direct path alone", m.name, r.Paths)
				}
			}
		}
	})
}

// TestStrangers shows that people who are not each other's contacts talk through
// a relay, and that a name never gives an address away.
func TestStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", netsim.HostOptions{})
		var mu sync.Mutex
		met := make(map[*computer]map[netip.Addr]bool)
		for _, m := range []*computer{alice, bob} {
			met[m] = make(map[netip.Addr]bool)
			m.host.Tap(func(p netsim.Packet) {
				mu.Lock()
				defer mu.Unlock()
				met[m][p.From.Addr()], met[m][p.To.Addr()] = true, true
			})
		}
		state := make(map[*computer]string) // all that it knows of the other one, during the call
		id := alice.call("bob", linnet.CallMedia{Play: w.speech()})
		bob.rings()
		heard := filepath.Join(w.dir, "heard.ogg")
		bob.answer(id, linnet.CallMedia{Record: heard})
		for _, m := range []*computer{alice, bob} {
			m.reaches(id, linnet.CallActive)
		}
		time.Sleep(10 * time.Second)
		for m, peer := range map[*computer]*computer{alice: bob, bob: alice} {
			other := peer.id()
			m.within(func(_ time.Time, s *station) {
				where, _ := s.places.get(other)
				state[m] = fmt.Sprintf("%+v %+v %+v %+v", *s.pairs[other], *s.pairs[other].way, s.sessions.Paths(other), where)
			})
		}
		for _, m := range []*computer{alice, bob} {
			if r := m.ended(id); r.Outcome != linnet.OutcomeCompleted || r.Path != linnet.RelayUDP {
				t.Errorf("%s: %v by %v, want completed by a relay", m.name, r.Outcome, r.Path)
			}
		}
		if same := w.compare(heard); same < 1 {
			t.Errorf("%.2f %% of the packets are those that were played", 100*same)
		}
		mu.Lock()
		defer mu.Unlock()
		for m, peer := range map[*computer]*computer{alice: bob, bob: alice} {
			for _, a := range peer.addrs() {
				if met[m][a] {
					t.Errorf("%s got a packet from %v, or sent it one", m.name, a)
				}
				if mentions(state[m], a) {
					t.Errorf("%s knows %v: %s", m.name, a, state[m])
				}
			}
			if !slices.ContainsFunc(w.supernodes, func(r *computer) bool { return mentions(state[m], r.host.Addr()) }) {
				t.Errorf("%s does not even know the relay; is this its state? %s", m.name, state[m])
			}
		}
	})
}

// mentions looks for an IPv4 address in what %+v printed, which is not always its text.
func mentions(state string, a netip.Addr) bool {
	b := a.As4()
	inside := fmt.Sprintf("lo:%d ", 0xffff<<32|uint64(binary.BigEndian.Uint32(b[:])))
	return strings.Contains(state, a.String()) || strings.Contains(state, inside)
}

// TestLoss shows that redundancy makes up for a tenth of the packets.
func TestLoss(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{seed: seed})
				alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
				befriend(alice, bob)
				bob.host.SetLink(netsim.Link{Delay: w.cable, Loss: .10})
				var sent, arrived atomic.Int32
				alice.host.Tap(func(p netsim.Packet) {
					if p.Sent && p.To.Addr() == bob.nat.Addr() {
						sent.Add(1)
					}
				})
				bob.host.Tap(func(p netsim.Packet) {
					if !p.Sent && p.From.Addr() == alice.nat.Addr() {
						arrived.Add(1)
					}
				})
				same := w.compare(talk(alice, bob))
				lost := 1 - float64(arrived.Load())/float64(sent.Load())
				t.Logf("%.2f %% of the packets got lost; %.2f %% of the frames arrived or were recovered", 100*lost, 100*same)
				if same < .985 {
					t.Error("want 98.5 % of the frames")
				}
				if lost < .08 {
					t.Error("want a network that loses a tenth")
				}
			})
		})
	}
}

// talk has alice play the speech to bob, and says where his recording is.
func talk(alice, bob *computer) string {
	alice.w.t.Helper()
	heard := filepath.Join(alice.w.dir, "heard.ogg")
	id := alice.call(bob.user(), linnet.CallMedia{Play: alice.w.speech()})
	if rings := bob.rings(); rings != id {
		alice.w.t.Fatalf("call %v rings, want %v", rings, id)
	}
	alice.reaches(id, linnet.CallRinging)
	bob.answer(id, linnet.CallMedia{Record: heard})
	for _, m := range []*computer{alice, bob} {
		m.ended(id)
		if r := m.history(id); r.Outcome != linnet.OutcomeCompleted {
			alice.w.t.Errorf("%s: %v, want completed", m.name, r.Outcome)
		}
	}
	return heard
}

// compare says which share of the packets that were played is in the recording,
// each in its place. The rest has to be missing, and time must not.
func (w *world) compare(recording string) float64 {
	w.t.Helper()
	want, lasts := w.frames(w.speech())
	got, lasted := w.frames(recording)
	if d := lasted - lasts; d < -100*time.Millisecond || d > 100*time.Millisecond {
		w.t.Errorf("the recording lasts %v, what was played %v", lasted, lasts)
	}
	same := 0
	for i := range min(len(got), len(want)) {
		switch {
		case bytes.Equal(got[i].Data, want[i].Data):
			same++
		case len(got[i].Data) != 1: // a gap is a packet of one byte
			w.t.Errorf("packet %d of the recording is neither the one that was played nor a gap", i)
			return 0
		}
	}
	return float64(same) / float64(len(want))
}
