package directory

import (
	"cmp"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	CardPage    = 50 // hits
	cardsOfPart = 16 // that a member answers: of 50 hits, so many fall into one part once in 2000 searches
	cardAskers  = 3  // members of each part that are searched: one of them may withhold
	maxKnown    = CardPage

	maxFinds  = 256 // at once
	findFor   = 3 * time.Second
	cacheFind = time.Minute
	maxCached = 256
)

// A find searches the white pages for a client. All parts of the index of one
// word are asked at once, several members of each; these look for the other
// words themselves. What they found is then shown to as many members as cannot
// all have missed a withdrawal that a majority has: they answer with what is
// newer. That second step is taken for every answer, also where the first one
// is remembered.
type find struct {
	query   query
	after   Place
	asker   asker
	parts   [IndexParts][]*Card
	waiting int // parts
	partial bool
}

// A foundPage is what the first step of a find came to.
type foundPage struct {
	cards   []*Card
	more    bool
	last    Place // with more: where it ends
	partial bool
	until   time.Time
}

type findKey struct {
	text  string
	after Place
}

func (s *pages) receivedFind(now time.Time, from linnet.NodeID, id uint16, msg *message.SearchCards) {
	if !s.admits(from, id, msg.Member) {
		return
	}
	q, ok := parseQuery(msg.Text)
	after := Place{msg.Rank, msg.After}
	switch {
	case !ok || msg.Part >= IndexParts:
		s.refuse(from, id, message.FailureInvalid, "search for one to eight words, in at most 128 bytes")
	case msg.Member:
		s.emit(overlay.Respond{To: from, ID: id, Message: s.ownCards(now, q, after, msg.Part)})
	case s.o.Seats.Sheds(now, overlay.Searching), s.finds >= maxFinds:
		s.refuse(from, id, message.FailureTooMany, "busy")
	case !s.searches.allow(now, from, searchesAnHour/3600., searchesAnHour, s.o.Busy):
		s.refuse(from, id, message.FailureTooSoon, "30 searches an hour")
	default:
		s.finds++
		s.find(now, &find{query: q, after: after, asker: asker{from, id}})
	}
}

// ownCards are the first hits in a part of an index that this member holds itself.
func (s *pages) ownCards(now time.Time, q query, after Place, part uint32) *message.Cards {
	var hits []*Card
	if l := s.store.slots[indexSlot(q.index(), part)]; l != nil {
		for _, h := range l.cards {
			if c := h.Card; c.shown(now) && partOf(c.User) == part && q.hit(c, after) {
				hits = q.insert(hits, c, cardsOfPart)
			}
		}
	}
	return &message.Cards{Cards: wires(hits)}
}

// hit says whether a card is found after a place.
func (q query) hit(c *Card, after Place) bool {
	place := q.place(c)
	return place.Rank != noHit && place.compare(after) > 0
}

// insert puts a card into a list that is in order, of which so many are kept.
func (q query) insert(list []*Card, c *Card, most int) []*Card {
	i, _ := slices.BinarySearchFunc(list, c, q.compare)
	list = slices.Insert(list, i, c)
	return list[:min(len(list), most)]
}

func (q query) compare(a, b *Card) int { return q.place(a).compare(q.place(b)) }

func wires(cards []*Card) (list [][]byte) {
	for _, c := range cards {
		list = append(list, c.raw)
	}
	return list
}

func (s *pages) find(now time.Time, f *find) {
	key := findKey{f.query.text, f.after}
	if p, ok := s.cached[key]; ok && !now.After(p.until) {
		s.confirm(now, f, p)
		return
	}
	f.waiting = IndexParts
	for part := range f.parts {
		f.search(s, now, uint32(part), func(now time.Time) {
			if f.waiting--; f.waiting > 0 {
				return
			}
			p := f.page()
			p.until = now.Add(cacheFind)
			if len(s.cached) < maxCached && !p.partial {
				s.cached[key] = p
			}
			s.confirm(now, f, p)
		})
	}
}

// search asks members for one part.
func (f *find) search(s *pages, now time.Time, part uint32, done func(now time.Time)) {
	seen := make(map[string]bool) // cards that need no check again
	newest := make(map[linnet.UserName]*Card)
	s.poll(now, &poll{
		left: s.nearest(indexSlot(f.query.index(), part)), want: cardAskers,
		msg: &message.SearchCards{Text: f.query.text, Rank: f.after.Rank, After: f.after.User, Part: part, Member: true},
		own: func(now time.Time) message.Message { return s.ownCards(now, f.query, f.after, part) },
		hear: func(now time.Time, reply message.Message) bool {
			cards, ok := reply.(*message.Cards)
			if !ok {
				return false
			}
			for _, b := range cards.Cards[:min(len(cards.Cards), cardsOfPart)] {
				if seen[string(b)] {
					continue
				}
				seen[string(b)] = true
				c, err := OpenCard(s.o.Trust, b, now)
				if err != nil {
					return false // a liar: the rest is not worth a look
				}
				if c.shown(now) && partOf(c.User) == part && f.query.hit(c, f.after) {
					newerCard(newest, c)
				}
			}
			return true
		},
		done: func(now time.Time, answers, members int) {
			f.partial = f.partial || answers < min(cardAskers, members) || members == 0
			for _, c := range newest {
				f.parts[part] = f.query.insert(f.parts[part], c, cardsOfPart)
			}
			done(now)
		},
	})
}

// newerCard puts c into newest unless a newer card of the user is there.
func newerCard(newest map[linnet.UserName]*Card, c *Card) {
	if old := newest[c.User]; old == nil || old.version().compare(c.version()) < 0 {
		newest[c.User] = c
	}
}

// page puts the parts together. Where a part has as many as a member tells,
// there may be more of it: the page ends there.
func (f *find) page() foundPage {
	p := foundPage{partial: f.partial}
	var end Place
	for _, part := range f.parts {
		p.cards = append(p.cards, part...)
		if len(part) == cardsOfPart {
			if last := f.query.place(part[cardsOfPart-1]); end == (Place{}) || last.compare(end) < 0 {
				end = last
			}
		}
	}
	slices.SortFunc(p.cards, f.query.compare)
	n := len(p.cards)
	if end != (Place{}) {
		n = slices.IndexFunc(p.cards, func(c *Card) bool { return f.query.place(c) == end }) + 1
		p.more = true
	}
	if n > CardPage {
		n, p.more = CardPage, true
	}
	if p.cards = p.cards[:n]; p.more {
		p.last = f.query.place(p.cards[n-1])
	}
	return p
}

// confirm answers with those cards of a page that nobody has newer ones for.
func (s *pages) confirm(now time.Time, f *find, p foundPage) {
	known := make([]message.KnownCard, len(p.cards))
	for i, c := range p.cards {
		known[i] = knownCard(c)
	}
	s.newer(now, f.query.index(), known, func(now time.Time, newer map[linnet.UserName]*Card, unsure map[linnet.UserName]bool) {
		s.finds--
		reply := &message.Cards{More: p.more, Partial: p.partial, Rank: p.last.Rank, Last: p.last.User}
		for _, c := range p.cards {
			if n := newer[c.User]; n != nil {
				c = n
			}
			switch {
			case unsure[c.User]:
				reply.Partial = true
			case c.shown(now) && f.query.hit(c, f.after):
				reply.Cards = append(reply.Cards, c.raw)
			}
		}
		s.emit(overlay.Respond{To: f.asker.node, ID: f.asker.id, Message: reply})
	})
}

func knownCard(c *Card) message.KnownCard {
	return message.KnownCard{User: c.User, Edition: c.Edition, Time: uint64(c.Time.UnixMilli())}
}

// newer finds out for which users there are newer cards than those known, in
// the index of a word or, without one, of their names. Unsure are those of whom
// too few members answered for a withdrawal not to be missed.
func (s *pages) newer(now time.Time, word string, known []message.KnownCard,
	done func(now time.Time, newer map[linnet.UserName]*Card, unsure map[linnet.UserName]bool)) {
	bySlot := make(map[overlay.Slot][]message.KnownCard)
	var slots []overlay.Slot // in the order of what is asked
	for _, k := range known {
		slot := indexSlot(cmp.Or(word, string(k.User)), partOf(k.User))
		if bySlot[slot] == nil {
			slots = append(slots, slot)
		}
		bySlot[slot] = append(bySlot[slot], k)
	}
	newest, unsure := make(map[linnet.UserName]*Card), make(map[linnet.UserName]bool)
	waiting := len(slots)
	if waiting == 0 {
		done(now, newest, unsure)
	}
	for _, slot := range slots {
		known := bySlot[slot]
		members := s.nearest(slot)
		certain := len(members) - len(members)/2
		s.poll(now, &poll{
			left: members, want: certain,
			msg: &message.AskCards{Users: known, Member: true},
			own: func(time.Time) message.Message { return s.ownNewer(known) },
			hear: func(now time.Time, reply message.Message) bool {
				cards, ok := reply.(*message.Cards)
				return ok && openNewer(s.o.Trust, now, known, cards, newest)
			},
			done: func(now time.Time, answers, _ int) {
				if answers < certain || answers == 0 {
					for _, k := range known {
						unsure[k.User] = true
					}
				}
				if waiting--; waiting == 0 {
					done(now, newest, unsure)
				}
			},
		})
	}
}

// openNewer takes an answer to AskCards; it says whether that is one.
func openNewer(t overlay.Trust, now time.Time, known []message.KnownCard, reply *message.Cards, newest map[linnet.UserName]*Card) bool {
	for _, b := range reply.Cards[:min(len(reply.Cards), len(known))] {
		c, err := OpenCard(t, b, now)
		if err != nil {
			return false
		}
		if slices.ContainsFunc(known, func(k message.KnownCard) bool { return k.User == c.User && c.newerThan(k) }) {
			newerCard(newest, c)
		}
	}
	return true
}

func (c *Card) newerThan(k message.KnownCard) bool {
	return c.version().compare(version{k.Edition, k.Time}) > 0
}

// ownNewer are the newer cards that this member holds itself.
func (s *pages) ownNewer(known []message.KnownCard) *message.Cards {
	reply := new(message.Cards)
	for _, k := range known {
		if h := s.store.users[k.User]; h != nil && h.newerThan(k) {
			reply.Cards = append(reply.Cards, h.raw)
		}
	}
	return reply
}

func (s *pages) receivedAsk(now time.Time, from linnet.NodeID, id uint16, msg *message.AskCards) {
	if msg.Member && !s.admits(from, id, true) { // others may be strangers, as those who look somebody up
		return
	}
	var word string
	valid := len(msg.Users) > 0 && len(msg.Users) <= maxKnown && !slices.ContainsFunc(msg.Users, func(k message.KnownCard) bool {
		user, err := linnet.ParseUserName(string(k.User))
		return err != nil || user != k.User
	})
	if msg.Text != "" {
		q, ok := parseQuery(msg.Text)
		if valid = valid && ok; valid {
			word = q.index()
		}
	} else if !msg.Member && len(msg.Users) > IndexParts {
		valid = false // each is in a slot of his own: one stranger's question would be hundreds
	}
	switch {
	case !valid:
		s.refuse(from, id, message.FailureInvalid, "ask for one to fifty users that a text finds, or for up to eight")
	case msg.Member:
		s.emit(overlay.Respond{To: from, ID: id, Message: s.ownNewer(msg.Users)})
	case s.finds >= maxFinds, !s.asks.allow(now, from, askRate, askBurst, s.o.Busy):
		s.refuse(from, id, message.FailureTooMany, "too many requests")
	default:
		s.finds++
		s.newer(now, word, msg.Users, func(_ time.Time, newer map[linnet.UserName]*Card, unsure map[linnet.UserName]bool) {
			s.finds--
			reply := &message.Cards{Partial: len(unsure) > 0}
			for _, k := range msg.Users {
				if c := newer[k.User]; c != nil {
					reply.Cards = append(reply.Cards, c.raw)
					delete(newer, k.User)
				}
			}
			s.emit(overlay.Respond{To: from, ID: id, Message: reply})
		})
	}
}

// A poll asks members of a slot until enough of them answered, the nearest
// first; further ones in place of those that do not.
type poll struct {
	left    []linnet.NodeID // not asked yet
	want    int             // answers
	msg     message.Message
	own     func(now time.Time) message.Message // this member's answer
	hear    func(now time.Time, reply message.Message) bool
	done    func(now time.Time, answers, members int)
	members int
	waiting int
	answers int
}

func (s *pages) poll(now time.Time, p *poll) {
	p.members = len(p.left)
	s.after(now, findFor, p.end)
	s.pollMore(now, p, p.want)
	p.settle(now)
}

// pollMore asks the next n members.
func (s *pages) pollMore(now time.Time, p *poll, n int) {
	n = min(n, len(p.left))
	next := p.left[:n]
	p.left = p.left[n:]
	p.waiting += n
	for _, node := range next {
		if p.done == nil {
			return
		}
		hear := func(now time.Time, reply message.Message) {
			p.waiting--
			if p.done == nil {
				return
			}
			if p.hear(now, reply) {
				p.answers++
			} else {
				s.pollMore(now, p, 1)
			}
			p.settle(now)
		}
		if node == s.o.Self.Node {
			hear(now, p.own(now))
		} else {
			s.request(now, node, p.msg, memberWait, hear)
		}
	}
	if n > 0 && p.done != nil {
		s.after(now, hedge, func(now time.Time) {
			if p.done != nil && p.waiting > 0 {
				s.pollMore(now, p, p.waiting)
			}
		})
	}
}

func (p *poll) settle(now time.Time) {
	if p.answers >= p.want || p.waiting == 0 && len(p.left) == 0 {
		p.end(now)
	}
}

// end ends a poll with the answers that there are.
func (p *poll) end(now time.Time) {
	if done := p.done; done != nil {
		p.done = nil
		done(now, p.answers, p.members)
	}
}
