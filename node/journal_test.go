package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
)

// While a disk is slow nothing rings that is not on it, but the session with the
// caller stands at once, and the call is taken the moment it rings.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	const slow = 3 * time.Second
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		befriend(alice, bob)
		begin := time.Now()
		bob.node.note(func(context.Context) error { time.Sleep(slow); return nil }, func(time.Time, error) {})
		id := alice.call("bob", linnet.CallMedia{})
		time.Sleep(10 * hostRTT)
		bob.within(func(_ time.Time, s *station) {
			if !s.sessions.Up(alice.id()) {
				t.Error("the session waits for the disk")
			}
		})
		if e := alice.reaches(id, linnet.CallRinging); e.Time.Sub(begin) < slow {
			t.Errorf("it rings after %v, before the call is on disk", e.Time.Sub(begin))
		}
		if e := bob.heard.await("it rings", isRinging); e.Time.Sub(begin) > slow+time.Millisecond {
			t.Errorf("it rings after %v only", e.Time.Sub(begin))
		}
	})
}

// A node that stops writes down what it noted.
func TestNotedIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 1})
		alice := w.user("alice", w.atHome())
		alice.node.note(func(context.Context) error { time.Sleep(time.Minute); return nil }, func(time.Time, error) {})
		written := false
		alice.node.note(func(context.Context) error { written = true; return nil }, func(time.Time, error) {})
		alice.stop()
		if !written {
			t.Error("it was forgotten")
		}
	})
}
