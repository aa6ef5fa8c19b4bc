package directory

import (
	"container/list"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
)

const (
	cardRate  = 1. / 60 // versions a second of one user's card
	cardBurst = 10
)

// A cardStore is the cards that a member of some slots holds: of each user the
// newest, listed in each of its slots that has room for it. Searches read many of
// them, so they are in memory. Who came first keeps his room: to push others
// out is no use to a crowd.
type cardStore struct {
	room    int // cards
	perSlot int // that are found in a slot, and as many that are not
	users   map[linnet.UserName]*heldCard
	order   list.List // of *heldCard, the longest unchanged first
	slots   map[overlay.Slot]*cardSlot
}

// A cardSlot is what lies in one slot.
type cardSlot struct {
	cards  []*heldCard
	former int // of them: those that are there in place of an earlier edition
}

// heldCard is a card on the shelf.
type heldCard struct {
	*Card
	slots   []overlay.Slot // that it is listed in
	strayed time.Time      // since when this node is no member of any of them; zero: it is
	writes  overlay.Bucket
	at      *list.Element
}

func newCardStore(room, perSlot int) *cardStore {
	return &cardStore{
		room: room, perSlot: perSlot, users: make(map[linnet.UserName]*heldCard), slots: make(map[overlay.Slot]*cardSlot),
	}
}

// put takes a card in.
func (s *cardStore) put(now time.Time, c *Card) verdict {
	h := s.users[c.User]
	switch {
	case h != nil && c.version().compare(h.version()) <= 0:
		return known
	case h != nil && !h.writes.Take(now, cardRate, cardBurst):
		return hasty
	case h != nil:
		s.unlist(h)
		h.Card = c
		s.list(h)
		s.order.MoveToBack(h.at)
		return stored
	case len(s.users) >= s.room, !s.fits(c):
		return full
	}
	h = &heldCard{Card: c}
	h.writes.Take(now, cardRate, cardBurst)
	h.at = s.order.PushBack(h)
	s.users[c.User] = h
	s.list(h)
	return stored
}

// fits says whether there is a slot with room for a card.
func (s *cardStore) fits(c *Card) bool {
	return slices.ContainsFunc(c.live, func(slot overlay.Slot) bool { return s.hasRoom(slot, false) }) ||
		slices.ContainsFunc(c.replaces, func(slot overlay.Slot) bool { return s.hasRoom(slot, true) })
}

func (s *cardStore) hasRoom(slot overlay.Slot, former bool) bool {
	l := s.slots[slot]
	switch {
	case l == nil:
		return true
	case former:
		return l.former < s.perSlot
	default:
		return len(l.cards)-l.former < s.perSlot
	}
}

// list lists a card in its slots, but for those that have no room.
func (s *cardStore) list(h *heldCard) {
	in := func(slots []overlay.Slot, former bool) {
		for _, slot := range slots {
			if !s.hasRoom(slot, former) {
				continue
			}
			l := s.slots[slot]
			if l == nil {
				l = new(cardSlot)
				s.slots[slot] = l
			}
			l.cards = append(l.cards, h)
			if former {
				l.former++
			}
			h.slots = append(h.slots, slot)
		}
	}
	in(h.live, false)
	in(h.replaces, true)
}

func (s *cardStore) unlist(h *heldCard) {
	for _, slot := range h.slots {
		l := s.slots[slot]
		l.cards = slices.DeleteFunc(l.cards, func(x *heldCard) bool { return x == h })
		if slices.Contains(h.replaces, slot) {
			l.former--
		}
		if len(l.cards) == 0 {
			delete(s.slots, slot)
		}
	}
	h.slots = nil
}

// sweep removes what is past its time, and says which.
func (s *cardStore) sweep(now time.Time) (gone []linnet.UserName) {
	for e := s.order.Front(); e != nil; {
		h := e.Value.(*heldCard)
		e = e.Next()
		if now.Sub(h.Time) > withdrawnFor || !h.strayed.IsZero() && now.Sub(h.strayed) > strayFor {
			gone = append(gone, h.User)
			s.remove(h)
		}
	}
	return gone
}

func (s *cardStore) remove(h *heldCard) {
	s.order.Remove(h.at)
	delete(s.users, h.User)
	s.unlist(h)
}
