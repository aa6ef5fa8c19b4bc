package node

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// When a host changes networks one address goes before the other one comes, and
// routes after it: news that come together are one change, and there are not many in a row.
const (
	networkSettles = 100 * time.Millisecond
	networkPause   = 2 * time.Second
)

// follow tells the machines when this host's addresses change, until ctx ends.
func (n *Node) follow(ctx context.Context) error {
	news := make(chan struct{}, 1)
	watching := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		watching <- n.opts.Net.Watch(ctx, func() {
			select {
			case news <- struct{}{}:
			default:
			}
		})
	}()
	for {
		select {
		case <-news:
		case err := <-watching:
			if err != nil { // sessions notice a change by silence, then
				n.log.Warn("this host's addresses are not watched", "err", err)
			}
			<-ctx.Done()
			return ctx.Err()
		}
		select {
		case <-time.After(networkSettles):
		case <-ctx.Done():
		}
		select { // what came meanwhile belongs to it
		case <-news:
		default:
		}
		addrs, err := n.opts.Net.Addrs()
		if err != nil {
			continue
		}
		n.link.AddrsChanged(addrs)
		n.must(func(now time.Time) {
			if n.station != nil {
				n.station.networkChanged(now)
			}
		})
		select {
		case <-time.After(networkPause):
		case <-ctx.Done():
		}
	}
}

// networkChanged looks for new ways: to the supernodes, which learn so where this node is
// now, and to whom there are calls with.
func (s *station) networkChanged(now time.Time) {
	if own := s.node.ownAddrs(); !slices.Equal(own, s.addrs) {
		s.addrs = own
		s.elsewhere()
	}
	s.log.Debug("the network changed", "addresses", s.addrs)
	s.overlay.NetworkChanged(now)
	s.locate(now)
	for _, p := range s.pairs {
		s.distrust(now, p)
		s.show(now, p)
		s.tellWhere(now, p)
	}
}

// elsewhere forgets the NAT of the network that this node was on.
func (s *station) elsewhere() {
	s.nat.Reset()
	s.observed, s.hops, s.test, s.doorway, s.outlets = netip.AddrPort{}, 0, natTest{}, doorway{}, nil
	s.forgetLifetime()
	for _, p := range s.pairs {
		p.way.Elsewhere()
	}
	select {
	case s.node.moved <- struct{}{}:
	default:
	}
}

// show has the relays of a pair notice where this node is now.
func (s *station) show(now time.Time, p *pair) {
	for id := range p.relays {
		for _, r := range s.sessions.Routes(id) {
			if err := s.sessions.Probe(now, id, r.Path); err != nil {
				s.log.Debug("show", "to", id.Short(), "err", err)
			}
		}
	}
}

// distrust leaves a direct path for a relay until it has answered again: it may
// have ended where one of the two was before.
func (s *station) distrust(now time.Time, p *pair) {
	var warm *session.PathInfo
	direct := false
	for _, known := range s.sessions.Paths(p.peer) {
		direct = direct || known.Used && known.Path.Kind.Direct()
		if known.Up && known.Path.Kind.Relayed() && (warm == nil || known.RTT < warm.RTT) {
			warm = &known
		}
	}
	if !direct || warm == nil {
		return
	}
	if err := s.sessions.Use(now, p.peer, warm.Path); err != nil {
		s.log.Debug("distrust a path", "to", p.peer.Short(), "err", err)
	}
}

// movedAway says that the other side is not any more where the path in use leads: its
// addresses are others than before, and that one is not among them.
func movedAway(before, now []message.Candidate, routes []session.Route) bool {
	has := func(list []message.Candidate, at netip.AddrPort) bool {
		return slices.ContainsFunc(list, func(c message.Candidate) bool { return c.Addr == at })
	}
	return len(routes) > 0 && routes[0].Path.Kind.Direct() && has(before, routes[0].Path.Addr) && !has(now, routes[0].Path.Addr)
}

// tellWhere tells the other side of a pair at which addresses this node is now, if it
// may know any.
func (s *station) tellWhere(now time.Time, p *pair) {
	p.way.Own(now, s.natFor(p), s.candidates(p))
	if !p.contact {
		return
	}
	if err := s.sessions.Send(now, p.peer, s.sessionRequest(p)); err != nil {
		s.log.Debug("tell new addresses", "to", p.peer.Short(), "err", err)
	}
}
