package link

import (
	"net/netip"
	"time"
)

const (
	maxPeers     = 64 << 10
	validFor     = 10 * time.Minute
	introducedBy = validFor - time.Minute // so that the peer forgets later than we do

	firstTimeout = 500 * time.Millisecond // until a round trip was measured
	minTimeout   = 50 * time.Millisecond  // a busy peer takes a moment
	maxTimeout   = 2 * time.Second
)

// A peer is what is remembered of a UDP address. There is one only for
// addresses that this node sent to, or that proved themselves, so that
// invented senders push nobody out.
type peer struct {
	self       netip.Addr    // where it sees this node; zero is not known
	rtt        time.Duration // smoothed; 0 is not measured
	asked      int           // exchanges that wait for it
	valid      time.Time     // until then its address is known to be its own
	introduced time.Time     // until then it knows the same of ours
}

// peer finds or makes what is remembered; l.mu is held.
func (l *Link) peer(addr netip.AddrPort) *peer {
	if p := l.peers.get(addr); p != nil {
		return p
	}
	return l.peers.add(addr)
}

// validated says whether the address proved itself; l.mu is held.
func (l *Link) validated(addr netip.AddrPort, now time.Time) bool {
	p := l.peers.get(addr)
	return p != nil && now.Before(p.valid)
}

// asked says whether a command of ours waits for the address; l.mu is held.
func (l *Link) asked(addr netip.AddrPort) bool {
	p := l.peers.get(addr)
	return p != nil && p.asked > 0
}

// self is this node's address as the peer sees it, as far as is known; l.mu is held.
func (l *Link) self(to netip.AddrPort) netip.Addr {
	if p := l.peers.get(to); p != nil && p.self.IsValid() {
		return p.self
	}
	return l.public[family(to.Addr())]
}

// learn takes what a peer says of this node's address; l.mu is held. What it
// says counts for others too if asked, that is if the node chose the peer: one
// that lies then costs a nack at the next one.
func (l *Link) learn(from netip.AddrPort, self netip.Addr, asked bool) {
	self = self.Unmap()
	if self.Is4() != from.Addr().Is4() || self.IsUnspecified() || self.IsMulticast() {
		return
	}
	l.peer(from).self = self
	if known := &l.public[family(self)]; asked && scope(self) >= scope(*known) {
		*known = self
	}
}

// scope orders addresses by how far they reach. A neighbour on the local
// network must not make the node forget its public address.
func scope(a netip.Addr) int {
	switch {
	case !a.IsValid():
		return 0
	case a.IsLoopback():
		return 1
	case a.IsLinkLocalUnicast():
		return 2
	case a.IsPrivate():
		return 3
	default:
		return 4
	}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Public is the node's own address as its peers see it, IPv4 if it has one;
// zero while unknown.
func (l *Link) Public() netip.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.public[0].IsValid() {
		return l.public[0]
	}
	return l.public[1]
}

// AddrsChanged says that the host has other addresses now. What peers said of
// the old ones holds no longer: the next command to each gets a nack.
func (l *Link) AddrsChanged(addrs []netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interfaces = addrs
	l.public = [2]netip.Addr{}
}

// RTT is the smoothed round trip of commands to a UDP address; 0 if none was
// measured.
func (l *Link) RTT(addr netip.AddrPort) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers.get(addr); p != nil {
		return p.rtt
	}
	return 0
}

// measured takes one round trip (RFC 6298's smoothing).
func (l *Link) measured(addr netip.AddrPort, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peer(addr)
	if p.rtt == 0 {
		p.rtt = d
	} else {
		p.rtt += (d - p.rtt) / 8
	}
}

// timeout is after how long the first resend is due.
func (l *Link) timeout(addr netip.AddrPort) time.Duration {
	rtt := l.RTT(addr)
	if rtt == 0 {
		return firstTimeout
	}
	return min(max(rtt*3/2, minTimeout), maxTimeout)
}

// Known are the IP addresses that this node sent commands to lately, or that sent some to
// it.
func (l *Link) Known() map[netip.Addr]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := make(map[netip.Addr]bool)
	for addr := range l.peers.elems {
		known[addr.Addr()] = true
	}
	return known
}
