package overlay

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/linnet-p2p/linnet"
)

// Who is to hear of a death is always who said so last, and nothing is left of
// clients that are gone.
func TestOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	l := newClients()
	said := make(map[linnet.NodeID][]linnet.NodeID)
	for range 20_000 {
		node := testNode(r.IntN(40))
		c := l.get(node)
		switch {
		case c == nil:
			c = l.add(node)
		case r.IntN(5) == 0:
			l.remove(node)
			delete(said, node)
			continue
		}
		var others []linnet.NodeID
		for range r.IntN(4) {
			others = append(others, testNode(100+r.IntN(6))) // twice the same, now and then
		}
		l.setOthers(c, others)
		said[node] = others
		dead := testNode(100 + r.IntN(6))
		var want []linnet.NodeID
		for node, others := range said {
			if slices.Contains(others, dead) {
				want = append(want, node)
			}
		}
		got := l.with(dead)
		slices.SortFunc(got, compareNodes)
		slices.SortFunc(want, compareNodes)
		if !slices.Equal(got, want) {
			t.Fatalf("%d clients are to hear of a death, want %d", len(got), len(want))
		}
	}
	for node := range said {
		l.remove(node)
	}
	if len(l.byOther) != 0 {
		t.Errorf("%d supernodes of clients that are gone", len(l.byOther))
	}
}
