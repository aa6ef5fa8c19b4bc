package call

import (
	"errors"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// three is alice in a call with bob, and carol.
func three(t *testing.T) (w *world, alice, bob, carol *device, id linnet.CallID) {
	w = newWorld(t, 7)
	alice = w.device("a1", "alice", Options{CallWaiting: true})
	bob = w.device("b1", "bob", Options{CallWaiting: true})
	carol = w.device("c1", "carol", Options{CallWaiting: true})
	id = alice.dial("bob")
	w.run(time.Second)
	bob.must(bob.m.Answer, id)
	w.run(time.Second)
	return w, alice, bob, carol, id
}

func (w *world) handOver(d *device, id linnet.CallID, to linnet.UserName) {
	w.t.Helper()
	d.do(func(m *Machine) {
		if err := m.Transfer(w.now, id, w.id(), to); err != nil {
			w.t.Fatal(err)
		}
	})
	w.run(time.Second)
}

func (w *world) accept(d *device, id linnet.CallID) (next linnet.CallID) {
	w.t.Helper()
	next = w.id()
	d.do(func(m *Machine) {
		if err := m.AcceptTransfer(w.now, id, next); err != nil {
			w.t.Fatal(err)
		}
	})
	w.run(time.Second)
	return next
}

func (d *device) call(id linnet.CallID) linnet.CallInfo {
	for _, c := range d.m.Calls() {
		if c.ID == id {
			return c
		}
	}
	return linnet.CallInfo{State: linnet.CallEnded}
}

func (w *world) wantTransfer(d *device, id linnet.CallID, want linnet.Transfer) {
	w.t.Helper()
	if got := d.call(id).Transfer; got == nil || *got != want {
		w.t.Errorf("%v: transfer %+v, want %+v", d, got, want)
	}
}

func TestBlindTransfer(t *testing.T) {
	w, alice, bob, carol, id := three(t)
	w.handOver(alice, id, "carol")
	w.wantState(alice, id, linnet.CallHeld)
	w.wantTransfer(alice, id, linnet.Transfer{To: "carol", Mine: true, State: linnet.TransferAsked})
	w.wantTransfer(bob, id, linnet.Transfer{To: "carol", State: linnet.TransferAsked})
	w.run(10 * time.Second)
	if len(carol.m.Calls()) != 0 {
		t.Fatal("carol was called although bob has not decided")
	}
	next := w.accept(bob, id)
	w.wantTransfer(alice, id, linnet.Transfer{To: "carol", Mine: true, State: linnet.TransferAccepted})
	if c := carol.call(next); c.State != linnet.CallRinging || c.Peer != "bob" || c.By != "alice" {
		t.Fatalf("at carol: %+v", c)
	}
	if c := bob.call(next); c.By != "alice" {
		t.Errorf("at bob: %+v", c)
	}
	carol.must(carol.m.Answer, next)
	w.run(time.Second)
	w.wantState(bob, next, linnet.CallActive)
	w.wantState(carol, next, linnet.CallActive)
	w.run(time.Minute)
	w.want(alice, id, linnet.OutcomeCompleted)
	w.want(bob, id, linnet.OutcomeCompleted)
	bob.must(bob.m.HangUp, next)
	w.run(time.Minute)
	w.want(carol, next, linnet.OutcomeCompleted)
	if by := carol.stored[next].By; by != "alice" {
		t.Errorf("carol's history says it was put through by %q", by)
	}
}

// A transfer that comes to nothing leaves the two talking.
func TestTransferFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		happen  func(w *world, alice, bob, carol *device, id linnet.CallID)
		state   linnet.TransferState
		outcome linnet.Outcome
	}{
		{"bob says no", func(w *world, _, bob, _ *device, id linnet.CallID) {
			bob.must(bob.m.DeclineTransfer, id)
		}, linnet.TransferDeclined, linnet.OutcomeNone},
		{"bob says nothing", func(w *world, _, _, _ *device, _ linnet.CallID) {
			w.run(decideFor)
		}, linnet.TransferDeclined, linnet.OutcomeNone},
		{"carol says no", func(w *world, _, bob, carol *device, id linnet.CallID) {
			carol.must(carol.m.Reject, w.accept(bob, id))
		}, linnet.TransferFailed, linnet.OutcomeRejected},
		{"carol is away", func(w *world, _, bob, carol *device, id linnet.CallID) {
			carol.kill()
			w.accept(bob, id)
			w.run(20 * time.Second)
		}, linnet.TransferFailed, linnet.OutcomeOffline},
		{"bob thinks better of it", func(w *world, _, bob, carol *device, id linnet.CallID) {
			bob.must(bob.m.HangUp, w.accept(bob, id))
		}, linnet.TransferFailed, linnet.OutcomeCancelled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, alice, bob, carol, id := three(t)
			w.handOver(alice, id, "carol")
			tt.happen(w, alice, bob, carol, id)
			w.run(time.Second)
			w.wantTransfer(alice, id, linnet.Transfer{To: "carol", Mine: true, State: tt.state, Outcome: tt.outcome})
			w.wantTransfer(bob, id, linnet.Transfer{To: "carol", State: tt.state, Outcome: tt.outcome})
			w.wantState(alice, id, linnet.CallActive)
			w.wantState(bob, id, linnet.CallActive)
			w.handOver(alice, id, "carol") // it can be tried again
			w.wantTransfer(bob, id, linnet.Transfer{To: "carol", State: linnet.TransferAsked})
		})
	}
}

// What gets lost on the way is said again.
func TestTransferIsRepeated(t *testing.T) {
	w, alice, bob, carol, id := three(t)
	lost := map[string]bool{}
	w.onSend = func(_, _ linnet.NodeID, msg message.Message) bool {
		switch msg := msg.(type) {
		case *message.CallTransfer:
			first := !lost["offer"]
			lost["offer"] = true
			return !first
		case *message.CallTransferred:
			first := msg.State != uint32(linnet.TransferAsked) && !lost["answer"]
			lost["answer"] = lost["answer"] || first
			return !first
		}
		return true
	}
	w.handOver(alice, id, "carol")
	w.run(6 * time.Second)
	w.wantTransfer(bob, id, linnet.Transfer{To: "carol", State: linnet.TransferAsked})
	carol.must(carol.m.Reject, w.accept(bob, id))
	w.run(10 * time.Second)
	w.wantTransfer(alice, id, linnet.Transfer{To: "carol", Mine: true, State: linnet.TransferFailed, Outcome: linnet.OutcomeRejected})
	w.wantState(bob, id, linnet.CallActive)
}

// Alice asks carol first, on one of carol's devices; the other one never rings.
func TestAttendedTransfer(t *testing.T) {
	w, alice, bob, carol, id := three(t)
	carol2 := w.device("c2", "carol", Options{})
	with := alice.dial("carol")
	w.run(time.Second)
	carol.must(carol.m.Answer, with)
	w.run(time.Second)
	w.wantState(bob, id, linnet.CallHeld)
	carol2.log = nil
	alice.do(func(m *Machine) {
		if err := m.Connect(w.now, id, w.id(), with); err != nil {
			t.Fatal(err)
		}
	})
	w.run(time.Second)
	w.wantState(carol, with, linnet.CallActive) // until bob has decided
	next := w.accept(bob, id)
	w.wantState(bob, next, linnet.CallActive)
	w.wantState(carol, next, linnet.CallActive)
	if c := carol.call(next); c.By != "alice" || carol.rings[next] != 0 || carol.replaced[with] != next {
		t.Errorf("at carol: %+v, rang %d times, replaced %v", c, carol.rings[next], carol.replaced)
	}
	if carol2.rings[next] != 0 {
		t.Error("carol's other device rang")
	}
	w.run(time.Minute)
	for d, id := range map[*device]linnet.CallID{bob: id, carol: with} {
		w.want(d, id, linnet.OutcomeCompleted)
		w.want(alice, id, linnet.OutcomeCompleted)
	}
	if calls := alice.m.Calls(); len(calls) != 0 {
		t.Errorf("alice still has %+v", calls)
	}
}

// Only who is in the call may hand it over, to somebody else, and a referral puts
// through only whom it names.
func TestTransferHostile(t *testing.T) {
	w, alice, bob, carol, id := three(t)
	offer := func(to linnet.UserName) *message.CallTransfer {
		b, _ := carol.opts.Refer(Referral{Transferee: "bob", Target: to, Time: w.now})
		return &message.CallTransfer{Call: id, Offer: w.id(), To: to, Referral: b}
	}
	bob.do(func(m *Machine) {
		m.Received(w.now, w.peer(carol), false, offer("dave")) // no party
		m.Received(w.now, w.peer(alice), true, offer("dave"))  // a replay
	})
	if got := bob.call(id).Transfer; got != nil {
		t.Errorf("bob is asked: %+v", got)
	}
	for _, to := range []linnet.UserName{"alice", "bob", "Carol", "node:x", ""} {
		bob.log = nil
		bob.do(func(m *Machine) { m.Received(w.now, w.peer(alice), false, offer(to)) })
		if bob.call(id).Transfer != nil || !has[Send](bob) {
			t.Errorf("bob is to call %q", to)
		}
	}
	alice.do(func(m *Machine) {
		for _, to := range []linnet.UserName{"alice", "bob"} {
			if err := m.Transfer(w.now, id, w.id(), to); !errors.Is(err, ErrTransfer) {
				t.Errorf("Transfer to %s: %v", to, err)
			}
		}
		m.Received(w.now, w.peer(bob), false, &message.CallTransferred{Call: id, Offer: w.id(), State: uint32(linnet.TransferDone)})
	})
	if got := alice.call(id).Transfer; got != nil {
		t.Errorf("alice did not offer: %+v", got)
	}

	// Dave has a referral that alice gave to bob, one of bob's own that replaces alice's call,
	// and one that names a call that alice is not in.
	dave := w.device("d1", "dave", Options{})
	for i, r := range []struct {
		by *device
		Referral
		want linnet.UserName
	}{
		{alice, Referral{Transferee: "bob", Target: "carol"}, ""},
		{alice, Referral{Transferee: "dave", Target: "alice"}, ""},
		{dave, Referral{Transferee: "dave", Target: "bob", Replaces: id}, "dave"},
	} {
		to := bob
		b, _ := r.by.opts.Refer(r.Referral)
		req := &message.CallRequest{Call: w.id(), Time: uint64(w.now.UnixMilli()), Codecs: []string{"opus"}, Referral: b}
		to.do(func(m *Machine) { m.Received(w.now, w.peer(dave), false, req) })
		if c := to.call(req.Call); c.State != linnet.CallRinging || c.By != r.want || !c.Waiting {
			t.Errorf("%d: %+v", i, c)
		}
		to.must(to.m.Reject, req.Call)
	}
	w.wantState(bob, id, linnet.CallActive)

	// A service is handed over to nobody.
	echo := w.device("e1", "echo123", Options{Stays: true, Lines: 3})
	with := alice.dial("echo123")
	w.run(time.Second)
	echo.must(echo.m.Answer, with)
	w.run(time.Second)
	w.handOver(alice, with, "carol")
	w.wantTransfer(alice, with, linnet.Transfer{To: "carol", Mine: true, State: linnet.TransferDeclined})
}

// Both sides of a call know that it waits, and when it does no longer.
func TestWaitingIsTold(t *testing.T) {
	w, alice, bob, carol, first := three(t)
	second := carol.dial("bob")
	w.run(time.Second)
	for _, d := range []*device{bob, carol} {
		if c := d.call(second); c.State != linnet.CallRinging || !c.Waiting {
			t.Errorf("%v: %+v", d, c)
		}
	}
	alice.must(alice.m.HangUp, first)
	w.run(time.Second)
	for _, d := range []*device{bob, carol} {
		if c := d.call(second); c.State != linnet.CallRinging || c.Waiting {
			t.Errorf("%v, with the line free: %+v", d, c)
		}
	}
	bob.must(bob.m.Answer, second)
	w.run(time.Second)

	// The same device does not talk twice.
	third := carol.dial("bob")
	w.run(time.Second)
	w.want(carol, third, linnet.OutcomeBusy)
}
