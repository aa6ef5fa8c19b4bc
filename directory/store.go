package directory

import (
	"container/list"
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

// store is the records that a member of some slots holds: of each device the
// newest, of each user a few devices, in all no more than there is room for.
type store struct {
	room  int
	users map[linnet.UserName][]*held // the devices of each, the longest unchanged first
	nodes map[linnet.NodeID]*held
	order list.List            // of *held, the longest unchanged first
	slots map[overlay.Slot]int // records of each
}

// held is a record on the shelf.
type held struct {
	*Record
	slot    overlay.Slot
	strayed time.Time // since when this node is no member of the slot; zero: it is
	writes  overlay.Bucket
	at      *list.Element
}

// verdict is what became of a record.
type verdict uint8

const (
	stored verdict = iota
	known          // this one, or a newer one, is there already
	full           // no room
	hasty          // its device writes too often
)

func newStore(room int) *store {
	return &store{
		room: room, users: make(map[linnet.UserName][]*held), nodes: make(map[linnet.NodeID]*held),
		slots: make(map[overlay.Slot]int),
	}
}

// put takes a record in. Gone are the devices that had to make room for it.
func (s *store) put(now time.Time, r *Record, slot overlay.Slot) (v verdict, gone []linnet.NodeID) {
	h := s.nodes[r.Node()]
	if h != nil && r.Sequence <= h.Sequence {
		return known, nil
	}
	if h != nil && !h.writes.Take(now, writeRate, writeBurst) {
		return hasty, nil
	}
	if h != nil && h.User == r.User {
		h.Record = r
		s.order.MoveToBack(h.at)
		return stored, nil
	}
	if h != nil { // the device changed hands
		s.remove(h)
	}
	if devices := s.users[r.User]; len(devices) >= maxDevices {
		oldest := devices[0]
		for _, d := range devices {
			if d.Time.Before(oldest.Time) {
				oldest = d
			}
		}
		if r.Time.Before(oldest.Time) {
			return full, nil
		}
		gone = append(gone, oldest.Node())
		s.remove(oldest)
	}
	if len(s.nodes) >= s.room {
		oldest := s.order.Front().Value.(*held)
		if oldest.Reachable(now) {
			return full, gone
		}
		gone = append(gone, oldest.Node())
		s.remove(oldest)
	}
	h = &held{Record: r, slot: slot}
	h.writes.Take(now, writeRate, writeBurst)
	h.at = s.order.PushBack(h)
	s.nodes[r.Node()] = h
	s.users[r.User] = append(s.users[r.User], h)
	s.slots[slot]++
	return stored, gone
}

func (s *store) remove(h *held) {
	s.order.Remove(h.at)
	delete(s.nodes, h.Node())
	devices := s.users[h.User][:0]
	for _, d := range s.users[h.User] {
		if d != h {
			devices = append(devices, d)
		}
	}
	if s.users[h.User] = devices; len(devices) == 0 {
		delete(s.users, h.User)
	}
	if s.slots[h.slot]--; s.slots[h.slot] == 0 {
		delete(s.slots, h.slot)
	}
}

// sweep removes what is past its time, and says which.
func (s *store) sweep(now time.Time) (gone []linnet.NodeID) {
	for e := s.order.Front(); e != nil; {
		h := e.Value.(*held)
		e = e.Next()
		if now.Sub(h.Time) > KeepFor || now.After(h.Expires) || !h.strayed.IsZero() && now.Sub(h.strayed) > strayFor {
			gone = append(gone, h.Node())
			s.remove(h)
		}
	}
	return gone
}
