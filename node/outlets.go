package node

import (
	"context"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
)

// Outlets are by which ports of supernodes this node's streams get through. That is tried
// once on each network, when somebody wants to know and a supernode is known that listens
// there.
type outlets struct {
	tried linnet.Rungs
	by    [linnet.NumRungs]*bool
}

const outletWait = 5 * time.Second

// tryOutlets dials a supernode by every rung of streams that one listens on.
func (s *station) tryOutlets() {
	attached := s.overlay.Attachments()
	if s.outlets == nil {
		s.outlets = new(outlets)
	}
	r := s.outlets
	for _, id := range attached {
		if by, ok := s.overlay.AttachedBy(id); ok && by != linnet.RungUDP {
			r.by[by] = new(true)
		}
	}
	for rung := linnet.RungTCP; rung < linnet.NumRungs; rung++ {
		for _, id := range attached {
			h, known := s.overlay.Host(id)
			at := s.overlay.AddrOf(h)
			if r.by[rung] != nil || r.tried.Has(rung) || id == s.id || !known || !at.IsValid() || !h.Rungs.Has(rung) && (rung != linnet.RungTCP || h.Rungs != 0) {
				continue
			}
			r.tried |= linnet.RungsOf(rung)
			s.node.beside(func(ctx context.Context) {
				ctx, cancel := context.WithTimeout(ctx, outletWait)
				defer cancel()
				at := netip.AddrPortFrom(at.Addr(), rung.Port(at.Port()))
				stream, err := insist(ctx, dialAgain, dialTries, func(ctx context.Context) (uint64, error) {
					return s.node.dialRung(ctx, rung, at, h.Name)
				}, s.node.link.Close)
				if err == nil {
					s.node.link.Close(stream)
				}
				s.node.must(func(time.Time) { r.by[rung] = new(err == nil) })
			})
			break
		}
	}
}
