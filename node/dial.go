package node

import (
	"context"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
)

func (s *station) dialSupernode(now time.Time, to linnet.NodeID) error {
	host, known := s.overlay.Host(to)
	if !known {
		return session.ErrNoSession
	}
	return s.connect(now, host)
}

// tcpHeadStart is how long UDP may stay unanswered before TCP is tried beside it.
const tcpHeadStart = time.Second

// connect opens a session with a supernode: by UDP, and a little later by TCP as well.
func (s *station) connect(now time.Time, h overlay.Host) error {
	peer := session.Peer{Node: h.Node, Agreement: h.Agreement}
	addr := h.Addrs[0]
	if err := s.sessions.Dial(now, peer, session.Path{Kind: linnet.DirectUDP, Addr: addr}); err != nil {
		return err
	}
	if s.dials[h.Node] > 0 {
		return nil // TCP is on its way already
	}
	s.dials[h.Node]++
	s.node.beside(func(ctx context.Context) {
		select {
		case <-time.After(tcpHeadStart):
		case <-ctx.Done():
		}
		var stream uint64
		waiting := false
		err := s.node.do(ctx, func(time.Time) { waiting = s.node.station == s && !s.sessions.Up(h.Node) })
		if err == nil && waiting {
			stream, err = s.node.link.Dial(ctx, addr)
		}
		s.node.must(func(now time.Time) {
			if err == nil && stream != 0 {
				err = s.sessions.Dial(now, peer, session.Path{Kind: linnet.DirectTCP, Addr: addr, Stream: stream})
			}
			s.dialled(now, h.Node, err)
		})
	})
	return nil
}

// dialled counts the end of one way to dial a node. When none is left, it is over.
func (s *station) dialled(now time.Time, to linnet.NodeID, err error) {
	if s.dials[to]--; s.dials[to] > 0 {
		return
	}
	delete(s.dials, to)
	if err != nil && !s.sessions.Up(to) {
		s.sessions.Abort(now, to, err)
	}
}
