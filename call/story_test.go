package call

import (
	"errors"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// TestOutcomes tells each outcome as a story of two devices.
func TestOutcomes(t *testing.T) {
	const ring, talk = 2 * time.Second, 10 * time.Second
	tests := []struct {
		name        string
		story       func(w *world, alice, bob *device) linnet.CallID
		alice, bob  linnet.Outcome
		rang, media bool
	}{
		{"caller hangs up", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			w.run(talk)
			alice.must(alice.m.HangUp, id)
			return id
		}, linnet.OutcomeCompleted, linnet.OutcomeCompleted, true, true},
		{"callee hangs up", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			w.run(talk)
			bob.must(bob.m.HangUp, id)
			return id
		}, linnet.OutcomeCompleted, linnet.OutcomeCompleted, true, true},
		{"both hang up at once", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			w.run(talk)
			bob.must(bob.m.HangUp, id)
			alice.must(alice.m.HangUp, id)
			return id
		}, linnet.OutcomeCompleted, linnet.OutcomeCompleted, true, true},
		{"hung up before the answer arrived", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			bob.must(bob.m.HangUp, id)
			return id
		}, linnet.OutcomeCompleted, linnet.OutcomeCompleted, true, true},
		{"rejected", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Reject, id)
			return id
		}, linnet.OutcomeRejected, linnet.OutcomeRejected, true, false},
		{"cancelled", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			alice.must(alice.m.HangUp, id)
			return id
		}, linnet.OutcomeCancelled, linnet.OutcomeMissed, true, false},
		{"cancelled while the answer travels", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			alice.must(alice.m.HangUp, id)
			return id
		}, linnet.OutcomeCancelled, linnet.OutcomeMissed, true, true},
		{"cancelled while the rejection travels", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Reject, id)
			alice.must(alice.m.HangUp, id)
			return id
		}, linnet.OutcomeCancelled, linnet.OutcomeMissed, true, false},
		{"cancelled while looking", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			alice.must(alice.m.HangUp, id)
			return id
		}, linnet.OutcomeCancelled, linnet.OutcomeNone, false, false},
		{"no answer", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(70 * time.Second)
			return id
		}, linnet.OutcomeNoAnswer, linnet.OutcomeMissed, true, false},
		{"callee offline", func(w *world, alice, bob *device) linnet.CallID {
			bob.kill()
			return alice.dial("bob")
		}, linnet.OutcomeOffline, linnet.OutcomeNone, false, false},
		{"nobody has this name", func(w *world, alice, bob *device) linnet.CallID {
			return alice.dial("nobody")
		}, linnet.OutcomeNotFound, linnet.OutcomeNone, false, false},
		{"directory is silent", func(w *world, alice, bob *device) linnet.CallID {
			delete(w.users, "bob")
			id := alice.dial("bob")
			w.queue = nil
			return id
		}, linnet.OutcomeFailed, linnet.OutcomeNone, false, false},
		{"callee busy", func(w *world, alice, bob *device) linnet.CallID {
			carol := w.device("c1", "carol", Options{})
			first := carol.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, first)
			w.run(ring)
			return alice.dial("bob")
		}, linnet.OutcomeBusy, linnet.OutcomeBusy, false, false},
		{"no common codec", func(w *world, alice, bob *device) linnet.CallID {
			bob.opts.Codecs = []string{"pcmu"}
			bob.start()
			return alice.dial("bob")
		}, linnet.OutcomeFailed, linnet.OutcomeFailed, false, false},
		{"callee dies while ringing", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.kill()
			w.run(time.Minute)
			bob.start()
			return id
		}, linnet.OutcomeLost, linnet.OutcomeLost, true, false},
		{"callee dies in the call", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			w.run(talk)
			bob.kill()
			w.run(time.Minute)
			bob.start()
			return id
		}, linnet.OutcomeLost, linnet.OutcomeLost, true, true},
		{"caller dies while ringing", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			alice.kill()
			w.run(time.Minute)
			alice.start()
			return id
		}, linnet.OutcomeLost, linnet.OutcomeLost, true, false},
		{"callee restarts quickly in the call", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			w.run(talk)
			bob.kill()
			bob.start()
			return id
		}, linnet.OutcomeLost, linnet.OutcomeLost, true, true},
		{"the network is cut in the call", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			w.run(talk)
			w.onSend = func(_, _ linnet.NodeID, _ message.Message) bool { return false }
			return id
		}, linnet.OutcomeLost, linnet.OutcomeLost, true, true},
		{"answered and hung up while the network is cut", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			w.onSend = func(_, _ linnet.NodeID, _ message.Message) bool { return false }
			bob.must(bob.m.Answer, id)
			bob.must(bob.m.HangUp, id)
			return id
		}, linnet.OutcomeLost, linnet.OutcomeLost, true, true},
		{"hung up while the network is cut", func(w *world, alice, bob *device) linnet.CallID {
			id := alice.dial("bob")
			w.run(ring)
			bob.must(bob.m.Answer, id)
			w.run(talk)
			w.onSend = func(_, _ linnet.NodeID, _ message.Message) bool { return false }
			alice.must(alice.m.HangUp, id)
			return id
		}, linnet.OutcomeCompleted, linnet.OutcomeLost, true, true},
	}
	for _, tt := range tests {
		for _, contacts := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				w, alice, bobs := pair(t, 1)
				w.contacts = contacts
				bob := bobs[0]
				id := tt.story(w, alice, bob)
				w.run(2 * time.Minute)
				w.want(alice, id, tt.alice)
				w.want(bob, id, tt.bob)
				if got := bob.rings[id] > 0; got != tt.rang || bob.rings[id] > 1 {
					t.Errorf("rang %d times, want to ring: %v", bob.rings[id], tt.rang)
				}
				if got := has[StartMedia](bob); got != tt.media && tt.name != "callee busy" {
					t.Errorf("media started at the callee: %v, want %v", got, tt.media)
				}
				for _, d := range w.order {
					if n := len(d.m.calls); n > 1 || n == 1 && d.m.calls[0].info.ID == id {
						t.Errorf("%v still holds the call", d)
					}
					if d.media[id] != (linnet.NodeID{}) {
						t.Errorf("%v has media still", d)
					}
				}
				if r := alice.stored[id]; r.Answered.IsZero() == (r.Outcome == linnet.OutcomeCompleted || r.Outcome == linnet.OutcomeLost && has[StartMedia](alice)) {
					t.Errorf("answered at %v, outcome %v", r.Answered, r.Outcome)
				}
			})
		}
	}
}

// A contact's device rings when half a round trip has passed, a stranger's when
// the caller has proved to be there; media starts as soon as the answer is known.
func TestSetUpTimes(t *testing.T) {
	for _, tt := range []struct {
		contacts bool
		rings    time.Duration // after the look-up, in one-way delays
	}{{true, 1}, {false, 3}} {
		w, alice, bobs := pair(t, 1)
		bob := bobs[0]
		w.contacts = tt.contacts
		id := alice.dial("bob")
		w.run(2 * w.delay) // the look-up
		w.run(tt.rings * w.delay)
		if bob.rings[id] != 1 {
			t.Errorf("contacts %v: does not ring in time", tt.contacts)
		}
		w.wantState(alice, id, linnet.CallLooking)
		w.run(w.delay)
		w.wantState(alice, id, linnet.CallRinging)
		w.run(time.Second)
		bob.must(bob.m.Answer, id)
		if bob.media[id] != alice.id {
			t.Error("the callee's media does not start with the answer")
		}
		w.run(w.delay)
		if alice.media[id] != bob.id || !has[PeerKeys](alice) {
			t.Error("the caller's media does not start one way after the answer")
		}
		w.run(w.delay)
		if !has[PeerKeys](bob) {
			t.Error("the callee has no keys one round trip after the answer")
		}
	}
}

func TestMediaWaitsForUpgrade(t *testing.T) {
	m := New(Options{})
	now, id, node := time.Unix(1_800_000_000, 0), linnet.CallID{1}, linnet.NodeID{2}
	bob := Peer{Node: node, User: "bob"}
	m.Dial(now, id, "bob")
	m.Upgraded(now, node) // an older session, which the peer's restart replaces
	m.Found(now, id, []linnet.NodeID{node})
	m.SessionUp(now, node)
	m.Received(now, bob, false, &message.CallAnswer{Call: id, Codecs: []string{"opus"}})
	for _, e := range m.Take() {
		if _, ok := e.(StartMedia); ok {
			t.Fatal("media started before the session had its hybrid keys")
		}
	}
	m.Upgraded(now, node)
	m.Upgraded(now, node) // a rekeying
	n := 0
	for _, e := range m.Take() {
		if _, ok := e.(StartMedia); ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("media started %d times", n)
	}
}

func TestThreeDevices(t *testing.T) {
	t.Run("the first answer silences the rest", func(t *testing.T) {
		w, alice, bob := pair(t, 3)
		id := alice.dial("bob")
		w.run(time.Second)
		bob[1].must(bob[1].m.Answer, id)
		w.run(time.Second)
		for _, d := range []*device{bob[0], bob[2]} {
			if !has[StopRing](d) {
				t.Errorf("%v still rings", d)
			}
		}
		w.run(time.Minute)
		alice.must(alice.m.HangUp, id)
		w.run(time.Minute)
		w.want(alice, id, linnet.OutcomeCompleted)
		w.want(bob[1], id, linnet.OutcomeCompleted)
		w.want(bob[0], id, linnet.OutcomeAnsweredElsewhere)
		w.want(bob[2], id, linnet.OutcomeAnsweredElsewhere)
	})
	t.Run("two answer at once", func(t *testing.T) {
		w, alice, bob := pair(t, 2)
		id := alice.dial("bob")
		w.run(time.Second)
		bob[0].must(bob[0].m.Answer, id)
		bob[1].must(bob[1].m.Answer, id)
		w.run(time.Second)
		w.wantState(bob[0], id, linnet.CallActive)
		w.want(bob[1], id, linnet.OutcomeAnsweredElsewhere)
		bob[0].must(bob[0].m.HangUp, id)
		w.run(time.Minute)
		w.want(alice, id, linnet.OutcomeCompleted)
		w.want(bob[0], id, linnet.OutcomeCompleted)
	})
	t.Run("no is said for all devices", func(t *testing.T) {
		w, alice, bob := pair(t, 3)
		id := alice.dial("bob")
		w.run(time.Second)
		bob[2].must(bob[2].m.Reject, id)
		w.run(time.Minute)
		for _, d := range append(bob, alice) {
			w.want(d, id, linnet.OutcomeRejected)
		}
	})
	t.Run("a busy device leaves it to the others", func(t *testing.T) {
		w, alice, bob := pair(t, 2)
		carol := w.device("c1", "carol", Options{})
		w.users["bob"] = []linnet.NodeID{bob[0].id}
		first := carol.dial("bob")
		w.run(time.Second)
		bob[0].must(bob[0].m.Answer, first)
		w.users["bob"] = []linnet.NodeID{bob[0].id, bob[1].id}
		id := alice.dial("bob")
		w.run(time.Second)
		w.wantState(alice, id, linnet.CallRinging)
		bob[1].must(bob[1].m.Answer, id)
		w.run(time.Second)
		w.wantState(alice, id, linnet.CallActive)
		w.want(bob[0], id, linnet.OutcomeBusy)
		w.wantState(carol, first, linnet.CallActive)
	})
	t.Run("one is unreachable", func(t *testing.T) {
		w, alice, bob := pair(t, 2)
		bob[0].kill()
		id := alice.dial("bob")
		w.run(30 * time.Second)
		w.wantState(alice, id, linnet.CallRinging)
		bob[1].must(bob[1].m.Answer, id)
		w.run(time.Second)
		w.wantState(alice, id, linnet.CallActive)
	})
	t.Run("one dies while all ring", func(t *testing.T) {
		w, alice, bob := pair(t, 2)
		id := alice.dial("bob")
		w.run(time.Second)
		bob[0].kill()
		w.run(40 * time.Second)
		w.wantState(alice, id, linnet.CallRinging)
		bob[1].must(bob[1].m.Reject, id)
		w.run(time.Minute)
		w.want(alice, id, linnet.OutcomeRejected)
	})
	t.Run("a user calls her other device", func(t *testing.T) {
		w, _, bob := pair(t, 2)
		id := bob[0].dial("bob")
		w.run(time.Second)
		bob[1].must(bob[1].m.Answer, id)
		w.run(time.Second)
		w.wantState(bob[0], id, linnet.CallActive)
		alone := w.device("d1", "dora", Options{})
		id = alone.dial("dora")
		w.run(time.Second)
		w.want(alone, id, linnet.OutcomeOffline)
	})
}

// The session breaks in a call, and comes back within the time that a device
// may be silent.
func TestSessionReturns(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	id := alice.dial("bob")
	w.run(time.Second)
	bob.must(bob.m.Answer, id)
	w.run(time.Second)
	for _, d := range w.order {
		clear(d.sessions)
	}
	alice.do(func(m *Machine) { m.SessionDown(w.now, bob.id) })
	bob.do(func(m *Machine) { m.SessionDown(w.now, alice.id) })
	w.run(time.Minute)
	w.wantState(alice, id, linnet.CallActive)
	w.wantState(bob, id, linnet.CallActive)
}

// Media keeps a call alive when signs of life are lost.
func TestMediaIsLife(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	id := alice.dial("bob")
	w.run(time.Second)
	bob.must(bob.m.Answer, id)
	w.run(time.Second)
	w.onSend = func(_, _ linnet.NodeID, _ message.Message) bool { return false }
	for range 60 {
		w.run(time.Second)
		alice.do(func(m *Machine) { m.MediaSeen(w.now, id) })
	}
	w.wantState(alice, id, linnet.CallActive)
	w.want(bob, id, linnet.OutcomeLost)
}

func TestReceiptsAfterTheEnd(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	mallory := w.device("m1", "mallory", Options{})
	id := alice.dial("bob")
	w.run(time.Second)
	bob.must(bob.m.Answer, id)
	w.run(time.Second)
	alice.must(alice.m.HangUp, id)
	w.run(time.Second)
	receipt := &message.CallReceipt{Call: id, MOS100: 430}
	alice.do(func(m *Machine) { m.Received(w.now, w.peer(mallory), false, receipt) })
	if has[PeerReceipt](alice) {
		t.Error("took a receipt from a stranger")
	}
	alice.do(func(m *Machine) { m.Received(w.now, w.peer(bob), false, receipt) })
	if !has[PeerReceipt](alice) {
		t.Error("did not take the receipt")
	}
}

func TestUnknownCalls(t *testing.T) {
	m := New(Options{})
	now, id := time.Unix(1_800_000_000, 0), linnet.CallID{9}
	for name, f := range map[string]func(time.Time, linnet.CallID) error{
		"Answer": m.Answer, "Reject": m.Reject, "HangUp": m.HangUp, "Hold": m.Hold, "Resume": m.Resume,
	} {
		if err := f(now, id); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := m.Dial(now, id, "bob"); err != nil {
		t.Fatal(err)
	}
	if err := m.Dial(now, id, "bob"); !errors.Is(err, ErrState) {
		t.Errorf("dialled one id twice: %v", err)
	}
	if err := m.Answer(now, id); !errors.Is(err, ErrState) {
		t.Errorf("answered an own call: %v", err)
	}
	if m.Deadline().IsZero() {
		t.Error("a call without a deadline")
	}
}

// A session may be older than the device at its other end.
func TestDeadSession(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	id := alice.dial("bob")
	w.run(time.Second)
	alice.must(alice.m.HangUp, id)
	w.run(time.Minute)
	bob.kill()
	bob.start()
	id = alice.dial("bob")
	w.run(time.Second)
	w.wantState(alice, id, linnet.CallRinging)
	alice.must(alice.m.HangUp, id)
	w.run(time.Minute)

	// It may also end while the device is being called: then the device is not
	// out of reach, only that session is.
	w.onSend = func(_, _ linnet.NodeID, m message.Message) bool { _, rings := m.(*message.CallRinging); return !rings }
	id = alice.dial("bob")
	w.run(time.Second)
	clear(alice.sessions)
	alice.do(func(m *Machine) { m.SessionDown(w.now, bob.id) })
	w.onSend = nil
	w.run(5 * time.Second)
	w.wantState(alice, id, linnet.CallRinging)
}
