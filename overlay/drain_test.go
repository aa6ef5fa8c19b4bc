package overlay_test

import (
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/overlay/overlaytest"
)

// A client whose only supernode drains is served by it until another one does.
func TestDrainOfTheOnlyOne(t *testing.T) {
	w := overlaytest.New(t, 31)
	nodes := w.Supernodes(3)
	w.Until(20*time.Second, "all supernodes know one another", func() bool { return agree(w) })
	alice := w.User("alice")
	w.Until(2*time.Second, "alice is attached", attachedTo(alice, 2))
	for _, n := range nodes {
		if alice.Machine.Attachments()[1] == n.ID() {
			n.Machine.Leave(w.Now)
			n.Pump()
			w.Until(time.Second, "alice has left", n.Machine.Drained)
			break
		}
	}
	for _, n := range nodes {
		if id := n.ID(); slices.Contains(alice.Machine.Attachments(), id) {
			n.Machine.Leave(w.Now)
			n.Pump()
			for end := w.Now.Add(5 * time.Second); !n.Machine.Drained(); w.Run(10 * time.Millisecond) {
				if len(alice.Machine.Attachments()) == 0 {
					t.Fatal("alice has no supernode while hers drains")
				}
				if w.Now.After(end) {
					t.Fatal("not drained")
				}
			}
			break
		}
	}
	if len(alice.Machine.Attachments()) == 0 {
		t.Error("alice has no supernode")
	}
}
