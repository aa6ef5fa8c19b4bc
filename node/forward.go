package node

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// What is forwarded: handshakes and, until a better path is up, packets.
const (
	innerHello      = 0x4001
	innerHelloReply = 0x4002
)

// forward sends a packet through the supernodes of both ends; a Hello through
// both of ours at once, so that a dead one costs no time.
func (s *station) forward(now time.Time, to linnet.NodeID, inner uint32, body []byte) {
	place, known := s.places.get(to)
	if !known {
		s.log.Debug("forward: no place known", "to", to.Short())
		return
	}
	vias := []linnet.NodeID{{}}
	if inner == innerHello {
		vias = s.overlay.Attachments()
	}
	for _, via := range vias {
		if !s.overlay.Forward(now, via, place, inner, body) {
			s.log.Debug("forward: no supernode", "to", to.Short())
		}
	}
}

var errNoWay = errors.New("its supernodes do not know it")

// noWay is told by a supernode that it could not forward to a node. When all that
// the Hello went to have said so, the node is not there.
func (s *station) noWay(now time.Time, to linnet.NodeID) {
	if s.people.machine != nil {
		s.people.machine.Unreachable(now, to)
		s.talks.machine.Unreachable(now, to)
		s.tells.machine.Unreachable(now, to)
	}
	if s.sessions.Up(to) {
		s.sessions.PathLost(now, to, session.Path{Kind: linnet.Forwarded})
		return
	}
	if s.sessions.Certificate(to) == nil {
		return // nobody is being dialled by that name
	}
	if s.unrouted[to]++; s.unrouted[to] >= len(s.overlay.Attachments()) {
		delete(s.unrouted, to)
		s.sessions.Abort(now, to, errNoWay)
	}
}

// forwarded takes what came through supernodes.
func (s *station) forwarded(now time.Time, m *message.Forward) {
	s.places.learn(m.Source)
	via := session.Path{Kind: linnet.Forwarded}
	body := m.Packet.Body
	switch m.Inner {
	case innerHello:
		s.sessions.Hello(now, via, 0, &message.Hello{Noise: body})
	case innerHelloReply:
		s.sessions.HelloReply(now, via, m.Source.Node, &message.HelloReply{Noise: body})
	case message.InnerPacket:
		if len(body) >= 4 {
			s.sessions.Packet(now, via, binary.BigEndian.Uint32(body), body[4:])
		}
	default:
		s.sealed(now, m.Source.Node, m.Inner, body)
	}
}

// sealed takes what one device sent to another without a session.
func (s *station) sealed(now time.Time, from linnet.NodeID, inner uint32, body []byte) {
	p := s.people.machine
	switch {
	case p == nil:
	case inner == message.InnerNotice:
		p.Noticed(now, from, body)
	case inner == message.InnerLetter:
		p.Straight(now, from, body)
	case inner == message.InnerTaken && len(body) == len(directory.LetterID{}):
		p.Taken(now, from, directory.LetterID(body))
		s.talks.machine.Taken(now, from, directory.LetterID(body))
		s.tells.machine.Taken(now, from, directory.LetterID(body))
	case inner == message.InnerMail:
		p.MailWaits(now)
	}
}
