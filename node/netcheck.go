package node

import (
	"net/netip"
	"slices"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/traverse"
)

// witness takes where a supernode sees this node. Over a stream that says nothing
// about the UDP socket.
func (s *station) witness(node linnet.NodeID, you netip.AddrPort) {
	for _, r := range s.sessions.Routes(node) {
		if r.Path.Kind == linnet.DirectUDP {
			s.observed = you
			s.unwitness(node)
			s.witnesses[node] = r.Path.Addr
			s.nat.Observed(r.Path.Addr, you)
			return
		}
	}
}

func (s *station) unwitness(node linnet.NodeID) {
	s.nat.Forget(s.witnesses[node])
	delete(s.witnesses, node)
}

// natFor is what the other side of a pair may know of this node's NAT: as with
// addresses, nothing unless it is a contact.
func (s *station) natFor(p *pair) traverse.NAT {
	if !p.contact {
		return traverse.Unknown
	}
	return s.nat.Finding(s.node.ownAddrs()).NAT
}

// netcheck is what this node knows of the network that it is on.
func (s *station) netcheck() *linnet.NAT {
	own := s.node.ownAddrs()
	f := s.nat.Finding(own)
	out := &linnet.NAT{Public: f.Public, Name: f.Name()}
	if out.Public == nil {
		out.Public = []netip.AddrPort{}
	} else {
		out.UDP = new(true)
	}
	if m := f.NAT.Mapping(); m != traverse.BehaviorUnknown {
		out.Mapping = new(m.String())
	}
	is6 := func(a netip.AddrPort) bool { return a.Addr().Unmap().Is6() && a.Addr().IsGlobalUnicast() }
	switch {
	case slices.ContainsFunc(f.Public, is6):
		out.IPv6 = new(true)
	case !slices.ContainsFunc(own, is6):
		out.IPv6 = new(false)
	}
	return out
}
