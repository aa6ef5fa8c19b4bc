package directory

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// What one client may ask of the supernode that it is attached to. A search
// finds a lot in little time, so it is rare; a card goes to many members.
const (
	searchesAnHour = 30
	storeRate      = 1. / 60
	storeBurst     = 6
	askRate        = 1. / 30
	askBurst       = 40
)

// PersistCard puts a user's card on disk, in place of an older one.
type PersistCard struct {
	User linnet.UserName
	Card []byte
}

// ForgetCard removes a user's card from disk.
type ForgetCard struct{ User linnet.UserName }

// pages are a supernode's part in the white pages: it brings its clients' cards
// to the members of their slots, searches for them, and is such a member.
type pages struct {
	*Supernode
	store    *cardStore
	seatings map[overlay.Slot]*seating // of the slots with cards
	moves    mover[linnet.UserName]    // cards on their way to new members

	searches rates
	stores   rates
	asks     rates
	finds    int // under way
	cached   map[findKey]foundPage
}

func newPages(s *Supernode) *pages {
	p := &pages{
		Supernode: s, store: newCardStore(s.o.Cards, s.o.PerSlot), seatings: make(map[overlay.Slot]*seating),
		searches: make(rates), stores: make(rates), asks: make(rates), cached: make(map[findKey]foundPage),
	}
	p.moves = mover[linnet.UserName]{s: s, most: 4 * s.o.Cards, give: p.handOver}
	return p
}

func (s *pages) start(now time.Time, cards [][]byte) {
	for _, b := range cards {
		if c, err := OpenCard(s.o.Trust, b, now); err == nil {
			s.put(now, c)
		} else if user, ok := peekCard(b); ok {
			s.emit(ForgetCard{user})
		}
	}
}

// received takes a command, and says whether it was one of the white pages.
func (s *pages) received(now time.Time, from linnet.NodeID, id uint16, msg message.Message) bool {
	switch msg := msg.(type) {
	case *message.StoreCard:
		s.receivedCard(now, from, id, msg)
	case *message.SearchCards:
		s.receivedFind(now, from, id, msg)
	case *message.AskCards:
		s.receivedAsk(now, from, id, msg)
	default:
		return false
	}
	return true
}

// admits says whether a node may ask what it asks, as a member or a client.
func (s *pages) admits(from linnet.NodeID, id uint16, member bool) bool {
	switch {
	case member && !s.o.Seats.IsSupernode(from):
		s.refuse(from, id, message.FailureDenied, "you are no supernode")
		return false
	case !member && !s.mine(from):
		s.refuse(from, id, message.FailureDenied, "you are not attached here")
		return false
	}
	return true
}

func (s *pages) receivedCard(now time.Time, from linnet.NodeID, id uint16, msg *message.StoreCard) {
	if !s.admits(from, id, msg.Member) {
		return
	}
	if !msg.Member && !s.stores.allow(now, from, storeRate, storeBurst, s.o.Busy) {
		s.refuse(from, id, message.FailureTooMany, "too many requests")
		return
	}
	respond := func(r receipt, copies int) {
		reply := &message.CardStored{Edition: r.newest, Copies: uint32(copies), Newer: r.newer}
		for _, slot := range r.full {
			reply.Full = append(reply.Full, uint32(slot))
		}
		s.emit(overlay.Respond{To: from, ID: id, Message: reply})
	}
	if msg.Member {
		if r, ok := s.heldAs(msg.Card); ok {
			respond(r, 1)
			return
		}
	}
	c, err := OpenCard(s.o.Trust, msg.Card, now)
	if err != nil || !msg.Member && c.Node != from {
		s.refuse(from, id, message.FailureInvalid, "not a valid card of yours")
		return
	}
	if msg.Member {
		if r, ok := s.put(now, c); ok {
			respond(r, 1)
		} else {
			s.refuse(from, id, message.FailureTooMany, "this card changes too often")
		}
		return
	}
	if !s.write(now, &write{
		of:      c.User,
		message: c.toMember(),
		own:     func(now time.Time) (receipt, bool) { return s.put(now, c) },
		heard:   cardReceipt,
		newest:  c.Edition,
		done: func(_ time.Time, w *write) {
			if w.failed {
				s.refuse(from, id, message.FailureUnavailable, "too few members of a slot answer, or have room")
			} else {
				respond(receipt{w.newest, w.newer, w.crowded}, w.copies)
			}
		},
	}, c.live, c.replaces) {
		s.refuse(from, id, message.FailureTooMany, "busy")
	}
}

func (c *Card) toMember() *message.StoreCard { return &message.StoreCard{Card: c.raw, Member: true} }

func cardReceipt(reply message.Message) (r receipt, ok bool) {
	stored, ok := reply.(*message.CardStored)
	if !ok {
		return receipt{}, false
	}
	r.newest, r.newer = stored.Edition, stored.Newer
	for _, slot := range stored.Full[:min(len(stored.Full), maxWords+maxFormer+1)] {
		r.full = append(r.full, overlay.Slot(slot))
	}
	return r, true
}

// heldAs finds a card by its exact bytes: those need no check a second time.
func (s *pages) heldAs(b []byte) (receipt, bool) {
	if user, ok := peekCard(b); ok {
		if h := s.store.users[user]; h != nil && bytes.Equal(h.raw, b) {
			return h.receipt(h.Card), true
		}
	}
	return receipt{}, false
}

// receipt is what to say of a card when h lies on the shelf.
func (h *heldCard) receipt(c *Card) receipt {
	r := receipt{newest: h.Edition}
	if h.version().compare(c.version()) > 0 {
		r.newer = h.raw
		return r
	}
	for _, slot := range slices.Concat(c.live, c.replaces) {
		if !slices.Contains(h.slots, slot) {
			r.full = append(r.full, slot)
		}
	}
	return r
}

// put takes a card onto the shelf, and says what is there now. One of slots that
// this supernode does not hold is taken, too, for a while, as a record is.
func (s *pages) put(now time.Time, c *Card) (r receipt, ok bool) {
	v := s.store.put(now, c)
	switch h := s.store.users[c.User]; v {
	case stored:
		for _, slot := range h.slots {
			if s.seatings[slot] == nil {
				s.seatings[slot] = &seating{members: s.o.Seats.Members(slot)}
			}
		}
		h.strayed = time.Time{}
		s.place(now, h)
		s.emit(PersistCard{c.User, c.raw})
		return h.receipt(c), true
	case known:
		return h.receipt(c), true
	case full:
		return receipt{full: slices.Concat(c.live, c.replaces)}, true
	}
	return receipt{}, false
}

// unkept is told that what PersistCard and ForgetCard said of these users is not
// on disk, and what is.
func (s *pages) unkept(now time.Time, users []linnet.UserName, cards [][]byte) {
	for _, user := range users {
		if h := s.store.users[user]; h != nil {
			s.store.remove(h)
		}
	}
	wanted := len(s.out)
	for _, b := range cards {
		if c, err := OpenCard(s.o.Trust, b, now); err == nil {
			s.put(now, c)
		}
	}
	s.out = s.out[:wanted] // it is there
}

// place notes whether this node is a member of any slot of a card.
func (s *pages) place(now time.Time, h *heldCard) {
	serves := func(slot overlay.Slot) bool {
		x := s.seatings[slot]
		return x != nil && slices.Contains(x.members, s.o.Self.Node)
	}
	if slices.ContainsFunc(h.slots, serves) {
		h.strayed = time.Time{}
	} else if h.strayed.IsZero() {
		h.strayed = now
	}
}

func (s *pages) membersChanged(now time.Time) {
	changes := s.changesOf(now, s.seatings)
	moved := make(map[move[linnet.UserName]]bool) // a card has many slots, of which one node gains several
	for _, slot := range slices.Sorted(maps.Keys(changes)) {
		l := s.store.slots[slot]
		if l == nil {
			continue
		}
		for _, h := range l.cards {
			s.place(now, h)
			for _, node := range changes[slot].gain {
				if m := (move[linnet.UserName]{key: h.User, to: node}); !moved[m] {
					moved[m] = true
					s.moves.add(now, m)
				}
			}
		}
	}
}

func (s *pages) handOver(now time.Time, m move[linnet.UserName]) {
	h := s.store.users[m.key]
	if h == nil || !s.o.Seats.IsSupernode(m.to) {
		return
	}
	s.request(now, m.to, h.toMember(), memberWait, func(now time.Time, reply message.Message) {
		r, ok := cardReceipt(reply)
		if !ok {
			s.moves.again(now, m)
		} else if c, err := OpenCard(s.o.Trust, r.newer, now); err == nil && c.User == m.key { // it is this node that was away
			s.put(now, c)
		}
	})
}

func (s *pages) sweep(now time.Time) {
	for _, user := range s.store.sweep(now) {
		s.emit(ForgetCard{user})
	}
	for slot := range s.seatings {
		if s.store.slots[slot] == nil {
			delete(s.seatings, slot)
		}
	}
}

func (s *pages) sweepRates(now time.Time) {
	s.searches.sweep(now, searchesAnHour/3600.)
	s.stores.sweep(now, storeRate)
	s.asks.sweep(now, askRate)
	for key, f := range s.cached {
		if now.After(f.until) {
			delete(s.cached, key)
		}
	}
}

func peekCard(b []byte) (linnet.UserName, bool) {
	_, body, err := parse[cardBody](b)
	return body.User, err == nil
}

// A version of a card: the higher one counts.
type version struct{ edition, time uint64 }

func (c *Card) version() version { return version{c.Edition, uint64(c.Time.UnixMilli())} }

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v.edition, w.edition), cmp.Compare(v.time, w.time))
}

// shown says whether the card may be found.
func (c *Card) shown(now time.Time) bool { return !c.Withdrawn && now.Sub(c.Time) <= CardKeepFor }
