package node

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/portmap"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/traverse"
)

// witness takes where a supernode that serves this node sees it. Over a stream that
// says nothing about the UDP socket.
func (s *station) witness(now time.Time, node linnet.NodeID, you netip.AddrPort) {
	for _, r := range s.sessions.Routes(node) {
		if r.Path.Kind == linnet.DirectUDP {
			if s.witnesses[node] != r.Path.Addr {
				s.unwitness(node)
				s.witnesses[node] = r.Path.Addr
			}
			s.observe(now, node, r.Path.Addr, you)
			return
		}
	}
}

// carryPause is the least time between two changes of the network of which supernodes
// tell: one that lies must not have all tested again and again.
const carryPause = 30 * time.Second

// observe takes where a supernode sees the UDP socket. Peers hear of what is new in that.
func (s *station) observe(now time.Time, by linnet.NodeID, at, you netip.AddrPort) {
	before := s.nat.Finding(s.addrs)
	if s.nat.Observed(at, you) && now.Sub(s.carried) >= carryPause {
		s.carried = now
		s.elsewhere()
		s.nat.Observed(at, you)
		s.locate(now)
	}
	if at == s.witnesses[by] {
		s.observed = you
		s.measureHops(at)
		s.testNAT(now, by, at, you) // unless that was done on this network
		if s.test.over {
			s.measureLifetime(by, at) // the same
		}
	}
	if after := s.nat.Finding(s.addrs); after.NAT == before.NAT && slices.Equal(after.Public, before.Public) {
		return
	}
	for _, p := range s.pairs {
		s.tellWhere(now, p)
	}
}

// locate asks the supernodes over UDP where they see this node now.
func (s *station) locate(now time.Time) {
	for id, at := range s.witnesses {
		s.where(now, id, session.Path{Kind: linnet.DirectUDP, Addr: at})
	}
}

func (s *station) where(now time.Time, node linnet.NodeID, path session.Path) {
	if err := s.sessions.Where(now, node, path, 0); err != nil {
		s.log.Debug("where", "asked", node.Short(), "err", err)
	}
}

// seen takes the answer.
func (s *station) seen(now time.Time, e session.Seen) {
	if p := s.pairs[e.Peer]; p != nil {
		p.way.Answered(now, e.Path, e.Token)
	}
	if e.Path.Kind == linnet.DirectTCP {
		s.seenTCP(now, e)
		return
	}
	at, witness := s.witnesses[e.Peer]
	if !witness || e.Path.Kind != linnet.DirectUDP || e.Path.Addr != at && e.Path.Addr != s.test.side {
		return // anybody can say where this node is
	}
	if _, spare := s.test.spares[e.Path.Socket]; spare {
		s.test.spares[e.Path.Socket] = e.You.Port()
		return
	}
	if socket := e.Path.Socket; socket != 0 {
		if m := s.lifetime.measure; m != nil && m.Seen(now, socket, e.Token) {
			return
		}
		for _, p := range s.pairs {
			if p.asking == socket {
				p.asking = 0
				p.way.PredictFrom(now, e.You)
			}
		}
		return
	}
	s.observe(now, e.Peer, e.Path.Addr, e.You)
}

// foundMapping takes what the router offers. Peers hear of it.
func (n *Node) foundMapping(found portmap.Found) {
	n.must(func(now time.Time) {
		n.mapped = &found
		if s := n.station; s != nil {
			for _, p := range s.pairs {
				s.tellWhere(now, p)
			}
		}
	})
}

// measureHops finds out how far the NATs before this node are, on the way to a
// supernode. Routers tell only so often where packets end, so it may take several tries.
func (s *station) measureHops(to netip.AddrPort) {
	if s.measuring || s.hops != 0 {
		return
	}
	s.measuring = true
	s.node.beside(func(ctx context.Context) {
		hops := 0
		for try := range hopTries {
			routers, err := netx.Routers(ctx, s.node.opts.Net, to, link.Nothing())
			s.log.Debug("routers on the way out", "to", to, "routers", routers, "err", err)
			if hops = traverse.Hops(routers); hops != 0 || err != nil {
				break
			}
			select {
			case <-time.After(hopPause << try):
			case <-ctx.Done():
			}
		}
		s.node.must(func(time.Time) { s.hops, s.measuring = hops, false })
	})
}

const (
	hopTries = 4
	hopPause = 2 * time.Second // doubled from try to try
)

func (s *station) unwitness(node linnet.NodeID) {
	s.abandonLifetime(node)
	s.nat.Forget(s.witnesses[node])
	delete(s.witnesses, node)
}

// natFor is what the other side of a pair may know of this node's NAT: as with
// addresses, nothing unless it is a contact.
func (s *station) natFor(p *pair) traverse.NAT {
	if !p.contact {
		return traverse.Unknown
	}
	return s.nat.Finding(s.addrs).Told()
}

// netcheck is what this node knows of the network that it is on.
func (s *station) netcheck() *linnet.NAT {
	f := s.nat.Finding(s.addrs)
	out := &linnet.NAT{Public: f.Public, Name: f.Name()}
	if out.Public == nil {
		out.Public = []netip.AddrPort{}
		if s.streamsOnly() {
			out.UDP = new(false)
		}
	} else {
		out.UDP = new(true)
	}
	s.tryOutlets()
	out.TCP = linnet.TCPReach{Own: s.outlets.by[linnet.RungTCP], HTTP: s.outlets.by[linnet.RungPort80], HTTPS: s.outlets.by[linnet.RungPort443]}
	if m := f.NAT.Mapping(); m != traverse.BehaviorUnknown {
		out.Mapping = new(m.String())
	}
	if b := f.NAT.Filtering(); b != traverse.BehaviorUnknown {
		out.Filtering = new(b.String())
	}
	out.Hairpin = s.test.hairpin
	if found := s.node.mapped; found != nil {
		out.PortMapping = append([]string{}, found.Protocols...)
	}
	if low, high := f.NAT.Block(); high != 0 {
		out.Ports = []uint16{uint16(low), uint16(high)}
	}
	out.PortStep = int(f.NAT.Step())
	if kept, known := s.lifetime.belief.Kept(); known {
		out.Lifetime = &linnet.MappingLifetime{AtLeastS: int(kept.AtLeast / time.Second), BelowS: int(kept.Below / time.Second)}
	}
	is6 := func(a netip.AddrPort) bool { return a.Addr().Unmap().Is6() && a.Addr().IsGlobalUnicast() }
	switch {
	case slices.ContainsFunc(f.Public, is6):
		out.IPv6 = new(true)
	case !slices.ContainsFunc(s.addrs, is6):
		out.IPv6 = new(false)
	}
	return out
}
