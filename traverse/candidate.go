package traverse

import (
	"net/netip"
	"slices"

	"github.com/linnet-p2p/linnet/wire/message"
)

// CandidateType is how the sender of a message.Candidate knows the address.
type CandidateType uint32

// The types; the numbers are on the wire.
const (
	Local    CandidateType = 1 // of an interface of its own
	Observed CandidateType = 2 // as others see it, behind its NAT
	Mapped   CandidateType = 3 // that its NAT granted it

	// Of its TCP listener, from whose port it dials as well. They are told where one of
	// the two has no UDP.
	ObservedTCP CandidateType = 4
	MappedTCP   CandidateType = 5

	Predicted CandidateType = 6 // that its NAT has just given a spare socket, by the order in which it hands them out (predict.go)
)

// TCP says that the address is of a TCP listener.
func (t CandidateType) TCP() bool { return t == ObservedTCP || t == MappedTCP }

// NAT is what stands between a node and the rest, in the terms of RFC 4787; it
// is on the wire as SessionRequest.NAT. The low two bits are the Behavior of
// the mapping, the next two that of the filter. Bits 4 to 7 are the step of a dependent
// mapping that hands ports out in order. If bits 8 to 15 or 16 to 23 are not 0,
// they are the first and the last port, by 256, of those that a dependent mapping draws from.
type NAT uint32

// Unknown says nothing about a NAT.
const Unknown NAT = 0

// Behavior is what mapping or filtering depends on.
type Behavior uint32

// The behaviors.
const (
	BehaviorUnknown Behavior = iota
	EndpointIndependent
	AddressDependent
	AddressAndPortDependent
)

// NewNAT is the NAT with these behaviors.
func NewNAT(mapping, filtering Behavior) NAT { return NAT(mapping&3 | filtering&3<<2) }

// Mapping says what the public address of a socket depends on.
func (n NAT) Mapping() Behavior { return Behavior(n & 3) }

// Filtering says whose packets the NAT lets in.
func (n NAT) Filtering() Behavior { return Behavior(n >> 2 & 3) }

// Block is the ports that a dependent mapping draws from; zeros where that is not known.
func (n NAT) Block() (low, high uint32) {
	low, high = uint32(n>>8&0xff)<<8, uint32(n>>16&0xff)<<8|0xff
	if n>>8&0xffff == 0 || low > high {
		return 0, 0
	}
	return low, high
}

// Step is how far apart the ports are that a dependent mapping hands out one after the
// other; 0: not in order, or not known.
func (n NAT) Step() uint16 { return uint16(n >> 4 & 0xf) }

// WithStep adds it; it is at most 15.
func (n NAT) WithStep(step uint16) NAT { return n&^0xf0 | NAT(step&0xf)<<4 }

// WithBlock adds the block that these ports are in.
func (n NAT) WithBlock(low, high uint16) NAT { return n&0xff | NAT(low>>8)<<8 | NAT(high>>8)<<16 }

// Plausible says whether an address that a peer named may be probed: a unicast
// address with a port, that is not our own. Loopback, link-local and private
// addresses count only if we have one of the same kind ourselves: else they
// are not the peer's but somebody else's, in our own network.
func Plausible(addr netip.AddrPort, own []message.Candidate) bool {
	addr = clean(addr)
	ip := addr.Addr()
	if !ip.IsValid() || addr.Port() == 0 || ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" ||
		ip.Is4() && (ip.As4()[0] == 0 || ip.As4()[0] >= 240) {
		return false
	}
	for _, c := range own {
		if clean(c.Addr) == addr {
			return false
		}
	}
	k := kindOf(ip)
	return k == global || slices.ContainsFunc(own, func(c message.Candidate) bool {
		mine := clean(c.Addr).Addr()
		return kindOf(mine) == k && mine.Is4() == ip.Is4()
	})
}

// clean makes IPv4 in the clothes of IPv6 comparable.
func clean(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

type kind uint8

const (
	global kind = iota
	loopback
	linkLocal
	private
)

// shared is the space of carrier-grade NATs (RFC 6598): private, but not ours.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func kindOf(ip netip.Addr) kind {
	switch {
	case ip.IsLoopback():
		return loopback
	case ip.IsLinkLocalUnicast():
		return linkLocal
	case ip.IsPrivate(), shared.Contains(ip):
		return private
	}
	return global
}
