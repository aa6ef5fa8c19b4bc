package directory

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Seats is what a supernode knows of the overlay; an overlay.Machine is one.
type Seats interface {
	Members(overlay.Slot) []linnet.NodeID                             // that hold a slot, this one among them if it does
	Seated(time.Time, overlay.Slot) bool                              // it holds a slot, and not only since a moment ago
	Elders(time.Time, overlay.Slot) (nodes []linnet.NodeID, hear int) // a newcomer has to ask them, and to hear so many
	IsSupernode(linnet.NodeID) bool
	IsClient(linnet.NodeID) bool
	RTT(linnet.NodeID) time.Duration // zero: there is no session
	Entry() []byte                   // this supernode's own, signed
	Sheds(time.Time, overlay.Service) bool
}

// SupernodeOptions configures a Supernode. Self, Trust and Seats are needed.
type SupernodeOptions struct {
	Self   overlay.Identity
	Trust  overlay.Trust
	Seats  Seats
	SlotOf overlay.SlotFunc       // nil means overlay.SlotOf
	Open   opener                 // nil means OpenRecord
	Opened func(b []byte) *Record // what Open gave for the same bytes a moment ago, if that is known; may be nil

	Records  int     // on the shelf: 100,000
	Cards    int     // of the white pages: 50,000
	PerSlot  int     // of them, found in one slot: 8192
	Busy     int     // searches, writes, reads or answers in memory at once: 4096 of each
	Requests float64 // a second, of one node that is attached: 5
	Burst    float64 // and at once: 60
}

// A Supernode is both what a supernode does for its clients, to store and to
// search, and the member of slots that it is itself.
type Supernode struct {
	machine
	o        SupernodeOptions
	store    *store
	seatings map[overlay.Slot]*seating // of the slots with records
	looked   bool                      // at the members of slots, just now
	changed  bool                      // they have, since then
	moves    mover[linnet.NodeID]      // records on their way to new members
	writes   int                       // under way
	recent   []*write                  // that go on, done or not; the earliest first
	late     mover[*write]             // on their way to who turned out to be a member
	lookups  map[linnet.UserName]*lookup
	done     []*lookup // in lookups, which may be given again; the earliest first
	asking   int       // answers that wait for elders
	rates    rates
	reads    uint64
	reading  map[uint64]func(now time.Time, records [][]byte)
	pages    *pages
}

// NewSupernode makes a Supernode; Start begins.
func NewSupernode(o SupernodeOptions) *Supernode {
	if o.SlotOf == nil {
		o.SlotOf = overlay.SlotOf
	}
	if o.Open == nil {
		o.Open = openIn(o.Trust)
	}
	for _, x := range []struct {
		v     *int
		value int
	}{{&o.Records, 100_000}, {&o.Cards, 50_000}, {&o.PerSlot, 8192}, {&o.Busy, 4096}} {
		if *x.v <= 0 {
			*x.v = x.value
		}
	}
	for _, x := range []struct {
		v     *float64
		value float64
	}{{&o.Requests, 5}, {&o.Burst, 60}} {
		if *x.v <= 0 {
			*x.v = x.value
		}
	}
	s := &Supernode{
		o: o, store: newStore(o.Records, o.Trust.Keep()), seatings: make(map[overlay.Slot]*seating),
		lookups: make(map[linnet.UserName]*lookup), rates: make(rates),
		reading: make(map[uint64]func(time.Time, [][]byte)),
	}
	s.moves = mover[linnet.NodeID]{s: s, most: 4 * o.Records, give: s.handOver}
	s.late = mover[*write]{s: s, most: 16 * o.Busy, give: s.writeLate}
	s.pages = newPages(s)
	return s
}

const (
	sweepEvery = time.Minute
	rateSweep  = 10 * time.Second
)

// Start begins with the records and cards that were on disk. What is past its
// time is forgotten at once.
func (s *Supernode) Start(now time.Time, records, cards [][]byte) {
	for _, b := range records {
		if r, err := s.o.Open(b, now); err == nil {
			s.put(now, r)
		} else if node, ok := peekRecord(s.o.Trust, b); ok {
			s.emit(Forget{node})
		}
	}
	s.pages.start(now, cards)
	s.out = slices.DeleteFunc(s.out, func(e Effect) bool { // it is there
		switch e.(type) {
		case Persist, PersistCard:
			return true
		}
		return false
	})
	s.after(now, sweepEvery, s.sweep)
	s.after(now, rateSweep, s.sweepRates)
}

// Records is how many devices have a record here.
func (s *Supernode) Records() int { return len(s.store.nodes) }

// Cards is how many users have a card here, or changed or withdrew it lately.
func (s *Supernode) Cards() int { return len(s.pages.store.users) }

// Received takes a command of a session: id is the one to answer under. It
// says whether the command was one of this package.
func (s *Supernode) Received(now time.Time, from linnet.NodeID, id uint16, msg message.Message) bool {
	switch msg := msg.(type) {
	case *message.StoreRecord:
		s.receivedStore(now, from, id, msg)
	case *message.Search:
		s.receivedSearch(now, from, id, msg)
	default:
		return s.pages.received(now, from, id, msg)
	}
	return true
}

func (s *Supernode) receivedStore(now time.Time, from linnet.NodeID, id uint16, msg *message.StoreRecord) {
	member := msg.Member && s.o.Seats.IsSupernode(from)
	if !member && (msg.Member || !s.mine(from)) {
		s.refuse(from, id, message.FailureDenied, "you are not attached here")
		return
	}
	if !member && !s.allow(now, from) {
		s.refuse(from, id, message.FailureTooMany, "too many requests")
		return
	}
	if member {
		if h := s.heldAs(msg.Record); h != nil {
			s.emit(overlay.Respond{To: from, ID: id, Message: &message.Stored{Sequence: h.sequence, Copies: 1}})
			return
		}
	}
	r, err := s.o.Open(msg.Record, now)
	if err != nil || !member && r.Node() != from {
		s.refuse(from, id, message.FailureInvalid, "not a valid record of yours")
		return
	}
	if !member {
		s.writeRecord(now, from, id, r)
		return
	}
	if sequence, ok := s.put(now, r); ok {
		s.emit(overlay.Respond{To: from, ID: id, Message: &message.Stored{Sequence: sequence, Copies: 1}})
	} else {
		s.refuse(from, id, message.FailureTooMany, "no room")
	}
}

// heldAs finds a record by its bytes: those need no check a second time.
func (s *Supernode) heldAs(b []byte) *held {
	if s.o.Opened != nil {
		if r := s.o.Opened(b); r != nil {
			if h := s.store.nodes[r.Node()]; h != nil && h.sum == r.sum {
				return h
			}
			return nil
		}
	}
	if node, ok := peekRecord(s.o.Trust, b); ok {
		if h := s.store.nodes[node]; h != nil && h.sum == sumOf(b) {
			return h
		}
	}
	return nil
}

// put takes a record onto the shelf, and says which sequence is there now. One of a slot that
// this supernode does not hold is taken, too, for a while: the sender may know
// of a change that this one has not heard of yet.
func (s *Supernode) put(now time.Time, r *Record) (sequence uint64, ok bool) {
	slot := s.o.SlotOf(r.User)
	v, gone := s.store.put(now, r, slot)
	for _, node := range gone {
		s.emit(Forget{node})
	}
	switch h := s.store.nodes[r.Node()]; v {
	case stored:
		if s.seatings[slot] == nil {
			s.seatings[slot] = &seating{members: s.o.Seats.Members(slot)}
		}
		h.strayed = 0
		if !slices.Contains(s.seatings[slot].members, s.o.Self.Node) {
			h.strayed = uint32(now.Unix())
		}
		s.emit(Persist{r.Node(), r.raw})
		return r.Sequence, true
	case known:
		return h.sequence, true
	}
	return 0, false
}

func (s *Supernode) writeRecord(now time.Time, from linnet.NodeID, id uint16, r *Record) {
	delete(s.lookups, r.User) // what is remembered of the user is old now
	if !s.write(now, &write{
		of:      r.Node(),
		message: &message.StoreRecord{Record: r.raw, Unknown: 1, Member: true},
		own: func(now time.Time) (receipt, bool) {
			sequence, ok := s.put(now, r)
			return receipt{newest: sequence}, ok
		},
		heard: func(reply message.Message) (receipt, bool) {
			stored, ok := reply.(*message.Stored)
			if !ok {
				return receipt{}, false
			}
			return receipt{newest: stored.Sequence}, true
		},
		newest: r.Sequence,
		done: func(_ time.Time, w *write) {
			if w.failed {
				s.refuse(from, id, message.FailureUnavailable, "too few members of the slot answer")
				return
			}
			s.emit(overlay.Respond{To: from, ID: id, Message: &message.Stored{Sequence: w.newest, Copies: uint32(w.copies)}})
		},
	}, []overlay.Slot{s.o.SlotOf(r.User)}, nil) {
		s.refuse(from, id, message.FailureTooMany, "busy")
	}
}

// read gets records from disk, and says false if too many are awaited already.
func (s *Supernode) read(nodes []linnet.NodeID, done func(now time.Time, records [][]byte)) bool {
	if len(s.reading) >= s.o.Busy {
		return false
	}
	s.reads++
	s.reading[s.reads] = done
	s.emit(ReadRecords{s.reads, nodes})
	return true
}

// Read is told what came of a ReadRecords, in any order; what is not there is left out.
func (s *Supernode) Read(now time.Time, token uint64, records [][]byte) {
	if done := s.reading[token]; done != nil {
		delete(s.reading, token)
		done(now, records)
	}
}

// Unkept is told that Persist or Forget of these devices failed, and what is on
// disk of them: that is what this member has. What it does not have is stored when
// it comes again.
func (s *Supernode) Unkept(now time.Time, nodes []linnet.NodeID, records [][]byte) {
	for _, node := range nodes {
		if h := s.store.nodes[node]; h != nil {
			delete(s.lookups, h.user)
			s.store.remove(h)
		}
	}
	wanted := len(s.out)
	for _, b := range records {
		if r, err := OpenRecord(s.o.Trust, b, now); err == nil {
			s.put(now, r)
		}
	}
	s.out = s.out[:wanted] // it is there, and for changes the disk has to come round first
}

// UnkeptCards is the same for PersistCard and ForgetCard.
func (s *Supernode) UnkeptCards(now time.Time, users []linnet.UserName, cards [][]byte) {
	s.pages.unkept(now, users, cards)
}

func (s *Supernode) sweep(now time.Time) {
	for _, node := range s.store.sweep(now) {
		s.emit(Forget{node})
	}
	for slot := range s.seatings {
		if len(s.store.slots[slot]) == 0 {
			delete(s.seatings, slot)
		}
	}
	s.pages.sweep(now)
	s.catchUp(now)
	s.after(now, sweepEvery, s.sweep)
}

// mine says whether this supernode works for a node: a client, or itself.
func (s *Supernode) mine(node linnet.NodeID) bool {
	return node == s.o.Self.Node || s.o.Seats.IsClient(node)
}

func (s *Supernode) allow(now time.Time, node linnet.NodeID) bool {
	return s.rates.allow(now, node, s.o.Requests, s.o.Burst, s.o.Busy)
}

func (s *Supernode) sweepRates(now time.Time) {
	s.rates.sweep(now, s.o.Requests)
	s.forgetLookups(now)
	s.pages.sweepRates(now)
	s.after(now, rateSweep, s.sweepRates)
}
