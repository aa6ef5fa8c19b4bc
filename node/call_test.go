package node

import (
	"bytes"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
)

// TestCall is what Linnet is for: what one plays is what the other hears.
func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		befriend(alice, bob)
		heard := filepath.Join(w.dir, "heard.ogg")

		id := alice.call("bob", linnet.CallMedia{Play: w.speech()})
		if rings := bob.rings(); rings != id {
			t.Fatalf("call %v rings, want %v", rings, id)
		}
		alice.reaches(id, linnet.CallRinging)
		bob.answer(id, linnet.CallMedia{Record: heard})

		for _, m := range []*computer{alice, bob} {
			m.ended(id)
			r := m.history(id)
			if r.Outcome != linnet.OutcomeCompleted {
				t.Errorf("%s: %v, want completed", m.name, r.Outcome)
			}
			if r.Path != linnet.DirectUDP {
				t.Errorf("%s: the path was %v, want direct: %+v", m.name, r.Path, r.Paths)
			}
			t.Logf("%s: %+v", m.name, r.Receipt)
		}
		want, lasts := w.frames(w.speech())
		got, lasted := w.frames(heard)
		if d := lasted - lasts; d < -100*time.Millisecond || d > 100*time.Millisecond {
			t.Errorf("the recording lasts %v, what was played %v", lasted, lasts)
		}
		if len(got) != len(want) {
			t.Fatalf("%d packets recorded of %d", len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i].Data, want[i].Data) {
				t.Fatalf("packet %d is not the one that was played", i)
			}
		}
	})
}

