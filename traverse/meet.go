package traverse

import (
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet/session"
)

// Where UDP does not pass on one of the sides, two can still meet by TCP: each dials the
// other from the port that its own NAT shows, at the same time, so that the first
// packet of each opens the NAT for that of the other.
//
// Who names somebody else's address would have a peer knock at doors that are not his.
// So no address is dialled but those of the one IP address for which a relay of the
// pair vouches, and none of a private network.
const (
	maxMeet  = 4 // addresses of a peer that are dialled
	maxTries = 8
	meetFor  = 4 * time.Second
	meetKeep = time.Minute // an address counts after it was dialled: 2 * maxMeet others at most

	leastPace   = 250 * time.Millisecond
	mostPace    = 2 * time.Second
	unknownPace = 500 * time.Millisecond
)

// Meet asks to dial an address of the peer from our own port, anew after every pace
// (link.Meet). Met takes the path if that works.
type Meet struct {
	Addr  netip.AddrPort
	Pace  time.Duration // longer than a round trip, of which a connection takes one
	Tries int
}

func (Meet) effect() {}

// remoteTCP takes an address at which the peer dials from.
func (p *Pair) remoteTCP(at netip.AddrPort) {
	if at = clean(at); len(p.tcp) < maxMeet && Plausible(at, p.own) && kindOf(at.Addr()) == global && !slices.Contains(p.tcp, at) {
		p.tcp = append(p.tcp, at)
	}
}

// A dialled address is not dialled again while that lasts.
type dialled struct {
	at    netip.AddrPort
	until time.Time
}

// meet dials the peer, wherever that is not under way.
func (p *Pair) meet(now time.Time) {
	p.dialled = slices.DeleteFunc(p.dialled, func(d dialled) bool { return now.Sub(d.until) >= meetKeep })
	if p.settled() {
		return
	}
	pace := unknownPace
	for _, s := range p.up {
		pace = min(max(s.rtt*5/4+50*time.Millisecond, leastPace), mostPace)
	}
	for _, at := range p.tcp {
		i := slices.IndexFunc(p.dialled, func(d dialled) bool { return d.at == at })
		if at.Addr() != p.hunt.vouched || i >= 0 && p.dialled[i].until.After(now) || i < 0 && len(p.dialled) >= 2*maxMeet {
			continue
		}
		if i < 0 {
			i, p.dialled = len(p.dialled), append(p.dialled, dialled{at: at})
		}
		tries := min(max(int(meetFor/pace), 2), maxTries)
		p.dialled[i].until = now.Add(time.Duration(tries) * pace)
		p.emit(Meet{at, pace, tries})
	}
}

// hopes says whether there is any address by which a direct path may be found.
func (p *Pair) hopes() bool { return len(p.direct)+len(p.tcp) > 0 }

// Met takes a path by which the peer came, and which is not known yet: the first
// packet of one side that found a way. Its answer may be lost, so it is probed too.
func (p *Pair) Met(now time.Time, path session.Path) {
	if !path.Kind.Direct() || !p.hopes() || len(p.met) >= maxMet || slices.Contains(p.met, path) || slices.Contains(p.direct, path) ||
		!Plausible(path.Addr, p.own) {
		return
	}
	p.met = append(p.met, path)
	p.emit(Probe{path})
	if path.Stream == 0 { // in a stream nothing is lost
		p.punch(now)
	}
}

const maxMet = 4
