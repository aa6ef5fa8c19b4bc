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
)

// A write brings a client's record to all members of its slot. It is answered
// when a majority has it, or when that can no longer be.
type write struct {
	record   *Record
	slot     overlay.Slot
	from     linnet.NodeID
	id       uint16
	majority int
	copies   int
	waiting  int
	newest   uint64
	answered bool
}

func (s *Supernode) write(now time.Time, from linnet.NodeID, id uint16, r *Record) {
	if s.writes >= s.o.Busy {
		s.refuse(from, id, message.FailureTooMany, "busy")
		return
	}
	s.writes++
	delete(s.lookups, r.User) // what is remembered of the user is old now
	slot := s.o.SlotOf(r.User)
	members := s.o.Seats.Members(slot)
	w := &write{record: r, slot: slot, from: from, id: id, majority: len(members)/2 + 1, newest: r.Sequence}
	for _, node := range members {
		if node == s.o.Self.Node {
			if sequence, ok := s.put(now, r); ok {
				w.copies++
				w.newest = max(w.newest, sequence)
			}
			continue
		}
		w.waiting++
		s.writeTo(now, w, node, 1)
	}
	s.settle(w)
}

func (s *Supernode) writeTo(now time.Time, w *write, node linnet.NodeID, try int) {
	store := &message.StoreRecord{Record: w.record.raw, Unknown: 1, Member: true}
	s.request(now, node, store, memberWait, func(now time.Time, reply message.Message) {
		if try == 1 {
			w.waiting--
		}
		if stored, ok := reply.(*message.Stored); ok {
			w.copies++
			w.newest = max(w.newest, stored.Sequence)
		} else if try < writeTries {
			s.after(now, writeAgain, func(now time.Time) {
				if slices.Contains(s.o.Seats.Members(w.slot), node) {
					s.writeTo(now, w, node, try+1)
				}
			})
		}
		s.settle(w)
	})
}

// settle answers the client as soon as the answer is certain.
func (s *Supernode) settle(w *write) {
	switch {
	case w.answered:
		return
	case w.copies >= w.majority:
		s.emit(overlay.Respond{To: w.from, ID: w.id, Message: &message.Stored{Sequence: w.newest, Copies: uint32(w.copies)}})
	case w.waiting == 0:
		s.refuse(w.from, w.id, message.FailureUnavailable, "too few members of the slot answer")
	default:
		return
	}
	w.answered = true
	s.writes--
}
