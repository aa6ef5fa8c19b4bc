package directory

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	hedge         = 400 * time.Millisecond // then others are asked besides those who do not answer
	searchFor2s   = 2 * time.Second        // then the answer is what there is
	cacheFound    = time.Minute
	cacheNotFound = 2 * time.Second // he may come online at any moment
	tellAbsent    = 3               // absences told to a client
)

// A lookup finds the records of a user for the clients that asked. The nearest
// member is asked first, and two more if its answer is missing, stale or
// "offline". Nothing good from them is believed only when so many members said
// it that a majority which has the record could not be missed.
type lookup struct {
	user    linnet.UserName
	slot    overlay.Slot
	members []linnet.NodeID // nearest first
	asked   int             // of members
	waiting int
	answers int
	best    map[linnet.NodeID]*Record // the newest of each device
	absent  []*Absence
	askers  []asker
	done    bool
	found   bool      // a device that can be reached
	until   time.Time // the answer may be given again
}

type asker struct {
	node linnet.NodeID
	id   uint16
}

func (s *Supernode) receivedSearch(now time.Time, from linnet.NodeID, id uint16, msg *message.Search) {
	user, ok := exactUser(msg)
	if !ok {
		s.refuse(from, id, message.FailureInvalid, "only one user can be searched for, by the whole name")
		return
	}
	if msg.Member && s.o.Seats.IsSupernode(from) {
		s.ownAnswer(now, user, !msg.Elder, func(_ time.Time, answer *message.SearchResult) {
			s.emit(overlay.Respond{To: from, ID: id, Message: answer})
		})
		return
	}
	switch {
	case msg.Member:
		s.refuse(from, id, message.FailureDenied, "you are no supernode")
	case !s.allow(now, from):
		s.refuse(from, id, message.FailureTooMany, "too many requests")
	default:
		s.lookUp(now, user, asker{from, id}, msg.Fresh)
	}
}

// ownAnswer tells what this member holds itself: at once if it is nothing, else
// when it was read. If it cannot be, the answer says neither yes nor no. A newcomer that holds
// nothing asks its elders first, if it may.
func (s *Supernode) ownAnswer(now time.Time, user linnet.UserName, mayAsk bool, tell func(now time.Time, answer *message.SearchResult)) {
	result := &message.SearchResult{Done: 1}
	var nodes []linnet.NodeID
	for _, h := range s.store.devices(user) {
		nodes = append(nodes, h.node)
	}
	if nodes == nil {
		slot := s.o.SlotOf(user)
		elders, hear := s.o.Seats.Elders(now, slot)
		switch {
		case !s.o.Seats.Seated(now, slot):
			tell(now, result) // that it has none says nothing
		case len(elders) == 0:
			tell(now, s.ownAbsence(now, user, slot))
		case mayAsk && s.asking < s.o.Busy:
			s.askElders(now, user, elders, hear, tell)
		default:
			tell(now, result)
		}
		return
	}
	if !s.read(nodes, func(now time.Time, records [][]byte) {
		for _, b := range records {
			result.Hits = append(result.Hits, message.Hit{Record: b, User: user})
		}
		tell(now, result)
	}) {
		tell(now, result)
	}
}

func (s *Supernode) ownAbsence(now time.Time, user linnet.UserName, slot overlay.Slot) *message.SearchResult {
	result := &message.SearchResult{Done: 1}
	a := Absence{User: user, Slot: slot, Time: now, Entry: s.o.Seats.Entry()}
	if b, err := a.Sign(s.o.Self.Keys); err == nil { // else this member says nothing that counts
		result.Absent = [][]byte{b}
	}
	return result
}

// memberAnswer is what a member says of a user; what is not signed as it should be is nothing.
func (s *Supernode) memberAnswer(now time.Time, user linnet.UserName, slot overlay.Slot, node linnet.NodeID, reply message.Message) ([]*Record, *Absence) {
	result, ok := reply.(*message.SearchResult)
	if !ok {
		return nil, nil
	}
	hits := openHits(s.o.Open, now, user, result)
	if len(hits) > 0 || len(result.Absent) == 0 {
		return hits, nil
	}
	a, err := OpenAbsence(s.o.Trust, result.Absent[0], now)
	if err != nil || a.Node != node || a.User != user || a.Slot != slot {
		return nil, nil
	}
	return nil, a
}

func (s *Supernode) lookUp(now time.Time, user linnet.UserName, a asker, fresh bool) {
	l := s.lookups[user]
	if l != nil && l.done && (fresh || now.After(l.until) || l.found && !l.reachable(now)) {
		l = nil
	}
	switch {
	case l == nil && len(s.lookups) >= s.o.Busy && !s.forgetLookup():
		s.refuse(a.node, a.id, message.FailureTooMany, "busy")
	case l == nil:
		l = &lookup{user: user, slot: s.o.SlotOf(user), best: make(map[linnet.NodeID]*Record), askers: []asker{a}}
		s.lookups[user] = l
		s.begin(now, l)
	case l.done:
		s.answer(l, a)
	case len(l.askers) < s.o.Busy:
		l.askers = append(l.askers, a)
	}
}

func (s *Supernode) begin(now time.Time, l *lookup) {
	l.members = s.nearest(l.slot)
	s.after(now, searchFor2s, func(now time.Time) { s.finish(now, l) })
	s.ask(now, l, 1)
}

// nearest are the members of a slot, the nearest first; those to whom a session has to
// be opened come last.
func (s *Supernode) nearest(slot overlay.Slot) []linnet.NodeID {
	members := slices.Clone(s.o.Seats.Members(slot))
	distance := func(node linnet.NodeID) time.Duration {
		if node == s.o.Self.Node {
			return 0
		}
		if rtt := s.o.Seats.RTT(node); rtt > 0 {
			return rtt
		}
		return time.Hour
	}
	slices.SortStableFunc(members, func(a, b linnet.NodeID) int { return cmp.Compare(distance(a), distance(b)) })
	return members
}

// ask asks the next n members.
func (s *Supernode) ask(now time.Time, l *lookup, n int) {
	end := min(l.asked+n, len(l.members))
	next := l.members[l.asked:end]
	l.asked = end
	l.waiting += len(next)
	search := searchFor(l.user)
	search.Member = true
	for _, node := range next {
		if node == s.o.Self.Node {
			s.ownAnswer(now, l.user, true, func(now time.Time, answer *message.SearchResult) { s.hear(now, l, node, answer) })
			continue
		}
		s.request(now, node, search, memberWait, func(now time.Time, reply message.Message) { s.hear(now, l, node, reply) })
	}
	if l.waiting > 0 && !l.done {
		asked := l.asked
		s.after(now, hedge, func(now time.Time) {
			if !l.done && l.asked == asked && l.waiting > 0 {
				s.ask(now, l, 2)
			}
		})
	}
}

// hear takes one member's answer.
func (s *Supernode) hear(now time.Time, l *lookup, node linnet.NodeID, reply message.Message) {
	l.waiting--
	if l.done {
		return
	}
	hits, absence := s.memberAnswer(now, l.user, l.slot, node, reply)
	for _, r := range hits {
		newest(l.best, r)
	}
	if absence != nil {
		l.absent = append(l.absent, absence)
	}
	if len(hits) > 0 || absence != nil {
		l.answers++
	}
	// A record that a majority wrote is missed by at most this many members.
	certain := min(max(tellAbsent, len(l.members)-len(l.members)/2), len(l.members))
	switch {
	case l.reachable(now) || l.answers >= certain:
		s.finish(now, l)
	case l.waiting > 0:
	case l.asked == len(l.members):
		s.finish(now, l)
	case l.asked < tellAbsent:
		s.ask(now, l, tellAbsent-l.asked)
	default:
		s.ask(now, l, certain-l.answers)
	}
}

func (l *lookup) reachable(now time.Time) bool {
	for _, r := range l.best {
		if r.Reachable(now) {
			return true
		}
	}
	return false
}

func (s *Supernode) finish(now time.Time, l *lookup) {
	if l.done {
		return
	}
	l.done = true
	for _, a := range l.askers {
		s.answer(l, a)
	}
	l.askers = nil
	keep := cacheNotFound
	if l.found = l.reachable(now); l.found {
		keep = cacheFound
	}
	l.until = now.Add(keep)
	s.done = append(s.done, l)
}

// forgetLookup makes room for a lookup by the one that was answered first, if
// there is any that was.
func (s *Supernode) forgetLookup() bool {
	for len(s.done) > 0 {
		l := s.done[0]
		s.done = s.done[1:]
		if s.lookups[l.user] == l {
			delete(s.lookups, l.user)
			return true
		}
	}
	return false
}

// forgetLookups drops the answers that are too old to be given again.
func (s *Supernode) forgetLookups(now time.Time) {
	s.done = slices.DeleteFunc(s.done, func(l *lookup) bool {
		if l.until.After(now) && s.lookups[l.user] == l {
			return false
		}
		if s.lookups[l.user] == l {
			delete(s.lookups, l.user)
		}
		return true
	})
}

func (s *Supernode) answer(l *lookup, a asker) {
	result := &message.SearchResult{Done: 1}
	for _, r := range sorted(l.best) {
		result.Hits = append(result.Hits, message.Hit{Record: r.raw, User: l.user})
	}
	if result.Hits == nil {
		for _, x := range l.absent[:min(len(l.absent), tellAbsent)] {
			result.Absent = append(result.Absent, x.raw)
		}
	}
	s.emit(overlay.Respond{To: a.node, ID: a.id, Message: result})
}

// openHits are the hits of a result that are records of the user.
func openHits(open opener, now time.Time, user linnet.UserName, result *message.SearchResult) []*Record {
	var records []*Record
	for _, hit := range result.Hits[:min(len(result.Hits), maxDevices)] {
		r, err := open(hit.Record, now)
		if err != nil {
			break // a liar: the rest is not worth a look
		}
		if r.User == user {
			records = append(records, r)
		}
	}
	return records
}

// newest puts r into best unless a newer record of the device is there.
func newest(best map[linnet.NodeID]*Record, r *Record) {
	if old := best[r.Node()]; old == nil || old.Sequence < r.Sequence {
		best[r.Node()] = r
	}
}

// sorted are the records, the latest first.
func sorted(best map[linnet.NodeID]*Record) []*Record {
	records := make([]*Record, 0, len(best))
	for _, r := range best {
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b *Record) int {
		if c := b.Time.Compare(a.Time); c != 0 {
			return c
		}
		x, y := a.Node(), b.Node()
		return bytes.Compare(x[:], y[:])
	})
	return records
}
