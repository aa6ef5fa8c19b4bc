package overlay_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
)

// After any sequence of joins, leaves, deaths, returns and divisions, all
// tables agree once there is peace.
func TestTablesAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := overlaytest.New(t, rapid.Uint64().Draw(rt, "seed"))
		w.Loss = float64(rapid.IntRange(0, 2).Draw(rt, "loss")) / 10
		w.Supernodes(rapid.IntRange(1, 5).Draw(rt, "supernodes"))
		pick := func() *overlaytest.Node { return w.Nodes[rapid.IntRange(0, len(w.Nodes)-1).Draw(rt, "node")] }
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				if len(w.Nodes) < 12 {
					w.Supernodes(1)
				}
			case 1:
				pick().Kill()
			case 2:
				if n := pick(); !n.Running() {
					n.Start()
				}
			case 3:
				if n := pick(); n.Running() {
					n.Machine.Leave(w.Now)
					n.Pump()
					w.Run(100 * time.Millisecond)
					n.Kill()
				}
			case 4:
				border := pick().Addr
				w.Cut = func(a, b *overlaytest.Node) bool {
					return (a.Addr.Compare(border) < 0) != (b.Addr.Compare(border) < 0)
				}
			case 5:
				w.Cut = nil
			}
			w.Run(time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "ms")) * time.Millisecond)
		}
		w.Cut = nil
		// Somebody has to be there whom the others can know of.
		for _, n := range w.Nodes[:min(3, len(w.Nodes))] {
			if !n.Running() {
				n.Start()
			}
		}
		for range 300 {
			if w.Run(time.Second); agree(w) {
				return
			}
		}
		for _, n := range w.Nodes {
			if n.Running() && n.Role&linnet.Supernode != 0 {
				rt.Logf("%s %s knows %d", n.Name, n.ID().Short(), len(n.Machine.Serving()))
			}
		}
		rt.Fatal("the tables differ after five minutes of peace")
	})
}
