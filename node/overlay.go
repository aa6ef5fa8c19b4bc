package node

import (
	"context"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

func (s *station) overlayEffect(now time.Time, e overlay.Effect) {
	switch e := e.(type) {
	case overlay.Probe:
		s.probe(e)
	case overlay.Dial:
		s.node.beside(func(ctx context.Context) { s.node.link.Request(ctx, e.Addr, e.Message) })
	case overlay.Connect:
		if err := s.connectBy(now, e.Host, e.By); err != nil {
			s.log.Debug("connect", "to", e.Host.Node.Short(), "err", err)
			s.overlay.Down(now, e.Host.Node)
		}
	case overlay.Better:
		if len(s.pairs) == 0 { // a call may go by the stream
			s.probePath(now, e.Node, session.Path{Kind: linnet.DirectUDP, Addr: e.By.Addr})
		}
	case overlay.Disconnect:
		s.sessions.Close(now, e.Node, "")
	case overlay.Send:
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
		s.witness(now, e.Node, e.You)
		s.attached(now)
	case overlay.Seen:
		s.witness(now, e.Node, e.You)
	case overlay.Hold:
		s.hold(e.Node)
	case overlay.Detached:
		s.unwitness(e.Node)
		s.attached(now)
	case overlay.Offline:
		s.offline(e)
	case overlay.MembersChanged:
		if s.member != nil {
			s.member.MembersChanged(now)
		}
		if s.mail.member != nil {
			s.mail.member.MembersChanged(now)
		}
	case overlay.ForwardUp:
		s.forwarded(now, e.Message)
	case overlay.Gone:
		if s.people.machine != nil {
			s.people.machine.Gone(now, e.Nodes)
		}
	case overlay.Unrouted:
		s.noWay(now, e.Target)
	case overlay.RoleChanged:
		s.roleChanged(now, e.Role)
	case overlay.HistoryChanged:
		s.keepHistory()
	case overlay.HostCacheChanged:
		hosts := s.overlay.HostCache()
		s.node.note(func(ctx context.Context) error { return s.node.store.SetHostCache(ctx, hosts) }, func(_ time.Time, err error) {
			if err != nil {
				s.node.warn("the host cache cannot be written: %v", err)
			}
		})
	}
}

// probe asks a supernode whether it takes clients.
func (s *station) probe(p overlay.Probe) {
	if p.Rung != linnet.RungUDP {
		s.probeStream(p)
		return
	}
	s.node.beside(func(ctx context.Context) {
		asked := time.Now()
		reply, err := s.node.link.Request(ctx, p.Addr, &message.Probe{})
		s.node.must(func(now time.Time) {
			if err == nil {
				s.overlay.Probed(now, p, now.Sub(asked), reply)
			}
		})
	})
}

// probeWait bounds asking in a stream: what comes later nobody waits for.
const probeWait = 5 * time.Second

// probeStream asks in a stream, and keeps it for the session that may follow.
func (s *station) probeStream(p overlay.Probe) {
	s.node.beside(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, probeWait)
		defer cancel()
		var asked time.Time
		var reply message.Message
		stream, err := s.node.dialRung(ctx, p.Rung, p.Addr, p.Name)
		if err == nil {
			asked = time.Now()
			if reply, err = s.node.link.RequestStream(ctx, stream, &message.Probe{}); err != nil {
				s.node.link.Close(stream)
			}
		}
		s.node.must(func(now time.Time) {
			if err != nil {
				s.log.Debug("probe", "by", p.Rung, "at", p.Addr, "err", err)
				if trouble := proxyTrouble(err); trouble != nil {
					s.proxy = trouble
				}
				return
			}
			s.proxy = nil
			s.streams.answer(now, p, stream)
			s.overlay.Probed(now, p, now.Sub(asked), reply)
		})
	})
}

func (s *station) probePath(now time.Time, node linnet.NodeID, p session.Path) {
	if err := s.sessions.Probe(now, node, p); err != nil {
		s.log.Debug("better path", "to", node.Short(), "err", err)
	}
}

// hold refreshes the mapping to a supernode. A stream needs that less often.
func (s *station) hold(node linnet.NodeID) {
	for _, r := range s.sessions.Routes(node) {
		if r.Path.Kind == linnet.DirectUDP {
			if err := s.node.link.KeepAlive(r.Path.Addr); err != nil {
				s.log.Debug("hold", "to", node.Short(), "err", err)
			}
		}
	}
}

// attached tells directory and user when the attachment changes.
func (s *station) attached(now time.Time) {
	online := len(s.overlay.Attachments()) > 0
	s.directory.AttachmentsChanged(now)
	s.cards.client.AttachmentsChanged(now)
	if online == s.online {
		return
	}
	s.online = online
	if s.people.machine != nil {
		s.people.machine.Attached(now, online)
		s.talks.machine.Attached(now, online)
		s.tells.machine.Attached(now, online)
	}
	if online {
		s.trouble = ""
		s.node.hub.tell(linnet.Event{Kind: linnet.EventOnline})
	}
}

func (s *station) offline(e overlay.Offline) {
	check := "Check the network"
	if s.proxy != nil {
		check = s.proxy.Error()
	}
	trouble := fmt.Sprintf("No supernode can be reached: %v. %s; the next try is in %s.", e.Err, check, e.Retry.Round(time.Second))
	if s.trouble == "" {
		s.node.hub.tell(linnet.Event{Kind: linnet.EventOffline, Text: trouble})
	}
	s.trouble = trouble
}
