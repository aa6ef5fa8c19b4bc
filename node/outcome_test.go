package node

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
)

// TestOutcomes ends calls before anybody talks. Each history holds exactly one
// final outcome, or nothing if that side never heard of the call. What takes no
// minutes is tested through the program.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	// Of a caller who rang in vain a callee hears when it comes back within seconds.
	late := []linnet.Outcome{linnet.OutcomeNone, linnet.OutcomeMissed, linnet.OutcomeLost}
	for _, tt := range []struct {
		name   string
		happen func(alice, bob *computer) // around a call of alice's
		caller linnet.Outcome
		callee []linnet.Outcome // any of them; OutcomeNone: it never heard of the call
	}{
		{"nobody answers", func(alice, bob *computer) {
			alice.ended(alice.call("bob", linnet.CallMedia{}))
		}, linnet.OutcomeNoAnswer, []linnet.Outcome{linnet.OutcomeMissed}},
		{"the callee has just died, and the directory does not know", func(alice, bob *computer) {
			bob.kill()
			alice.ended(alice.call("bob", linnet.CallMedia{}))
			bob.start()
		}, linnet.OutcomeOffline, late},
		{"the callee's cable is cut", func(alice, bob *computer) {
			bob.host.Cut()
			alice.ended(alice.call("bob", linnet.CallMedia{}))
			bob.host.Heal()
		}, linnet.OutcomeOffline, late},
		{"the callee dies while it rings", func(alice, bob *computer) {
			id := alice.call("bob", linnet.CallMedia{})
			bob.rings()
			alice.reaches(id, linnet.CallRinging)
			bob.kill()
			alice.ended(id)
			bob.start()
		}, linnet.OutcomeLost, []linnet.Outcome{linnet.OutcomeMissed}},
		{"the caller dies while it rings", func(alice, bob *computer) {
			id := alice.call("bob", linnet.CallMedia{})
			bob.rings()
			alice.reaches(id, linnet.CallRinging)
			alice.kill()
			bob.ended(id)
			alice.start()
		}, linnet.OutcomeLost, []linnet.Outcome{linnet.OutcomeLost}},
		{"the caller's cable is cut while it rings", func(alice, bob *computer) {
			id := alice.call("bob", linnet.CallMedia{})
			bob.rings()
			alice.reaches(id, linnet.CallRinging)
			alice.host.Cut()
			alice.ended(id)
			bob.ended(id)
			alice.host.Heal()
		}, linnet.OutcomeLost, []linnet.Outcome{linnet.OutcomeLost}},
		{"the caller gives up while the callee's cable is cut", func(alice, bob *computer) {
			id := alice.call("bob", linnet.CallMedia{})
			bob.rings()
			alice.reaches(id, linnet.CallRinging)
			bob.host.Cut()
			alice.node.HangUp(alice.w.t.Context(), id)
			alice.ended(id)
			bob.ended(id)
			bob.host.Heal()
		}, linnet.OutcomeCancelled, []linnet.Outcome{linnet.OutcomeLost}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, friends := range []bool{true, false} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, worldOptions{})
					alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
					if friends {
						befriend(alice, bob)
					}
					tt.happen(alice, bob)
					time.Sleep(time.Minute) // whatever wants to say more says it
					for m, want := range map[*computer][]linnet.Outcome{alice: {tt.caller}, bob: tt.callee} {
						calls, got := m.calls(), linnet.OutcomeNone
						if len(calls) > 0 {
							got = calls[0].Outcome
						}
						if len(calls) > 1 || len(calls) == 1 && got == linnet.OutcomeNone || !slices.Contains(want, got) || len(m.status().Calls) > 0 {
							t.Errorf("friends %v: %s's history %+v, want %v", friends, m.name, calls, want)
						}
					}
				})
			}
		})
	}
}
