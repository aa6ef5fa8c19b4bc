package sim

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// The earliest of what each node wanted last is on top, whatever was set and removed.
func TestAlarms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const nodes = 12
		var q alarms
		for range nodes {
			q.add()
		}
		wanted := make(map[uint32]int64)
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			node := uint32(rapid.IntRange(0, nodes-1).Draw(t, "node"))
			if at := rapid.Int64Range(-3, 20).Draw(t, "at"); at < 0 {
				q.remove(node)
				delete(wanted, node)
			} else {
				q.set(node, at)
				wanted[node] = at
			}
		}
		got, last := make(map[uint32]int64), int64(0)
		for len(q.heap) > 0 {
			first := q.heap[0]
			if first.at < last {
				t.Fatalf("%d after %d", first.at, last)
			}
			last, got[first.node] = first.at, first.at
			q.remove(first.node)
		}
		if !maps.Equal(got, wanted) {
			t.Fatalf("rang %v, want %v", got, wanted)
		}
	})
}
