package node

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/relay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/traverse"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A pair is this node and a device that it has a call with: the paths between
// them, while the call lasts.
type pair struct {
	peer    linnet.NodeID
	user    linnet.UserName
	contact bool // they learn our addresses, and theirs are tried
	way     *traverse.Pair
	relays  map[linnet.NodeID]relay.Ready
	asks    bool                           // this side asks for relays
	asked   bool                           // users' machines, too
	spares  []uint32                       // sockets of the link
	asking  uint32                         // of these: the one that asks where it is seen
	hosts   map[linnet.NodeID]overlay.Host // of relays that the other side offered
	offers  []message.RelayOffer           // theirs, until the session is up
	theirs  []message.Candidate            // as they told last
	began   time.Time
	seen    time.Time      // the last sweep that found a call with them, or the last ping
	pings   overlay.Bucket // that they sent
	joins   overlay.Bucket // of relays that they offered
}

// pairAlive is how long nothing may be heard in a session by which there is a
// call: media alone does not show its sender that a path died.
const pairAlive = time.Second

// pairWith begins to look for paths to a device.
func (s *station) pairWith(now time.Time, node linnet.NodeID, user linnet.UserName) *pair {
	p := &pair{peer: node, user: user, contact: s.onList(user), relays: make(map[linnet.NodeID]relay.Ready), hosts: make(map[linnet.NodeID]overlay.Host)}
	p.way = traverse.New(now, traverse.Options{Own: s.candidates(p), NAT: s.natFor(p), Hops: s.hops})
	p.seen, p.began = now, now
	s.pairs[node] = p
	s.locate(now)
	s.seekDoorway(now, p)
	if s.sweep.IsZero() {
		s.sweep = now.Add(sweepEvery)
	}
	s.sessions.KeepAlive(now, node, pairAlive)
	for _, known := range s.sessions.Paths(node) {
		if known.Up {
			p.way.PathUp(now, known.Path, known.RTT)
		}
	}
	return p
}

// candidates are the addresses that the other side of a pair may know: all for
// a contact, none for anybody else.
func (s *station) candidates(p *pair) []message.Candidate {
	if !p.contact {
		return nil
	}
	var list []message.Candidate
	for _, a := range s.addrs {
		list = append(list, message.Candidate{Addr: a, Type: uint32(traverse.Local)})
	}
	if s.observed.IsValid() {
		list = append(list, message.Candidate{Addr: s.observed, Type: uint32(traverse.Observed)})
	}
	if found := s.node.mapped; found != nil && found.Addr.IsValid() {
		list = append(list, message.Candidate{Addr: found.Addr, Type: uint32(traverse.Mapped)})
	}
	list = append(list, s.tcpCandidates(p)...)
	if p.way != nil {
		list = append(list, p.way.Predicted()...)
	}
	return list
}

// open says something to a device of somebody who is called, as early as may
// be: inside the Hello, which travels through the supernodes of both. Relays are
// reserved meanwhile.
func (s *station) open(now time.Time, node linnet.NodeID, first message.Message) {
	messages := make([]message.Message, 0, 2)
	p := s.pairs[node]
	fresh := p == nil
	if fresh {
		cert := s.sessions.Certificate(node)
		if cert == nil {
			if cert = s.certificates[node]; cert == nil {
				return // a device that no look-up has shown
			}
		}
		p = s.pairWith(now, node, cert.User)
		messages = append(messages, s.sessionRequest(p))
	}
	if first != nil {
		messages = append(messages, first)
	}
	err := session.ErrNoSession
	if cert := s.certificates[node]; cert != nil {
		peer := session.Peer{Node: node, Agreement: cert.Agreement, Certificate: cert}
		err = s.sessions.Dial(now, peer, session.Path{Kind: linnet.Forwarded}, messages...)
	} else if s.sessions.Up(node) {
		for _, m := range messages {
			err = s.sessions.Send(now, node, m)
		}
	}
	if err != nil {
		s.log.Debug("open", "to", node.Short(), "err", err)
	}
	if fresh {
		s.reserve(now, p)
	}
}

// sessionRequest tells the other side how this one can be reached.
func (s *station) sessionRequest(p *pair) *message.SessionRequest {
	m := &message.SessionRequest{
		Callee: p.user, Caller: s.overlay.Location(), Session: binary.BigEndian.Uint32(s.id[:]),
		NAT: uint32(s.natFor(p)), Candidates: s.candidates(p),
	}
	for _, r := range p.relays {
		if r.Offer != nil {
			m.Relays = append(m.Relays, *r.Offer)
		}
	}
	return m
}

// pairReceived takes what the other side says of how it can be reached.
func (s *station) pairReceived(now time.Time, e session.Received) bool {
	switch m := e.Message.(type) {
	case *message.SessionRequest:
		if m.Caller.Node == e.From { // where others are is not his to say
			s.places.learn(m.Caller)
		}
		p := s.pairs[e.From]
		if p != nil && movedAway(p.theirs, m.Candidates, s.sessions.Routes(e.From)) {
			s.distrust(now, p)
		}
		if p == nil {
			cert := s.sessions.Certificate(e.From)
			if cert == nil || !s.roomForPair(now) {
				return true
			}
			p = s.pairWith(now, e.From, cert.User)
		}
		p.theirs = m.Candidates
		s.remote(now, p, m.NAT, m.Candidates)
		answer := &message.SessionAnswer{NAT: uint32(s.natFor(p)), Candidates: s.candidates(p)}
		if err := s.sessions.Send(now, e.From, answer); err != nil {
			s.log.Debug("session answer", "to", e.From.Short(), "err", err)
		}
		p.offers = m.Relays
		if s.sessions.Up(e.From) {
			s.pairUp(now, p)
		}
	case *message.SessionAnswer:
		if p := s.pairs[e.From]; p != nil {
			p.theirs = m.Candidates
			s.remote(now, p, m.NAT, m.Candidates)
		}
	case *message.PathPing:
		if p := s.pairs[e.From]; p != nil {
			s.pinged(now, p, e)
		} else {
			s.respond(now, e.From, e.ID, &message.Failure{Code: message.FailureDenied, Text: "say first how you can be reached"})
		}
	default:
		return false
	}
	return true
}

// maxPairs bounds how many devices may have this node look for paths to them.
const maxPairs = 256

// roomForPair ends, if there are too many, the pair of the stranger without a call
// who has been here for longest: pings keep one for as long as somebody likes, and
// are not to keep out who calls.
func (s *station) roomForPair(now time.Time) bool {
	if len(s.pairs) < maxPairs {
		return true
	}
	talking := s.talking()
	var oldest *pair
	for _, p := range s.pairs {
		if !p.contact && !talking[p.user] && (oldest == nil || p.began.Before(oldest.began)) {
			oldest = p
		}
	}
	if oldest == nil {
		return false
	}
	s.unpair(now, oldest)
	return true
}

// talking are those whom there are calls with.
func (s *station) talking() map[linnet.UserName]bool {
	talking := make(map[linnet.UserName]bool)
	for _, c := range s.calls.Calls() {
		talking[c.Peer] = talking[c.Peer] || c.State != linnet.CallEnded
	}
	return talking
}

// remote takes the other side's addresses. To try them is to show our own, so
// only a contact's are.
func (s *station) remote(now time.Time, p *pair, nat uint32, candidates []message.Candidate) {
	if !p.contact {
		candidates = nil
	}
	p.way.Remote(now, traverse.NAT(nat), candidates)
	s.seekDoorway(now, p)
}

// pairUp joins the offered relays once the session stands.
func (s *station) pairUp(now time.Time, p *pair) {
	s.sessions.KeepAlive(now, p.peer, pairAlive)
	s.takeOffers(now, p, p.offers)
	p.offers = nil
}

// repair looks for paths again when a session came back while a call rings or
// lasts: the caller does, as at its beginning.
func (s *station) repair(now time.Time, peer linnet.NodeID) {
	cert := s.sessions.Certificate(peer)
	if cert != nil && slices.ContainsFunc(s.calls.Calls(), func(c linnet.CallInfo) bool { return c.Peer == cert.User && !c.Incoming }) {
		s.open(now, peer, nil)
	}
}

// A pair outlives its calls a little, for their last words, and for the next call.
const (
	sweepEvery = 5 * time.Second
	pairLinger = 15 * time.Second
)

// sweepPairs ends the pairs whose calls are over.
func (s *station) sweepPairs(now time.Time) {
	talking := s.talking()
	for _, p := range s.pairs {
		if talking[p.user] {
			p.seen = now
			s.replenish(now, p)
		} else if now.Sub(p.seen) >= pairLinger {
			s.unpair(now, p)
		}
	}
	s.sweep = time.Time{}
	s.locate(now)
	if len(s.pairs) > 0 {
		s.sweep = now.Add(sweepEvery)
	}
}

// pairAnew ends the pairs of a user who became a contact, or is none any more,
// unless there is a call by them: the next ones follow the other rule.
func (s *station) pairAnew(now time.Time, user linnet.UserName) {
	if slices.ContainsFunc(s.calls.Calls(), func(c linnet.CallInfo) bool { return c.Peer == user && c.State != linnet.CallEnded }) {
		return
	}
	for _, p := range s.pairs {
		if p.user == user && p.contact != s.onList(user) {
			s.unpair(now, p)
		}
	}
}

// unpair ends the search for paths, and gives relays back.
func (s *station) unpair(now time.Time, p *pair) {
	delete(s.pairs, p.peer)
	s.sessions.KeepAlive(now, p.peer, 0)
	for id, r := range p.relays {
		delete(s.relayed, r.Own)
		s.sessions.DropTag(r.Own)
		s.relays.Release(id, p.peer)
	}
	s.gather(now, p, nil)
}

// vouch asks the relays of a pair whether they see the other side at an address. A
// user's machine is not believed: it may be the other side's.
func (s *station) vouch(now time.Time, p *pair, at netip.Addr) {
	for id, r := range p.relays {
		if !s.isOperators(id) {
			continue
		}
		m := &message.RelayVouch{Relay: r.Reservation, Addr: netip.AddrPortFrom(at, 0)}
		s.request(now, id, m, func(now time.Time, reply message.Message, _ error) {
			if v, ok := reply.(*message.RelayVouched); ok && v.Same && s.pairs[p.peer] == p {
				p.way.Vouched(now, at)
			}
		})
	}
}

func (s *station) pathUp(now time.Time, e session.PathUp) {
	if e.Path.Kind == linnet.DirectTCP {
		s.streams.up(now, e.Path.Stream, e.Peer)
	}
	if p := s.pairs[e.Peer]; p != nil {
		p.way.PathUp(now, e.Path, e.RTT)
	} else if e.Path.Kind == linnet.DirectUDP {
		s.leaveStream(now, e.Peer, e.Path)
	}
}

// leaveStream moves the session with a supernode from a stream to UDP.
func (s *station) leaveStream(now time.Time, node linnet.NodeID, to session.Path) {
	routes := s.sessions.Routes(node)
	if len(routes) == 0 || routes[0].Path.Kind != linnet.DirectTCP || len(s.pairs) > 0 {
		return
	}
	if err := s.sessions.Use(now, node, to); err != nil {
		s.log.Debug("leave a stream", "to", node.Short(), "err", err)
	}
}

func (s *station) pathMet(now time.Time, e session.Met) {
	if p := s.pairs[e.Peer]; p != nil && p.contact {
		p.way.Met(now, e.Path)
	}
}

// silent hears that the other side of a call misses media.
func (s *station) silent(now time.Time, e session.Silent) {
	if p := s.pairs[e.Peer]; p != nil {
		p.way.Silent(now, e.Path)
	}
}

// miss is called while no media comes in a call. The other side is told by every path,
// to send by two; and relays are shown where this node is, in case that has changed.
func (s *station) miss(now time.Time, id linnet.CallID) {
	phone := s.phones[id]
	if phone == nil {
		return
	}
	if err := s.sessions.Silence(now, phone.peer); err != nil {
		s.log.Debug("silence", "peer", phone.peer.Short(), "err", err)
	}
	if p := s.pairs[phone.peer]; p != nil {
		s.show(now, p)
	}
}

func (s *station) pathDown(now time.Time, e session.PathDown) {
	if p := s.pairs[e.Peer]; p != nil {
		p.way.PathDown(now, e.Path)
	}
}

// moved tells the phones where media goes now.
func (s *station) moved(now time.Time, e session.Moved) {
	for id, p := range s.phones {
		if p.peer == e.Peer {
			p.move(now, e.Routes, s.rtt(e.Peer))
			if c := s.info(id); c != nil {
				s.tellChanged(*c)
			}
		}
	}
	if s.files.machine != nil {
		s.files.trunk.moved(e.Peer, e.Routes)
	}
	if p := s.pairs[e.Peer]; p != nil && len(e.Routes) > 0 {
		p.way.Moved(now, e.Routes[0].Path)
		if e.Routes[0].Path.Kind.Direct() {
			s.wentDirect(now, p.user)
		}
	}
	if len(e.Routes) > 0 && e.Routes[0].Path.Kind.Direct() {
		s.overlay.Up(now, e.Peer, e.Routes[0].Path.Addr)
		if s.relaying.server != nil {
			s.relaying.server.Moved(now, e.Peer, relay.Origin(origin(e.Routes[0].Path)))
		}
		if e.Routes[0].Path.Kind == linnet.DirectUDP {
			s.overlay.Moved(now, e.Peer, linnet.RungUDP)
		}
	}
	s.relays.Moved(now, e.Peer)
}

// rtt is the round trip on the path in use.
func (s *station) rtt(peer linnet.NodeID) time.Duration {
	for _, p := range s.sessions.Paths(peer) {
		if p.Used {
			return p.RTT
		}
	}
	return 0
}

// settlePair does what a pair wants, and says whether it wanted anything.
func (s *station) settlePair(now time.Time, p *pair) bool {
	effects := p.way.Take()
	for _, e := range effects {
		var err error
		switch e := e.(type) {
		case traverse.Probe:
			err = s.sessions.Probe(now, p.peer, e.Path)
		case traverse.Open:
			if err = s.node.link.Open(link.Origin{Addr: e.Addr}, e.Hops); errors.Is(err, netx.ErrHops) {
				err = nil // the probes that follow do as well, but for some routers
			}
		case traverse.Use:
			paths := []session.Path{e.Path, e.Second}
			if e.Second.Kind == linnet.NoPath {
				paths = paths[:1]
			}
			err = s.sessions.Use(now, p.peer, paths...)
		case traverse.Vouch:
			s.vouch(now, p, e.Addr)
		case traverse.Spread:
			s.spread(p, e, 0, nil)
		case traverse.Predict:
			s.predict(p, e)
		case traverse.Tell:
			s.tellWhere(now, p)
		case traverse.Guess:
			err = s.sessions.Guess(now, p.peer, e.To...)
		case traverse.Gather:
			s.gather(now, p, e.Keep)
		case traverse.Ask:
			err = s.sessions.Where(now, p.peer, e.Path, e.Token)
		case traverse.Meet:
			s.meet(p, e)
		}
		if err != nil {
			s.log.Debug("path", "peer", p.peer.Short(), "err", err)
		}
	}
	return len(effects) > 0
}
