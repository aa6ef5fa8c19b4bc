package node

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/traverse"
)

// A lifetime is the measurement of how long the NAT keeps a mapping, and what came of it.
type lifetime struct {
	turn    int                // which network this is
	measure *traverse.Lifetime // under way; nil: it is not
	by      linnet.NodeID
	at      netip.AddrPort // of the supernode
	spares  []uint32
	belief  traverse.Belief
	begun   bool // or over: nothing more is to be found out on this network
}

// lifetimeAgain is for a network whose supernodes had too much to do to answer late, or are
// of an earlier version.
const lifetimeAgain = 6 * time.Hour

// measureLifetime finds out how long a mapping is kept, once on a network.
func (s *station) measureLifetime(by linnet.NodeID, at netip.AddrPort) {
	f := s.nat.Finding(s.addrs)
	if s.lifetime.begun || !s.lifetime.belief.Needs(by) || f.None && f.NAT.Filtering() == traverse.EndpointIndependent {
		return
	}
	s.lifetime.begun = true
	turn := s.lifetime.turn
	s.node.beside(func(context.Context) {
		ids, err := s.node.link.OpenSpares(traverse.LifetimeSockets)
		s.node.must(func(now time.Time) {
			l := &s.lifetime
			if err == nil && len(ids) == traverse.LifetimeSockets && s.node.station == s && l.turn == turn && s.witnesses[by] == at {
				l.measure, l.by, l.at, l.spares = traverse.NewLifetime(now, ids, rand.Uint64()), by, at, ids
				return
			}
			s.log.Debug("lifetime of mappings", "open", len(ids), "err", err)
			s.closeSpares(ids)
			if l.turn == turn {
				l.begun = false
			}
		})
	})
}

// endLifetime takes the result.
func (s *station) endLifetime(kept traverse.Kept, known bool) {
	l := &s.lifetime
	s.stopLifetime()
	s.log.Debug("lifetime of mappings", "by", l.by.Short(), "known", known, "at least", kept.AtLeast, "below", kept.Below, "pause", kept.KeepAlive())
	if !known {
		turn := l.turn
		s.later(lifetimeAgain, func(time.Time) {
			if s.lifetime.turn == turn {
				s.askAnother()
			}
		})
		return
	}
	if l.belief.Found(l.by, kept, overlay.UsualKeepAlive) {
		s.askAnother()
	}
	s.overlay.SetKeepAlive(l.belief.KeepAlive())
}

// askAnother goes on with another supernode, now or when there is one.
func (s *station) askAnother() {
	s.lifetime.begun = false
	for by, at := range s.witnesses {
		s.measureLifetime(by, at)
	}
}

// stopLifetime ends a measurement, if one is under way.
func (s *station) stopLifetime() {
	s.closeSpares(s.lifetime.spares)
	s.lifetime.measure, s.lifetime.spares = nil, nil
}

// forgetLifetime is for another network.
func (s *station) forgetLifetime() {
	s.stopLifetime()
	s.lifetime = lifetime{turn: s.lifetime.turn + 1}
	s.overlay.SetKeepAlive(0)
}

// abandonLifetime is for the loss of the supernode that answers: the next one will.
func (s *station) abandonLifetime(by linnet.NodeID) {
	if s.lifetime.measure != nil && s.lifetime.by == by {
		s.stopLifetime()
		s.lifetime.begun = false
	}
}

// settleLifetime does what the measurement wants, and pays what this node owes to those of
// others.
func (s *station) settleLifetime(now time.Time) (busy bool) {
	for _, x := range s.promises.Take(now) {
		busy = true
		s.see(now, x.Peer, x.Path, x.Token)
	}
	l := &s.lifetime
	if l.measure == nil {
		return busy
	}
	for _, e := range l.measure.Take() {
		busy = true
		ask := e.(traverse.AskLater)
		path := session.Path{Kind: linnet.DirectUDP, Addr: l.at, Socket: ask.Socket}
		if err := s.sessions.WhereAfter(now, l.by, path, ask.Token, ask.After); err != nil {
			s.log.Debug("lifetime of mappings", "asked", l.by.Short(), "err", err)
		}
	}
	if kept, known, over := l.measure.Result(); over {
		s.endLifetime(kept, known)
	}
	return busy
}

// promise answers a client later, or at once whom it cannot promise that.
func (s *station) promise(now time.Time, e session.Asked) {
	if e.Path.Kind != linnet.DirectUDP || !s.overlay.IsClient(e.Peer) || !s.promises.Add(now, e.Peer, e.Path, e.Token, e.After) {
		s.see(now, e.Peer, e.Path, e.Token)
	}
}

func (s *station) see(now time.Time, peer linnet.NodeID, by session.Path, token uint64) {
	if err := s.sessions.See(now, peer, by, token); err != nil {
		s.log.Debug("late answer", "to", peer.Short(), "err", err)
	}
}
