package relay

import (
	"errors"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// net is two clients and a relay, with sessions that carry everything at once
// and in order, while they stand.
type net struct {
	t       *testing.T
	now     time.Time
	relay   linnet.NodeID
	server  *Server // nil: down
	clients []*node
	deaf    bool // requests get no reply
}

type node struct {
	Sender
	c      *Client
	ready  []Ready
	joined int
	lost   []Lost
	asked  []message.Message
	opened int
}

func newNet(t *testing.T) (n *net, a, b *node) {
	n = &net{t: t, now: start, relay: linnet.NodeID{0xee}, server: newServer(ServerOptions{})}
	a = &node{Sender: alice, c: NewClient(ClientOptions{Rand: seeded(2)})}
	b = &node{Sender: bob, c: NewClient(ClientOptions{Rand: seeded(3)})}
	n.clients = []*node{a, b}
	return n, a, b
}

func (n *net) node(id linnet.NodeID) *node {
	for _, x := range n.clients {
		if x.Node == id {
			return x
		}
	}
	return nil
}

// settle does all effects until there are none.
func (n *net) settle() {
	for again := true; again; {
		again = false
		for _, x := range n.clients {
			for _, e := range x.c.Take() {
				again = true
				n.effect(x, e)
			}
		}
	}
}

func (n *net) effect(x *node, e Effect) {
	switch e := e.(type) {
	case Open:
		x.opened++
		if n.server != nil {
			x.c.SessionUp(n.now, e.Relay)
		}
	case Request:
		x.asked = append(x.asked, e.Message)
		if n.deaf || n.server == nil {
			x.c.Replied(n.now, e.Token, nil)
			return
		}
		reply, tell := n.server.Handle(n.now, x.Sender, e.Message)
		x.c.Replied(n.now, e.Token, reply)
		n.tell(tell)
	case Send:
		_, tell := n.server.Handle(n.now, x.Sender, e.Message)
		n.tell(tell)
	case Ready:
		x.ready = append(x.ready, e)
	case Joined:
		x.joined++
	case Lost:
		x.lost = append(x.lost, e)
	}
}

func (n *net) tell(tell []Tell) {
	for _, t := range tell {
		n.node(t.Node).c.Received(n.now, n.relay, t.Message)
	}
}

func (n *net) run(d time.Duration) {
	for end := n.now.Add(d); n.now.Before(end); {
		next := end
		for _, x := range n.clients {
			if t := x.c.Deadline(); !t.IsZero() && t.Before(next) {
				next = t
			}
		}
		if !next.After(n.now) {
			next = n.now.Add(time.Millisecond)
		}
		n.now = next
		for _, x := range n.clients {
			x.c.Tick(n.now)
		}
		n.settle()
		if n.server != nil {
			n.server.Expire(n.now)
		}
	}
}

// connect makes a reservation with both sides.
func connect(t *testing.T) (n *net, a, b *node) {
	n, a, b = newNet(t)
	if err := a.c.Reserve(n.now, n.relay, bob.Node, aliceTag); err != nil {
		t.Fatal(err)
	}
	n.settle()
	n.offer(a, b)
	return n, a, b
}

// offer hands a's newest offer to b.
func (n *net) offer(a, b *node) {
	n.t.Helper()
	if len(a.ready) == 0 || a.ready[len(a.ready)-1].Offer == nil {
		n.t.Fatalf("nothing to offer: %+v", a.ready)
	}
	if err := b.c.Join(n.now, n.relay, a.Node, a.ready[len(a.ready)-1].Offer, bobTag); err != nil {
		n.t.Fatal(err)
	}
	n.settle()
}

// talk sends a packet each way over the newest reservation.
func (n *net) talk(a, b *node) bool {
	to, tag, ok := forward(n.server, n.now, a.Origin, a.ready[len(a.ready)-1].Tag, 0)
	back, tag2, ok2 := forward(n.server, n.now, b.Origin, b.ready[len(b.ready)-1].Tag, 0)
	return ok && ok2 && to == b.Origin && back == a.Origin && tag == bobTag && tag2 == aliceTag
}

func TestClients(t *testing.T) {
	n, a, b := connect(t)
	if a.joined != 1 || b.joined != 1 || len(a.lost)+len(b.lost) != 0 || !n.talk(a, b) {
		t.Fatalf("alice %+v, bob %+v", a, b)
	}
	if b.ready[0].Offer != nil || b.ready[0].Peer != alice.Node || a.ready[0].Peer != bob.Node {
		t.Errorf("ready: %+v and %+v", a.ready, b.ready)
	}
	// Nothing is said but renewals, which keep it although no packet comes.
	n.run(10 * time.Minute)
	if asked := len(a.asked); asked < 20 || asked > 22 || len(a.ready) != 1 || !n.talk(a, b) {
		t.Errorf("%d requests in 10 minutes, ready %d times", asked, len(a.ready))
	}
	b.c.Release(n.relay, alice.Node)
	n.settle()
	if len(a.lost) != 1 || !errors.Is(a.lost[0].Err, ErrReleased) || a.lost[0].Tag != aliceTag || n.server.Stats().Reservations != 0 {
		t.Errorf("after the release: %+v", a.lost)
	}
	if !a.c.Deadline().IsZero() || !b.c.Deadline().IsZero() {
		t.Error("something is still due")
	}
}

func TestRelayRestarts(t *testing.T) {
	n, a, b := connect(t)
	n.server = nil
	for _, x := range n.clients {
		x.c.SessionDown(n.now, n.relay)
	}
	n.run(2 * time.Second)
	n.server = NewServer(n.now, ServerOptions{Rand: seeded(9)})
	n.run(2 * time.Second)
	if len(a.ready) != 2 || a.ready[1].Offer.Relay == a.ready[0].Offer.Relay || a.joined != 1 {
		t.Fatalf("alice's reservation did not come back: %+v", a.ready)
	}
	if len(b.lost) != 1 {
		t.Errorf("bob keeps a side that is gone: %+v", b.lost)
	}
	n.offer(a, b)
	if a.joined != 2 || !n.talk(a, b) {
		t.Errorf("no way again: alice %+v", a)
	}
}

// A session that breaks and comes back keeps the reservation and its tags.
func TestSessionReturns(t *testing.T) {
	n, a, b := connect(t)
	n.server.Gone(alice.Node)
	a.c.SessionDown(n.now, n.relay)
	a.Origin = udp("203.0.113.77:77")
	n.settle()
	if len(a.ready) != 1 || !n.talk(a, b) {
		t.Errorf("alice: %+v", a)
	}
}

func TestClientMoves(t *testing.T) {
	n, a, b := connect(t)
	a.Origin = udp("203.0.113.77:77")
	if n.talk(a, b) {
		t.Error("packets of a new address were taken before the move")
	}
	a.c.Moved(n.now, n.relay)
	n.settle()
	if len(a.ready) != 1 || !n.talk(a, b) {
		t.Errorf("alice: %+v", a)
	}
}

func TestReservationForgotten(t *testing.T) {
	n, a, _ := connect(t)
	n.server = newServer(ServerOptions{Rand: seeded(11)}) // while the session stays
	n.run(time.Minute)
	if len(a.ready) != 2 || len(a.lost) != 0 {
		t.Errorf("alice: ready %+v, lost %+v", a.ready, a.lost)
	}
}

func TestClientGivesUp(t *testing.T) {
	t.Run("no session", func(t *testing.T) {
		n, a, _ := newNet(t)
		n.server = nil
		a.c.Reserve(n.now, n.relay, bob.Node, aliceTag)
		n.run(time.Minute)
		if len(a.lost) != 1 || !errors.Is(a.lost[0].Err, ErrSilent) || a.opened < 2 || a.opened > 6 {
			t.Errorf("lost %+v, opened %d times", a.lost, a.opened)
		}
	})
	t.Run("no reply", func(t *testing.T) {
		n, a, _ := newNet(t)
		n.deaf = true
		a.c.Reserve(n.now, n.relay, bob.Node, aliceTag)
		n.run(time.Minute)
		if len(a.lost) != 1 || !errors.Is(a.lost[0].Err, ErrSilent) || len(a.asked) > 6 {
			t.Errorf("lost %+v, asked %d times", a.lost, len(a.asked))
		}
	})
	t.Run("full", func(t *testing.T) {
		n, a, _ := newNet(t)
		n.server = newServer(ServerOptions{Reservations: 1})
		reserve(t, n.server, start, carol, 1, 2)
		a.c.Reserve(n.now, n.relay, bob.Node, aliceTag)
		n.settle()
		var refused *RefusedError
		if len(a.lost) != 1 || !errors.As(a.lost[0].Err, &refused) || refused.Code != message.FailureUnavailable {
			t.Errorf("lost %+v", a.lost)
		}
	})
	t.Run("stale offer", func(t *testing.T) {
		n, _, b := newNet(t)
		b.c.Join(n.now, n.relay, alice.Node, &message.RelayOffer{Session: 1, Relay: 2}, bobTag)
		n.settle()
		if len(b.lost) != 1 || len(b.ready) != 0 {
			t.Errorf("lost %+v", b.lost)
		}
	})
	t.Run("too many", func(t *testing.T) {
		c := NewClient(ClientOptions{Max: 2})
		for i := range byte(2) {
			if err := c.Reserve(start, linnet.NodeID{9}, linnet.NodeID{i}, 2); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Reserve(start, linnet.NodeID{9}, linnet.NodeID{5}, 2); !errors.Is(err, ErrTooMany) {
			t.Errorf("third: %v", err)
		}
		if err := c.Reserve(start, linnet.NodeID{9}, linnet.NodeID{1}, 4); err != nil {
			t.Errorf("the same again: %v", err)
		}
	})
}

// Whoever names a relay that cannot be reached at all must not keep the client
// busy: Open and SessionDown do not answer each other.
func TestNoSessionToBeHad(t *testing.T) {
	c := NewClient(ClientOptions{})
	now := start
	relay := linnet.NodeID{9}
	if err := c.Join(now, relay, bob.Node, &message.RelayOffer{Session: 1, Relay: 2}, 2); err != nil {
		t.Fatal(err)
	}
	opened, lost := 0, 0
	for ; now.Sub(start) < time.Minute; now = now.Add(100 * time.Millisecond) {
		c.Tick(now)
		for range 10 {
			for _, e := range c.Take() {
				switch e.(type) {
				case Open:
					opened++
					c.SessionDown(now, relay)
				case Lost:
					lost++
				}
			}
		}
	}
	if opened < 2 || opened > 6 || lost != 1 {
		t.Errorf("opened %d times, lost %d times", opened, lost)
	}
}

// A newer offer takes the place of an older one, whose tag is free again.
func TestOfferReplaced(t *testing.T) {
	n, a, b := connect(t)
	a.c.Reserve(n.now, n.relay, bob.Node, aliceTag+2)
	n.settle()
	if err := b.c.Join(n.now, n.relay, a.Node, a.ready[1].Offer, bobTag+2); err != nil {
		t.Fatal(err)
	}
	n.settle()
	for _, x := range n.clients {
		if len(x.lost) != 1 || !errors.Is(x.lost[0].Err, ErrReplaced) || x.lost[0].Tag != x.ready[0].Own {
			t.Errorf("lost %+v", x.lost)
		}
	}
}

// Replies and notices that nobody waits for change nothing.
func TestClientIgnores(t *testing.T) {
	n, a, b := connect(t)
	other := linnet.NodeID{0xdd}
	a.c.Replied(n.now, 0, &message.RelayEstablished{Relay: 1})
	a.c.Replied(n.now, 12345, &message.RelayEstablished{Relay: 1})
	a.c.Received(n.now, other, &message.RelayRelease{Relay: a.ready[0].Offer.Relay})
	a.c.Received(n.now, n.relay, &message.RelayRelease{})
	a.c.Received(n.now, n.relay, &message.RelayJoined{Session: 1})
	b.c.Received(n.now, n.relay, &message.RelayJoined{Session: a.ready[0].Offer.Session})
	if err := b.c.Join(n.now, n.relay, a.Node, a.ready[0].Offer, bobTag+2); !errors.Is(err, ErrJoined) {
		t.Errorf("the same offer again: %v", err)
	}
	if e := append(a.c.Take(), b.c.Take()...); len(e) != 0 {
		t.Errorf("effects: %+v", e)
	}
}

// One peer does not take all ways with offers at ever other relays.
func TestManyOffers(t *testing.T) {
	c := NewClient(ClientOptions{Rand: seeded(4)})
	for i := range 200 {
		if err := c.Join(start, linnet.NodeID{1, byte(i)}, alice.Node, &message.RelayOffer{Session: 1, Relay: 1}, uint32(2*i+2)); err != nil {
			t.Fatal(err)
		}
	}
	lost := map[linnet.NodeID]bool{}
	for _, e := range c.Take() {
		if e, ok := e.(Lost); ok {
			lost[e.Relay] = true
		}
	}
	if len(c.ways) != maxJoined || len(lost) != 200-maxJoined || lost[linnet.NodeID{1, 199}] {
		t.Errorf("%d ways, %d lost", len(c.ways), len(lost))
	}
	if err := c.Join(start, linnet.NodeID{2}, bob.Node, &message.RelayOffer{Session: 1, Relay: 1}, 1000); err != nil {
		t.Errorf("another peer's offer: %v", err)
	}
}
