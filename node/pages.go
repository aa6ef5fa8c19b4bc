package node

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
)

const (
	// cardPatience is how long whoever changes the card waits for the network.
	cardPatience = 15 * time.Second
	maxTrails    = 16
)

// pages is a station's part in the white pages.
type pages struct {
	client  *directory.CardClient
	unkept  error // of the last write to disk
	waiting []chan<- directory.CardState
	asked   map[directory.SearchTicket]chan<- directory.CardsFound
	trails  []trail // the latest searches, the last one last
}

// A trail remembers where the pages of a search begin, so that to see the next
// one takes one search. The first page begins at the zero Place.
type trail struct {
	words  string
	begins []directory.Place
}

func (s *station) startPages(ctx context.Context, now time.Time, self overlay.Identity, random *mathrand.Rand) (err error) {
	wish, err := s.node.store.OwnCard(ctx, s.self.User)
	if err != nil {
		return err
	}
	s.cards.asked = make(map[directory.SearchTicket]chan<- directory.CardsFound)
	s.cards.client, err = directory.NewCardClient(directory.CardClientOptions{
		Self: self, User: s.self.User, Trust: s.trust, Overlay: s.overlay, Rand: random, Wish: wish,
	})
	if err != nil {
		return err
	}
	s.cards.client.Start(now)
	return nil
}

// cardEffect carries out what the client's half wants.
func (s *station) cardEffect(now time.Time, e directory.Effect) {
	switch e := e.(type) {
	case overlay.Request:
		s.directoryRequest(now, s.cards.client, e)
	case directory.Unanswered:
		s.overlay.Doubt(now, e.Node)
	case directory.KeepWish:
		s.node.note(func(ctx context.Context) error { return s.node.store.SetOwnCard(ctx, s.self.User, e.Wish) }, func(_ time.Time, err error) {
			if s.cards.unkept = err; err != nil {
				s.node.warn("the own card cannot be kept: %v", err)
			}
		})
	case directory.CardChanged:
		s.tellCard()
	case directory.CardsFound:
		s.cards.asked[e.Ticket] <- e // has room for one
		delete(s.cards.asked, e.Ticket)
	}
}

// tellCard tells how the card stands whoever waits for that, once it is on disk.
func (s *station) tellCard() {
	state, waiting := s.cards.client.State(), s.cards.waiting
	s.cards.waiting = nil
	if state.Err != nil {
		s.log.Info("own card", "err", state.Err)
	}
	if len(waiting) == 0 {
		return
	}
	s.node.note(func(context.Context) error { return nil }, func(time.Time, error) {
		for _, w := range waiting {
			if s.cards.unkept != nil {
				state.Known, state.Err = false, s.cards.unkept
			}
			w <- state // has room for one
		}
	})
}

// Card implements linnet.Client.
func (n *Node) Card(ctx context.Context) (linnet.CardStatus, error) {
	state, err := n.askCard(ctx, func(now time.Time, s *station) (bool, error) {
		if s.cards.client.State().Wanted {
			return false, nil
		}
		s.cards.client.Learn(now) // another device of the user may have published one
		return true, nil
	})
	return cardStatus(state), err
}

// PublishCard implements linnet.Client.
func (n *Node) PublishCard(ctx context.Context, c linnet.Card) (linnet.CardStatus, error) {
	return n.setCard(ctx, &c)
}

// WithdrawCard implements linnet.Client.
func (n *Node) WithdrawCard(ctx context.Context) (linnet.CardStatus, error) {
	return n.setCard(ctx, nil)
}

func (n *Node) setCard(ctx context.Context, c *linnet.Card) (linnet.CardStatus, error) {
	state, err := n.askCard(ctx, func(now time.Time, s *station) (bool, error) {
		if err := s.cards.client.Set(now, c); err != nil {
			return false, cardError(err)
		}
		return true, nil
	})
	if err == nil && !state.Known {
		what := "the card is kept here and not in the network yet"
		if c == nil {
			what = "the network does not know yet that the card is withdrawn"
		}
		err = &linnet.Error{Code: linnet.CodeNoNetwork, Text: what, Hint: "this node goes on trying; `linnet card` tells how it stands", Err: state.Err}
	}
	return cardStatus(state), err
}

// askCard begins something with the own card and, if there is something to wait
// for, waits until the network knows the card, or there is no way to it, or for a while.
func (n *Node) askCard(ctx context.Context, begin func(now time.Time, s *station) (wait bool, err error)) (state directory.CardState, err error) {
	patience, stop := context.WithTimeout(ctx, cardPatience)
	defer stop()
	for {
		changed := make(chan directory.CardState, 1)
		wait := true
		err := n.inStation(ctx, func(now time.Time, s *station) (err error) {
			if s.self.User.IsNode() {
				return linnet.Errorf(linnet.CodeUsage, "only people have cards")
			}
			if begin != nil {
				wait, err = begin(now, s)
				begin = nil
			}
			if state = s.cards.client.State(); wait {
				s.cards.waiting = append(s.cards.waiting, changed)
			}
			return err
		})
		if err != nil || !wait {
			return state, err
		}
		state, err = await(patience, n, changed)
		switch {
		case ctx.Err() == nil && patience.Err() != nil:
			return state, nil
		case err != nil, state.Err == nil, errors.Is(state.Err, directory.ErrNotAttached):
			return state, err
		}
	}
}

func cardStatus(s directory.CardState) linnet.CardStatus {
	c := linnet.CardStatus{Card: s.Card, Withdrawn: s.Wanted && s.Card == nil, Known: s.Known, Published: s.Stored, Crowded: s.Crowded}
	if s.Err != nil {
		c.Trouble = s.Err.Error()
	}
	return c
}

// Search implements linnet.Client.
func (n *Node) Search(ctx context.Context, words string, page int) (linnet.SearchPage, error) {
	began := time.Now()
	p := linnet.SearchPage{Words: words, Page: page, Hits: []linnet.Hit{}}
	if page < 1 {
		return p, linnet.Errorf(linnet.CodeUsage, "the first page is 1")
	}
	words = strings.Join(strings.Fields(words), " ")
	type listing struct {
		linnet.Listing
		err error
	}
	named := make(chan listing, 1)
	user, err := linnet.ParseUserName(words) // who need not have a card
	if err != nil || page > 1 {
		named <- listing{}
	} else if err := n.inStation(ctx, func(now time.Time, s *station) error {
		s.lookUp(now, user, false, func(_ time.Time, l linnet.Listing, err error) { named <- listing{l, err} })
		return nil
	}); err != nil {
		return p, err
	}
	found, err := n.searchPage(ctx, words, page)
	if err != nil {
		return p, err
	}
	l, err := await(ctx, n, named)
	if err != nil {
		return p, err
	}
	if len(l.Devices) > 0 && !slices.ContainsFunc(found.Cards, func(c *directory.Card) bool { return c.User == user }) {
		p.Hits = append(p.Hits, linnet.Hit{User: user})
	}
	for _, c := range found.Cards {
		p.Hits = append(p.Hits, linnet.Hit{User: c.User, Card: &c.Text})
	}
	p.More, p.Partial = found.More, found.Partial || l.err != nil
	p.TookMS = linnet.Milliseconds(time.Since(began))
	return p, nil
}

// searchPage searches for a page, and for those before it where it is not known
// where it begins.
func (n *Node) searchPage(ctx context.Context, words string, page int) (directory.CardsFound, error) {
	for {
		done := make(chan directory.CardsFound, 1)
		var at int // the page that is searched for
		err := n.inStation(ctx, func(now time.Time, s *station) error {
			if s.self.User.IsNode() {
				return linnet.Errorf(linnet.CodeUsage, "only people search")
			}
			begins := s.trail(words).begins
			at = min(page, len(begins))
			s.cards.asked[s.cards.client.Search(now, words, begins[at-1])] = done
			return nil
		})
		if err != nil {
			return directory.CardsFound{}, err
		}
		found, err := await(ctx, n, done)
		if err != nil {
			return found, err
		}
		if err := n.inStation(ctx, func(_ time.Time, s *station) error {
			if errors.Is(found.Err, directory.ErrNotAttached) {
				return s.offlineError()
			}
			if found.Err != nil {
				return searchError(found.Err)
			}
			s.follow(words, at, found)
			return nil
		}); err != nil {
			return found, err
		}
		switch {
		case at == page:
			return found, nil
		case !found.More: // there is no such page
			return directory.CardsFound{Partial: found.Partial}, nil
		}
	}
}

// trail finds the trail of a search, or begins one.
func (s *station) trail(words string) *trail {
	list := s.cards.trails
	i := slices.IndexFunc(list, func(t trail) bool { return t.words == words })
	if i < 0 {
		list = append(list[max(0, len(list)-maxTrails+1):len(list):len(list)], trail{words, []directory.Place{{}}})
		i = len(list) - 1
		s.cards.trails = list
	}
	return &list[i]
}

// follow notes where the page after one begins.
func (s *station) follow(words string, page int, found directory.CardsFound) {
	t := s.trail(words)
	if page > len(t.begins) {
		return // others searched meanwhile, and it was forgotten
	}
	if t.begins = t.begins[:page]; found.More {
		t.begins = append(t.begins, found.Last)
	}
}

func searchError(err error) error {
	switch {
	case errors.Is(err, directory.ErrNoWords):
		return &linnet.Error{Code: linnet.CodeUsage, Text: "there is nothing to search for", Hint: "give one to eight words of two letters or more"}
	case errors.Is(err, directory.ErrHour):
		return &linnet.Error{Code: linnet.CodeTooSoon, Text: "supernodes answer 30 searches an hour", Hint: "try again in a few minutes"}
	case errors.Is(err, directory.ErrBusy):
		return &linnet.Error{Code: linnet.CodeBusy, Text: "the supernodes are too busy to search", Hint: "try again in a moment", Err: err}
	}
	return &linnet.Error{Code: linnet.CodeNoNetwork, Text: "the directory gave no answer", Hint: "try again in a moment", Err: err}
}

func cardError(err error) error {
	if errors.Is(err, directory.ErrEdits) {
		return &linnet.Error{Code: linnet.CodeTooSoon, Text: "the card had too many different words in the last three days", Hint: "try again tomorrow"}
	}
	return &linnet.Error{Code: linnet.CodeUsage, Text: "this cannot be on a card: " + err.Error()}
}
