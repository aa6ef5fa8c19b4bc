package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

func (s *station) overlayEffect(now time.Time, e overlay.Effect) {
	switch e := e.(type) {
	case overlay.Probe:
		s.probe(e.Addr)
	case overlay.Connect:
		if err := s.connect(now, e.Host); err != nil {
			s.log.Debug("connect", "to", e.Host.Node.Short(), "err", err)
			s.overlay.Down(now, e.Host.Node)
		}
	case overlay.Disconnect:
		s.sessions.Close(now, e.Node, "")
	case overlay.Send:
		if e.To == s.id {
			s.overlay.Received(now, s.id, 0, e.Message)
			return
		}
		s.send(now, e.To, e.Message)
	case overlay.Request:
		token := e.Token
		s.request(now, e.To, e.Message, func(now time.Time, reply message.Message, err error) {
			if err != nil {
				s.overlay.Failed(now, token)
				return
			}
			s.overlay.Replied(now, token, e.To, reply)
		})
	case overlay.Respond:
		s.respond(now, e.To, e.ID, e.Message)
	case overlay.Attached:
		s.observed = e.You
		s.attached(now)
	case overlay.Detached:
		s.attached(now)
	case overlay.Offline:
		s.offline(e)
	case overlay.MembersChanged:
		if s.member != nil {
			s.member.MembersChanged(now)
		}
	case overlay.ForwardUp:
		s.forwarded(now, e.Message)
	case overlay.Unrouted:
		s.noWay(now, e.Target)
	case overlay.HostCacheChanged:
		if err := s.node.store.SetHostCache(context.Background(), s.overlay.HostCache()); err != nil {
			s.node.warn("the host cache cannot be written: %v", err)
		}
	}
}

// probe asks a supernode whether it takes clients.
func (s *station) probe(addr netip.AddrPort) {
	s.node.beside(func() {
		ctx, cancel := s.node.untilStopped()
		defer cancel()
		asked := time.Now()
		reply, err := s.node.link.Request(ctx, addr, &message.Probe{})
		s.node.must(func(now time.Time) {
			_, accepted := reply.(*message.ProbeAccepted)
			s.overlay.Probed(now, addr, now.Sub(asked), err == nil && accepted)
		})
	})
}

// attached tells directory and user when the attachment changes.
func (s *station) attached(now time.Time) {
	online := len(s.overlay.Attachments()) > 0
	s.directory.AttachmentsChanged(now)
	if online == s.online {
		return
	}
	s.online = online
	if online {
		s.trouble = ""
		s.node.hub.tell(linnet.Event{Kind: linnet.EventOnline})
	}
}

func (s *station) offline(e overlay.Offline) {
	trouble := fmt.Sprintf("No supernode can be reached: %v. Check the network; the next try is in %s.", e.Err, e.Retry.Round(time.Second))
	if s.trouble == "" {
		s.node.hub.tell(linnet.Event{Kind: linnet.EventOffline, Text: trouble})
	}
	s.trouble = trouble
}

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
	}
}

// maxPlaces bounds how many nodes' places are remembered.
const maxPlaces = 4096

// places remembers through which supernodes other nodes can be reached. The
// zero value is empty.
type places struct {
	at    map[linnet.NodeID]message.Location
	order []linnet.NodeID // the one learnt first leads
}

func (p *places) get(node linnet.NodeID) (message.Location, bool) {
	l, ok := p.at[node]
	return l, ok
}

func (p *places) learn(l message.Location) {
	if p.at == nil {
		p.at = make(map[linnet.NodeID]message.Location)
	}
	if _, known := p.at[l.Node]; !known {
		if len(p.order) == maxPlaces {
			delete(p.at, p.order[0])
			p.order = p.order[1:]
		}
		p.order = append(p.order, l.Node)
	}
	p.at[l.Node] = l
}
