package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet/overlay"
)

// Whatever happens: no supernode has more clients than its limit, every slot has
// as many members as there can be, of whom the supernode that says so knows all,
// nobody is attached to more than four (two, and two for those in doubt), and once there is peace again everybody
// is attached and all supernodes know one another.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := Options{Scenario: "steady", Nodes: 15, Supernodes: 5, Seed: rapid.Uint64().Draw(rt, "seed"), Duration: time.Minute}
		o.Loss = float64(rapid.IntRange(0, 5).Draw(rt, "loss")) / 100
		w := &world{o: o, scenario: scenarios["steady"], rand: rand.New(rand.NewPCG(o.Seed, 1)), limit: 12}
		w.build()
		w.check = func(n *node) {
			if !n.up() {
				return
			}
			if n.serves() {
				if c := n.machine.Clients(); c > w.limit {
					rt.Fatalf("%d clients, limit %d", c, w.limit)
				}
				serving := n.machine.Serving()
				members := n.machine.Members(overlay.Slot(w.events % overlay.SlotCount))
				if len(members) != min(len(serving), overlay.SlotSize) {
					rt.Fatalf("%d members of %d supernodes", len(members), len(serving))
				}
				for _, m := range members {
					if !slices.Contains(serving, m) {
						rt.Fatal("a member that does not serve")
					}
				}
			} else if n.links > 4 || len(n.machine.Attachments()) > n.links {
				rt.Fatalf("%d attachments, %d told", len(n.machine.Attachments()), n.links)
			}
			if len(n.asked) > 4096 || len(n.opening) > len(w.nodes) {
				rt.Fatalf("%d requests and %d handshakes under way", len(n.asked), len(n.opening))
			}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			n := w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(rt, "node")]
			at := time.Duration(rapid.IntRange(0, 240).Draw(rt, "second")) * time.Second
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0:
				w.at(at, func() { w.stop(n, false) })
			case 1:
				w.at(at, func() { w.stop(n, true) })
			case 2:
				w.at(at, func() { w.stop(n, false); w.at(time.Second, func() { w.start(n) }) })
			case 3:
				border := n.index
				w.at(at, func() { w.cut = func(a, b *node) bool { return (a.index%7 < border%7) != (b.index%7 < border%7) } })
				w.at(at+time.Minute, func() { w.cut = nil })
			}
		}
		w.at(5*time.Minute, func() {
			w.cut = nil
			for _, n := range w.nodes {
				w.start(n)
			}
		})
		w.run(int64(10 * time.Minute)) // a suspicion, a division and the longest back-off are over
		if w.failure != nil {
			rt.Fatal(w.failure)
		}
		for _, n := range w.nodes {
			switch {
			case n.serves() && len(n.machine.Serving()) != o.Supernodes:
				rt.Errorf("a supernode knows %d", len(n.machine.Serving()))
			case !n.serves() && len(n.machine.Attachments()) == 0:
				rt.Errorf("node %d is attached to nobody", n.index)
			}
		}
	})
}
