package relay

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// ClientOptions configures a Client. The zero value works.
type ClientOptions struct {
	Max    int           // ways at once; default 64
	AskFor time.Duration // until a relay that does not answer is given up; default 5 s
	Rand   io.Reader     // draws sessions; default crypto/rand
}

// An Effect is something that the Client wants done or known.
type Effect interface{ effect() }

// Open wants a session with a relay.
type Open struct{ Relay linnet.NodeID }

// Request sends a request to a relay; Replied tells how it went.
type Request struct {
	Relay   linnet.NodeID
	Token   uint64
	Message message.Message
}

// Send sends a one-way message to a relay, if there is a session with it.
type Send struct {
	Relay   linnet.NodeID
	Message message.Message
}

// Ready says that the relay takes packets for Peer at Addr, under Tag. On the
// side that reserved, Offer is for the peer.
// When a relay lost a reservation it comes again, with another one.
type Ready struct {
	Relay, Peer linnet.NodeID
	Addr        netip.AddrPort
	Tag         uint32 // the relay's, for packets to Peer
	Own         uint32 // ours, under which Peer's packets come
	Reservation uint32 // as the relay names it
	Offer       *message.RelayOffer
}

// Joined says that both sides are there: the path can be tried.
type Joined struct{ Relay, Peer linnet.NodeID }

// Lost says that there is no way over this relay any more, or never came to be.
// Tag is the own one, which nothing comes under now.
type Lost struct {
	Relay, Peer linnet.NodeID
	Tag         uint32
	Err         error
}

func (Open) effect()    {}
func (Request) effect() {}
func (Send) effect()    {}
func (Ready) effect()   {}
func (Joined) effect()  {}
func (Lost) effect()    {}

// Errors of a Client.
var (
	ErrTooMany  = errors.New("too many relayed paths at once")
	ErrSilent   = errors.New("the relay does not answer")
	ErrReleased = errors.New("the other side gave the reservation back")
	ErrReplaced = errors.New("a newer reservation took its place")
	ErrJoined   = errors.New("this offer was taken before")
)

// A RefusedError is a relay's no.
type RefusedError struct {
	Code uint32 // message.Failure...
	Text string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the relay refuses: %s (%d)", e.Text, e.Code)
}

// A Client is the reservations of one node at relays: a state machine without
// I/O, for one goroutine. It keeps them, renews them and takes them up again
// when the session with a relay comes back.
type Client struct {
	opts     ClientOptions
	ways     []*way
	sessions map[linnet.NodeID]bool
	token    uint64
	effects  []Effect
}

// A way is this node's side of a reservation.
//
//	waiting ──session──▶ asking ──established──▶ ready ──joined──▶ joined
//	   ▲                    │                      │
//	   └──── no session ────┴───── half a lifetime ┘ (asks again, meanwhile in use)
type way struct {
	relay, peer linnet.NodeID
	tag         uint32    // own
	session     uint32    // names it at the relay
	join        bool      // the second side
	id          uint32    // the reservation; 0: not known yet (first side)
	token       uint64    // of the request under way; 0: none
	due         time.Time // when to ask, or to ask again
	giveUp      time.Time // of an unanswered question; zero: nothing is asked
	established message.RelayEstablished
	joined      bool
}

const (
	askAgain = time.Second     // after a request that got no reply
	shortest = 5 * time.Second // between renewals, whatever the relay says
)

// NewClient makes a Client without reservations.
func NewClient(opts ClientOptions) *Client {
	opts.Max = cmp.Or(opts.Max, 64)
	opts.AskFor = cmp.Or(opts.AskFor, 5*time.Second)
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	return &Client{opts: opts, sessions: make(map[linnet.NodeID]bool)}
}

// Take returns what to do, in order, and forgets it.
func (c *Client) Take() []Effect {
	e := c.effects
	c.effects = nil
	return e
}

func (c *Client) do(e Effect) { c.effects = append(c.effects, e) }

// Reserve asks a relay for a reservation, to be offered to peer. Packets of the
// peer are to come under tag.
func (c *Client) Reserve(now time.Time, relay, peer linnet.NodeID, tag uint32) error {
	var b [4]byte
	if _, err := io.ReadFull(c.opts.Rand, b[:]); err != nil {
		return fmt.Errorf("relay: reserve: %w", err)
	}
	return c.add(now, &way{relay: relay, peer: peer, tag: tag, session: binary.BigEndian.Uint32(b[:])})
}

// maxJoined is how many of one peer's offers are taken up at once: who offers all
// relays that there are leaves room for others.
const maxJoined = 4

// Join takes the side that peer offers at relay. A newer offer replaces an
// older one, and the oldest of too many; the same one again is ErrJoined, and changes nothing.
func (c *Client) Join(now time.Time, relay, peer linnet.NodeID, offer *message.RelayOffer, tag uint32) error {
	if w := c.find(relay, peer); w != nil && w.join && w.id == offer.Relay && w.session == offer.Session {
		return ErrJoined
	}
	var oldest *way
	joined := 0
	for _, w := range c.ways {
		if w.join && w.peer == peer && w.relay != relay {
			if joined++; oldest == nil {
				oldest = w
			}
		}
	}
	if joined >= maxJoined {
		c.lose(oldest, ErrReplaced)
	}
	return c.add(now, &way{relay: relay, peer: peer, tag: tag, session: offer.Session, join: true, id: offer.Relay})
}

func (c *Client) add(now time.Time, w *way) error {
	if old := c.find(w.relay, w.peer); old != nil {
		c.lose(old, ErrReplaced)
	}
	if len(c.ways) >= c.opts.Max {
		return fmt.Errorf("relay: path to %s: %w", w.peer.Short(), ErrTooMany)
	}
	c.ways = append(c.ways, w)
	w.giveUp = now.Add(c.opts.AskFor)
	c.ask(now, w)
	return nil
}

func (c *Client) find(relay, peer linnet.NodeID) *way {
	for _, w := range c.ways {
		if w.relay == relay && w.peer == peer {
			return w
		}
	}
	return nil
}

func (c *Client) drop(w *way) {
	c.ways = slices.DeleteFunc(c.ways, func(x *way) bool { return x == w })
}

func (c *Client) lose(w *way, err error) {
	c.drop(w)
	c.do(Lost{w.relay, w.peer, w.tag, err})
}

// ask reserves or joins, for the first time or again: to the relay it is the same.
func (c *Client) ask(now time.Time, w *way) {
	w.due = now.Add(askAgain)
	if !c.sessions[w.relay] {
		w.token = 0
		c.do(Open{w.relay})
		return
	}
	if w.join {
		c.request(w, &message.RelayJoin{Relay: w.id, Session: w.session, Tag: w.tag})
	} else {
		c.request(w, &message.RelayReserve{Session: w.session, Tag: w.tag})
	}
}

func (c *Client) request(w *way, m message.Message) {
	c.token++
	w.token = c.token
	w.due = time.Time{} // until the reply, or word that none will come
	c.do(Request{w.relay, w.token, m})
}

// Replied takes the reply to a Request; nil says that none will come.
func (c *Client) Replied(now time.Time, token uint64, m message.Message) {
	i := slices.IndexFunc(c.ways, func(w *way) bool { return token != 0 && w.token == token })
	if i < 0 {
		return
	}
	w := c.ways[i]
	w.token = 0
	switch m := m.(type) {
	case *message.RelayEstablished:
		c.establish(now, w, m)
	case *message.Failure:
		if m.Code == message.FailureNotFound && !w.join && w.id != 0 {
			w.id = 0 // the relay forgot it; another one will do
			c.ask(now, w)
			return
		}
		c.lose(w, &RefusedError{m.Code, m.Text})
	default:
		if w.giveUp.IsZero() {
			w.giveUp = now.Add(c.opts.AskFor)
		}
		w.due = now.Add(askAgain)
	}
}

func (c *Client) establish(now time.Time, w *way, m *message.RelayEstablished) {
	w.giveUp = time.Time{}
	w.due = now.Add(max(shortest, time.Duration(m.Lifetime)*time.Second/2))
	if old := &w.established; old.Relay == m.Relay && old.Tag == m.Tag && old.Addr == m.Addr && w.id == m.Relay {
		return
	}
	w.id, w.established, w.joined = m.Relay, *m, w.join
	ready := Ready{Relay: w.relay, Peer: w.peer, Addr: m.Addr, Tag: m.Tag, Own: w.tag, Reservation: m.Relay}
	if !w.join {
		ready.Offer = &message.RelayOffer{Session: w.session, Relay: m.Relay, Addr: m.Addr, Entry: m.Entry}
	}
	c.do(ready)
	if w.joined {
		c.do(Joined{w.relay, w.peer})
	}
}

// Received takes a message of a relay that is no reply.
func (c *Client) Received(now time.Time, relay linnet.NodeID, m message.Message) {
	for _, w := range slices.Clone(c.ways) {
		if w.relay != relay {
			continue
		}
		switch m := m.(type) {
		case *message.RelayJoined:
			if !w.join && w.id != 0 && w.session == m.Session && !w.joined {
				w.joined = true
				c.do(Joined{w.relay, w.peer})
			}
		case *message.RelayRelease:
			if w.id == m.Relay && w.id != 0 {
				c.lose(w, ErrReleased)
			}
		}
	}
}

// Moved says that this node reaches a relay from another address now.
func (c *Client) Moved(now time.Time, relay linnet.NodeID) {
	for _, w := range c.ways {
		if w.relay == relay && w.established.Relay != 0 && c.sessions[relay] {
			c.request(w, &message.RelayMove{Relay: w.id, UDP: 1})
		}
	}
}

// Release gives a reservation back.
func (c *Client) Release(relay, peer linnet.NodeID) {
	if w := c.find(relay, peer); w != nil {
		c.drop(w)
		if w.established.Relay != 0 {
			c.do(Send{relay, &message.RelayRelease{Relay: w.id}})
		}
	}
}

// SessionUp says that there is a session with a relay.
func (c *Client) SessionUp(now time.Time, relay linnet.NodeID) {
	c.sessions[relay] = true
	for _, w := range c.ways {
		if w.relay == relay && w.token == 0 {
			c.ask(now, w)
		}
	}
}

// SessionDown says that there is none any more, or that it could not be had:
// then Open does not come again at once, or the two would chase each other.
func (c *Client) SessionDown(now time.Time, relay linnet.NodeID) {
	had := c.sessions[relay]
	delete(c.sessions, relay)
	for _, w := range c.ways {
		if w.relay != relay {
			continue
		}
		if w.giveUp.IsZero() {
			w.giveUp = now.Add(c.opts.AskFor)
		}
		if had {
			c.ask(now, w)
		} else {
			w.token, w.due = 0, now.Add(askAgain)
		}
	}
}

// Tick does what is due.
func (c *Client) Tick(now time.Time) {
	for _, w := range slices.Clone(c.ways) {
		switch {
		case !w.giveUp.IsZero() && !now.Before(w.giveUp):
			c.lose(w, ErrSilent)
		case w.token == 0 && !w.due.IsZero() && !now.Before(w.due):
			c.ask(now, w)
		}
	}
}

// Deadline is when Tick has something to do; zero means that it has not.
func (c *Client) Deadline() (t time.Time) {
	for _, w := range c.ways {
		for _, at := range []time.Time{w.due, w.giveUp} {
			if t.IsZero() || !at.IsZero() && at.Before(t) {
				t = at
			}
		}
	}
	return t
}
