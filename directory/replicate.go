package directory

import (
	"maps"
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
	lookPause = 500 * time.Millisecond // between two looks at who the members are
	moveBatch = 10                     // records, and as many cards
	movePause = 50 * time.Millisecond
	moveTries = 3
)

// MembersChanged is told after overlay.MembersChanged. In an outage that is dozens
// of times a second, and each may be for all slots: after the first one they
// are looked at together.
func (s *Supernode) MembersChanged(now time.Time) {
	if s.looked {
		s.changed = true
		return
	}
	s.lookAtMembers(now)
	s.looked = true
	s.after(now, lookPause, func(now time.Time) {
		s.looked = false
		if s.changed {
			s.changed = false
			s.MembersChanged(now)
		}
	})
}

func (s *Supernode) lookAtMembers(now time.Time) {
	changes := s.changesOf(now, s.seatings)
	for _, slot := range slices.Sorted(maps.Keys(changes)) {
		c := changes[slot]
		for _, h := range s.store.slots[slot] {
			switch {
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
	s.catchUp(now)
}

// A seating is who sits in a slot. A change of the network comes in pieces: half of a
// divided one is heard of supernode by supernode, and so are those who died in an
// outage. Whoever is new since a moment ago may have been given nothing yet, so
// during a series of changes it is the members before all of them who hand over,
// to everybody who came since, or came back.
type seating struct {
	members []linnet.NodeID
	former  []linnet.NodeID // who were there before the series of changes that began last, and all the time since
	began   time.Time       // of it
	given   []linnet.NodeID // whom this node handed over to meanwhile
}

// seriesFor is how long a series of changes lasts: detection and dissemination of
// deaths, or the healing of a division.
const seriesFor = 30 * time.Second

// A slotChange is how the members of a slot changed.
type slotChange struct {
	serves bool            // this node holds the slot now
	gain   []linnet.NodeID // new members that this node hands over to
}

// changesOf finds the slots whose members are others than they were, and notes who they are now.
func (s *Supernode) changesOf(now time.Time, seatings map[overlay.Slot]*seating) map[overlay.Slot]slotChange {
	changes := make(map[overlay.Slot]slotChange)
	for slot, x := range seatings {
		after := s.o.Seats.Members(slot)
		if slices.Equal(x.members, after) {
			continue
		}
		if now.Sub(x.began) > seriesFor {
			x.former, x.began, x.given = slices.Clone(x.members), now, nil
		}
		came := func(node linnet.NodeID) bool {
			return slices.Contains(after, node) && !slices.Contains(x.members, node)
		}
		x.former, x.given = slices.DeleteFunc(x.former, came), slices.DeleteFunc(x.given, came)
		x.members = after
		c := slotChange{serves: slices.Contains(after, s.o.Self.Node)}
		if s.gives(x.former) {
			for _, node := range after {
				if node != s.o.Self.Node && !slices.Contains(x.former, node) && !slices.Contains(x.given, node) {
					c.gain = append(c.gain, node)
				}
			}
			x.given = append(x.given, c.gain...)
		}
		changes[slot] = c
	}
	return changes
}

// gives says whether this node is one of those who have to hand over.
func (s *Supernode) gives(former []linnet.NodeID) bool {
	n := 0
	for _, node := range former {
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
	if s.store.nodes[m.key] == nil || !s.o.Seats.IsSupernode(m.to) {
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

// add says whether there was room. What has none comes again with its device.
func (v *mover[K]) add(now time.Time, m move[K]) bool {
	if len(v.queue) >= v.most {
		return false
	}
	v.queue = append(v.queue, m)
	if !v.running {
		v.running = true
		v.s.after(now, movePause, v.some)
	}
	return true
}

// again is told that a move failed. A while later the new member may have heard
// that this node is a supernode, too.
func (v *mover[K]) again(now time.Time, m move[K]) {
	if m.tries++; m.tries < moveTries {
		v.s.after(now, writeAgain, func(now time.Time) { v.add(now, m) })
	}
}

func (v *mover[K]) some(now time.Time) {
	n := min(moveBatch, len(v.queue))
	for _, m := range v.queue[:n] {
		v.give(now, m)
	}
	v.queue = v.queue[n:]
	if v.running = len(v.queue) > 0; v.running {
		v.s.after(now, movePause, v.some)
	} else {
		v.queue = nil
	}
}
