package directory

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// When the members of a slot change, the new ones are given its records by the
// three highest of those that were members before and are still there: by
// more than one, because one of them may lie, or not have them all.
const (
	givers    = 3
	moveBatch = 10 // records
	movePause = 50 * time.Millisecond
	moveTries = 3
)

// A move is a record that a new member is to have.
type move struct {
	record linnet.NodeID
	to     linnet.NodeID
	tries  int
}

// MembersChanged is told after overlay.MembersChanged.
func (s *Supernode) MembersChanged(now time.Time) {
	type change struct {
		serves bool            // this node holds the slot now
		gain   []linnet.NodeID // new members that this node hands over to
	}
	changes := make(map[overlay.Slot]change)
	for slot, before := range s.members {
		after := s.o.Seats.Members(slot)
		if slices.Equal(before, after) {
			continue
		}
		s.members[slot] = after
		c := change{serves: slices.Contains(after, s.o.Self.Node)}
		if s.gives(before) {
			for _, node := range after {
				if !slices.Contains(before, node) && node != s.o.Self.Node {
					c.gain = append(c.gain, node)
				}
			}
		}
		changes[slot] = c
	}
	if len(changes) == 0 {
		return
	}
	for h := range s.store.all {
		c, ok := changes[h.slot]
		switch {
		case !ok:
			continue
		case c.serves:
			h.strayed = 0
		case h.strayed == 0:
			h.strayed = uint32(now.Unix())
		}
		for _, node := range c.gain {
			s.move(now, move{record: h.node, to: node})
		}
	}
}

// gives says whether this node is one of those who have to hand over.
func (s *Supernode) gives(before []linnet.NodeID) bool {
	n := 0
	for _, node := range before {
		if node == s.o.Self.Node {
			return n < givers
		}
		if s.o.Seats.IsSupernode(node) {
			n++
		}
	}
	return false
}

func (s *Supernode) move(now time.Time, m move) {
	if len(s.moves) >= 4*s.o.Records {
		return // its device comes again within ten minutes
	}
	s.moves = append(s.moves, m)
	if !s.moving {
		s.moving = true
		s.after(now, movePause, s.moveSome)
	}
}

func (s *Supernode) handOver(now time.Time, m move, records [][]byte) {
	if len(records) == 0 {
		return // it is gone, or the disk failed: others hand it over, too
	}
	store := &message.StoreRecord{Record: records[0], Unknown: 1, Member: true}
	s.request(now, m.to, store, memberWait, func(now time.Time, reply message.Message) {
		if _, ok := reply.(*message.Stored); !ok && m.tries+1 < moveTries {
			m.tries++
			s.move(now, m)
		}
	})
}

func (s *Supernode) moveSome(now time.Time) {
	n := min(moveBatch, len(s.moves))
	for _, m := range s.moves[:n] {
		if s.store.nodes[m.record] != nil && s.o.Seats.IsSupernode(m.to) {
			s.read([]linnet.NodeID{m.record}, func(now time.Time, records [][]byte) { s.handOver(now, m, records) })
		}
	}
	s.moves = s.moves[n:]
	if s.moving = len(s.moves) > 0; s.moving {
		s.after(now, movePause, s.moveSome)
	} else {
		s.moves = nil
	}
}
