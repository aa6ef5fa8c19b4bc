package dissect

import (
	"net/netip"
	"slices"

	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// opener finds the key of command frames.
type opener struct {
	public []netip.Addr
	known  *recent[netip.Addr, []netip.Addr] // public addresses of a host, the last told first
}

const maxKnown = 4 // public addresses of one host

func newOpener(public []netip.Addr) opener {
	return opener{public[:min(len(public), maxPublic)], newRecent[netip.Addr, []netip.Addr](maxHosts)}
}

// tell notes that somebody saw the host under an address.
func (o *opener) tell(host, public netip.Addr) {
	public = public.Unmap()
	if host = host.Unmap(); host == public {
		return
	}
	known, _ := o.known.get(host)
	if len(known) > 0 && known[0] == public {
		return
	}
	next := []netip.Addr{public}
	for _, a := range known {
		if a != public && len(next) < maxKnown {
			next = append(next, a)
		}
	}
	o.known.put(host, next)
}

// opened is a body in the clear and the key that showed it.
type opened struct {
	plain    []byte
	seed     uint32
	src, dst netip.Addr // in the seed; not valid for a resend
	how      string
}

// An end is an address that a host may have in a seed, and how that is known.
type end struct {
	addr netip.Addr
	how  string
}

// open shows the body of a Command, Resend or Fragment, if its key can be found.
func (o *opener) open(p *capture.Packet, f frame.Frame) (opened, bool) {
	plain := make([]byte, len(f.Body))
	try := func(seed uint32) bool {
		copy(plain, f.Body)
		obfuscate.XOR(plain, seed)
		return obfuscate.CRC(plain) == f.CRC
	}
	if f.Type == frame.Resend {
		seed := obfuscate.ResendSeed(f.Challenge, f.ID)
		return opened{plain: plain, seed: seed, how: "challenge and id"}, try(seed)
	}
	for _, dst := range o.ends(p.Dst.Addr()) {
		for _, src := range append(o.ends(p.Src.Addr()), end{netip.IPv4Unspecified(), "the sender does not know its address"}) {
			seed := obfuscate.SeedOf(src.addr, dst.addr, f.ID, f.IV)
			if !try(seed) {
				continue
			}
			how := src.how
			if how == ownAddress {
				how = dst.how
			} else if dst.how != ownAddress {
				how += "; receiver: " + dst.how
			}
			return opened{plain, seed, src.addr, dst.addr, how}, true
		}
	}
	return opened{}, false
}

const ownAddress = "addresses of the packet"

// ends are the addresses that a host may have in a seed.
func (o *opener) ends(host netip.Addr) []end {
	host = host.Unmap()
	var ends []end
	if host.IsValid() {
		ends = append(ends, end{host, ownAddress})
	}
	known, _ := o.known.get(host)
	for _, a := range known {
		ends = append(ends, end{a, "address told by a nack or confirm"})
	}
	for _, a := range o.public {
		if !slices.ContainsFunc(ends, func(e end) bool { return e.addr == a.Unmap() }) {
			ends = append(ends, end{a.Unmap(), "address given by --public"})
		}
	}
	return ends
}
