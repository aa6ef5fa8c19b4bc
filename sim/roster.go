package sim

import (
	"encoding/binary"
	"net/netip"

	"github.com/linnet-p2p/linnet"
)

// A roster is all nodes of a run, and finds them by id and by address. Ids are
// random as they are, so it is a table of numbers: no hash, and nothing that
// the garbage collector has to follow for a million nodes.
type roster struct {
	nodes  []*node
	slots  []uint32 // numbers of nodes from 1, by the beginning of their ids
	byAddr map[uint64]uint32
}

func newRoster(most int) roster {
	size := 1
	for size < 2*most {
		size *= 2
	}
	return roster{nodes: make([]*node, 0, most), slots: make([]uint32, size), byAddr: make(map[uint64]uint32, most)}
}

// enter lets a node be found, of which there are no more than newRoster was told.
func (r *roster) enter(n *node) {
	i := r.slot(n.id)
	for r.slots[i] != 0 {
		i = (i + 1) % len(r.slots)
	}
	r.slots[i] = n.index + 1
	r.byAddr[addrKey(n.addr)] = n.index
}

func (r *roster) slot(id linnet.NodeID) int {
	return int(binary.LittleEndian.Uint32(id[:])) & (len(r.slots) - 1)
}

// find finds a node by its id; nil: there is none.
func (r *roster) find(id linnet.NodeID) *node {
	for i := r.slot(id); r.slots[i] != 0; i = (i + 1) % len(r.slots) {
		if n := r.nodes[r.slots[i]-1]; n.id == id {
			return n
		}
	}
	return nil
}

// located finds the node at an address; nil: there is none.
func (r *roster) located(a netip.AddrPort) *node {
	if i, ok := r.byAddr[addrKey(a)]; ok {
		return r.nodes[i]
	}
	return nil
}

// addrKey is an IPv4 address and its port as a number.
func addrKey(a netip.AddrPort) uint64 {
	if !a.Addr().Is4() {
		return 0
	}
	b := a.Addr().As4()
	return uint64(binary.BigEndian.Uint32(b[:]))<<16 | uint64(a.Port())
}
