package overlay

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
)

// The figures come from an implementation of the rules in another language.
func TestSlotOf(t *testing.T) {
	for user, want := range map[linnet.UserName]Slot{"alice": 175, "bob": 1754, "echo123": 788} {
		if got := SlotOf(user); got != want {
			t.Errorf("SlotOf(%s) = %d, want %d", user, got, want)
		}
	}
	if got := Slot(2047).Block(); got != 255 {
		t.Errorf("block of slot 2047 = %d", got)
	}
}

// The first three are slots that captures asked for (SC, SO); the others follow
// from the rule.
func TestClassicSlotOf(t *testing.T) {
	for user, want := range map[linnet.UserName]Slot{
		"xot_iam": 45, "notnowagainplease": 738, "xoteg_iam": 171,
		"echo123": 544, "alice": 1942, "bob": 1688, "al": 8, "abcde": 69, "abcdefgh": 69,
		"al bcd": 8,
	} {
		if got := ClassicSlotOf(user); got != want {
			t.Errorf("ClassicSlotOf(%s) = %d, want %d", user, got, want)
		}
	}
}

func TestScore(t *testing.T) {
	counting := linnet.NodeID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, tt := range []struct {
		slot Slot
		node linnet.NodeID
		want uint64
	}{
		{0, linnet.NodeID{}, 0x4934c45cdcee22e2},
		{0, counting, 0x726b13b7c814e227},
		{2047, counting, 0x8b232a574c3e7b86},
	} {
		if got := Score(tt.slot, tt.node); got != tt.want {
			t.Errorf("Score(%d, %x) = %#x, want %#x", tt.slot, tt.node, got, tt.want)
		}
	}
}

func testNode(n int) linnet.NodeID { return linnet.NodeID{byte(n >> 8), byte(n), 0xaa} }

// spread gives every node a network of its own.
func spreadAddr(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}) }

func TestMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SliceOfNDistinct(rapid.IntRange(0, 200), 1, 60, rapid.ID).Draw(t, "nodes")
		slot := Slot(rapid.IntRange(0, SlotCount-1).Draw(t, "slot"))
		var a, b Slots
		for _, n := range nodes {
			a.Add(testNode(n), spreadAddr(n))
		}
		for _, n := range slices.Backward(nodes) {
			b.Members(slot) // what was cached on the way must not matter
			b.Add(testNode(n), spreadAddr(n))
		}
		members := a.Members(slot)
		if !slices.Equal(members, b.Members(slot)) {
			t.Fatal("the order of joining matters")
		}
		if len(members) != min(SlotSize, len(nodes)) {
			t.Fatalf("%d members of %d supernodes", len(members), len(nodes))
		}
		all := slices.Clone(nodes)
		slices.SortFunc(all, func(x, y int) int {
			if Score(slot, testNode(x)) > Score(slot, testNode(y)) {
				return -1
			}
			return 1
		})
		for i, m := range members {
			if m != testNode(all[i]) {
				t.Fatalf("member %d is not the one of the %d. highest score", i, i)
			}
		}
		gone := members[0]
		a.Remove(gone)
		for _, m := range members[1:] {
			if !slices.Contains(a.Members(slot), m) {
				t.Fatal("one that stayed lost its seat")
			}
		}
	})
}

func TestSeatsAreShared(t *testing.T) {
	const n = 100
	var s Slots
	for i := range n {
		s.Add(testNode(i), spreadAddr(i))
	}
	held := make(map[linnet.NodeID]int)
	before := make(map[Slot][]linnet.NodeID)
	for slot := range Slot(SlotCount) {
		before[slot] = s.Members(slot)
		for _, m := range before[slot] {
			held[m]++
		}
	}
	for node, slots := range held {
		if mean := SlotCount * SlotSize / n; slots < mean/2 || slots > 2*mean {
			t.Errorf("%s holds %d slots, mean %d", node.Short(), slots, mean)
		}
	}
	s.Add(testNode(n), spreadAddr(n))
	moved := 0
	for slot, members := range before {
		for _, m := range s.Members(slot) {
			if !slices.Contains(members, m) {
				moved++
			}
		}
	}
	if want := SlotCount * SlotSize / (n + 1); moved < want/2 || moved > 2*want {
		t.Errorf("a join moved %d seats, want about %d", moved, want)
	}
}

// Who rents a whole network does not get a whole slot, unless there is nobody else.
func TestTwoSeatsPerPrefix(t *testing.T) {
	var s Slots
	for i := range 15 {
		s.Add(testNode(i), netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i+1)))
	}
	for i := 15; i < 30; i++ {
		s.Add(testNode(i), spreadAddr(i))
	}
	for slot := range Slot(50) {
		crowd := 0
		for _, m := range s.Members(slot) {
			if m[1] < 15 {
				crowd++
			}
		}
		if crowd > 2 || len(s.Members(slot)) != SlotSize {
			t.Fatalf("slot %d: %d of %d members are of one network", slot, crowd, len(s.Members(slot)))
		}
	}
	for i := 15; i < 30; i++ {
		s.Remove(testNode(i))
	}
	if got := len(s.Members(0)); got != SlotSize {
		t.Errorf("%d members where all are of one network, want %d", got, SlotSize)
	}
}

// How many seats of a slot one network and one account may have is the policy's.
func TestSeatsOfThePolicy(t *testing.T) {
	for _, limit := range []int{1, 3} {
		s := Slots{table{seats: Seats{PerNetwork: limit, PerAccount: limit}}}
		for i := range 40 {
			addr, account := spreadAddr(i), uint32(0)
			switch {
			case i < 10:
				addr = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			case i < 20:
				account = 1
			}
			s.put(newSeat(nil, testNode(i), 0, netip.AddrPortFrom(addr, 1), account, 0), Alive, 0)
		}
		most := [2]int{}
		for slot := range Slot(200) {
			held := [2]int{}
			for _, m := range s.Members(slot) {
				if m[1] < 20 {
					held[m[1]/10]++
				}
			}
			most[0], most[1] = max(most[0], held[0]), max(most[1], held[1])
		}
		if most != [2]int{limit, limit} {
			t.Errorf("%v seats of one network and of one account, want %d", most, limit)
		}
	}
}

func TestBlock(t *testing.T) {
	var s Slots
	for i := range 30 {
		s.Add(testNode(i), spreadAddr(i))
	}
	block := s.Block(3)
	for slot := Slot(24); slot < 32; slot++ {
		for _, m := range s.Members(slot) {
			if !slices.Contains(block, m) {
				t.Errorf("%s holds slot %d and is not in its block", m.Short(), slot)
			}
		}
	}
	if !slices.IsSortedFunc(block, compareNodes) {
		t.Error("the block is not in order")
	}
}

func BenchmarkMembers(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	var s Slots
	for range 20_000 {
		var id linnet.NodeID
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		s.Add(id, spreadAddr(r.IntN(65536)))
	}
	for i := 0; b.Loop(); i++ {
		clear(s.cache)
		s.Members(Slot(i % SlotCount))
	}
}

// Who took the seat of one that died says of nobody that he has no record, until
// the records came again from their devices: all who had them may be lost.
func TestSeatedAfterDeaths(t *testing.T) {
	start := time.Unix(1_900_000_000, 0)
	m := &Machine{o: Options{Self: Identity{Node: testNode(0)}}, started: start, since: start}
	for i := range 30 {
		m.table.put(newSeat(nil, testNode(i), 1, netip.AddrPortFrom(spreadAddr(i), 1), 0, math.MaxUint32), Alive, 0)
	}
	slot := Slot(0)
	for slices.Contains(m.Members(slot), testNode(0)) {
		slot++
	}
	now := start.Add(time.Hour)
	for !slices.Contains(m.Members(slot), testNode(0)) {
		m.table.put(m.table.get(m.Members(slot)[0]).seat, Dead, m.tenths(now))
	}
	if m.Seated(now.Add(11*time.Minute), slot) {
		t.Error("it speaks for the dead")
	}
	if !m.Seated(now.Add(13*time.Minute), slot) {
		t.Error("it has no seat, when all records have come again")
	}
}

// When a network starts again, parts of it meet first. What such a part does not have
// is no proof, as long as most of what there was before is unknown to it.
func TestSeatedAstray(t *testing.T) {
	start := time.Unix(1_900_000_000, 0)
	m := &Machine{o: Options{Self: Identity{Node: testNode(0)}}, started: start, since: start}
	meet := func(i int) {
		m.table.put(newSeat(nil, testNode(i), uint64(start.UnixMilli()), netip.AddrPortFrom(spreadAddr(i), 1), 0, math.MaxUint32), Alive, 0)
	}
	for i := range 40 {
		m.hosts.add(start, &Host{Node: testNode(i + 1), Agreement: []byte{1}, Addrs: []netip.AddrPort{netip.AddrPortFrom(spreadAddr(i+1), 1)}})
	}
	for i := range 20 {
		meet(i)
	}
	var slot Slot
	for !slices.Contains(m.Members(slot), testNode(0)) {
		slot++
	}
	if now := start.Add(2 * handedOver); m.Seated(now, slot) {
		t.Error("it speaks for a network of which it found less than half")
	}
	if now := start.Add(gathered + time.Second); !m.Seated(now, slot) {
		t.Error("it does not speak for what is left of a network")
	}
	meet(20)
	for !slices.Contains(m.Members(slot), testNode(0)) {
		slot++
	}
	if now := start.Add(2 * handedOver); !m.Seated(now, slot) {
		t.Error("it does not speak for the network that it found")
	}
}

// A newcomer asks at most three, who were there the longest; of a network that
// began or was restarted lately it is content with one of them.
func TestElders(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	since := now.Add(-time.Minute)
	ago := func(d time.Duration) uint64 { return uint64(now.Add(-d).UnixMilli()) }
	for _, tt := range []struct {
		name  string
		began []uint64 // of the others
		want  []int    // of them
		hear  int
	}{
		{"an old network", []uint64{ago(time.Hour), ago(3 * time.Hour), ago(2 * time.Hour), ago(30 * time.Minute)}, []int{1, 2, 0}, 2},
		{"one that began together", []uint64{ago(70 * time.Second), ago(50 * time.Second)}, nil, 1},
		{"one that was restarted", []uint64{ago(5 * time.Minute), ago(4 * time.Minute), ago(time.Second)}, []int{0, 1}, 1},
		{"one old supernode", []uint64{ago(time.Hour), ago(2 * time.Minute)}, []int{0, 1}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &Machine{o: Options{Self: Identity{Node: testNode(0)}}, started: since, since: since}
			began := append([]uint64{ago(time.Minute)}, tt.began...)
			for i, b := range began {
				m.table.put(newSeat(nil, testNode(i), b, netip.AddrPortFrom(spreadAddr(i), 1), 0, math.MaxUint32), Alive, 0)
			}
			var want []linnet.NodeID
			for _, i := range tt.want {
				want = append(want, testNode(i+1))
			}
			if got, hear := m.Elders(now, 0); !slices.Equal(got, want) || hear != tt.hear {
				t.Errorf("Elders = %v, %d; want %v, %d", got, hear, want, tt.hear)
			}
			if !m.Seated(now, 0) {
				t.Error("not seated")
			}
			if got, _ := m.Elders(now.Add(republished), 0); got != nil {
				t.Errorf("later there are elders: %v", got)
			}
		})
	}
}
