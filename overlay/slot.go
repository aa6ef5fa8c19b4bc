package overlay

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// Who holds what: every user has a slot, and every slot is held by the
// supernodes that score highest in it (rendezvous hashing). Whoever knows the
// same supernodes computes the same answer, from one supernode up, and one that
// joins or leaves moves only its own share.
const (
	SlotCount     = 2048
	BlockCount    = 256
	SlotsPerBlock = SlotCount / BlockCount
	SlotSize      = 10 // supernodes that hold a slot, of what exists

	perPrefix = 2            // of them in one IPv4 /24 or IPv6 /48
	shortlist = 4 * SlotSize // of the highest scores, from which the seats are filled
)

// A Slot is one part of the directory.
type Slot uint16

// A Block is eight slots: the unit in which membership is told, compared and
// repaired once the network is large.
type Block uint8

// Block is the block that the slot belongs to.
func (s Slot) Block() Block { return Block(s / SlotsPerBlock) }

// A SlotFunc says which slot a user belongs to; it depends on the suite.
type SlotFunc func(linnet.UserName) Slot

// SlotOf is the SlotFunc of modern networks: the first eight bytes of the
// SHA-256 of the name in lower case, big-endian, mod SlotCount.
func SlotOf(user linnet.UserName) Slot {
	h := sha256.Sum256([]byte(user))
	return Slot(binary.BigEndian.Uint64(h[:8]) % SlotCount)
}

// ClassicSlotOf is the SlotFunc of classic networks and of the old one: the CRC
// of the first five characters of the name in lower case, a 32-bit word each,
// mod SlotCount. A character that is not above a space ends the name. (FS; the
// slots that captures asked for agree.)
func ClassicSlotOf(user linnet.UserName) Slot {
	var words []byte
	for i := 0; i < len(user) && i < classicPrefix && user[i] > ' '; i++ {
		words = binary.LittleEndian.AppendUint32(words, uint32(user[i]))
	}
	return Slot(obfuscate.CRC(words) % SlotCount)
}

const classicPrefix = 5 // characters of a name that its slot depends on

// Score is a supernode's score in a slot; the highest hold it.
func Score(slot Slot, node linnet.NodeID) uint64 { return score(slot, weight(node)) }

// weight is the part of a score that is the same in every slot.
func weight(node linnet.NodeID) uint64 {
	h := sha256.Sum256(node[:])
	return binary.BigEndian.Uint64(h[:8])
}

// score is output number slot+1 of the generator splitmix64 started at weight.
func score(slot Slot, weight uint64) uint64 {
	z := weight + (uint64(slot)+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Slots are the slots as one node sees them. The zero value has no supernodes.
type Slots struct {
	seats []seat // in the order of their nodes
	cache map[Slot][]linnet.NodeID
}

type seat struct {
	node   linnet.NodeID
	weight uint64
	prefix netip.Prefix
}

// Add takes a supernode in, or notes its new address, and says whether that was news.
func (s *Slots) Add(node linnet.NodeID, addr netip.Addr) bool {
	bits := 24
	if addr = addr.Unmap(); addr.Is6() {
		bits = 48
	}
	prefix, _ := addr.Prefix(bits)
	i, found := s.find(node)
	if found {
		if s.seats[i].prefix == prefix {
			return false
		}
		s.seats[i].prefix = prefix
	} else {
		s.seats = slices.Insert(s.seats, i, seat{node, weight(node), prefix})
	}
	clear(s.cache)
	return true
}

// Remove takes a supernode out, and says whether it was there.
func (s *Slots) Remove(node linnet.NodeID) bool {
	i, found := s.find(node)
	if found {
		s.seats = slices.Delete(s.seats, i, i+1)
		clear(s.cache)
	}
	return found
}

func (s *Slots) find(node linnet.NodeID) (int, bool) {
	return slices.BinarySearchFunc(s.seats, node, func(x seat, n linnet.NodeID) int { return compareNodes(x.node, n) })
}

// Len is how many supernodes there are.
func (s *Slots) Len() int { return len(s.seats) }

// Members are the supernodes that hold the slot, the highest score first. The
// caller must not change the slice.
//
// At most two of them share an IPv4 /24 or IPv6 /48, so that nobody fills a
// slot out of one rack; where that would leave seats empty among the shortlist, it yields.
func (s *Slots) Members(slot Slot) []linnet.NodeID {
	if m, ok := s.cache[slot]; ok {
		return m
	}
	list := s.highest(slot, shortlist)
	members := make([]linnet.NodeID, 0, min(SlotSize, len(list)))
	var crowded []linnet.NodeID
	taken := make(map[netip.Prefix]int)
	for _, x := range list {
		if len(members) == SlotSize {
			break
		}
		if taken[x.prefix]++; taken[x.prefix] > perPrefix {
			crowded = append(crowded, x.node)
			continue
		}
		members = append(members, x.node)
	}
	free := min(SlotSize, len(list)) - len(members)
	members = append(members, crowded[:free]...)
	if s.cache == nil {
		s.cache = make(map[Slot][]linnet.NodeID)
	}
	s.cache[slot] = members
	return members
}

// highest are the n seats of the highest score; equal scores go by node.
func (s *Slots) highest(slot Slot, n int) []seat {
	type scored struct {
		seat
		score uint64
	}
	var top []scored
	for _, x := range s.seats {
		c := scored{x, score(slot, x.weight)}
		if len(top) == n {
			if c.score <= top[n-1].score {
				continue
			}
			top = top[:n-1]
		}
		i, _ := slices.BinarySearchFunc(top, c, func(a, b scored) int {
			if a.score >= b.score {
				return -1
			}
			return 1
		})
		top = slices.Insert(top, i, c)
	}
	seats := make([]seat, len(top))
	for i := range top {
		seats[i] = top[i].seat
	}
	return seats
}

// Block are the supernodes that hold a slot of the block, in the order of their ids.
func (s *Slots) Block(b Block) []linnet.NodeID {
	var nodes []linnet.NodeID
	for i := range Slot(SlotsPerBlock) {
		nodes = append(nodes, s.Members(Slot(b)*SlotsPerBlock+i)...)
	}
	slices.SortFunc(nodes, compareNodes)
	return slices.Compact(nodes)
}
