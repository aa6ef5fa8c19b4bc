package call

import (
	"errors"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

func TestHold(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	id := alice.dial("bob")
	w.run(time.Second)
	if err := alice.m.Hold(w.now, id); !errors.Is(err, ErrState) {
		t.Errorf("Hold while ringing: %v", err)
	}
	bob.must(bob.m.Answer, id)
	w.run(time.Second)
	alice.must(alice.m.Hold, id)
	w.run(time.Second)
	w.wantState(alice, id, linnet.CallHeld)
	w.wantState(bob, id, linnet.CallHeld)
	bob.must(bob.m.Hold, id)
	alice.must(alice.m.Resume, id)
	w.run(time.Second)
	w.wantState(alice, id, linnet.CallHeld) // bob holds it still
	bob.must(bob.m.Resume, id)
	w.run(time.Minute)
	w.wantState(alice, id, linnet.CallActive)
	w.wantState(bob, id, linnet.CallActive)

	// A hold that is lost is healed by the next sign of life.
	w.onSend = func(_, _ linnet.NodeID, msg message.Message) bool { _, ok := msg.(*message.CallHold); return !ok }
	alice.must(alice.m.Hold, id)
	w.run(6 * time.Second)
	w.wantState(bob, id, linnet.CallHeld)
}

func TestTone(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	id := alice.dial("bob")
	w.run(time.Second)
	if err := alice.m.Tone(w.now, id, "5"); !errors.Is(err, ErrState) {
		t.Errorf("Tone while ringing: %v", err)
	}
	bob.must(bob.m.Answer, id)
	w.run(time.Second)
	for _, bad := range []string{"", "55", "E", "ä"} {
		if err := alice.m.Tone(w.now, id, bad); !errors.Is(err, ErrTone) {
			t.Errorf("Tone(%q): %v", bad, err)
		}
	}
	alice.do(func(m *Machine) { m.Tone(w.now, id, "#") })
	w.run(time.Second)
	if !has[Tone](bob) {
		t.Error("the tone did not arrive")
	}
}

func TestCallWaiting(t *testing.T) {
	w, alice, _ := pair(t, 0)
	bob := w.device("b1", "bob", Options{CallWaiting: true})
	carol := w.device("c1", "carol", Options{})
	first := alice.dial("bob")
	w.run(time.Second)
	bob.must(bob.m.Answer, first)
	second := carol.dial("bob")
	w.run(time.Second)
	if calls := bob.m.Calls(); len(calls) != 2 || !calls[1].Waiting {
		t.Fatalf("calls: %+v", calls)
	}
	bob.must(bob.m.Answer, second)
	w.run(time.Second)
	w.wantState(alice, first, linnet.CallHeld)
	w.wantState(carol, second, linnet.CallActive)
	bob.must(bob.m.Resume, first)
	w.run(time.Second)
	w.wantState(alice, first, linnet.CallActive)
	w.wantState(carol, second, linnet.CallHeld)
	bob.must(bob.m.HangUp, first)
	bob.must(bob.m.HangUp, second)
	w.run(time.Minute)
	w.want(alice, first, linnet.OutcomeCompleted)
	w.want(carol, second, linnet.OutcomeCompleted)
}

func TestManyLines(t *testing.T) {
	w := newWorld(t, 1)
	echo := w.device("echo", "echo123", Options{Lines: 50})
	var ids []linnet.CallID
	for i := range 20 {
		user := linnet.UserName("user" + string(rune('a'+i)))
		ids = append(ids, w.device(string(user[4:])+"1", user, Options{}).dial("echo123"))
		w.run(time.Second)
		echo.must(echo.m.Answer, ids[i])
	}
	w.run(time.Minute)
	for _, id := range ids {
		w.wantState(echo, id, linnet.CallActive)
	}
}
