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

	shortlist = 2 * SlotSize // of the highest scores, from which the seats are filled first
)

// A Slot is one part of the directory.
type Slot uint16

// A Block is eight slots: the unit in which the directory is drained and repaired.
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
	return mix(weight + (uint64(slot)+1)*0x9e3779b97f4a7c15)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Seats bound how many members of one slot may have something in common, so
// that nobody draws a whole slot; a zero field means its default. All nodes of a
// network have to mean the same.
type Seats struct {
	PerNetwork int // one IPv4 /24 or IPv6 /48: 2
	PerAccount int // of a person: 1. Operators' machines are none's
}

func (s *Seats) defaults() {
	set(&s.PerNetwork, 2)
	set(&s.PerAccount, 1)
}

// A seat is what a score and the fairness of a slot take of a supernode, and its
// entry. What is asked seldom stands behind that in one string, where the
// allocator has room to spare as a rule: a network of 20,000 has as many of these on
// each of them.
type seat struct {
	node        linnet.NodeID
	weight      uint64
	incarnation uint64
	packed      string // entry, signed; IP address 16, port 2, account 4, expires 4
}

const packedTail = 16 + 2 + 4 + 4

func newSeat(entry []byte, node linnet.NodeID, incarnation uint64, addr netip.AddrPort, account, expires uint32) *seat {
	b := append(make([]byte, 0, len(entry)+packedTail), entry...)
	ip := addr.Addr().As16()
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, addr.Port())
	b = binary.BigEndian.AppendUint32(b, account)
	b = binary.BigEndian.AppendUint32(b, expires)
	return &seat{node, weight(node), incarnation, string(b)}
}

func (x *seat) entry() []byte { return []byte(x.packed[:len(x.packed)-packedTail]) }

func (x *seat) tail() []byte { return []byte(x.packed[len(x.packed)-packedTail:]) }

// addr is the first of its addresses.
func (x *seat) addr() netip.AddrPort {
	t := x.tail()
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(t)).Unmap(), binary.BigEndian.Uint16(t[16:]))
}

// network is its /24 or /48.
func (x *seat) network() uint64 { return networkOf(netip.AddrFrom16([16]byte(x.tail()))) }

// account is a hash of its user; 0: an operator's.
func (x *seat) account() uint32 { return binary.BigEndian.Uint32(x.tail()[18:]) }

// expires is when its certificate does, in minutes since 1970.
func (x *seat) expires() uint32 { return binary.BigEndian.Uint32(x.tail()[22:]) }

// networkOf packs the /24 or /48 of an address into a number.
func networkOf(addr netip.Addr) uint64 {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return uint64(b[0])<<16 | uint64(b[1])<<8 | uint64(b[2])
	}
	b := addr.As16()
	return 1<<63 | binary.BigEndian.Uint64(b[:8])>>16
}

// accountOf is what seat.account says of a user.
func accountOf(user linnet.UserName) uint32 {
	if user.IsNode() {
		return 0
	}
	h := sha256.Sum256([]byte(user))
	return binary.BigEndian.Uint32(h[:4]) | 1
}

// Slots are the slots as somebody sees them who knows some supernodes. The zero
// value has none.
type Slots struct{ table }

// Add takes a supernode in, or notes its new address, and says whether that was news.
func (s *Slots) Add(node linnet.NodeID, addr netip.Addr) bool {
	return s.put(newSeat(nil, node, 0, netip.AddrPortFrom(addr, 0), 0, 0), Alive, 0)
}

// Remove takes a supernode out, and says whether it was there.
func (s *Slots) Remove(node linnet.NodeID) bool {
	return s.drop(func(x *member) bool { return x.node == node })
}

// A cachedSlot stays true until a supernode comes or goes that scores floor or more.
type cachedSlot struct {
	members []linnet.NodeID
	floor   uint64
}

// changed forgets the slots that are affected by the coming or going of a supernode.
func (t *table) changed(x *seat) {
	for slot, c := range t.cache {
		if score(slot, x.weight) >= c.floor {
			delete(t.cache, slot)
		}
	}
}

// Members are the supernodes that hold the slot, the highest score first. The
// caller must not change the slice.
//
// Of one network and of one account only so many have a seat as Seats says;
// where that would leave seats empty, it yields.
func (t *table) Members(slot Slot) []linnet.NodeID {
	if c, ok := t.cache[slot]; ok {
		return c.members
	}
	t.seats.defaults()
	c := cachedSlot{members: make([]linnet.NodeID, 0, min(SlotSize, t.serving))}
	for n := shortlist; !t.fill(&c, slot, n); n *= 8 {
		c.members = c.members[:0]
	}
	if t.cache == nil {
		t.cache = make(map[Slot]cachedSlot)
	}
	t.cache[slot] = c
	return c.members
}

// fill fills the seats of a slot from the n highest, and says whether those were enough.
func (t *table) fill(c *cachedSlot, slot Slot, n int) bool {
	list := t.highest(slot, n)
	var crowded []linnet.NodeID
	var seated [SlotSize]*seat
	for _, x := range list {
		if len(c.members) == SlotSize {
			return true
		}
		network, account, neighbours, own := x.network(), x.account(), 0, 0
		for _, y := range seated[:len(c.members)] {
			if y.network() == network {
				neighbours++
			}
			if account != 0 && y.account() == account {
				own++
			}
		}
		if neighbours >= t.seats.PerNetwork || own >= t.seats.PerAccount {
			crowded = append(crowded, x.node)
			continue
		}
		seated[len(c.members)] = x.seat
		c.members = append(c.members, x.node)
		c.floor = x.score
	}
	if len(c.members) == SlotSize {
		return true
	}
	if len(list) < t.serving {
		return false
	}
	c.members = append(c.members, crowded[:min(SlotSize, len(list))-len(c.members)]...)
	c.floor = 0
	return true
}

// scored is a seat and its score in some slot.
type scored struct {
	*seat
	score uint64
}

// highest are the n seats of the highest score; equal scores go by node.
func (t *table) highest(slot Slot, n int) []scored {
	top := make([]scored, 0, min(n, t.serving))
	for i := range t.members {
		x := &t.members[i]
		if !x.serves() {
			continue
		}
		c := scored{x.seat, score(slot, x.weight)}
		if len(top) == n {
			if c.score <= top[n-1].score {
				continue
			}
			top = top[:n-1]
		}
		at, _ := slices.BinarySearchFunc(top, c, func(a, b scored) int {
			if a.score >= b.score {
				return -1
			}
			return 1
		})
		top = slices.Insert(top, at, c)
	}
	return top
}

// Block are the supernodes that hold a slot of the block, in the order of their ids.
func (t *table) Block(b Block) []linnet.NodeID {
	var nodes []linnet.NodeID
	for i := range Slot(SlotsPerBlock) {
		nodes = append(nodes, t.Members(Slot(b)*SlotsPerBlock+i)...)
	}
	slices.SortFunc(nodes, compareNodes)
	return slices.Compact(nodes)
}
