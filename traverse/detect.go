package traverse

import (
	"net/netip"
	"slices"
)

// maxWitnesses bounds what a Detector remembers: no node is attached to more
// supernodes for long.
const maxWitnesses = 8

// A Detector finds out what stands between this node's UDP socket and the rest,
// by comparing the addresses at which supernodes see that socket. What each of them
// says comes with the answers that they give anyway, so that nothing is sent for it,
// and nobody can be made to send anything elsewhere.
//
//	seen at                                            the mapping is
//	our own address, by anybody                        none: there is no NAT
//	one address, by two with different addresses       endpoint-independent
//	two addresses, by two with different addresses     dependent; on what is not known
//	two addresses, by two ports of one address         address-and-port-dependent
//	two addresses, but one by two ports of one         address-dependent
//
// The filter takes packets that this node did not ask for, which its supernode arranges:
//
//	from a supernode that it never wrote to                 it lets in everybody: endpoint-independent
//	from another port of its own supernode, not from those  address-dependent
//	from neither, though they were sent                     address-and-port-dependent
//
// A supernode may lie: that spoils what this node says of its own NAT, and no more.
// The zero value has heard nobody.
type Detector struct {
	witnesses []witness
	filtering Behavior
	low, high uint16 // ports that the NAT gave spare sockets
	step      uint16 // between them, if it hands them out in order
}

type witness struct{ at, you netip.AddrPort }

// A Finding is what a Detector knows.
type Finding struct {
	NAT       NAT
	None      bool             // there is no NAT; there may be a firewall
	Local     bool             // nothing was heard from outside of this machine: no NAT can be told
	Dependent bool             // the mapping is not endpoint-independent
	Public    []netip.AddrPort // as seen by the supernodes, each once, in order
}

// Observed says that the supernode at an address sees our UDP socket as you. Its
// last word counts. It says whether that supernode saw us at another IP address before:
// then this may be another network.
func (d *Detector) Observed(at, you netip.AddrPort) (elsewhere bool) {
	at, you = clean(at), clean(you)
	if !at.IsValid() || !you.IsValid() || you.Port() == 0 || at.Addr().Is4() != you.Addr().Is4() {
		return false
	}
	if i := slices.IndexFunc(d.witnesses, func(w witness) bool { return w.at == at }); i >= 0 {
		before := d.witnesses[i].you
		d.witnesses[i].you = you
		return before.Addr() != you.Addr()
	}
	if len(d.witnesses) == maxWitnesses {
		d.witnesses = slices.Delete(d.witnesses, 0, 1)
	}
	d.witnesses = append(d.witnesses, witness{at, you})
	return false
}

// A FilterTest is which unasked packets were sent to this node, and which of them came.
type FilterTest struct {
	ByPort, ByStranger     bool // sent
	FromPort, FromStranger bool // came
}

// Tested takes the end of a test of the filter.
func (d *Detector) Tested(t FilterTest) {
	switch {
	case t.FromStranger && (t.FromPort || !t.ByPort): // or else it was no stranger to the NAT
		d.filtering = EndpointIndependent
	case t.ByStranger && t.FromPort:
		d.filtering = AddressDependent
	case t.ByPort && !t.FromPort:
		d.filtering = AddressAndPortDependent
	}
}

// Spread takes the outer ports of some spare sockets, in the order in which they were
// used first. If they are near one another, the NAT draws from a block, or hands its ports
// out in order: then a block says nothing of later ones.
func (d *Detector) Spread(ports []uint16) {
	if len(ports) < minSpread {
		return
	}
	if d.step = stepOf(ports); d.step != 0 {
		d.low, d.high = 0, 0
		return
	}
	low, high := slices.Min(ports), slices.Max(ports)
	margin := (high - low) / 4 // the ends of a block are seldom met
	d.low, d.high = 0, 0
	if high-low <= maxBlock {
		d.low, d.high = max(low-min(low, margin), firstPort), high+min(margin, 1<<16-1-high)
	}
}

const (
	minSpread = 6       // ports of which a block can be guessed
	maxBlock  = 1 << 13 // a wider one helps nobody
	maxStep   = 8
	maxGap    = 64 // other hosts behind the NAT get ports meanwhile
)

// stepOf is how far apart the ports are that a NAT hands out one after the other, if these
// are such; 0: they are not.
func stepOf(ports []uint16) uint16 {
	step := uint16(maxStep + 1)
	for i, p := range ports[1:] {
		step = min(step, p-ports[i])
	}
	for i, p := range ports[1:] {
		if gap := p - ports[i]; step == 0 || step > maxStep || gap > maxGap || gap%step != 0 {
			return 0
		}
	}
	return step
}

// Reset forgets all: the node is on another network.
func (d *Detector) Reset() { *d = Detector{} }

// Forget drops what a supernode said: it serves us no longer, and the mapping may
// have changed since.
func (d *Detector) Forget(at netip.AddrPort) {
	at = clean(at)
	d.witnesses = slices.DeleteFunc(d.witnesses, func(w witness) bool { return w.at == at })
}

// Finding judges by IPv4 if there is any: IPv6 is hardly ever translated. Own are
// the addresses of the socket on this host.
func (d *Detector) Finding(own []netip.AddrPort) (f Finding) {
	var heard []witness
	for _, four := range []bool{true, false} {
		for _, w := range d.witnesses {
			if w.at.Addr().Is4() != four {
				continue
			}
			if !slices.Contains(f.Public, w.you) {
				f.Public = append(f.Public, w.you)
			}
			if len(heard) == 0 || heard[0].at.Addr().Is4() == four {
				heard = append(heard, w)
			}
		}
	}
	mapping, samePorts := BehaviorUnknown, false
	for i, a := range heard {
		for _, b := range heard[:i] {
			switch elsewhere := a.at.Addr() != b.at.Addr(); {
			case a.you == b.you && elsewhere && mapping == BehaviorUnknown:
				mapping = EndpointIndependent
			case a.you == b.you && !elsewhere:
				samePorts = true
			case a.you != b.you:
				f.Dependent = true
				if !elsewhere {
					mapping = AddressAndPortDependent
				}
			}
		}
	}
	if f.Dependent && mapping != AddressAndPortDependent {
		mapping = BehaviorUnknown
		if samePorts {
			mapping = AddressDependent
		}
	}
	f.None = len(heard) > 0 && !slices.ContainsFunc(heard, func(w witness) bool {
		return !slices.ContainsFunc(own, func(a netip.AddrPort) bool { return clean(a) == w.you })
	})
	f.Local = f.None && !slices.ContainsFunc(heard, func(w witness) bool {
		return !w.at.Addr().IsLoopback() && w.at.Addr() != w.you.Addr()
	})
	if f.None {
		mapping, f.Dependent = EndpointIndependent, false // a host with several addresses shows several
	}
	f.NAT = NewNAT(mapping, d.filtering)
	if f.Dependent {
		f.NAT = f.NAT.WithBlock(d.low, d.high).WithStep(d.step)
	}
	return f
}

// Told is the NAT as peers are told it: for them it is all the same on what a mapping
// depends.
func (f Finding) Told() NAT {
	if f.Dependent && f.NAT.Mapping() == BehaviorUnknown {
		return f.NAT | NAT(AddressAndPortDependent)
	}
	return f.NAT
}

// Name is the kind of NAT in the words that people know.
func (f Finding) Name() string {
	switch {
	case f.Local:
		return "this machine"
	case f.Dependent:
		return "symmetric"
	}
	return f.NAT.Name(f.None)
}

// Name is the same of a NAT that somebody told of, who may have none.
func (n NAT) Name(none bool) string {
	switch {
	case none && n.Filtering() > EndpointIndependent:
		return "firewall"
	case none:
		return "none"
	case n.hard():
		return "symmetric"
	case n.easy():
		return coneNames[n.Filtering()]
	}
	return "unknown"
}

var coneNames = [...]string{"cone", "full cone", "restricted cone", "port-restricted cone"}

var behaviorNames = [...]string{"", "endpoint-independent", "address-dependent", "address-and-port-dependent"}

// String is the name of RFC 4787; BehaviorUnknown has none.
func (b Behavior) String() string { return behaviorNames[b&3] }
