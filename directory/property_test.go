package directory_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
)

// Every record that was stored with a majority is found after any minority of
// its members died, at once and when the others have noticed.
func TestRecordsOutliveAMinority(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const noticed = 35 * time.Second // by a client whose supernodes both died: a keep-alive, asked again, and others found
		w := newNetwork(t, rapid.Uint64().Draw(rt, "seed"))
		w.Loss = float64(rapid.IntRange(0, 1).Draw(rt, "loss")) / 10
		nodes := w.supernodes(rapid.IntRange(3, 14).Draw(rt, "supernodes"))
		alice := w.online("alice")
		user := linnet.UserName(fmt.Sprint("user", rapid.IntRange(0, 99).Draw(rt, "user")))
		bob := w.online(user)
		bob.Kill() // he does not publish any more

		members := append([]linnet.NodeID(nil), nodes[0].Machine.Members(overlay.SlotOf(user))...)
		deaths := rapid.IntRange(0, (len(members)-1)/2).Draw(rt, "deaths")
		for _, i := range rapid.Permutation(members).Draw(rt, "order")[:deaths] {
			w.ByID(i).Kill()
		}
		find := func(when string) {
			f, _ := w.lookup(alice, user, true)
			if f.Err != nil || !f.Records[0].Reachable(w.Now) {
				rt.Fatalf("%s: %v", when, f.Err)
			}
		}
		if len(alive(w, alice)) > 0 {
			find("at once")
		}
		w.Run(noticed)
		find("when the deaths are known")
		// Then another minority may go: the records moved on.
		members = append([]linnet.NodeID(nil), w.ByID(alice.Machine.Attachments()[0]).Machine.Members(overlay.SlotOf(user))...)
		for _, i := range rapid.Permutation(members).Draw(rt, "order")[:(len(members)-1)/2] {
			w.ByID(i).Kill()
		}
		w.Run(noticed)
		find("after more deaths")
	})
}

// alive are those of a node's supernodes that run.
func alive(w *network, n *overlaytest.Node) (nodes []*overlaytest.Node) {
	for _, id := range n.Machine.Attachments() {
		if sn := w.ByID(id); sn.Running() {
			nodes = append(nodes, sn)
		}
	}
	return nodes
}
