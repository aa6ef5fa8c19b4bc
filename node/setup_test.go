package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
)

// TestCallSetUp counts round trips, with -v to read them. Time is the simulated
// internet's, so they are the same on every machine.
func TestCallSetUp(t *testing.T) {
	t.Parallel()
	const viaSupernode, viaRelay, direct = 2 * hostRTT, 2 * hostRTT, hostRTT
	for _, tt := range []struct {
		name    string
		friends bool
		again   bool          // with a session from an earlier call
		ring    time.Duration // a round trip to the other device on the way that signalling takes
		media   time.Duration // and on the one that media takes
		rings   float64       // limits, in round trips
		heard   float64
	}{
		{"contacts", true, false, viaSupernode, direct, 1, 1},
		{"contacts again", true, true, direct, direct, 1, 1},
		// A stranger's first message may be a replay, so that nothing rings before the second one.
		{"strangers", false, false, viaSupernode, viaRelay, 2, 1},
		{"strangers again", false, true, viaRelay, viaRelay, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
				if tt.friends {
					befriend(alice, bob)
				}
				if tt.again {
					w.timeSetUp(alice, bob)
					time.Sleep(time.Second)
				}
				s := w.timeSetUp(alice, bob)
				for _, step := range []struct {
					what  string
					took  time.Duration
					rtt   time.Duration
					limit float64
				}{
					{"look-up", s.lookup, hostRTT, 1},
					{"from there to the ring", s.ring, tt.ring, tt.rings},
					{"from the answer to the callee's voice", s.heardHere, tt.media, tt.heard},
					{"from the answer to the caller's voice", s.heardThere, tt.media, tt.heard},
				} {
					trips := float64(step.took) / float64(step.rtt)
					t.Logf("%-38s %3d ms: %.2f round trips of %d ms, %.2f of the limit", step.what,
						step.took.Milliseconds(), trips, step.rtt.Milliseconds(), trips/step.limit)
					if trips > step.limit*1.01 {
						t.Errorf("%s took %.2f round trips, limit %v", step.what, trips, step.limit)
					}
				}
			})
		})
	}
}

// setUp is how long the steps of a call took.
type setUp struct {
	lookup                time.Duration // warm
	ring                  time.Duration // from there to "it rings" at the caller
	heardHere, heardThere time.Duration // from the answer, at the caller and at the callee
}

// timeSetUp makes a call with a voice on either side.
func (w *world) timeSetUp(alice, bob *computer) (s setUp) {
	w.t.Helper()
	begin := time.Now()
	if _, err := alice.node.Lookup(w.t.Context(), bob.user()); err != nil {
		w.t.Fatal(err)
	}
	s.lookup = time.Since(begin)

	begin = time.Now()
	id := alice.call(bob.user(), linnet.CallMedia{Play: w.speech()})
	of := func(kind linnet.EventKind) func(linnet.Event) bool {
		return func(e linnet.Event) bool { return e.Kind == kind && e.Call.ID == id }
	}
	s.ring = alice.reaches(id, linnet.CallRinging).Time.Sub(begin) - s.lookup // every call looks up
	bob.heard.await("the call rings", of(linnet.EventCallRings))
	time.Sleep(5 * time.Second) // a person takes it

	begin = time.Now()
	bob.answer(id, linnet.CallMedia{Play: w.speech()})
	s.heardHere = alice.heard.await("alice hears bob", of(linnet.EventCallHeard)).Time.Sub(begin)
	s.heardThere = bob.heard.await("bob hears alice", of(linnet.EventCallHeard)).Time.Sub(begin)
	if err := alice.node.HangUp(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	alice.ended(id)
	bob.ended(id)
	return s
}
