package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/traverse"
)

// spread opens spare sockets for a pair, and NATs from each of them for an address of the
// other side. The more sockets beyond these open nothing: then has them.
func (s *station) spread(p *pair, e traverse.Spread, more int, then func(now time.Time, more []uint32)) {
	s.node.beside(func(context.Context) {
		ids, err := s.node.link.OpenSpares(e.Sockets + more)
		first := min(e.Sockets, len(ids))
		for _, hops := range e.Hops {
			for _, id := range ids[:first] {
				err = errors.Join(err, s.node.link.Open(link.Origin{Addr: e.To, Socket: id}, hops))
			}
		}
		s.node.must(func(now time.Time) {
			if err != nil {
				s.log.Debug("spare sockets", "peer", p.peer.Short(), "err", err)
			}
			p.spares = append(p.spares, ids...)
			if s.pairs[p.peer] != p || s.node.station != s {
				s.gather(now, p, nil)
				return
			}
			if then != nil {
				then(now, ids[first:])
			}
		})
	})
}

// predict does so in order, and asks a supernode where one more socket is seen.
func (s *station) predict(p *pair, e traverse.Predict) {
	s.spread(p, traverse.Spread(e), 1, func(now time.Time, more []uint32) {
		for _, id := range more {
			p.asking = id
			s.askPredicted(now, p, id, predictTries)
		}
	})
}

const (
	predictTries = 3
	predictPause = 250 * time.Millisecond
)

// askPredicted asks until there is an answer: the port stays the same.
func (s *station) askPredicted(now time.Time, p *pair, socket uint32, tries int) {
	if p.asking != socket || s.pairs[p.peer] != p || tries == 0 {
		return
	}
	for id, at := range s.witnesses {
		if at.Addr().Unmap().Is4() {
			s.where(now, id, session.Path{Kind: linnet.DirectUDP, Addr: at, Socket: socket})
			break
		}
	}
	s.later(predictPause, func(now time.Time) { s.askPredicted(now, p, socket, tries-1) })
}

// gather closes a pair's spare sockets but some.
func (s *station) gather(now time.Time, p *pair, keep []uint32) {
	for _, id := range p.spares {
		if !slices.Contains(keep, id) {
			s.node.link.CloseSpare(id)
		}
	}
	p.spares = slices.DeleteFunc(p.spares, func(id uint32) bool { return !slices.Contains(keep, id) })
	for _, known := range s.sessions.Paths(p.peer) {
		if id := known.Path.Socket; id != 0 && !slices.Contains(keep, id) {
			s.sessions.PathLost(now, p.peer, known.Path)
		}
	}
}

func (s *station) closeSpares(ids []uint32) {
	for _, id := range ids {
		s.node.link.CloseSpare(id)
	}
}
