package call

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

func TestGlare(t *testing.T) {
	for _, contacts := range []bool{true, false} {
		for seed := range uint64(20) { // either id may be the lower one
			w, alice, bobs := pair(t, 2)
			w.rand.Uint64()
			for range seed {
				w.rand.Uint64()
			}
			w.contacts = contacts
			bob := bobs[0]
			fromAlice := alice.dial("bob")
			fromBob := bob.dial("alice")
			w.run(3 * time.Second)
			id, loser, yields := fromAlice, fromBob, bob
			if _, ok := alice.merged[fromAlice]; ok {
				id, loser, yields = fromBob, fromAlice, alice
			}
			w.wantState(alice, id, linnet.CallActive)
			w.wantState(bob, id, linnet.CallActive)
			if yields.merged[loser] != id || alice.finals[loser]+bob.finals[loser] != 0 {
				t.Errorf("merged %v, finals %d and %d", yields.merged, alice.finals[loser], bob.finals[loser])
			}
			if alice.rings[fromBob]+bob.rings[fromAlice] != 0 {
				t.Error("it rang although both had dialled")
			}
			bob.must(bob.m.HangUp, id)
			w.run(time.Minute)
			w.want(alice, id, linnet.OutcomeCompleted)
			w.want(bob, id, linnet.OutcomeCompleted)
			for _, d := range w.order {
				if len(d.m.calls) != 0 {
					t.Errorf("%v holds calls", d)
				}
			}
		}
	}
}

// A copy of the request that gave way must not ring when the call is over.
func TestGlareRequestReturns(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	var copies []func()
	w.onSend = func(from, to linnet.NodeID, msg message.Message) bool {
		if req, ok := msg.(*message.CallRequest); ok {
			d, peer := w.nodes[to], w.peer(w.nodes[from])
			copies = append(copies, func() { d.do(func(m *Machine) { m.Received(w.now, peer, false, req) }) })
		}
		return true
	}
	alice.dial("bob")
	bob.dial("alice")
	w.run(time.Second)
	for _, d := range w.order {
		for _, c := range d.m.Calls() {
			d.must(d.m.HangUp, c.ID)
		}
	}
	w.run(time.Minute)
	for _, again := range copies {
		again()
	}
	if len(copies) < 2 || has[Ring](alice) || has[Ring](bob) {
		t.Errorf("%d copies; alice rings: %v, bob rings: %v", len(copies), has[Ring](alice), has[Ring](bob))
	}
}

// An own call that was not sent yet gives way whatever its id is.
func TestGlareBeforeSending(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	w.contacts = false
	fromBob := bob.dial("alice")
	w.run(5*w.delay - time.Millisecond)
	fromAlice := alice.dial("bob")
	w.run(3 * time.Second)
	if alice.merged[fromAlice] != fromBob {
		t.Errorf("merged: %v", alice.merged)
	}
	w.wantState(alice, fromBob, linnet.CallActive)
	w.wantState(bob, fromBob, linnet.CallActive)
}

// To dial somebody who rings here is to answer.
func TestDialRinging(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	fromBob := bob.dial("alice")
	w.run(time.Second)
	fromAlice := alice.dial("bob")
	w.run(time.Second)
	if alice.merged[fromAlice] != fromBob {
		t.Errorf("merged: %v", alice.merged)
	}
	w.wantState(alice, fromBob, linnet.CallActive)
	w.wantState(bob, fromBob, linnet.CallActive)
	alice.must(alice.m.HangUp, fromBob)
	w.run(time.Minute)
	w.want(alice, fromBob, linnet.OutcomeCompleted)
	w.want(bob, fromBob, linnet.OutcomeCompleted)
}

// A replayed Hello must not open a microphone: glare is answered only in a
// session whose other end is there now.
func TestGlareOfReplay(t *testing.T) {
	m := New(Options{})
	now := time.Unix(1_800_000_000, 0)
	m.Dial(now, linnet.CallID{5}, "bob")
	m.Take()
	m.Received(now, Peer{linnet.NodeID{2}, "bob", true}, true,
		&message.CallRequest{Call: linnet.CallID{1}, Time: uint64(now.UnixMilli()), Codecs: []string{"opus"}})
	if e := m.Take(); len(e) != 0 {
		t.Errorf("effects of a request that may be a replay: %v", e)
	}
}
