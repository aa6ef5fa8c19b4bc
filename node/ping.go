package node

import (
	"context"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// How often a device answers the pings of one other device: a second, and at once.
const (
	pingRate  = 2
	pingBurst = 10
)

type ponged func(now time.Time, p linnet.Pong, err error)

// Ping implements linnet.Client.
func (n *Node) Ping(ctx context.Context, user linnet.UserName) (linnet.Pong, error) {
	type answer struct {
		pong linnet.Pong
		err  error
	}
	answers := make(chan answer, 1)
	err := n.inStation(ctx, func(now time.Time, s *station) error {
		if user == s.self.User {
			return linnet.Errorf(linnet.CodeUsage, "%s is you; `linnet netcheck` tells how you stand", user)
		}
		if !s.online {
			return s.offlineError()
		}
		s.ping(now, user, func(_ time.Time, p linnet.Pong, err error) { answers <- answer{p, err} })
		return nil
	})
	if err != nil {
		return linnet.Pong{}, err
	}
	select {
	case a := <-answers:
		return a.pong, a.err
	case <-ctx.Done():
		return linnet.Pong{}, ctx.Err()
	case <-n.life.Done():
		return linnet.Pong{}, errStopped
	}
}

// ping asks the device that there are paths to already, or one that the
// directory shows.
func (s *station) ping(now time.Time, user linnet.UserName, done ponged) {
	for _, p := range s.pairs {
		if p.user == user && s.sessions.Up(p.peer) {
			s.pingDevice(now, p.peer, user, done)
			return
		}
	}
	s.lookUp(now, user, false, func(now time.Time, l linnet.Listing, err error) {
		for _, d := range l.Devices {
			if err == nil && d.Online {
				s.pingDevice(now, d.Node, user, done)
				return
			}
		}
		switch {
		case err != nil:
		case len(l.Devices) == 0:
			err = &linnet.Error{Code: linnet.CodeNotFound, Text: fmt.Sprintf("nobody called %s was seen within 72 hours", user), Hint: "check the spelling"}
		default:
			err = linnet.Errorf(linnet.CodeOffline, "%s is not online", user)
		}
		done(now, linnet.Pong{}, err)
	})
}

// pingDevice opens a session as for a call where there is none, and then asks
// in it: the time of the handshake says nothing of the path.
func (s *station) pingDevice(now time.Time, node linnet.NodeID, user linnet.UserName, done ponged) {
	if s.pairs[node] == nil {
		if !s.roomForPair(now) {
			done(now, linnet.Pong{}, linnet.Errorf(linnet.CodeBusy, "this node looks for ways to too many devices"))
			return
		}
		s.open(now, node, nil)
	}
	if p := s.pairs[node]; p != nil {
		p.seen = now
	}
	stood := s.sessions.Up(node)
	s.request(now, node, &message.PathPing{}, func(then time.Time, reply message.Message, err error) {
		refusal, refused := reply.(*message.Failure)
		switch {
		case err != nil:
			done(then, linnet.Pong{}, &linnet.Error{Code: linnet.CodeNoAnswer, Text: fmt.Sprintf("%s's device does not answer", user), Hint: "it may have gone offline just now", Err: err})
		case refused && refusal.Code == message.FailureTooMany:
			done(then, linnet.Pong{}, &linnet.Error{Code: linnet.CodeTooSoon, Text: fmt.Sprintf("%s's device answers no more pings for now", user), Hint: "wait a moment"})
		case refused:
			done(then, linnet.Pong{}, linnet.Errorf(linnet.CodeFailed, "%s's device says: %s", user, refusal.Text))
		case !stood:
			s.pingDevice(then, node, user, done)
		default:
			done(then, s.pong(node, user, then.Sub(now)), nil)
		}
	})
}

func (s *station) pong(node linnet.NodeID, user linnet.UserName, rtt time.Duration) linnet.Pong {
	p := linnet.Pong{User: user, Node: node, RTTMS: linnet.Milliseconds(rtt)}
	for _, known := range s.sessions.Paths(node) {
		if known.Used {
			at := known.Path
			p.Path = at.Kind
			if at.Kind.Relayed() {
				p.Via = at.Via.Short()
			} else if at.Addr.IsValid() {
				p.Addr = at.Addr.String()
			}
		}
	}
	return p
}

// pinged answers a ping of somebody who looks for paths to this device.
func (s *station) pinged(now time.Time, p *pair, e session.Received) {
	if !p.pings.Take(now, pingRate, pingBurst) {
		s.respond(now, e.From, e.ID, &message.Failure{Code: message.FailureTooMany, Text: "too many pings"})
		return
	}
	p.seen = now
	s.respond(now, e.From, e.ID, &message.PathPong{})
}
