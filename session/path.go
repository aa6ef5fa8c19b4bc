package session

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
)

const forwarded = linnet.Forwarded

// A Path is one way for packets to a peer. Paths are compared with ==.
type Path struct {
	Kind   linnet.PathKind
	Addr   netip.AddrPort // where datagrams go: the peer or its relay
	Stream uint64         // the TCP stream of package link; 0 for UDP
	Via    linnet.NodeID  // the relay, or the supernode that forwards
	Tag    uint32         // the relay's; 0 where the peer's own tags are used
	Socket uint32         // the spare one of package link that it takes; 0: the node's own
}

func (p Path) String() string {
	s := p.Kind.String()
	if p.Addr.IsValid() {
		s += " " + p.Addr.String()
	}
	if p.Stream != 0 {
		s += fmt.Sprintf(" stream %d", p.Stream)
	}
	if p.Socket != 0 {
		s += fmt.Sprintf(" socket %d", p.Socket)
	}
	if !p.Via.IsZero() {
		s += " via " + p.Via.Short()
	}
	return s
}

// A Route is a path and the tag that media takes on it.
type Route struct {
	Path Path
	Tag  uint32
}

// PathInfo is what a session knows of one of its paths.
type PathInfo struct {
	Path Path
	Up   bool // a challenge made the round trip
	Used bool
	RTT  time.Duration
}

const (
	maxMissed   = 3               // challenges without an answer: the path is down
	forgetAfter = 5 * time.Second // a path that never answered
)

// path is what a session keeps of a Path.
type path struct {
	Path
	rank   uint8 // place among the used paths, from 1; 0: not used
	up     bool
	roamed bool  // a packet came from there unasked: the peer moved
	missed uint8 // challenges since the last answer
	turn   uint8
	width  *width  // nil: nobody needs to know
	probes *probes // the last challenges, while one is not answered
	rtt    time.Duration
	since  instant // when it was met
	heard  instant // last valid packet by it
	retry  instant // when the last challenge counts as missed
}

// probes are the last challenges: the answer to one may come after the next.
type probes [4]probe

type probe struct {
	token uint64
	sent  instant
}

// tag is what session packets under k are sent with.
func (p *path) tag(k *epoch) uint32 {
	if p.Tag != 0 {
		return p.Tag
	}
	return k.peer
}

// main is the path that the session is on. There is always one, though it may
// be down.
func (s *session) main() *path {
	for i := range s.paths {
		if s.paths[i].rank == 1 {
			return &s.paths[i]
		}
	}
	panic("session: no path is in use")
}

func (s *session) find(p Path) *path {
	for i := range s.paths {
		if s.paths[i].Path == p {
			return &s.paths[i]
		}
	}
	return nil
}

// meet returns what is known of p. Where there are too many paths, it takes the
// place of one that is not used: one that is not up, or that was heard longest ago.
func (e *Endpoint) meet(s *session, p Path) *path {
	if known := s.find(p); known != nil {
		return known
	}
	fresh := path{Path: p, since: e.now}
	if len(s.paths) < MaxPaths {
		s.paths = append(s.paths, fresh)
		return &s.paths[len(s.paths)-1]
	}
	var worst *path
	for i := range s.paths {
		q := &s.paths[i]
		if q.rank == 0 && (worst == nil || worst.up && !q.up || worst.up == q.up && q.heard < worst.heard) {
			worst = q
		}
	}
	if worst.up {
		e.emit(PathDown{s.peer, worst.Path})
	}
	*worst = fresh
	return worst
}

// Routes says where media of a peer goes.
func (e *Endpoint) Routes(to linnet.NodeID) []Route {
	if s := e.standing(to); s != nil {
		return s.routes()
	}
	return nil
}

func (s *session) routes() []Route {
	var used []path
	for _, p := range s.paths {
		if p.rank != 0 {
			used = append(used, p)
		}
	}
	slices.SortFunc(used, func(a, b path) int { return int(a.rank) - int(b.rank) })
	routes := make([]Route, len(used))
	for i, p := range used {
		routes[i] = Route{p.Path, p.tag(&s.keys) | 1}
	}
	return routes
}

// Paths lists what is known of the ways to a peer.
func (e *Endpoint) Paths(to linnet.NodeID) []PathInfo {
	s := e.standing(to)
	if s == nil {
		return nil
	}
	infos := make([]PathInfo, len(s.paths))
	for i, p := range s.paths {
		infos[i] = PathInfo{p.Path, p.up, p.rank != 0, p.rtt}
	}
	return infos
}

// Use moves the session, and the peer's media, to the first of the given paths;
// copies go by the others. All of them must have answered a Probe.
func (e *Endpoint) Use(now time.Time, to linnet.NodeID, paths ...Path) error {
	e.at(now)
	s := e.standing(to)
	if s == nil {
		return ErrNoSession
	}
	if len(paths) == 0 || len(paths) > MaxRoutes {
		return ErrPath
	}
	for _, p := range paths {
		if known := s.find(p); known == nil || !known.up {
			return fmt.Errorf("%v: %w", p, ErrPath)
		}
	}
	e.use(s, paths...)
	return nil
}

func (e *Endpoint) use(s *session, paths ...Path) {
	changed, before := false, s.main().Path
	for i := range s.paths {
		rank := uint8(slices.Index(paths, s.paths[i].Path) + 1)
		changed = changed || s.paths[i].rank != rank
		s.paths[i].rank = rank
	}
	if main := s.main(); main.Path != before {
		s.moved = e.now
		if main.rtt != 0 {
			s.rtt, s.rttVar = main.rtt, main.rtt/2
		}
		e.widenAlso(s)
	}
	if changed {
		s.stalled = false
		e.emit(Moved{s.peer, s.routes()})
		e.touch(s)
	}
}

// Probe sends a challenge by a path; PathUp follows if it is answered. A path
// that was not up is probed once: who wants more calls again.
func (e *Endpoint) Probe(now time.Time, to linnet.NodeID, by Path) error {
	e.at(now)
	s := e.standing(to)
	if s == nil {
		return ErrNoSession
	}
	e.challenge(s, e.meet(s, by))
	return nil
}

// PathLost says that a path is gone, as with a TCP stream that was closed: nobody
// has to wait until challenges stay unanswered.
func (e *Endpoint) PathLost(now time.Time, to linnet.NodeID, gone Path) {
	e.at(now)
	s := e.standing(to)
	if s == nil {
		return
	}
	i := slices.IndexFunc(s.paths, func(p path) bool { return p.Path == gone })
	if i < 0 {
		return
	}
	s.paths[i].missed = maxMissed
	if e.miss(s, &s.paths[i]) {
		s.paths = slices.Delete(s.paths, i, i+1)
	}
	e.touch(s)
}

// lastProbe is when the path was challenged last without an answer yet; 0: never.
func (p *path) lastProbe() instant {
	if p.probes == nil {
		return 0
	}
	return p.probes[(p.turn-1)%uint8(len(p.probes))].sent
}

func (e *Endpoint) challenge(s *session, p *path) {
	var token [8]byte
	e.random(token[:])
	if p.probes == nil {
		p.probes = new(probes)
	}
	p.probes[p.turn%uint8(len(p.probes))] = probe{binary.BigEndian.Uint64(token[:]), e.now}
	p.turn++
	if p.up || p.rank != 0 {
		p.retry = e.now.add(min(s.rto()<<p.missed, maxRTO))
	} else {
		p.retry = e.now.add(forgetAfter)
	}
	if p.rank != 0 && s.silence == 0 {
		s.silence = e.now
	}
	e.sendBy(s, p, recChallenge, token[:])
}

// sendBy sends a packet of one record by a path of its own choice.
func (e *Endpoint) sendBy(s *session, p *path, kind byte, body []byte) {
	keys := &s.keys
	if s.handingOver() {
		keys = s.old
	}
	if packet, ok := keys.seal(e.o.Suite, appendRecord(nil, kind, body)); ok {
		s.sent = e.now
		e.emit(SendPacket{To: s.peer, Via: p.Path, Tag: p.tag(keys), Body: packet})
	}
	e.touch(s)
}

// Guess sends a packet that says nothing to addresses of which one may be the peer's,
// all the same: the first one that arrives makes a path known to both sides. Nothing
// is remembered of them.
func (e *Endpoint) Guess(now time.Time, to linnet.NodeID, addrs ...netip.AddrPort) error {
	e.at(now)
	s := e.standing(to)
	if s == nil {
		return ErrNoSession
	}
	keys := &s.keys
	if s.handingOver() {
		keys = s.old
	}
	// As long as a challenge: the answer is one.
	body, ok := keys.seal(e.o.Suite, appendRecord(nil, recPadding, make([]byte, 8)))
	if !ok {
		return nil
	}
	s.sent = e.now
	for _, a := range addrs {
		e.emit(SendPacket{To: to, Via: Path{Kind: linnet.DirectUDP, Addr: a}, Tag: keys.peer, Body: body})
	}
	e.touch(s)
	return nil
}

// Silence tells the peer, by every path that is up, that no media comes.
func (e *Endpoint) Silence(now time.Time, to linnet.NodeID) error {
	e.at(now)
	s := e.standing(to)
	if s == nil {
		return ErrNoSession
	}
	for i := range s.paths {
		if p := &s.paths[i]; p.up || p.rank != 0 {
			e.sendBy(s, p, recSilent, nil)
		}
	}
	return nil
}

// response takes the response to a challenge.
func (e *Endpoint) response(s *session, body []byte) {
	if len(body) != 8 {
		return
	}
	token := binary.BigEndian.Uint64(body)
	for i := range s.paths {
		p := &s.paths[i]
		if e.wideAnswer(s, p, token) {
			return
		}
		if p.probes == nil {
			continue
		}
		for _, q := range p.probes {
			if q.sent != 0 && q.token == token {
				e.pathUp(s, p, e.now.since(q.sent))
				return
			}
		}
	}
}

func (e *Endpoint) pathUp(s *session, p *path, rtt time.Duration) {
	if p.rtt == 0 {
		p.rtt = rtt
	} else {
		p.rtt += (rtt - p.rtt) / 4
	}
	if p.rank != 0 {
		s.sample(rtt)
	}
	p.probes = nil
	p.up, p.missed, p.retry = true, 0, 0
	e.emit(PathUp{s.peer, p.Path, rtt})
	main := s.main()
	switch {
	case p == main:
	case !main.up, // anything is better
		s.stalled, // the one in use had its chance
		p.roamed && main.heard < p.since && p.Kind <= main.Kind: // the peer is not there any more
		e.use(s, p.Path)
	case p.roamed && main.heard < p.since && main.retry == 0:
		e.challenge(s, main) // the peer lost the better path, or looks after its standby
	}
	p.roamed = false
	e.touch(s)
}

// miss is called when no answer came to the last challenge by p; it says
// whether the path is to be forgotten.
func (e *Endpoint) miss(s *session, p *path) (forget bool) {
	p.retry = 0
	if !p.up && p.rank == 0 {
		return true
	}
	if p.missed++; p.missed < maxMissed {
		e.challenge(s, p)
		return false
	}
	wasUp := p.up
	p.up = false
	if wasUp {
		e.emit(PathDown{s.peer, p.Path})
	}
	if p.rank == 0 {
		return true
	}
	if best := s.best(); best != nil {
		e.use(s, best.Path)
		return false
	}
	p.missed = maxMissed - 1 // it is all we have: once more
	e.challenge(s, p)
	return false
}

// best is the best path that is up.
func (s *session) best() (best *path) {
	for i := range s.paths {
		p := &s.paths[i]
		if p.up && (best == nil || p.Kind < best.Kind || p.Kind == best.Kind && p.rtt < best.rtt) {
			best = p
		}
	}
	return best
}

// retries challenges again, or gives up, what did not answer.
func (e *Endpoint) retries(s *session) {
	for i := 0; i < len(s.paths); {
		p := &s.paths[i]
		if p.retry != 0 && p.retry <= e.now && e.miss(s, p) {
			s.paths = slices.Delete(s.paths, i, i+1)
			continue
		}
		i++
	}
}
