package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
)

// TestMissedCalls calls somebody whose devices are all off. When they come, the
// history of each has the call once, as missed at its time; of a call that rang
// nothing comes a second time.
func TestMissedCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		stranger := w.user("stranger", w.atHome())
		approved(alice, bob)
		rang := alice.call("bob", linnet.CallMedia{})
		bob.rings()
		alice.ok(alice.node.HangUp(t.Context(), rang))
		bob.ended(rang)
		time.Sleep(time.Minute)
		bob.kill()
		time.Sleep(20 * time.Minute) // the directory forgets it
		missed := alice.call("bob", linnet.CallMedia{})
		began := time.Now()
		alice.ended(missed)
		byStranger := stranger.call("bob", linnet.CallMedia{})
		stranger.ended(byStranger)
		time.Sleep(time.Minute)
		bob.start()
		for _, id := range []linnet.CallID{missed, byStranger} {
			r := bob.ended(id)
			if r.Outcome != linnet.OutcomeMissed || !r.Incoming {
				t.Errorf("told: %+v", r)
			}
		}
		if r := bob.history(missed); r.Outcome != linnet.OutcomeMissed || r.Started.Sub(began).Abs() > 2*time.Second || r.Peer != "alice" {
			t.Errorf("bob's history: %+v, began %v", r, began)
		}
		time.Sleep(10 * time.Minute)
		if n := len(bob.calls()); n != 3 {
			t.Errorf("%d calls in bob's history: %+v", n, bob.calls())
		}
		if list := must(bob.node.ListMail(t.Context())); len(list) != 0 {
			t.Errorf("left in the mailbox: %d", len(list))
		}
		untold := must(alice.node.store.Untold(t.Context()))
		if len(untold) != 0 {
			t.Errorf("alice would tell again: %+v", untold)
		}
	})
}
