package node

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// asked remembers who waits for the replies of requests in sessions.
type asked struct {
	last uint64
	by   map[uint64]func(now time.Time, reply message.Message, err error)
}

func (a *asked) add(f func(now time.Time, reply message.Message, err error)) uint64 {
	if a.by == nil {
		a.by = make(map[uint64]func(time.Time, message.Message, error))
	}
	a.last++
	a.by[a.last] = f
	return a.last
}

func (a *asked) answer(now time.Time, token uint64, reply message.Message, err error) {
	if f := a.by[token]; f != nil {
		delete(a.by, token)
		f(now, reply, err)
	}
}

// request asks a node in its session, which there has to be, or a supernode,
// to which one is opened.
func (s *station) request(now time.Time, to linnet.NodeID, m message.Message, f func(now time.Time, reply message.Message, err error)) {
	token := s.asked.add(f)
	if to == s.id {
		s.received(now, session.Received{From: to, ID: s.ownRequest(token), Message: m})
		return
	}
	err := s.sessions.Request(now, to, m, token)
	if errors.Is(err, session.ErrNoSession) {
		if err = s.dialSupernode(now, to); err == nil {
			err = s.sessions.Request(now, to, m, token)
		}
	}
	if err != nil {
		s.asked.answer(now, token, nil, err)
	}
}

// ownRequest is the id under which a supernode asks itself: one that serves its
// own user is its own client.
func (s *station) ownRequest(token uint64) uint16 {
	if s.own == nil {
		s.own = make(map[uint16]uint64)
	}
	id := uint16(token)
	s.own[id] = token
	return id
}

// send says something in a session, which there has to be, or to a supernode,
// to which one is opened.
func (s *station) send(now time.Time, to linnet.NodeID, m message.Message) {
	if to == s.id {
		s.received(now, session.Received{From: to, Message: m})
		return
	}
	err := s.sessions.Send(now, to, m)
	if errors.Is(err, session.ErrNoSession) {
		if err = s.dialSupernode(now, to); err == nil {
			err = s.sessions.Send(now, to, m)
		}
	}
	if err != nil {
		s.log.Debug("send", "to", to.Short(), "message", message.SpecOf(m).Name, "err", err)
	}
}

func (s *station) sessionEffect(now time.Time, e session.Effect) {
	switch e := e.(type) {
	case session.SendHello:
		s.sendHello(now, e)
	case session.SendPacket:
		s.sendPacket(now, e)
	case session.Up:
		s.sessionUp(now, e)
	case session.Upgraded:
		s.sendKeysAgain(now, e.Peer)
		s.calls.Upgraded(now, e.Peer)
	case session.Down:
		s.sessionDown(now, e)
	case session.Received:
		s.received(now, e)
	case session.Reply:
		s.asked.answer(now, e.Token, e.Message, nil)
	case session.Failed:
		s.asked.answer(now, e.Token, nil, e.Err)
		s.overlay.Doubt(now, e.To)
	case session.PathUp:
		s.pathUp(now, e)
	case session.Met:
		s.pathMet(now, e)
	case session.Sized:
		if s.files.machine != nil {
			s.files.trunk.sized(e)
		}
	case session.Asked:
		if e.After != 0 {
			s.promise(now, e)
		} else {
			s.natAsked(e)
		}
	case session.Silent:
		s.silent(now, e)
	case session.Seen:
		s.seen(now, e)
	case session.PathDown:
		s.pathDown(now, e)
	case session.Bind:
		if !s.self.User.IsNode() { // else there is no media for it, and many tags
			s.board.bind(e.Peer, e.Tag)
		}
	case session.Unbind:
		s.board.unbind(e.Tag)
	case session.Moved:
		s.moved(now, e)
	}
}

// sendHello carries a handshake message. A reply goes back the way that the
// Hello came; a Hello outside of sessions is repeated by the link.
func (s *station) sendHello(now time.Time, e session.SendHello) {
	switch m := e.Message.(type) {
	case *message.HelloReply:
		if e.Via.Kind == linnet.Forwarded {
			s.forward(now, e.To, innerHelloReply, m.Noise)
			return
		}
		s.node.reply(origin(e.Via), e.ReplyTo, m)
	case *message.Hello:
		if e.Via.Kind == linnet.Forwarded {
			s.forward(now, e.To, innerHello, m.Noise)
			return
		}
		s.dials[e.To]++
		s.node.beside(func(ctx context.Context) {
			var reply message.Message
			var err error
			if e.Via.Stream != 0 {
				reply, err = s.node.link.RequestStream(ctx, e.Via.Stream, m)
			} else {
				reply, err = s.node.link.Request(ctx, e.Via.Addr, m)
			}
			s.node.must(func(now time.Time) {
				if answer, ok := reply.(*message.HelloReply); ok {
					s.sessions.HelloReply(now, e.Via, e.To, answer)
				} else if err == nil {
					err = replyError(reply)
				}
				s.dialled(now, e.To, err)
			})
		})
	}
}

func (s *station) sendPacket(now time.Time, e session.SendPacket) {
	if e.Via.Kind == linnet.Forwarded {
		body := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(e.Body)), e.Tag)
		s.forward(now, e.To, message.InnerPacket, append(body, e.Body...))
		return
	}
	send := s.node.link.SendPacket
	if e.Whole {
		send = s.node.link.SendWhole
	}
	if err := send(origin(e.Via), e.Tag, e.Body); err != nil {
		s.log.Debug("send packet", "via", e.Via, "err", err)
	}
}

func (s *station) sessionUp(now time.Time, e session.Up) {
	var at session.Path
	for _, p := range s.sessions.Paths(e.Peer) {
		if p.Up && p.Path.Kind.Direct() {
			at = p.Path
			break
		}
	}
	if at.Kind == linnet.DirectTCP {
		s.streams.up(now, at.Stream, e.Peer)
	}
	s.overlay.Up(now, e.Peer, at.Addr)
	if s.overlay.IsSupernode(e.Peer) { // which only a supernode knows
		s.sessions.Lasting(now, e.Peer)
	}
	if s.self.User.IsNode() {
		return // nobody calls an operator's machine
	}
	s.relays.SessionUp(now, e.Peer)
	s.calls.SessionUp(now, e.Peer)
	delete(s.unrouted, e.Peer)
	if p := s.pairs[e.Peer]; p != nil {
		s.pairUp(now, p)
	} else {
		s.repair(now, e.Peer)
	}
}

func (s *station) sessionDown(now time.Time, e session.Down) {
	s.log.Debug("session down", "peer", e.Peer.Short(), "err", e.Err)
	delete(s.unrouted, e.Peer)
	s.overlay.Down(now, e.Peer)
	s.calls.SessionDown(now, e.Peer)
	s.relays.SessionDown(now, e.Peer)
	s.board.forget(e.Peer)
	if s.files.machine != nil {
		s.files.trunk.forget(e.Peer)
	}
	if s.relaying.server != nil {
		s.relaying.server.Gone(e.Peer)
	}
	if p := s.pairs[e.Peer]; p != nil {
		s.unpair(now, p)
	}
}

// received hands a command to the machine that it is for.
func (s *station) received(now time.Time, e session.Received) {
	if s.overlay.Received(now, e.From, e.ID, e.Message) ||
		s.directoryReceived(now, e) || s.mailReceived(now, e) || s.relayReceived(now, e) {
		return
	}
	if m, ok := e.Message.(*message.NATTest); ok {
		s.helpNATTest(now, e.From, e.ID, m.Nonce)
		return
	}
	if s.self.User.IsNode() {
		return // nobody calls an operator's machine
	}
	cert := s.sessions.Certificate(e.From)
	if cert != nil && s.contactState(cert.User) == linnet.Blocked {
		return // in a session from before that
	}
	if cert != nil && s.chatReceived(now, e.From, cert.User, e.Message) || s.pairReceived(now, e) {
		return
	}
	if cert != nil && s.fileReceived(now, e, cert.User) {
		return
	}
	if cert != nil {
		s.calls.Received(now, s.callPeer(e.From, cert.User), e.Early, e.Message)
	}
}

func (s *station) respond(now time.Time, to linnet.NodeID, id uint16, m message.Message) {
	if to == s.id {
		token := s.own[id]
		delete(s.own, id)
		s.asked.answer(now, token, m, nil)
		return
	}
	say := s.sessions.Respond
	if _, often := m.(*message.KeepAliveAck); often {
		say = s.sessions.SendUnreliable // an ack would be a third of an idle client's traffic; a lost answer is asked for again
	}
	if err := say(now, to, id, m); err != nil {
		s.log.Debug("respond", "to", to.Short(), "err", err)
	}
}

// streamClosed ends the paths that took a TCP stream: those to whom it led, and
// those over a relay there.
func (s *station) streamClosed(now time.Time, stream uint64) {
	owner := s.streams.closed(stream)
	s.lostStream(now, owner, stream)
	for peer := range s.pairs {
		s.lostStream(now, peer, stream)
	}
	s.overlay.Doubt(now, owner)
}

func (s *station) lostStream(now time.Time, peer linnet.NodeID, stream uint64) {
	for _, p := range s.sessions.Paths(peer) {
		if p.Path.Stream == stream {
			s.sessions.PathLost(now, peer, p.Path)
		}
	}
}
