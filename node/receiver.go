package node

import (
	"bytes"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// receiver is the Node as package link sees it. Its methods run in the link's
// goroutines and hand everything to the loop.
type receiver Node

var _ link.Handler = (*receiver)(nil)

func (r *receiver) HandleCommand(from link.Origin, c message.Command) {
	n := (*Node)(r)
	switch c.Body.(type) {
	case *message.Hello:
		n.hello(from, c)
		return
	case *message.Login:
		if n.opts.Authority != nil {
			n.opts.Authority.take(n.link, from, c)
		}
		return
	}
	n.post(func(now time.Time) { n.raw(now, from, c) })
}

// hello takes a Hello of anybody. Nobody dials an ordinary node directly: its
// answer would only tell whose the address is.
func (n *Node) hello(from link.Origin, c message.Command) {
	if n.role()&(linnet.Supernode|linnet.Relay) == 0 {
		return
	}
	if n.hellos.Add(1) > maxHellos || !n.post(func(now time.Time) {
		n.hellos.Add(-1)
		n.raw(now, from, c)
	}) {
		n.hellos.Add(-1)
	}
}

// maxHellos bounds the Hellos that wait for the loop. They cost it most and
// anybody can send them, so a flood of them must not push out everything else.
const maxHellos = 64

func (r *receiver) HandlePacket(from link.Origin, tag uint32, body []byte) {
	n := (*Node)(r)
	body = bytes.Clone(body)
	n.post(func(now time.Time) {
		if n.station != nil {
			n.station.sessions.Packet(now, n.station.pathOf(from, tag), tag, body)
		}
	})
}

func (r *receiver) StreamClosed(stream uint64) {
	n := (*Node)(r)
	n.post(func(now time.Time) {
		if n.station != nil {
			n.station.streamClosed(now, stream)
		}
	})
}

// raw answers a command that came outside any session.
func (n *Node) raw(now time.Time, from link.Origin, c message.Command) {
	var reply message.Message
	switch m := c.Body.(type) {
	case *message.AskDescriptor:
		reply = n.tellDescriptor(m)
	case *message.DialTest:
		switch {
		case n.station == nil:
		case n.station.natDialled(from.Addr, m.Nonce):
			reply = &message.DialTested{}
		default:
			reply = n.station.overlay.Raw(now, from.Addr, m)
		}
	case *message.Hello:
		if n.station != nil {
			n.station.sessions.Hello(now, direct(from), c.ID, m)
		}
	default:
		if n.station != nil {
			reply = n.station.overlay.Raw(now, from.Addr, m)
		}
	}
	if reply != nil {
		n.reply(from, c.ID, reply)
	}
}

func (n *Node) reply(to link.Origin, id uint16, m message.Message) {
	if err := n.link.Reply(to, id, m); err != nil {
		n.log.Debug("reply", "to", to.Addr, "err", err)
	}
}

// tellDescriptor serves newcomers: whoever knows the fingerprint has an invite.
func (n *Node) tellDescriptor(m *message.AskDescriptor) message.Message {
	d := n.network.get()
	if d == nil || n.role()&linnet.Supernode == 0 {
		return &message.Failure{Code: message.FailureUnavailable, Text: "no descriptor is kept here"}
	}
	if fp := d.Fingerprint(); !bytes.Equal(m.Fingerprint, fp[:]) {
		return &message.Failure{Code: message.FailureNotFound, Text: "this is a machine of another network"}
	}
	return &message.DescriptorIs{Descriptor: n.network.bytes()}
}

// direct is the path back to where something came from.
func direct(from link.Origin) session.Path {
	kind := linnet.DirectUDP
	if from.Stream != 0 {
		kind = linnet.DirectTCP
	}
	return session.Path{Kind: kind, Addr: from.Addr, Stream: from.Stream, Socket: from.Socket}
}

// pathOf is the path that a packet came by: over a relay if the tag is one that
// was given to a relay.
func (s *station) pathOf(from link.Origin, tag uint32) session.Path {
	if p, relayed := s.relayed[tag]; relayed {
		return p
	}
	return direct(from)
}

// origin is the other way round: where frames of a path go.
func origin(p session.Path) link.Origin {
	return link.Origin{Addr: p.Addr, Stream: p.Stream, Socket: p.Socket}
}
