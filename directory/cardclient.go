package directory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	cardWait     = 8 * time.Second // for a supernode that asks others
	verifyWait   = 4 * time.Second
	cardPause    = time.Second     // attachments come in pairs
	cardFirst    = 5 * time.Second // after a failure
	cardMost     = 10 * time.Minute
	mourn        = 30 * 24 * time.Hour // that a withdrawal is refreshed: other devices of the user may be away
	maxSearching = 16                  // at once
)

// CardClientOptions configures a CardClient. All but Wish are needed.
type CardClientOptions struct {
	Self    overlay.Identity
	User    linnet.UserName
	Trust   overlay.Trust
	Overlay Attachment
	Rand    *rand.Rand // not for secrets

	Wish []byte // as the last KeepWish had it
}

// A CardClient keeps the card of this device's user in the white pages, if he
// wants one there, and searches these.
//
// A user's devices agree: each asks what the network has before it writes, and
// takes over an edition that is newer than its own.
type CardClient struct {
	machine
	o    CardClientOptions
	wish wish

	plan     int // its number: alarms of older ones are void
	failures int
	stored   time.Time // when the network had the wish last
	crowded  []overlay.Slot
	err      error // of the last attempt

	last      SearchTicket
	searching int
}

// A wish is what the user wants the network to have.
//
//	1/0 edition, 0: he wants nothing   1/1 edition that the network has
//	0/2 1: withdrawn   3/3 ... 3/7 as in a card
//	6/8 slots of earlier editions   1/9 until when those may lie there, milliseconds since 1970
type wish struct {
	Edition     uint64   `obj:"1/0"`
	Sent        uint64   `obj:"1/1"`
	Withdrawn   bool     `obj:"0/2,opt"`
	Name        string   `obj:"3/3,opt"`
	City        string   `obj:"3/4,opt"`
	Country     string   `obj:"3/5,opt"`
	Language    string   `obj:"3/6,opt"`
	About       string   `obj:"3/7,opt"`
	Former      []uint32 `obj:"6/8,opt"`
	FormerUntil uint64   `obj:"1/9"`
}

// KeepWish asks to put what the user wants on disk, for CardClientOptions.Wish.
type KeepWish struct{ Wish []byte }

// CardChanged says that an attempt to write or learn the own card ended; State tells how.
type CardChanged struct{}

// CardState is how the own card stands.
type CardState struct {
	Card    *linnet.Card // nil: none, or withdrawn
	Wanted  bool         // the user said what he wants, on some device
	Known   bool         // the network has it
	Stored  time.Time    // when it was last written; zero: not yet
	Crowded []string     // words by which it is not found
	Err     error        // of the last attempt
}

// SearchTicket tells the searches of a CardClient apart.
type SearchTicket uint64

// CardsFound ends a search. The cards are verified, and in order.
type CardsFound struct {
	Ticket  SearchTicket
	Cards   []*Card
	More    bool
	Last    Place // with More: what to search after
	Partial bool  // too few members answered to be sure that nobody is missing
	Err     error
}

// Errors of CardsFound and CardState, besides ErrNotAttached, ErrNoAnswer and ErrBusy.
var (
	ErrNoWords  = errors.New("no word to search for")
	ErrHour     = errors.New("the searches of this hour are used up")
	ErrEdits    = errors.New("the card had too many different words lately")
	ErrCrowded  = errors.New("the supernodes have no room for the card")
	errPartial  = errors.New("too few supernodes answered")
	errNoOpened = errors.New("a supernode answered with what is no card")
)

// NewCardClient makes a CardClient; Start begins.
func NewCardClient(o CardClientOptions) (*CardClient, error) {
	c := &CardClient{o: o}
	if len(o.Wish) > 0 {
		if err := message.Unmarshal(o.Wish, &c.wish); err != nil {
			return nil, fmt.Errorf("own card: %w", err)
		}
	}
	return c, nil
}

// Start begins to keep the card in the network.
func (c *CardClient) Start(now time.Time) { c.goOn(now) }

// AttachmentsChanged is told after overlay.Attached and Detached.
func (c *CardClient) AttachmentsChanged(now time.Time) {
	if c.err != nil || c.stored.IsZero() {
		c.failures = 0
		c.goOn(now)
	}
}

// Renew is told when the device has a new certificate.
func (c *CardClient) Renew(self overlay.Identity) { c.o.Self = self }

// State tells how the own card stands.
func (c *CardClient) State() CardState {
	s := CardState{Wanted: c.wish.Edition > 0, Known: c.wish.Edition > 0 && c.wish.Sent == c.wish.Edition, Stored: c.stored, Err: c.err}
	if s.Wanted && !c.wish.Withdrawn {
		text := c.wish.text()
		s.Card = &text
		for _, w := range c.wish.card(c.o.User).words {
			if slices.Contains(c.crowded, indexSlot(w, partOf(c.o.User))) {
				s.Crowded = append(s.Crowded, w)
			}
		}
	}
	return s
}

func (w *wish) text() linnet.Card {
	return linnet.Card{Name: w.Name, City: w.City, Country: w.Country, Language: w.Language, About: w.About}
}

// card is the wish as a card that nobody has signed.
func (w *wish) card(user linnet.UserName) *Card {
	card := &Card{User: user, Edition: w.Edition, Text: w.text(), Withdrawn: w.Withdrawn}
	for _, slot := range w.Former {
		card.Former = append(card.Former, overlay.Slot(slot))
	}
	card.index()
	return card
}

// Set says what the user wants from now on: a card, or none (nil).
func (c *CardClient) Set(now time.Time, text *linnet.Card) error {
	w := wish{Edition: max(c.wish.Edition+1, uint64(now.UnixMilli())), Sent: c.wish.Sent, Withdrawn: text == nil}
	if text != nil {
		if err := CheckCard(*text); err != nil {
			return err
		}
		w.Name, w.City, w.Country, w.Language, w.About = text.Name, text.City, text.Country, text.Language, text.About
	}
	if c.wish.Edition > 0 {
		w.Former, w.FormerUntil = c.wish.Former, c.wish.FormerUntil
		w.follow(now, c.wish.card(c.o.User))
	}
	// A withdrawal has no words of its own: there is always room for it.
	if len(w.card(c.o.User).replaces) > maxFormer-maxWords && text != nil || len(w.Former) > maxFormer {
		return ErrEdits
	}
	if _, err := c.sign(now, &w); err != nil {
		return err
	}
	c.wish, c.crowded, c.failures, c.err, c.stored = w, nil, 0, nil, time.Time{}
	c.keep()
	c.schedule(now, 0)
	return nil
}

// follow notes that a card lies in the network which the wish is to replace.
func (w *wish) follow(now time.Time, old *Card) {
	if now.UnixMilli() > int64(w.FormerUntil) {
		w.Former = nil
	}
	w.Former = slices.Clone(w.Former)
	for _, slots := range [][]overlay.Slot{old.live, old.replaces} {
		for _, slot := range slots {
			if !slices.Contains(w.Former, uint32(slot)) {
				w.Former = append(w.Former, uint32(slot))
			}
		}
	}
	w.FormerUntil = uint64(now.Add(withdrawnFor).UnixMilli())
}

// Learn asks the network for the user's card where this device has not heard of one.
func (c *CardClient) Learn(now time.Time) {
	c.failures = 0
	c.schedule(now, 0)
}

func (c *CardClient) keep() { c.emit(KeepWish{message.Marshal(&c.wish)}) }

// goOn writes the card, if there is anything to write.
func (c *CardClient) goOn(now time.Time) {
	if c.wish.Edition == 0 || c.wish.Withdrawn && c.wish.Sent == c.wish.Edition && now.Sub(time.UnixMilli(int64(c.wish.Edition))) > mourn {
		return
	}
	c.schedule(now, cardPause)
}

func (c *CardClient) schedule(now time.Time, wait time.Duration) {
	c.plan++
	plan := c.plan
	c.after(now, wait, func(now time.Time) {
		if c.plan == plan {
			c.ask(now, plan)
		}
	})
}

// ask finds out what the network has of this user, and goes on with storing.
func (c *CardClient) ask(now time.Time, plan int) {
	supernodes := c.o.Overlay.Attachments()
	if len(supernodes) == 0 {
		c.ended(ErrNotAttached)
		return // AttachmentsChanged comes
	}
	to := supernodes[c.failures%len(supernodes)]
	known := []message.KnownCard{{User: c.o.User}}
	c.request(now, to, &message.AskCards{Users: known}, cardWait, func(now time.Time, reply message.Message) {
		if c.plan != plan {
			return
		}
		cards, ok := reply.(*message.Cards)
		newest := make(map[linnet.UserName]*Card)
		switch {
		case !ok:
			c.failed(now, cardError(reply))
		case !openNewer(c.o.Trust, now, known, cards, newest):
			c.failed(now, errNoOpened)
		case cards.Partial:
			c.failed(now, errPartial)
		default:
			c.learn(now, newest[c.o.User])
			c.store(now, plan, to)
		}
	})
}

// learn compares the wish with what the network has, nil if nothing. What the
// user said here and the network has not heard yet counts most.
func (c *CardClient) learn(now time.Time, found *Card) {
	w := &c.wish
	switch {
	case found == nil, found.Edition == w.Edition && w.Sent == w.Edition:
		return
	case found.Edition < w.Edition:
		w.follow(now, found)
	case found.Edition == w.Edition && found.Text == w.text() && found.Withdrawn == w.Withdrawn: // a crash hid that it was stored
		w.Sent = w.Edition
	case w.Edition != w.Sent:
		w.follow(now, found)
		w.Edition = found.Edition + 1
	default: // another device of the user wrote it
		former, until := w.Former, w.FormerUntil
		*w = wish{
			Edition: found.Edition, Sent: found.Edition, Withdrawn: found.Withdrawn, Name: found.Text.Name, City: found.Text.City,
			Country: found.Text.Country, Language: found.Text.Language, About: found.Text.About, Former: former, FormerUntil: until,
		}
		w.follow(now, &Card{replaces: found.replaces})
	}
	w.Former = w.Former[:min(len(w.Former), maxFormer)]
	c.keep()
}

func (c *CardClient) store(now time.Time, plan int, to linnet.NodeID) {
	w := &c.wish
	if w.Edition == 0 {
		c.ended(nil)
		return
	}
	b, err := c.sign(now, w)
	if err != nil {
		c.failed(now, err)
		return
	}
	c.request(now, to, &message.StoreCard{Card: b}, cardWait, func(now time.Time, reply message.Message) {
		if c.plan != plan {
			return
		}
		stored, ok := reply.(*message.CardStored)
		if !ok {
			c.failed(now, cardError(reply))
			return
		}
		if newer, err := OpenCard(c.o.Trust, stored.Newer, now); err == nil && newer.User == c.o.User && newer.Edition > w.Edition {
			c.learn(now, newer)
			c.failed(now, errors.New("another device of yours changed it at the same time"))
			return
		}
		c.crowded = nil
		for _, slot := range stored.Full[:min(len(stored.Full), maxWords)] {
			c.crowded = append(c.crowded, overlay.Slot(slot))
		}
		c.stored, c.failures = now, 0
		if w.Sent != w.Edition {
			w.Sent = w.Edition
			c.keep()
		}
		c.ended(nil)
		c.plan++
		again := c.plan
		c.after(now, CardRefresh-time.Duration(c.o.Rand.Int64N(int64(CardRefresh/10))), func(now time.Time) {
			if c.plan == again {
				c.goOn(now)
			}
		})
	})
}

func (c *CardClient) sign(now time.Time, w *wish) ([]byte, error) {
	card := w.card(c.o.User)
	if now.UnixMilli() > int64(w.FormerUntil) {
		card.Former = nil
	}
	card.Former = slices.DeleteFunc(card.Former, func(slot overlay.Slot) bool { return slices.Contains(card.live, slot) })
	card.Certificate, card.Time = c.o.Self.Certificate, now
	return card.Sign(c.o.Self.Keys)
}

func (c *CardClient) failed(now time.Time, err error) {
	c.failures++
	wait := min(cardFirst<<min(c.failures-1, 10), cardMost)
	if c.failures == 1 {
		wait = time.Second // the other supernode may do it
	}
	c.schedule(now, wait+time.Duration(c.o.Rand.Int64N(int64(wait))))
	c.ended(err)
}

func (c *CardClient) ended(err error) {
	c.err = err
	c.emit(CardChanged{})
}

// Search finds the cards that have all words of a text, after a place. It asks
// both supernodes of this device; what one of them tells and the other does
// not, the other is asked for by name: either may leave out, or tell what was withdrawn.
func (c *CardClient) Search(now time.Time, text string, after Place) SearchTicket {
	c.last++
	ticket := c.last
	q, ok := parseQuery(text)
	supernodes := c.o.Overlay.Attachments()
	supernodes = supernodes[:min(len(supernodes), 2)]
	var err error
	switch {
	case !ok:
		err = ErrNoWords
	case len(supernodes) == 0:
		err = ErrNotAttached
	case c.searching >= maxSearching:
		err = ErrBusy
	}
	if err != nil {
		c.emit(CardsFound{Ticket: ticket, Err: err})
		return ticket
	}
	c.searching++
	h := &hunt{ticket: ticket, query: q, after: after, newest: make(map[linnet.UserName]*Card), waiting: len(supernodes)}
	for _, node := range supernodes {
		msg := &message.SearchCards{Text: text, Rank: after.Rank, After: after.User}
		c.request(now, node, msg, cardWait, func(now time.Time, reply message.Message) {
			h.hear(c.o.Trust, now, node, reply)
			if h.waiting--; h.waiting == 0 {
				c.compare(now, h)
			}
		})
	}
	return ticket
}

// A hunt is a search of a CardClient.
type hunt struct {
	ticket  SearchTicket
	query   query
	after   Place
	answers []huntAnswer
	newest  map[linnet.UserName]*Card
	waiting int
	partial bool
	more    bool
	last    Place // with more
	err     error // of a supernode that did not answer
}

type huntAnswer struct {
	node  linnet.NodeID
	users map[linnet.UserName]bool
}

func (h *hunt) hear(t overlay.Trust, now time.Time, node linnet.NodeID, reply message.Message) {
	cards, ok := reply.(*message.Cards)
	if !ok {
		if err := cardError(reply); h.err == nil || errors.Is(err, ErrHour) {
			h.err = err
		}
		return
	}
	a := huntAnswer{node, make(map[linnet.UserName]bool)}
	for _, b := range cards.Cards[:min(len(cards.Cards), CardPage)] {
		c, err := OpenCard(t, b, now)
		if err != nil {
			break // a liar: the rest is not worth a look
		}
		a.users[c.User] = true
		newerCard(h.newest, c)
	}
	h.answers = append(h.answers, a)
	h.partial = h.partial || cards.Partial
	if last := (Place{cards.Rank, cards.Last}); cards.More && last.compare(h.after) > 0 {
		if !h.more || last.compare(h.last) < 0 {
			h.last = last
		}
		h.more = true
	}
}

// compare has somebody else asked about those whom one supernode alone told of.
func (c *CardClient) compare(now time.Time, h *hunt) {
	h.waiting = 1
	for _, a := range h.answers {
		var alone []message.KnownCard
		for user := range a.users {
			seconded := slices.ContainsFunc(h.answers, func(o huntAnswer) bool { return o.node != a.node && o.users[user] })
			if !seconded && (!h.more || h.query.place(h.newest[user]).compare(h.last) <= 0) {
				alone = append(alone, message.KnownCard{User: user})
			}
		}
		if witnesses := c.witnesses(h, a.node); len(alone) > 0 && len(witnesses) > 0 {
			slices.SortFunc(alone, func(a, b message.KnownCard) int { return strings.Compare(string(a.User), string(b.User)) })
			h.waiting++
			c.verify(now, h, alone, witnesses)
		}
	}
	c.finish(now, h)
}

// witnesses are supernodes besides one that answered: the other one that did,
// and a few that this node heard of. Where there is but one, there are none.
func (c *CardClient) witnesses(h *hunt, besides linnet.NodeID) (nodes []linnet.NodeID) {
	for _, a := range h.answers {
		if a.node != besides {
			nodes = append(nodes, a.node)
		}
	}
	if hosts := c.o.Overlay.Hosts(); len(hosts) > 0 {
		for range maxAsked - 2 {
			node := hosts[c.o.Rand.IntN(len(hosts))]
			if node != c.o.Self.Node && node != besides && !slices.Contains(nodes, node) {
				nodes = append(nodes, node)
			}
		}
	}
	return nodes
}

// verify asks the first of some supernodes that answers whether there are newer
// cards of these users. If none does, they are not shown: one supernode may
// tell what was withdrawn.
func (c *CardClient) verify(now time.Time, h *hunt, users []message.KnownCard, nodes []linnet.NodeID) {
	if len(nodes) == 0 {
		for _, k := range users {
			delete(h.newest, k.User)
		}
		h.partial = true
		c.finish(now, h)
		return
	}
	c.request(now, nodes[0], &message.AskCards{Users: users, Text: h.query.text}, verifyWait, func(now time.Time, reply message.Message) {
		told := make(map[linnet.UserName]*Card)
		cards, ok := reply.(*message.Cards)
		if !ok || cards.Partial || !openNewer(c.o.Trust, now, users, cards, told) {
			c.verify(now, h, users, nodes[1:])
			return
		}
		for _, card := range told {
			newerCard(h.newest, card)
		}
		c.finish(now, h)
	})
}

func (c *CardClient) finish(now time.Time, h *hunt) {
	if h.waiting--; h.waiting > 0 {
		return
	}
	c.searching--
	f := CardsFound{Ticket: h.ticket, More: h.more, Last: h.last, Partial: h.partial}
	for _, card := range h.newest {
		if card.shown(now) && h.query.hit(card, h.after) && (!h.more || h.query.place(card).compare(h.last) <= 0) {
			f.Cards = append(f.Cards, card)
		}
	}
	slices.SortFunc(f.Cards, h.query.compare)
	if len(f.Cards) > CardPage {
		f.Cards, f.More = f.Cards[:CardPage], true
		f.Last = h.query.place(f.Cards[CardPage-1])
	}
	if len(h.answers) == 0 {
		f.Err = h.err
	} else if h.err != nil {
		f.Partial = true
	}
	c.emit(f)
}

func cardError(reply message.Message) error {
	f, _ := reply.(*message.Failure)
	switch {
	case f == nil:
		return ErrNoAnswer
	case f.Code == message.FailureTooSoon:
		return ErrHour
	case f.Code == message.FailureTooMany:
		return ErrBusy
	case f.Code == message.FailureUnavailable:
		return errPartial
	}
	return ErrNotStored
}
