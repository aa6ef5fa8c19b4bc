package directory

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

// The life and the bounds of a card.
const (
	CardKeepFor = 72 * time.Hour // since it was signed last
	CardRefresh = 8 * time.Hour  // while its user keeps it

	MaxCard   = 1250 // bytes of the wire form: a page of them fits into one command
	maxName   = 64   // bytes of the display name
	maxPlace  = 48   // of city, country and language
	maxAbout  = 200
	maxFormer = 64 // slots

	// A withdrawn card is kept a little longer than one that it withdraws, whose device's clock may have been ahead.
	withdrawnFor = CardKeepFor + time.Hour
)

// A Card is what a user chose to say in the white pages, signed by one of his
// devices; or that he says nothing any more. The highest edition counts, and of
// one edition the latest: a card is signed again while the user keeps it.
//
//	4/0 certificate   3/1 user   1/2 edition   1/3 time, milliseconds since 1970
//	3/4 name   3/5 city   3/6 country   3/7 language   3/8 about
//	6/9 slots that an earlier edition may lie in   0/a 1: withdrawn
type Card struct {
	Certificate []byte
	User        linnet.UserName
	Edition     uint64 // rises with each change by the user
	Time        time.Time
	Text        linnet.Card
	Former      []overlay.Slot
	Withdrawn   bool

	Node linnet.NodeID // of the device, known once the card was opened

	words    []string       // those of the user name, the display name and the rest, each once
	named    []string       // those of the display name
	names    int            // of words: those of both names
	live     []overlay.Slot // none if withdrawn
	replaces []overlay.Slot // in which it only replaces an earlier edition

	raw []byte
}

type cardBody struct {
	Certificate []byte          `obj:"4/0"`
	User        linnet.UserName `obj:"3/1"`
	Edition     uint64          `obj:"1/2"`
	Time        uint64          `obj:"1/3"`
	Name        string          `obj:"3/4,opt"`
	City        string          `obj:"3/5,opt"`
	Country     string          `obj:"3/6,opt"`
	Language    string          `obj:"3/7,opt"`
	About       string          `obj:"3/8,opt"`
	Former      []uint32        `obj:"6/9,opt"`
	Withdrawn   bool            `obj:"0/a,opt"`
}

// Errors of cards.
var (
	ErrCardSize = fmt.Errorf("a card has at most %d bytes", MaxCard)
	errCard     = errors.New("not a card")
	errEdition  = errors.New("its edition is far in the future")
)

// CheckCard says whether a card may say this: single lines of printable text
// within bounds.
func CheckCard(c linnet.Card) error {
	for _, f := range []struct {
		name, text string
		most       int
	}{
		{"name", c.Name, maxName}, {"city", c.City, maxPlace}, {"country", c.Country, maxPlace},
		{"language", c.Language, maxPlace}, {"about", c.About, maxAbout},
	} {
		if len(f.text) > f.most {
			return fmt.Errorf("%s has %d bytes, and may have %d", f.name, len(f.text), f.most)
		}
		if !utf8.ValidString(f.text) || slices.ContainsFunc([]rune(f.text), func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("%s has characters that cannot be shown in a line", f.name)
		}
	}
	return nil
}

// Sign gives the card's wire form.
func (c *Card) Sign(k suite.Keys) ([]byte, error) {
	body := cardBody{
		Certificate: c.Certificate, User: c.User, Edition: c.Edition, Time: uint64(c.Time.UnixMilli()),
		Name: c.Text.Name, City: c.Text.City, Country: c.Text.Country, Language: c.Text.Language, About: c.Text.About,
		Withdrawn: c.Withdrawn,
	}
	for _, slot := range c.Former {
		body.Former = append(body.Former, uint32(slot))
	}
	b, err := suite.SignBody(k, suite.ForCard, &body)
	if err == nil && len(b) > MaxCard {
		err = ErrCardSize
	}
	if err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	return b, nil
}

// OpenCard reads a card and checks its certificate, as it was at the card's
// time, its signature and its bounds.
func OpenCard(t overlay.Trust, b []byte, now time.Time) (*Card, error) {
	c, err := openCard(t, b, now)
	if err != nil {
		return nil, fmt.Errorf("card: %w", err)
	}
	return c, nil
}

func openCard(t overlay.Trust, b []byte, now time.Time) (*Card, error) {
	if len(b) > MaxCard {
		return nil, ErrCardSize
	}
	body, at, cert, err := openDated(t, b, suite.ForCard, func(body *cardBody) (time.Time, []byte, error) {
		keep := CardKeepFor
		if body.Withdrawn {
			keep = withdrawnFor
		}
		ahead := uint64(now.Add(trustAhead).UnixMilli())
		at := time.UnixMilli(int64(min(body.Time, ahead)))
		switch {
		case len(body.Former) > maxFormer:
			return at, nil, errCard
		case now.Sub(at) > keep, at.Sub(now) > maxSkew:
			return at, nil, errTime
		case body.Edition > ahead:
			return at, nil, errEdition
		}
		return at, body.Certificate, nil
	})
	if err != nil {
		return nil, err
	}
	if cert.User != body.User {
		return nil, errOtherNode
	}
	c := &Card{
		Certificate: body.Certificate, User: body.User, Edition: body.Edition, Time: at, Withdrawn: body.Withdrawn, Node: cert.NodeID(),
		Text: linnet.Card{Name: body.Name, City: body.City, Country: body.Country, Language: body.Language, About: body.About},
		raw:  bytes.Clone(b),
	}
	if err := CheckCard(c.Text); err != nil {
		return nil, err
	}
	if c.Withdrawn && c.Text != (linnet.Card{}) {
		return nil, errCard
	}
	for _, slot := range body.Former {
		if slot >= overlay.SlotCount {
			return nil, errCard
		}
		c.Former = append(c.Former, overlay.Slot(slot))
	}
	c.index()
	return c, nil
}

// index finds the words and slots of a card. The slot of the user name always
// hears of him.
func (c *Card) index() {
	add := func(list []string) {
		for _, w := range list {
			if len(c.words) < maxWords && !slices.Contains(c.words, w) {
				c.words = append(c.words, w)
			}
		}
	}
	add(wordsOfUser(c.User))
	c.named = words(c.Text.Name)
	add(c.named)
	c.names = len(c.words)
	for _, text := range []string{c.Text.City, c.Text.Country, c.Text.Language, c.Text.About} {
		add(words(text))
	}
	part := partOf(c.User)
	if !c.Withdrawn {
		for _, w := range c.words {
			if slot := indexSlot(w, part); !slices.Contains(c.live, slot) {
				c.live = append(c.live, slot)
			}
		}
	}
	for _, slot := range append([]overlay.Slot{homeSlot(c.User)}, c.Former...) {
		if !slices.Contains(c.live, slot) && !slices.Contains(c.replaces, slot) {
			c.replaces = append(c.replaces, slot)
		}
	}
}
