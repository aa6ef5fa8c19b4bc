// Package traverse chooses the path between one pair of users: which addresses
// to probe, which path to use, and when to leave it for another.
//
// It is a state machine without I/O: methods take the time and an event, and
// Take hands over what to do. It sends nothing itself; probing and moving is
// the work of package session, whose challenges are the probes. It asks for no
// relay: it is told about them. What kind of NAT the node is behind is the
// Detector's, which listens to what supernodes say.
//
// # The states of a Pair
//
//	           relay up, and 300 ms over           direct path up
//	Searching ────────────────────────▶ Relayed ◀─────────────────▶ Direct
//	    │  ▲                               │        direct path down   ▲
//	    │  └──────────── relay down ───────┘                           │
//	    └───────────────────── direct path up ─────────────────────────┘
//
// The relay is warm at once and stays warm. Direct paths are probed in
// parallel, by both sides at the same time, since the probe of the one opens
// the NAT of the other. A pair that is not direct tries again after 30 s, then
// less often, down to every five minutes; at once when an address changes or
// a direct path dies. Where one side has no UDP, both dial (meet.go).
//
// # Candidates
//
// Addresses travel in message.SessionRequest and SessionAnswer, and only
// between contacts: a name never gives an address away. What a peer claims is
// probed with care: at most MaxCandidates addresses, never one that cannot be a peer
// (see Plausible), and no address gets more than a few small packets.
package traverse

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	// MaxCandidates is how many addresses of a peer are probed at the most.
	MaxCandidates = 16
	maxRelays     = 4
	maxPaths      = 2 * MaxCandidates // up at a time: a peer may come from addresses that it did not name

	patience    = 300 * time.Millisecond // for a direct path, before the relay is used
	warmEvery   = 10 * time.Second       // a relay that stands by
	againAfter  = 30 * time.Second       // the next burst of probes while there is no direct path
	againAtMost = 5 * time.Minute

	maxCredit   = 4 // bursts in a row, or a peer could have us flood an address
	creditEvery = 5 * time.Second
)

// burst is when the probes of one attempt go out, from its beginning. The first
// ones are close together, as the first probe of one side is often lost before the
// NAT of the other side is open.
var burst = [...]time.Duration{0, 50, 100, 150, 250, 350, 500, 700, 1000, 1400, 2000}

// near is how many routers the first ones pass on their way to a public address,
// where it is not known how many it takes (Hops): those that open our own NATs, of which
// there may be several, and not all the way to the peer's. Some of these take an
// early packet for one to themselves, which costs its port, and with it the peer's mapping.
var near = [...]int{2, 4}

// Hops is the number of hops with which a packet passes the NATs before this node, and
// hardly more, by the routers on the way out (netx.Routers): the first one with a public
// address is where the internet begins. 0: they do not tell.
func Hops(routers []netip.Addr) int {
	for i, r := range routers {
		if !r.IsValid() {
			return 0
		}
		if kindOf(r.Unmap()) == global {
			return i + 1
		}
	}
	return 0
}

// State is where a Pair stands.
type State uint8

// The states.
const (
	Searching State = iota // no path that media could take
	Relayed
	Direct
)

var stateNames = [...]string{"searching", "relayed", "direct"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Options configures a Pair. The zero value knows no own address, and takes a
// direct path only if the peer finds one.
type Options struct {
	Own  []message.Candidate // our addresses, as we tell them to the peer
	NAT  NAT                 // ours
	Hops int                 // what opens it (Hops); 0: not known
	Rand *rand.Rand          // draws ports to guess; nil: by the machine's randomness
}

// An Effect is an Open, a Probe, a Use, or of a search (see guess.go).
type Effect interface{ effect() }

// Probe asks for a challenge by a path (session.Endpoint.Probe).
type Probe struct{ Path session.Path }

// Open asks to open our NATs for an address, by a packet that passes so many routers.
type Open struct {
	Addr netip.AddrPort
	Hops int
}

// Use asks to move the session and media to a path, and to send copies by a second one
// if there is one (session.Endpoint.Use). They are up when the effect is made.
type Use struct{ Path, Second session.Path }

func (Open) effect()  {}
func (Probe) effect() {}
func (Use) effect()   {}

// A Pair is the way between this node and one peer.
type Pair struct {
	own       []message.Candidate
	nat, peer NAT
	hops      int
	began     time.Time

	direct []session.Path // to probe
	tcp    []netip.AddrPort

	dialled []dialled
	met     []session.Path // the same, by which the peer came since the burst began
	seen    netip.AddrPort // IPv4 address at which others see the peer
	relays  []session.Path
	up      []standing
	used    session.Path
	second  session.Path // takes copies; no path: none does
	doubt   time.Time    // when the peer missed media last

	attempt  time.Time // beginning of the burst of probes
	shot     int       // next one of burst
	attempts int       // since a direct path was there last
	credit   int       // bursts that may begin at once
	owed     bool      // one that had to wait for that
	warm     time.Time // next probe of relays that stand by

	hunt      hunt
	predicted []message.Candidate
	trial     trial
	random    *rand.Rand
	effects   []Effect
}

type standing struct {
	path session.Path
	rtt  time.Duration
}

// New begins to look for a way at now.
func New(now time.Time, o Options) *Pair {
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return &Pair{own: slices.Clone(o.Own), nat: o.NAT, hops: o.Hops, began: now, attempt: now, shot: len(burst), credit: maxCredit, random: o.Rand}
}

// State says where the Pair stands.
func (p *Pair) State() State {
	switch k := p.used.Kind; {
	case k.Direct():
		return Direct
	case k.Relayed():
		return Relayed
	}
	return Searching
}

// Path is the path in use; its Kind is NoPath while there is none.
func (p *Pair) Path() session.Path { return p.used }

// NAT is what stands in front of the two sides.
func (p *Pair) NAT() (own, peer NAT) { return p.nat, p.peer }

// Remote takes the peer's half of what SessionRequest and SessionAnswer tell. A later
// one replaces the addresses of an earlier one.
func (p *Pair) Remote(now time.Time, nat NAT, candidates []message.Candidate) {
	p.peer = nat
	p.direct, p.met, p.tcp, p.seen = p.direct[:0], p.met[:0], p.tcp[:0], netip.AddrPort{}
	for _, c := range candidates {
		if CandidateType(c.Type).TCP() {
			p.remoteTCP(c.Addr)
			continue
		}
		path := session.Path{Kind: linnet.DirectUDP, Addr: clean(c.Addr)}
		if len(p.direct) >= MaxCandidates || !Plausible(c.Addr, p.own) {
			continue
		}
		if at := path.Addr; CandidateType(c.Type) == Observed && at.Addr().Is4() && kindOf(at.Addr()) == global {
			p.seen = at
		}
		if !slices.Contains(p.direct, path) {
			p.direct = append(p.direct, path)
		}
	}
	p.attempts = 0
	p.comeBack()
	p.punch(now)
	p.vouch()
}

// Own takes our own addresses after they changed. The caller tells the peer.
func (p *Pair) Own(now time.Time, nat NAT, candidates []message.Candidate) {
	p.nat, p.own = nat, slices.Clone(candidates)
	p.attempts = 0
	p.comeBack()
	if p.used.Kind != linnet.NoPath {
		p.emit(Probe{p.used}) // shows the peer where we are now
	}
	p.punch(now)
	p.vouch()
}

// Relay takes a path through a relay that both sides have joined.
func (p *Pair) Relay(now time.Time, path session.Path) {
	if len(p.relays) < maxRelays && !slices.Contains(p.relays, path) {
		p.relays = append(p.relays, path)
		p.punch(now)
		p.vouch()
	}
}

// PathUp says that a challenge made the round trip by a path.
func (p *Pair) PathUp(now time.Time, path session.Path, rtt time.Duration) {
	if !path.Kind.Direct() && !path.Kind.Relayed() {
		return
	}
	if i := p.find(path); i >= 0 {
		p.up[i].rtt += (rtt - p.up[i].rtt) / 4
	} else if len(p.up) < maxPaths {
		p.up = append(p.up, standing{path, rtt})
	}
	if path.Kind.Direct() {
		p.found(now)
	}
	p.choose(now)
}

// PathDown says that a path answers no more.
func (p *Pair) PathDown(now time.Time, path session.Path) {
	i := p.find(path)
	if i < 0 {
		return
	}
	p.up = slices.Delete(p.up, i, i+1)
	if path == p.trial.left {
		p.comeBack()
	}
	if p.second == path {
		p.second = session.Path{}
		p.emit(Use{Path: p.used})
	}
	if p.used != path {
		return
	}
	p.used, p.second = session.Path{}, session.Path{}
	p.attempts = 0
	p.punch(now)
	p.choose(now)
}

// Silent says that the peer misses media, by a path that may be better: from now on both
// are used, and the one before is asked whether it still works.
func (p *Pair) Silent(now time.Time, by session.Path) {
	if p.used.Kind == linnet.NoPath {
		return
	}
	p.doubt = now
	if p.second.Kind != linnet.NoPath {
		return
	}
	if by == p.used || p.find(by) < 0 {
		by = p.standby()
	}
	p.emit(Probe{p.used})
	if by.Kind != linnet.NoPath {
		p.second = by
		p.emit(Use{p.used, by})
	}
}

// standby is the best path besides the one in use.
func (p *Pair) standby() (path session.Path) {
	for _, s := range p.up {
		if s.path != p.used && (path.Kind == linnet.NoPath || s.path.Kind < path.Kind) {
			path = s.path
		}
	}
	return path
}

// sureAfter is how long nothing may have been missed until one path is trusted again.
const sureAfter = 2 * time.Second

// Moved says that the session is on a path: because of a Use, or by itself, when the
// one before fell silent or the peer came from another address. The path that
// it left by itself has to answer again before it is used again.
func (p *Pair) Moved(now time.Time, path session.Path) {
	if path == p.used {
		return
	}
	if i := p.find(p.used); i >= 0 {
		p.up = slices.Delete(p.up, i, i+1)
	}
	p.used, p.second = session.Path{}, session.Path{}
	if path == p.trial.left {
		p.comeBack()
	}
	if path.Kind.Direct() || path.Kind.Relayed() {
		p.used = path
		if p.find(path) < 0 && len(p.up) < maxPaths {
			p.up = append(p.up, standing{path: path})
		}
	}
	p.attempts = 0
	p.punch(now)
}

func (p *Pair) find(path session.Path) int {
	return slices.IndexFunc(p.up, func(s standing) bool { return s.path == path })
}

// Tick does what is due.
func (p *Pair) Tick(now time.Time) {
	shoot := false
	for p.shot < len(burst) && !p.shotAt().After(now) {
		p.shot++
		shoot = true // once, however late we are
	}
	if shoot {
		p.shoot()
		if p.shot > len(near) {
			p.vouch() // a relay that knew only one side may know both by now
		}
	}
	if again := p.againAt(); !again.IsZero() && !again.After(now) {
		p.attempts++
		p.met = p.met[:0]
		p.punch(now)
	}
	if warm := p.warmAt(); !warm.IsZero() && !warm.After(now) {
		p.warm = now.Add(warmEvery)
		for _, r := range p.relays {
			if r != p.used {
				p.emit(Probe{r})
			}
		}
	}
	if p.second.Kind != linnet.NoPath && !p.doubt.Add(sureAfter).After(now) {
		p.second = session.Path{}
		p.emit(Use{Path: p.used})
	}
	p.try(now)
	p.search(now)
	p.choose(now)
}

// Deadline is when Tick wants to be called; zero means never.
func (p *Pair) Deadline() (at time.Time) {
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if p.shot < len(burst) {
		sooner(p.shotAt())
	}
	sooner(p.againAt())
	sooner(p.warmAt())
	sooner(p.huntAt())
	sooner(p.trialAt())
	if p.second.Kind != linnet.NoPath {
		sooner(p.doubt.Add(sureAfter))
	}
	if best := p.best(); best >= 0 && p.used.Kind == linnet.NoPath {
		sooner(p.began.Add(patience))
	}
	return at
}

// Take hands over what is to be done, in order.
func (p *Pair) Take() []Effect {
	out := p.effects
	p.effects = nil
	return out
}

func (p *Pair) emit(x Effect) { p.effects = append(p.effects, x) }

// punch begins a burst of probes.
func (p *Pair) punch(now time.Time) {
	if len(p.direct)+len(p.relays) == 0 {
		return
	}
	p.meet(now) // its limits are its own: much happens when a call begins
	if earned := int(now.Sub(p.attempt) / creditEvery); earned > 0 {
		p.credit = min(p.credit+earned, maxCredit)
	}
	if p.owed = p.credit == 0; p.owed { // a peer that talks too much, or much happened
		return
	}
	p.credit--
	p.attempt, p.shot, p.warm = now, 1, now.Add(warmEvery)
	p.shoot()
}

func (p *Pair) shotAt() time.Time { return p.attempt.Add(burst[p.shot] * time.Millisecond) }

// shoot probes what did not answer yet.
func (p *Pair) shoot() {
	for _, paths := range [][]session.Path{p.relays, p.met} {
		for _, path := range paths {
			if p.find(path) < 0 {
				p.emit(Probe{path})
			}
		}
	}
	for _, path := range p.direct {
		switch {
		case p.find(path) >= 0:
		case p.shot <= len(near) && kindOf(path.Addr.Addr()) == global:
			p.emit(Open{path.Addr, cmp.Or(p.hops, near[p.shot-1])})
		default:
			p.emit(Probe{path})
		}
	}
}

// againAt is when the next burst begins: never, while there is a direct path.
func (p *Pair) againAt() time.Time {
	if p.shot < len(burst) || !p.hopes() || p.settled() {
		return time.Time{}
	}
	if p.owed {
		return p.attempt.Add(creditEvery)
	}
	return p.attempt.Add(min(againAfter<<min(p.attempts, 8), againAtMost))
}

// warmAt is when the relays are asked whether they are still there.
func (p *Pair) warmAt() time.Time {
	if p.shot < len(burst) || len(p.relays) == 0 {
		return time.Time{}
	}
	return p.warm
}

// choose moves to the best path, if it is time and it is worth it.
func (p *Pair) choose(now time.Time) {
	i := p.best()
	if i < 0 {
		return
	}
	best := p.up[i]
	if best.path.Kind.Relayed() && len(p.direct) > 0 && now.Sub(p.began) < patience {
		return
	}
	if j := p.find(p.used); j >= 0 {
		old := p.up[j]
		if best.path == old.path || best.path.Kind == old.path.Kind && !clearlyFaster(best.rtt, old.rtt) {
			return
		}
	}
	p.used, p.second = best.path, session.Path{}
	p.emit(Use{Path: best.path})
}

// best is the path of the best kind and, among these, the shortest round trip.
func (p *Pair) best() int {
	best := -1
	for i, s := range p.up {
		if s.path.Kind.Direct() && p.trial.left.Kind != linnet.NoPath {
			continue
		}
		if best < 0 || s.path.Kind < p.up[best].path.Kind || s.path.Kind == p.up[best].path.Kind && s.rtt < p.up[best].rtt {
			best = i
		}
	}
	return best
}

// clearlyFaster says whether a move between two paths of a kind is worth it: a
// move costs a little, and round trips tremble.
func clearlyFaster(a, b time.Duration) bool { return a+5*time.Millisecond < b && a < b*4/5 }
