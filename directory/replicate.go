package directory

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// When the members of a slot change, the new ones are given its records and cards by the
// three highest of those that were members before and are still there: by
// more than one, because one of them may lie, or not have them all.
const (
	givers    = 3
	moveBatch = 10 // records, and as many cards
	movePause = 50 * time.Millisecond
	moveTries = 3
)

// MembersChanged is told after overlay.MembersChanged.
func (s *Supernode) MembersChanged(now time.Time) {
	if changes := s.changesOf(s.members); len(changes) > 0 {
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
				s.moves.add(now, move[linnet.NodeID]{key: h.node, to: node})
			}
		}
	}
	s.pages.membersChanged(now)
}

// A slotChange is how the members of a slot changed.
type slotChange struct {
	serves bool            // this node holds the slot now
	gain   []linnet.NodeID // new members that this node hands over to
}

// changesOf finds the slots whose members are others than they were, and notes who they are now.
func (s *Supernode) changesOf(members map[overlay.Slot][]linnet.NodeID) map[overlay.Slot]slotChange {
	changes := make(map[overlay.Slot]slotChange)
	for slot, before := range members {
		after := s.o.Seats.Members(slot)
		if slices.Equal(before, after) {
			continue
		}
		members[slot] = after
		c := slotChange{serves: slices.Contains(after, s.o.Self.Node)}
		if s.gives(before) {
			for _, node := range after {
				if !slices.Contains(before, node) && node != s.o.Self.Node {
					c.gain = append(c.gain, node)
				}
			}
		}
		changes[slot] = c
	}
	return changes
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

func (s *Supernode) handOver(now time.Time, m move[linnet.NodeID]) {
	if s.store.nodes[m.key] == nil {
		return
	}
	s.read([]linnet.NodeID{m.key}, func(now time.Time, records [][]byte) {
		if len(records) == 0 {
			return // it is gone, or the disk failed: others hand it over, too
		}
		store := &message.StoreRecord{Record: records[0], Unknown: 1, Member: true}
		s.request(now, m.to, store, memberWait, func(now time.Time, reply message.Message) {
			if _, ok := reply.(*message.Stored); !ok {
				s.moves.again(now, m)
			}
		})
	})
}

// A mover hands things over, a few at a time.
type mover[K comparable] struct {
	s       *Supernode
	most    int // that wait
	give    func(now time.Time, m move[K])
	queue   []move[K]
	running bool
}

// A move is something that a new member is to have.
type move[K comparable] struct {
	key   K
	to    linnet.NodeID
	tries int
}

func (v *mover[K]) add(now time.Time, m move[K]) {
	if len(v.queue) >= v.most {
		return // its device comes again
	}
	v.queue = append(v.queue, m)
	if !v.running {
		v.running = true
		v.s.after(now, movePause, v.some)
	}
}

// again is told that a move failed.
func (v *mover[K]) again(now time.Time, m move[K]) {
	if m.tries++; m.tries < moveTries {
		v.add(now, m)
	}
}

func (v *mover[K]) some(now time.Time) {
	n := min(moveBatch, len(v.queue))
	for _, m := range v.queue[:n] {
		if v.s.o.Seats.IsSupernode(m.to) {
			v.give(now, m)
		}
	}
	v.queue = v.queue[n:]
	if v.running = len(v.queue) > 0; v.running {
		v.s.after(now, movePause, v.some)
	} else {
		v.queue = nil
	}
}
