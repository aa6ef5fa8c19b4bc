package traverse

import (
	"net/netip"
	"time"
)

// Behind a NAT whose mapping depends on the far end (hard), no address that
// anybody saw is good for a peer. Where the peer's own mapping does not (easy), the
// two meet by chance: the hard side sends to the easy one from many sockets, each of which
// gets a port of its own; the easy side sends to ports of the hard one's NAT, drawn
// at random. Of 64,512 ports 256 are open, so that 1,000 guesses hit one in 98 of
// 100 searches, and 2,048 in 9,997 of 10,000.
//
// Who names somebody else's address would have a peer send all this to a third
// party. So nobody begins before a relay, which sees where the other side comes
// from, has vouched for the address; and not again for guessAgain.
const (
	spread      = 256 // sockets of the hard side
	spreadBlock = 64  // where the ports that its NAT draws from are known

	firstPort = 1024 // that NATs give away
	ports     = 1<<16 - firstPort

	maxGuesses   = 2048
	guessBatch   = 10
	guessFast    = 20 * time.Millisecond // between batches: 500 a second
	guessSlow    = 100 * time.Millisecond
	guessFastFor = 2 * time.Second

	guessGrace = 200 * time.Millisecond // after the first probes: easier ways come first
	spreadFor  = 15 * time.Second       // longer than the guesses take
	gatherIn   = 2 * time.Second        // after a direct path was found: another may be better
	guessAgain = 5 * time.Minute
)

// Vouch asks the relays of the pair whether the peer comes from this address.
type Vouch struct{ Addr netip.Addr }

// Spread asks to open spare sockets, and to open the NAT from each of them for an
// address of the peer, by packets of so many hops.
type Spread struct {
	Sockets int
	To      netip.AddrPort
	Hops    []int
}

// farther is what opens the NATs of most where their number is not known.
var farther = []int{3, 6}

// Gather asks to close the spare sockets but those that paths use.
type Gather struct{ Keep []uint32 }

// Guess asks for one packet to each of these (session.Endpoint.Guess).
type Guess struct{ To []netip.AddrPort }

func (Vouch) effect()  {}
func (Spread) effect() {}
func (Gather) effect() {}
func (Guess) effect()  {}

// A hunt is a search of that kind.
type hunt struct {
	vouched netip.Addr     // that relays see the peer at
	target  netip.AddrPort // of the search under way, or the last one
	began   time.Time
	next    time.Time // batch of guesses, or the end of the spread; zero: nothing is under way
	spread  bool      // sockets are open
	predict bool      // those of a Predict alone
	guesses int
	port    uint32 // the last one guessed, from firstPort
	stride  uint32 // to the next: all ports come once
}

// hard and easy say whether a NAT is known to be so.
func (n NAT) hard() bool { return n.Mapping() >= AddressDependent }
func (n NAT) easy() bool { return n.Mapping() == EndpointIndependent }

// quarry is the address of the peer that a search would be for; none if it is of no
// use.
func (p *Pair) quarry() (at netip.AddrPort) {
	if !(p.nat.hard() && p.peer.easy() || p.nat.easy() && p.peer.hard()) {
		return at
	}
	return p.seen
}

// vouch asks for what a search, or dialling, needs.
func (p *Pair) vouch() {
	at := p.quarry().Addr()
	if !at.IsValid() && len(p.tcp) > 0 {
		at = p.tcp[0].Addr()
	}
	if at.IsValid() && at != p.hunt.vouched && len(p.relays) > 0 {
		p.emit(Vouch{at})
	}
}

// Vouched says that a relay sees the peer at an address.
func (p *Pair) Vouched(now time.Time, at netip.Addr) {
	if at = at.Unmap(); at != p.hunt.vouched {
		p.hunt.vouched = at
		p.meet(now)
	}
	p.Tick(now)
}

// huntAt is when a search begins, or goes on; zero: never.
func (p *Pair) huntAt() time.Time {
	h, q := &p.hunt, p.quarry()
	switch {
	case !h.next.IsZero():
		return h.next
	case !q.IsValid() || q.Addr() != h.vouched || p.settled():
		return time.Time{}
	}
	at := p.attempt.Add(guessGrace)
	if p.peer.Step() != 0 {
		at = at.Add(predictFor) // it may tell where it is
	}
	again := h.began.Add(guessAgain)
	if q != h.target {
		again = h.began.Add(againAfter)
	}
	if !h.began.IsZero() && again.After(at) {
		return again
	}
	return at
}

// search does the next step of a search.
func (p *Pair) search(now time.Time) {
	at := p.huntAt()
	if at.IsZero() || at.After(now) {
		return
	}
	h := &p.hunt
	if h.next.IsZero() {
		*h = hunt{vouched: h.vouched, target: p.quarry(), began: now, spread: p.nat.hard()}
		if h.predict = h.spread && p.nat.Step() != 0; h.predict {
			p.emit(Predict{predictSockets, h.target, p.opening()})
			h.next = now.Add(predictFor)
			return
		}
		if h.spread {
			p.spread(now)
			return
		}
		h.port, h.stride = uint32(p.random.IntN(ports)), strides[p.random.IntN(len(strides))]
	}
	switch {
	case h.predict && !p.settled():
		h.predict = false
		p.spread(now)
	case h.spread:
		h.spread, h.predict, h.next = false, false, time.Time{}
		var keep []uint32
		for _, s := range p.up {
			if s.path.Socket != 0 {
				keep = append(keep, s.path.Socket)
			}
		}
		p.emit(Gather{keep})
	case p.State() == Direct || h.guesses >= maxGuesses:
		h.next = time.Time{}
	default:
		to := make([]netip.AddrPort, min(guessBatch, maxGuesses-h.guesses))
		for i := range to {
			to[i] = netip.AddrPortFrom(h.target.Addr(), p.guess())
		}
		h.guesses += len(to)
		p.emit(Guess{to})
		if h.next = now.Add(guessFast); now.Sub(h.began) >= guessFastFor {
			h.next = now.Add(guessSlow)
		}
	}
}

// spread opens the sockets of the hard side.
func (p *Pair) spread(now time.Time) {
	sockets := spread
	if low, high := p.nat.Block(); high != 0 && high-low < ports/4 {
		sockets = spreadBlock
	}
	p.emit(Spread{sockets, p.hunt.target, p.opening()})
	p.hunt.next = now.Add(spreadFor)
}

// opening is the number of hops that opens our NATs, or those that open most.
func (p *Pair) opening() []int {
	if p.hops != 0 {
		return []int{p.hops}
	}
	return farther
}

// strides have no factor in common with a number of ports that is a power of two
// times 63, nor with most others: no port is guessed twice before all were.
var strides = [...]uint32{10007, 20011, 30011, 40009, 50021, 60013}

// guess draws the next port, within the block that the peer's NAT gives away.
func (p *Pair) guess() uint16 {
	low, high := p.peer.Block()
	if high == 0 {
		low, high = firstPort, 1<<16-1
	}
	p.hunt.port += p.hunt.stride
	return uint16(low + p.hunt.port%(high-low+1))
}

// found ends a search soon, once there is a direct path.
func (p *Pair) found(now time.Time) {
	if h := &p.hunt; h.spread && h.next.Sub(now) > gatherIn {
		h.next = now.Add(gatherIn)
	}
}
