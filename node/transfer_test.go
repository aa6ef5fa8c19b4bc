package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// talks calls somebody, who answers.
func (m *computer) talks(with *computer) linnet.CallID {
	m.w.t.Helper()
	id := m.call(with.user(), linnet.CallMedia{})
	with.heard.await("the call rings", func(e linnet.Event) bool { return isRinging(e) && e.Call.ID == id })
	with.answer(id, linnet.CallMedia{})
	for _, x := range []*computer{m, with} {
		x.reaches(id, linnet.CallActive)
	}
	return id
}

// transfer waits until the transfer of a call is in a state here.
func (m *computer) transfer(id linnet.CallID, state linnet.TransferState) {
	m.w.t.Helper()
	m.heard.await("the transfer is "+state.String(), func(e linnet.Event) bool {
		return e.Kind == linnet.EventCallChanged && e.Call.ID == id && e.Call.Transfer != nil && e.Call.Transfer.State == state
	})
}

// TestTransfers hands bob over to carol: blindly, and then after asking her. He
// hears what she plays, and she sees who put him through, whom she does not know.
func TestTransfers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob, carol := w.user("alice", netsim.HostOptions{}), w.user("bob", w.atHome()), w.user("carol", w.atHome())
		befriend(alice, bob)
		for _, attended := range []bool{false, true} {
			id := alice.talks(bob)
			to := linnet.TransferTo{User: "carol"}
			var with linnet.CallID
			if attended {
				with = alice.talks(carol)
				to = linnet.TransferTo{With: &with}
			}
			alice.ok(alice.node.Transfer(t.Context(), id, to))
			bob.transfer(id, linnet.TransferAsked)
			next := must(bob.node.AnswerTransfer(t.Context(), id, true, linnet.CallMedia{Play: w.speech(), Stay: true}))
			if !attended {
				e := carol.heard.await("bob's call rings", func(e linnet.Event) bool { return isRinging(e) && e.Call.ID == next })
				if e.Call.Peer != "bob" || e.Call.By != "alice" {
					t.Errorf("at carol: %+v", e.Call)
				}
				carol.answer(next, linnet.CallMedia{})
			}
			carol.heard.await("bob is heard", func(e linnet.Event) bool { return e.Kind == linnet.EventCallHeard && e.Call.ID == next })
			for _, m := range []*computer{alice, bob} {
				if r := m.ended(id); r.Outcome != linnet.OutcomeCompleted {
					t.Errorf("%s: the call that was handed over: %v", m.name, r.Outcome)
				}
			}
			if attended {
				alice.ended(with)
				carol.ended(with)
			}
			alice.ok(carol.node.HangUp(t.Context(), next))
			bob.ended(next)
			carol.ended(next)
			for _, m := range []*computer{bob, carol} {
				if r := m.history(next); r.By != "alice" || r.Outcome != linnet.OutcomeCompleted {
					t.Errorf("%s's history: %+v", m.name, r)
				}
			}
		}
	})
}

// Whoever is put through sees nothing that was shown to the one who did it, and takes no
// recording's place.
func TestMediaOfAReplacedCall(t *testing.T) {
	t.Parallel()
	was := linnet.CallMedia{Page: true, Video: linnet.Screen, Record: "a.ogg", RecordVideo: "a.ivf"}
	if is := instead(was); is != (linnet.CallMedia{Page: true}) {
		t.Errorf("%+v", is)
	}
}

// TestCallWaiting has a second call ring, which the setting ends.
func TestCallWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob, carol := w.user("alice", netsim.HostOptions{}), w.user("bob", netsim.HostOptions{}), w.user("carol", netsim.HostOptions{})
		first := alice.talks(bob)
		second := carol.call("bob", linnet.CallMedia{})
		for _, m := range []*computer{bob, carol} {
			m.heard.await("it waits", func(e linnet.Event) bool { return e.Call != nil && e.Call.ID == second && e.Call.Waiting })
		}
		bob.answer(second, linnet.CallMedia{})
		carol.reaches(second, linnet.CallActive)
		alice.reaches(first, linnet.CallHeld)
		alice.ok(bob.node.HangUp(t.Context(), second))
		carol.ended(second)
		bob.ok(bob.node.SetCallSettings(t.Context(), linnet.CallSettings{}))
		if r := carol.ended(carol.call("bob", linnet.CallMedia{})); r.Outcome != linnet.OutcomeBusy {
			t.Errorf("without call waiting: %v", r.Outcome)
		}
		bob.ok(bob.node.HangUp(t.Context(), first))
		bob.ended(first)
		bob.stop()
		bob.start()
		if s := must(bob.node.CallSettings(t.Context())); s.Waiting {
			t.Error("the setting is forgotten")
		}
		time.Sleep(time.Second)
	})
}
