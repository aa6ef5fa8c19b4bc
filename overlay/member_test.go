package overlay

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// Naming supernodes costs little even where nobody is fit to be named, which is so
// when the whole network is full and all ask.
func TestRandomMembers(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	var s Slots
	for i := range 5000 {
		s.Add(testNode(i), spreadAddr(i))
	}
	looked := 0
	if list := s.random(r, 3, func(*member) bool { looked++; return false }); len(list) != 0 || looked > 400 {
		t.Errorf("%d named, %d looked at", len(list), looked)
	}
	rare := func(x *member) bool { return x.node[1]%50 == 0 } // one in fifty
	if list := s.random(r, 3, rare); len(list) != 3 || list[0] == list[1] || list[1] == list[2] || list[0] == list[2] {
		t.Errorf("%d named of the few that fit", len(list))
	}
	var small Slots
	for i := range 30 {
		small.Add(testNode(i), spreadAddr(i))
	}
	only := testNode(17)
	if list := small.random(r, 1, func(x *member) bool { return x.node == only }); len(list) != 1 {
		t.Error("the only one of 30 was not found")
	}
}

// The hashes of a table's blocks are kept as members come, go and change.
func TestHashesOfBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 1))
	var x table
	for i := range 5000 {
		node := testNode(r.IntN(1000))
		x.put(newSeat(nil, node, uint64(r.IntN(3)), netip.AddrPort{}, 0, 0), State(r.IntN(4)), uint32(i))
		if r.IntN(20) == 0 {
			x.drop(func(m *member) bool { return m.node == node })
		}
	}
	for _, before := range []uint32{0, 2500, 5000} {
		var want [tableBlocks]uint64
		for _, m := range x.members {
			if m.serves() && m.since < before {
				want[blockOf(m.node)] += m.hash()
			}
		}
		if x.settled(before) != want {
			t.Errorf("other sums of what was known before %d", before)
		}
	}
}
