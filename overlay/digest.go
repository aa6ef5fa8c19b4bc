package overlay

import (
	"encoding/binary"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A digest compares two tables by one hash for each block of entries, so that
// news that somebody missed is found and only its block is sent again.
//
// Only entries that did not change for a minute are compared, since the news of
// others is still under way; the answerer takes a block for equal if the hash of
// its settled entries or of all matches. Who joined lately compares all of them.
//
// The hash of a block is the sum of the hashes of its entries. Who chooses his
// own incarnations so that they cancel out hides nobody but himself.

const (
	hashSize   = 8
	fewMembers = 32 // that many tell everything to everybody
)

// hash tells an entry from others of its node.
func (x *seat) hash() uint64 { return mix(x.weight ^ mix(x.incarnation)) }

// settled are the hashes of all blocks, of the entries that are known since before a
// moment.
func (t *table) settled(before uint32) [tableBlocks]uint64 {
	sums := t.blocks.hashes
	for i := range t.members {
		if x := &t.members[i]; x.since >= before && x.serves() {
			sums[blockOf(x.node)] -= x.hash()
		}
	}
	return sums
}

// digest is this supernode's table in short.
func (m *Machine) digest(settled time.Time) *message.Digest {
	d, sums := &message.Digest{All: settled.IsZero()}, m.table.blocks.hashes
	if !d.All {
		sums = m.table.settled(m.tenths(settled))
	}
	d.Blocks, d.Hashes = make([]uint32, 0, tableBlocks), make([]byte, 0, hashSize*tableBlocks)
	for block, sum := range sums {
		if sum != 0 {
			d.Blocks = append(d.Blocks, uint32(block))
			d.Hashes = binary.BigEndian.AppendUint64(d.Hashes, sum)
		}
	}
	return d
}

// compare asks one supernode whether it knows the same, now and then.
func (m *Machine) compare(now time.Time) {
	settled := now.Add(-settleAfter)
	if !m.joined(now) {
		settled = time.Time{}
	}
	for _, x := range m.table.random(m.o.Rand, 1, m.isOther) {
		m.emit(Send{x.node, m.digest(settled)})
	}
	m.whileServing(now, m.jitter(digestPause), m.compare)
}

// receivedDigest answers with what is known in the blocks that differ.
func (m *Machine) receivedDigest(now time.Time, from linnet.NodeID, msg *message.Digest) {
	if len(msg.Blocks) > tableBlocks || len(msg.Hashes) != hashSize*len(msg.Blocks) {
		return
	}
	var theirs [tableBlocks]uint64
	for i, block := range msg.Blocks {
		if block < tableBlocks {
			theirs[block] = binary.BigEndian.Uint64(msg.Hashes[hashSize*i:])
		}
	}
	settled, all := m.table.settled(m.tenths(now.Add(-settleAfter))), m.table.blocks.hashes
	answer := &message.Differ{After: msg.After}
	var differs [tableBlocks]bool
	for block, sum := range theirs {
		if sum != all[block] && (msg.All || sum != settled[block]) {
			differs[block] = true
			answer.Blocks = append(answer.Blocks, uint32(block))
		}
	}
	if len(answer.Blocks) == 0 {
		return
	}
	if msg.All { // it may be a newcomer, who hears nobody that he was not introduced to
		answer.Updates = append(answer.Updates, m.self().introduction())
	}
	for i := range m.table.members {
		x := &m.table.members[i]
		if len(answer.Updates) == maxRumours || x.state == Dead || !differs[blockOf(x.node)] || compareNodes(x.node, msg.After) <= 0 {
			continue
		}
		if !msg.All || x.node != m.o.Self.Node {
			answer.Updates = append(answer.Updates, x.introduction())
		}
	}
	m.emit(Send{from, answer})
}

// receivedDiffer has heard the other's half already: it tells its own, corrects
// what the other should know to be wrong, and asks for the next page if there was one.
func (m *Machine) receivedDiffer(now time.Time, from linnet.NodeID, msg *message.Differ) {
	page := msg.Updates[:min(len(msg.Updates), maxRumours)]
	full := len(page) == maxRumours
	told := make(map[linnet.NodeID]uint64)
	for _, r := range page {
		told[r.Node] = r.Incarnation
	}
	var differs [tableBlocks]bool
	for _, block := range msg.Blocks[:min(len(msg.Blocks), tableBlocks)] {
		if block < tableBlocks {
			differs[block] = true
		}
	}
	var updates []message.Rumour
	for i := range m.table.members {
		x := &m.table.members[i]
		paged := compareNodes(x.node, msg.After) > 0 && (!full || compareNodes(x.node, page[len(page)-1].Node) <= 0)
		if len(updates) == maxRumours || !paged || !differs[blockOf(x.node)] {
			continue
		}
		incarnation, known := told[x.node]
		if known && (incarnation < x.incarnation || incarnation == x.incarnation && !x.serves()) || !known && x.serves() {
			updates = append(updates, x.introduction())
		}
	}
	if updates != nil {
		m.emit(Send{from, &message.Rumours{Updates: updates}})
	}
	if full && m.swim.pages.Take(now, 20, 2*tableBlocks) {
		next := m.digest(time.Time{})
		next.After = page[len(page)-1].Node
		m.emit(Send{from, next})
	}
}
