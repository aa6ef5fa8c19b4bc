package directory

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
)

const (
	maxDevices = 8                // of one user: the newest
	strayFor   = 10 * time.Minute // that a record is kept after its slot went elsewhere
	writeRate  = 0.2              // records a second of one device
	writeBurst = 20
)

// store is what is known of the records that a member of some slots holds: of each
// device the newest, of each user a few devices, in all no more than there is room
// for. The records themselves are on disk.
type store struct {
	room  int
	keep  time.Duration             // that a record is kept which nobody refreshes
	users map[linnet.UserName]*held // the first of each one's devices, see held.next
	nodes map[linnet.NodeID]*held
	order held // a ring: after it the longest unchanged, before it the latest
	slots map[overlay.Slot][]*held
}

// held is a record on the shelf. There may be five for each client of a
// supernode, so it has no more than deciding takes.
type held struct {
	node          linnet.NodeID
	user          linnet.UserName
	sum           [8]byte // of the record
	sequence      uint64
	time          int64  // of the record, milliseconds since 1970
	expires       uint32 // of the certificate, minutes since 1970
	strayed       uint32 // since when this node is no member of the slot, seconds since 1970; 0: it is
	at            uint32 // its place in its slot
	slot          overlay.Slot
	online        bool
	writes        overlay.Bucket
	before, after *held // of the order
	next          *held // another device of the user
}

// sumOf tells a record from others, not from those that somebody went to length to make alike.
func sumOf(record []byte) [8]byte {
	sum := sha256.Sum256(record)
	return [8]byte(sum[:])
}

func (h *held) take(r *Record) {
	h.sum, h.sequence, h.time = r.sum, r.Sequence, r.Time.UnixMilli()
	h.expires = uint32(r.Expires.Unix() / 60)
	h.online = r.Online && len(r.Location.Supernodes) > 0
}

// reachable is Record.Reachable.
func (h *held) reachable(now time.Time) bool {
	return h.online && now.UnixMilli()-h.time <= FreshFor.Milliseconds()
}

// over says that the record is past its time.
func (h *held) over(now time.Time, keep time.Duration) bool {
	return now.UnixMilli()-h.time > keep.Milliseconds() || now.Unix() > 60*int64(h.expires) ||
		h.strayed != 0 && now.Unix()-int64(h.strayed) > int64(strayFor/time.Second)
}

// verdict is what became of a record.
type verdict uint8

const (
	stored verdict = iota
	known          // this one, or a newer one, is there already
	full           // no room
	hasty          // its device writes too often
)

func newStore(room int, keep time.Duration) *store {
	s := &store{
		room: room, keep: keep, users: make(map[linnet.UserName]*held), nodes: make(map[linnet.NodeID]*held),
		slots: make(map[overlay.Slot][]*held),
	}
	s.order.before, s.order.after = &s.order, &s.order
	return s
}

// all are the records, the longest unchanged first (an iter.Seq).
func (s *store) all(yield func(*held) bool) {
	for h := s.order.after; h != &s.order; {
		after := h.after // it may be removed
		if !yield(h) {
			return
		}
		h = after
	}
}

// devices are those of a user.
func (s *store) devices(user linnet.UserName) (list []*held) {
	for h := s.users[user]; h != nil; h = h.next {
		list = append(list, h)
	}
	return list
}

// put takes a record in. Gone are the devices that had to make room for it.
func (s *store) put(now time.Time, r *Record, slot overlay.Slot) (v verdict, gone []linnet.NodeID) {
	h := s.nodes[r.Node()]
	if h != nil && r.Sequence <= h.sequence {
		return known, nil
	}
	if h != nil && !h.writes.Take(now, writeRate, writeBurst) {
		return hasty, nil
	}
	if h != nil && h.user == r.User {
		h.take(r)
		s.leave(h)
		s.append(h)
		return stored, nil
	}
	if h != nil { // the device changed hands
		s.remove(h)
	}
	if devices := s.devices(r.User); len(devices) >= maxDevices {
		oldest := slices.MinFunc(devices, func(a, b *held) int { return cmp.Compare(a.time, b.time) })
		if r.Time.UnixMilli() < oldest.time {
			return full, nil
		}
		gone = append(gone, oldest.node)
		s.remove(oldest)
	}
	if len(s.nodes) >= s.room {
		oldest := s.order.after
		if oldest.reachable(now) {
			return full, gone
		}
		gone = append(gone, oldest.node)
		s.remove(oldest)
	}
	h = &held{node: r.Node(), user: r.User, slot: slot}
	h.take(r)
	h.writes.Take(now, writeRate, writeBurst)
	s.append(h)
	s.nodes[h.node] = h
	if first := s.users[h.user]; first != nil {
		h.user = first.user // one string for all
		h.next, first.next = first.next, h
	} else {
		s.users[h.user] = h
	}
	h.at = uint32(len(s.slots[slot]))
	s.slots[slot] = append(s.slots[slot], h)
	return stored, gone
}

// append puts a record last into the order, leave takes it out.
func (s *store) append(h *held) {
	h.before, h.after = s.order.before, &s.order
	h.before.after, h.after.before = h, h
}

func (s *store) leave(h *held) {
	h.before.after, h.after.before = h.after, h.before
}

func (s *store) remove(h *held) {
	s.leave(h)
	delete(s.nodes, h.node)
	switch first := s.users[h.user]; {
	case first != h:
		for first.next != h {
			first = first.next
		}
		first.next = h.next
	case h.next != nil:
		s.users[h.user] = h.next
	default:
		delete(s.users, h.user)
	}
	list := s.slots[h.slot]
	last := len(list) - 1
	list[h.at], list[last].at = list[last], h.at
	list[last] = nil
	if s.slots[h.slot] = list[:last]; last == 0 {
		delete(s.slots, h.slot)
	}
}

// sweep removes what is past its time, and says which.
func (s *store) sweep(now time.Time) (gone []linnet.NodeID) {
	for h := range s.all {
		if h.over(now, s.keep) {
			gone = append(gone, h.node)
			s.remove(h)
		}
	}
	return gone
}
