package overlay

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A digest compares two tables by one hash for each block of entries, so that
// news that somebody missed is found and only its block is sent again. The block
// of an entry is the first byte of its NodeID: NodeIDs are hashes, so blocks are
// even, and unlike the members of a Block of slots they do not depend on the
// table that is in doubt.
//
// Only entries that did not change for a minute are compared, since the news of
// others is still under way. Who catches up after it joined compares all of
// them, or it would be told the same page again and again; an answerer therefore
// takes a block for equal if either hash matches.

const (
	hashSize  = 8
	maxBlocks = BlockCount
)

func entryBlock(node linnet.NodeID) uint32 { return uint32(node[0]) }

// hashes are the hashes of all blocks that are not empty: of the entries that
// are known since before settled; zero means all.
func (m *Machine) hashes(settled time.Time) map[uint32][hashSize]byte {
	sums := make(map[uint32][hashSize]byte)
	var buf []byte
	members := m.table.members
	for i, x := range members {
		if x.serves() && (settled.IsZero() || x.since.Before(settled)) {
			buf = append(buf, x.Node[:]...)
			buf = binary.BigEndian.AppendUint64(buf, x.Incarnation)
		}
		if block := entryBlock(x.Node); i+1 == len(members) || entryBlock(members[i+1].Node) != block {
			if len(buf) > 0 {
				sum := sha256.Sum256(buf)
				sums[block] = [hashSize]byte(sum[:])
			}
			buf = buf[:0]
		}
	}
	return sums
}

// digest is this supernode's table in short.
func (m *Machine) digest(settled time.Time) *message.Digest {
	sums := m.hashes(settled)
	d := new(message.Digest)
	for block := range uint32(maxBlocks) {
		if sum, ok := sums[block]; ok {
			d.Blocks = append(d.Blocks, block)
			d.Hashes = append(d.Hashes, sum[:]...)
		}
	}
	return d
}

// compare asks one supernode whether it knows the same, now and then.
func (m *Machine) compare(now time.Time) {
	if m.leaving {
		return
	}
	for _, x := range m.table.random(m.o.Rand, 1, m.isOther) {
		m.emit(Send{x.Node, m.digest(now.Add(-settleAfter))})
	}
	m.after(now, m.jitter(digestPause), m.compare)
}

// receivedDigest answers with what is known in the blocks that differ.
func (m *Machine) receivedDigest(now time.Time, from linnet.NodeID, msg *message.Digest) {
	if len(msg.Blocks) > maxBlocks || len(msg.Hashes) != hashSize*len(msg.Blocks) {
		return
	}
	theirs := make(map[uint32][hashSize]byte)
	for i, block := range msg.Blocks {
		theirs[block] = [hashSize]byte(msg.Hashes[hashSize*i:])
	}
	settled, all := m.hashes(now.Add(-settleAfter)), m.hashes(time.Time{})
	answer := new(message.Differ)
	for block := range uint32(maxBlocks) {
		sum, listed := theirs[block]
		switch ours, known := all[block]; {
		case !listed && !known, listed && (sum == ours || sum == settled[block]):
		default:
			answer.Blocks = append(answer.Blocks, block)
		}
	}
	if len(answer.Blocks) == 0 {
		return
	}
	answer.Updates = m.blockRumours(answer.Blocks)
	m.emit(Send{from, answer})
}

// blockRumours is a page of what is known in the blocks.
func (m *Machine) blockRumours(blocks []uint32) []message.Rumour {
	var updates []message.Rumour
	for _, x := range m.table.members {
		if len(updates) < maxRumours && x.state != Dead && slices.Contains(blocks, entryBlock(x.Node)) {
			updates = append(updates, x.rumour())
		}
	}
	return updates
}

// receivedDiffer has heard the other's half already: it tells its own, corrects
// what the other should know to be wrong, and asks for the next page if there was one.
func (m *Machine) receivedDiffer(_ time.Time, from linnet.NodeID, msg *message.Differ) {
	told := make(map[linnet.NodeID]uint64)
	for _, r := range msg.Updates[:min(len(msg.Updates), maxRumours)] {
		if node, ok := m.table.opened[string(r.Entry)]; ok {
			told[node] = m.table.get(node).Incarnation
		}
	}
	blocks := msg.Blocks[:min(len(msg.Blocks), maxBlocks)]
	full := len(msg.Updates) >= maxRumours
	var updates []message.Rumour
	for _, x := range m.table.members {
		if len(updates) == maxRumours || !slices.Contains(blocks, entryBlock(x.Node)) {
			continue
		}
		incarnation, known := told[x.Node]
		// After a full page it cannot be said what the other one lacks.
		if known && (incarnation < x.Incarnation || !x.serves()) || !known && x.serves() && !full {
			updates = append(updates, x.rumour())
		}
	}
	if updates != nil {
		m.emit(Send{from, &message.Rumours{Updates: updates}})
	}
	if full && len(told) > 0 {
		m.emit(Send{from, m.digest(time.Time{})})
	}
}
