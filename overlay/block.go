package overlay

import (
	"math"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// News of members goes to one block of the table at a time. The block of an
// entry is the first byte of its NodeID: NodeIDs are hashes, so blocks are even,
// and unlike the members of a Block of slots they do not depend on the table
// that is in doubt. Whoever has news of its own tells two members of every
// block, and those tell their block: everybody hears it within two hops, at the
// cost of hearing it about twice. Digests find what was lost all the same.
const (
	tableBlocks = 256
	tellers     = 2                      // of each block
	gatherNews  = 100 * time.Millisecond // news that is told together
	maxTold     = 16                     // rumours in one message
	maxGathered = 4096                   // beyond that, digests do it
)

func blockOf(node linnet.NodeID) uint32 { return uint32(node[0]) }

// blocks are what a table knows of its blocks.
type blocks struct {
	begin   [tableBlocks + 1]uint32 // where the members of each are in the table
	hashes  [tableBlocks]uint64     // sums over those that serve, for digests
	soonest uint32                  // no certificate expires sooner, minutes since 1970
}

func newBlocks() *blocks { return &blocks{soonest: math.MaxUint32} }

// enter and leave note who serves.
func (b *blocks) enter(x *seat) { b.hashes[blockOf(x.node)] += x.hash() }
func (b *blocks) leave(x *seat) { b.hashes[blockOf(x.node)] -= x.hash() }

// lasts notes until when somebody may be in the table.
func (b *blocks) lasts(x *seat) { b.soonest = min(b.soonest, x.expires()) }

// grow notes that a block has one member more.
func (b *blocks) grow(block uint32) {
	for i := block + 1; i < uint32(len(b.begin)); i++ {
		b.begin[i]++
	}
}

// divide finds where each block begins.
func (b *blocks) divide(members []member) {
	clear(b.begin[:])
	for i := range members {
		b.begin[blockOf(members[i].node)+1]++
	}
	for i := range tableBlocks {
		b.begin[i+1] += b.begin[i]
	}
}

// expire finds when the next certificate expires.
func (b *blocks) expire(members []member) {
	b.soonest = math.MaxUint32
	for i := range members {
		b.lasts(members[i].seat)
	}
}

// inBlock are the members of a block.
func (t *table) inBlock(block uint32) []member {
	if t.blocks == nil {
		return nil
	}
	return t.members[t.blocks.begin[block]:t.blocks.begin[block+1]]
}

// publish tells everybody what is believed of a node.
func (m *Machine) publish(now time.Time, node linnet.NodeID) { m.gather(now, &m.swim.toAll, node) }

// tellBlock tells the block of this supernode.
func (m *Machine) tellBlock(now time.Time, node linnet.NodeID) { m.gather(now, &m.swim.toBlock, node) }

func (m *Machine) gather(now time.Time, list *[]linnet.NodeID, node linnet.NodeID) {
	if len(*list) >= maxGathered || slices.Contains((*list)[max(0, len(*list)-maxTold):], node) {
		return
	}
	*list = append(*list, node)
	if !m.swim.gathering {
		m.swim.gathering = true
		m.after(now, gatherNews, m.flushNews)
	}
}

func (m *Machine) flushNews(time.Time) {
	toAll, toBlock := m.swim.toAll, m.swim.toBlock
	m.swim.gathering, m.swim.toAll, m.swim.toBlock = false, nil, nil
	own := blockOf(m.o.Self.Node)
	m.tellInside(own, append(toBlock, toAll...))
	for nodes := range slices.Chunk(toAll, maxTold) {
		msg := &message.Rumours{Updates: m.rumours(nodes), Inside: true}
		if len(msg.Updates) == 0 {
			continue
		}
		for block := range uint32(tableBlocks) {
			if block == own {
				continue
			}
			members := m.table.inBlock(block)
			told := 0
			for i, start := 0, m.o.Rand.IntN(max(len(members), 1)); i < len(members) && told < tellers; i++ {
				if x := &members[(start+i)%len(members)]; m.isOther(x) && x.state == Alive {
					told++
					m.emit(Send{x.node, msg})
				}
			}
		}
	}
}

func (m *Machine) tellInside(own uint32, list []linnet.NodeID) {
	for nodes := range slices.Chunk(list, maxTold) {
		msg := &message.Rumours{Updates: m.rumours(nodes)}
		if len(msg.Updates) == 0 {
			continue
		}
		for i := range m.table.inBlock(own) {
			if x := &m.table.inBlock(own)[i]; m.isOther(x) && !(len(nodes) == 1 && nodes[0] == x.node && x.state == Alive) {
				m.emit(Send{x.node, msg})
			}
		}
	}
}

func (m *Machine) rumours(nodes []linnet.NodeID) []message.Rumour {
	var updates []message.Rumour
	for _, node := range nodes {
		if x := m.table.get(node); x != nil {
			updates = append(updates, x.rumour())
		}
	}
	return updates
}
