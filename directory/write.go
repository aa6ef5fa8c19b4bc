package directory

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	memberWait = 1500 * time.Millisecond // for one member's answer
	writeAgain = 5 * time.Second         // a member that failed is tried again
	writeTries = 4
	writeOn    = time.Minute // members that this supernode hears of so much later are written to as well
)

// A write brings a client's record or card to all members of its slots. It ends
// when a majority of each has it, or when that can no longer be; those who are
// tried again, or turn out to be members, are given it after that, too.
type write struct {
	of      any                                         // the device of a record, the user of a card
	message message.Message                             // for a member
	own     func(now time.Time) (r receipt, ok bool)    // this member's answer to it
	heard   func(reply message.Message) (receipt, bool) // another one's
	done    func(now time.Time, w *write)               // told once

	began    time.Time
	version  uint64          // sequence or edition
	replaced bool            // by a newer version
	tried    []linnet.NodeID // of all slots: has it, is tried, or waits for its turn
	slots    []writeSlot
	failed   bool           // too few members of a slot answer, or have room where an earlier version may lie
	copies   int            // in the slot that has the fewest
	newest   uint64         // sequence or edition that any member has
	newer    []byte         // what some member has, if it is newer
	crowded  []overlay.Slot // in which most have no room: it will not be found there
}

type writeSlot struct {
	slot     overlay.Slot
	former   bool            // an earlier version may lie there
	members  []linnet.NodeID // when it began: these count
	seen     []linnet.NodeID // who were members when it was looked last
	majority int
	copies   int
	full     int // members that have no room for it there
	waiting  int // members that did not answer the first time yet
}

// A receipt is what a member says of what it was given.
type receipt struct {
	newest uint64         // sequence or edition of what it holds now
	newer  []byte         // that, if it is newer
	full   []overlay.Slot // in which it has no room
}

// write begins to write, and says whether there was room for one more.
func (s *Supernode) write(now time.Time, w *write, live, former []overlay.Slot) bool {
	if s.writes >= s.o.Busy {
		return false
	}
	s.writes++
	w.began, w.version = now, w.newest
	for i, slot := range slices.Concat(live, former) {
		members := s.o.Seats.Members(slot)
		w.slots = append(w.slots, writeSlot{
			slot: slot, former: i >= len(live), members: members, majority: len(members)/2 + 1, waiting: len(members),
		})
	}
	for _, node := range w.untried(s.o.Seats) {
		s.writeTo(now, w, node, 1)
	}
	s.settle(now, w)
	s.remember(w)
	return true
}

// remember has a write go on for writeOn, instead of an older version.
func (s *Supernode) remember(w *write) {
	if slices.ContainsFunc(s.recent, func(x *write) bool { return x.of == w.of && x.version > w.version }) {
		return
	}
	s.recent = slices.DeleteFunc(s.recent, func(x *write) bool {
		x.replaced = x.of == w.of
		return x.replaced
	})
	if len(s.recent) >= s.o.Busy {
		s.recent = slices.Delete(s.recent, 0, 1)
	}
	s.recent = append(s.recent, w)
}

// catchUp writes what was written lately to those who turn out to be members. A
// newcomer knows a part of the supernodes at first, and takes others for members:
// whoever was one all the time is given nothing by those.
func (s *Supernode) catchUp(now time.Time) {
	s.recent = slices.DeleteFunc(s.recent, func(w *write) bool { return now.Sub(w.began) >= writeOn })
	for _, w := range s.recent {
		if len(s.late.queue) >= s.late.most {
			return
		}
		for _, node := range w.untried(s.o.Seats) {
			if !s.late.add(now, move[*write]{key: w, to: node}) {
				w.untry(node)
			}
		}
	}
}

func (s *Supernode) writeLate(now time.Time, m move[*write]) {
	switch w := m.key; {
	case w.replaced:
	case s.o.Seats.IsSupernode(m.to):
		s.writeTo(now, w, m.to, 1)
	default:
		w.untry(m.to)
	}
}

// untried are the members who were not tried yet, and are about to be.
func (w *write) untried(seats Seats) (nodes []linnet.NodeID) {
	for i := range w.slots {
		x := &w.slots[i]
		members := seats.Members(x.slot)
		if slices.Equal(members, x.seen) {
			continue
		}
		x.seen = members
		for _, node := range members {
			if !slices.Contains(w.tried, node) {
				w.tried = append(w.tried, node)
				nodes = append(nodes, node)
			}
		}
	}
	return nodes
}

// untry has a member be tried again at the next look.
func (w *write) untry(node linnet.NodeID) {
	w.tried = slices.DeleteFunc(w.tried, func(n linnet.NodeID) bool { return n == node })
	for i := range w.slots {
		if slices.Contains(w.slots[i].seen, node) {
			w.slots[i].seen = nil
		}
	}
}

func (s *Supernode) writeTo(now time.Time, w *write, node linnet.NodeID, try int) {
	if node == s.o.Self.Node {
		r, ok := w.own(now)
		w.answered(node, r, ok, true)
		return
	}
	s.request(now, node, w.message, memberWait, func(now time.Time, reply message.Message) {
		r, ok := w.heard(reply)
		w.answered(node, r, ok, try == 1)
		if !ok {
			s.after(now, writeAgain, func(now time.Time) {
				if try < writeTries && slices.ContainsFunc(w.slots, func(x writeSlot) bool { return slices.Contains(s.o.Seats.Members(x.slot), node) }) {
					s.writeTo(now, w, node, try+1)
				} else { // it is tried again when it comes back
					w.tried = slices.DeleteFunc(w.tried, func(n linnet.NodeID) bool { return n == node })
				}
			})
		}
		s.settle(now, w)
	})
}

// answered notes a member's answer in the slots that it is a member of.
func (w *write) answered(node linnet.NodeID, r receipt, ok, first bool) {
	if w.done == nil {
		return
	}
	for i := range w.slots {
		x := &w.slots[i]
		if !slices.Contains(x.members, node) {
			continue
		}
		if first {
			x.waiting--
		}
		switch {
		case !ok:
		case slices.Contains(r.full, x.slot):
			x.full++
		default:
			x.copies++
		}
	}
	if ok && r.newest >= w.newest {
		w.newest = r.newest
		if len(r.newer) > 0 {
			w.newer = r.newer
		}
	}
}

// settle ends a write as soon as its end is certain. It fails for want of room
// if there is none in any slot, or in a former one: there an older version is
// found until most have the new one.
func (s *Supernode) settle(now time.Time, w *write) {
	if w.done == nil {
		return
	}
	w.copies, w.crowded, w.failed = 0, nil, false
	for _, x := range w.slots {
		switch {
		case x.copies >= x.majority:
			if w.copies == 0 || x.copies < w.copies {
				w.copies = x.copies
			}
		case x.waiting > 0:
			return
		case x.full > 0 && !x.former:
			w.crowded = append(w.crowded, x.slot)
		default:
			w.failed = true
		}
	}
	w.failed = w.failed || w.copies == 0
	done := w.done
	w.done = nil
	s.writes--
	done(now, w)
	w.newer, w.crowded = nil, nil // it may go on for a while
}
