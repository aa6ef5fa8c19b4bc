package load

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A client is one device: its machines, and what package node would do for them.
type client struct {
	shard *shard
	addr  netip.Addr
	wake  time.Time // when the shard looks at it next

	sessions  *session.Endpoint
	overlay   *overlay.Machine
	directory *directory.Client
	exchanges []*exchange // that wait

	publishes bool
	began     time.Time
	done      bool                           // it is attached, and published if it publishes
	asked     map[directory.Lookup]time.Time // look-ups that wait; nil while there are none
}

// A device is what tells one client from another.
type device struct {
	keys        suite.Keys
	certificate []byte
	id          linnet.NodeID
}

func (s *shard) newClient(now time.Time, d device, addr netip.Addr, publishes bool) *client {
	self := overlay.Identity{Node: d.id, Certificate: d.certificate, Keys: d.keys}
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	c := &client{shard: s, addr: addr, publishes: publishes, began: now}
	c.sessions = session.New(session.Options{
		Suite: s.suite, Network: s.network.Network, Node: d.id, Keys: d.keys, Certificate: d.certificate,
		OpenCertificate: s.network.OpenCertificate,
	})
	c.overlay = overlay.New(overlay.Options{Self: self, Trust: s.trust, Rand: random, Bootstrap: s.bootstrap, KeepAlive: s.keepAlive})
	c.directory = directory.NewClient(directory.ClientOptions{Self: self, Trust: s.trust, Overlay: c.overlay, Rand: random})
	c.overlay.Start(now)
	if publishes {
		c.directory.Publish(now, directory.Status{})
	}
	return c
}

// tick does what is due.
func (c *client) tick(now time.Time) {
	c.sessions.Tick(now)
	c.overlay.Tick(now)
	c.directory.Tick(now)
	for _, x := range slices.Clone(c.exchanges) {
		switch {
		case now.Before(x.due):
		case x.sent < tries:
			c.send(x.command(now, c.addr, c.shard.server.Addr()))
		default:
			c.forget(x)
			if x.hello != nil {
				c.sessions.Abort(now, c.shard.node, session.ErrUnreachable)
			}
		}
	}
}

// settle does what the machines want until none wants anything, and says when
// the first of them wants its tick.
func (c *client) settle(now time.Time) (next time.Time) {
	for busy := true; busy; {
		busy = false
		for _, e := range slices.Clone(c.sessions.Take()) {
			busy = true
			c.sessionEffect(now, e)
		}
		for _, e := range c.overlay.Take() {
			busy = true
			c.overlayEffect(now, e)
		}
		for _, e := range c.directory.Take() {
			busy = true
			c.directoryEffect(now, e)
		}
	}
	soonest := func(t time.Time) {
		if next.IsZero() || !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	soonest(c.sessions.Deadline())
	soonest(c.overlay.Deadline())
	soonest(c.directory.Deadline())
	for _, x := range c.exchanges {
		soonest(x.due)
	}
	return next
}

func (c *client) send(b []byte) { c.shard.send(c.addr, b) }

func (c *client) exchange(now time.Time, m message.Message, via session.Path) {
	x := newExchange(now, m)
	x.via = via
	c.exchanges = append(c.exchanges, x)
	c.send(x.command(now, c.addr, c.shard.server.Addr()))
}

func (c *client) forget(x *exchange) {
	if i := slices.Index(c.exchanges, x); i >= 0 {
		c.exchanges = slices.Delete(c.exchanges, i, i+1)
	}
	if len(c.exchanges) == 0 {
		c.exchanges = nil
	}
}

func (c *client) waiting(id uint16) *exchange {
	for _, x := range c.exchanges {
		if x.id == id {
			return x
		}
	}
	return nil
}

// datagram takes what came from the supernode.
func (c *client) datagram(now time.Time, b []byte) {
	f, err := frame.Parse(b)
	if err != nil {
		return
	}
	switch f.Type {
	case frame.Session:
		if !f.KeepAlive {
			c.sessions.Packet(now, c.shard.path(), f.Tag, f.Body)
		}
	case frame.Nack:
		if x := c.waiting(f.ID); x != nil {
			c.send(x.resend(f.Challenge, c.shard.server.Addr()))
		}
	case frame.Command:
		m, id, ok := replyIn(f, c.shard.server.Addr(), c.addr)
		x := c.waiting(id)
		if !ok || x == nil {
			return
		}
		c.forget(x)
		if reply, ok := m.(*message.HelloReply); ok {
			c.sessions.HelloReply(now, x.via, c.shard.node, reply)
			return
		}
		if _, refused := m.(*message.ProbeRefused); refused {
			c.shard.refused++
		}
		c.overlay.Probed(now, overlay.Probe{Addr: c.shard.server}, now.Sub(x.asked), m)
	}
}

// Requests of the overlay and of the directory share the tokens of sessions.
const ofDirectory = 1 << 63

func (c *client) sessionEffect(now time.Time, e session.Effect) {
	switch e := e.(type) {
	case session.SendHello:
		c.exchange(now, e.Message, e.Via)
	case session.SendPacket:
		r := rand.Uint32()
		c.send(frame.Frame{ID: uint16(r), Noise: uint8(r >> 16), Type: frame.Session, Tag: e.Tag, Body: e.Body}.Append(nil))
	case session.Up:
		c.overlay.Up(now, e.Peer, c.shard.server)
	case session.Down:
		c.overlay.Down(now, e.Peer)
	case session.Received:
		c.overlay.Received(now, e.From, e.ID, e.Message)
	case session.Reply:
		if e.Token&ofDirectory != 0 {
			c.directory.Replied(now, overlay.Token(e.Token&^ofDirectory), e.From, e.Message)
		} else {
			c.overlay.Replied(now, overlay.Token(e.Token), e.From, e.Message)
		}
	case session.Failed:
		c.failed(now, e.Token)
		c.overlay.Doubt(now, e.To)
	}
}

func (c *client) failed(now time.Time, token uint64) {
	if token&ofDirectory != 0 {
		c.directory.Failed(now, overlay.Token(token&^ofDirectory))
	} else {
		c.overlay.Failed(now, overlay.Token(token))
	}
}

func (c *client) request(now time.Time, e overlay.Request, of uint64) {
	token := uint64(e.Token) | of
	if err := c.sessions.Request(now, e.To, e.Message, token); err != nil {
		c.failed(now, token)
	}
}

func (c *client) overlayEffect(now time.Time, e overlay.Effect) {
	switch e := e.(type) {
	case overlay.Probe:
		if e.Rung == linnet.RungUDP { // the load is one of datagrams
			c.exchange(now, &message.Probe{}, session.Path{})
		}
	case overlay.Connect:
		peer := session.Peer{Node: e.Host.Node, Agreement: e.Host.Agreement}
		if err := c.sessions.Dial(now, peer, c.shard.path()); err != nil {
			c.overlay.Down(now, e.Host.Node)
		}
	case overlay.Disconnect:
		c.sessions.Close(now, e.Node, "")
	case overlay.Send:
		c.sessions.Send(now, e.To, e.Message)
	case overlay.Request:
		c.request(now, e, 0)
	case overlay.Respond:
		c.sessions.Respond(now, e.To, e.ID, e.Message)
	case overlay.Hold:
		c.send(frame.Frame{ID: uint16(rand.Uint32()), Type: frame.Session, KeepAlive: true}.Append(nil))
	case overlay.Attached:
		c.directory.AttachmentsChanged(now)
		if !c.publishes {
			c.shard.arrived(now, c)
		}
	case overlay.Detached:
		c.directory.AttachmentsChanged(now)
	}
}

func (c *client) directoryEffect(now time.Time, e directory.Effect) {
	switch e := e.(type) {
	case overlay.Request:
		c.request(now, e, ofDirectory)
	case directory.Unanswered:
		c.overlay.Doubt(now, e.Node)
	case directory.Published:
		c.shard.arrived(now, c)
	case directory.Found:
		c.shard.found(now.Sub(c.asked[e.Lookup]), e.Err)
		delete(c.asked, e.Lookup)
		if len(c.asked) == 0 {
			c.asked = nil
		}
	}
}

// lookUp asks for a user.
func (c *client) lookUp(now time.Time, user linnet.UserName) {
	if c.asked == nil {
		c.asked = make(map[directory.Lookup]time.Time)
	}
	c.asked[c.directory.Lookup(now, user, false)] = now
}
