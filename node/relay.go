package node

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/relay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// relayReceived takes the commands of relaying, on either side of it.
func (s *station) relayReceived(now time.Time, e session.Received) bool {
	switch m := e.Message.(type) {
	case *message.RelayReserve, *message.RelayJoin, *message.RelayMove, *message.RelayVouch:
		s.relayAsked(now, e)
	case *message.RelayRelease: // a client's, or a relay's: then the other side gave it back
		s.relays.Received(now, e.From, m)
		s.relayAsked(now, e)
	case *message.RelayJoined:
		s.relays.Received(now, e.From, m)
	default:
		return false
	}
	return true
}

// relayHosts are own supernodes, the operators' and the users' of them. Where there
// are users', some of the operators' first ones stand in.
func (s *station) relayHosts() (operators, users []linnet.NodeID) {
	for _, id := range s.overlay.Attachments() {
		switch {
		case id == s.id:
		case s.isOperators(id):
			operators = append(operators, id)
		default:
			users = append(users, id)
		}
	}
	if s.node.network.get().Policy.Promotion != suite.PromotionOpen {
		return operators, users
	}
	first := overlay.BootstrapHosts(s.node.network.get())
	for _, i := range rand.Perm(len(first)) {
		if id := first[i].Node; len(operators) < relaysOfCall && id != s.id && !slices.Contains(operators, id) {
			operators = append(operators, id)
		}
	}
	return operators, users
}

// relaysOfCall is how many a call has, so that one may die.
const relaysOfCall = 2

// isOperators says that a supernode is an operator's machine.
func (s *station) isOperators(id linnet.NodeID) bool {
	d := s.node.network.get()
	if d.Policy.Promotion != suite.PromotionOpen || slices.ContainsFunc(d.Supernodes, func(b suite.Bootstrap) bool { return b.Node == id }) {
		return true
	}
	cert := s.sessions.Certificate(id)
	return cert != nil && cert.User.IsNode()
}

// reserve asks for relays for a pair. They are warm when the callee answers,
// whether or not a direct path is found.
func (s *station) reserve(now time.Time, p *pair) {
	p.asks = true
	s.replenish(now, p)
}

// replenish asks for as many relays as a call should have: some may be lost, and be
// back, or others found.
func (s *station) replenish(now time.Time, p *pair) {
	if !p.asks || len(p.relays) >= relaysOfCall {
		return
	}
	operators, _ := s.relayHosts()
	s.reserveAt(now, p, slices.DeleteFunc(operators, func(id linnet.NodeID) bool {
		_, has := p.relays[id]
		return has
	}))
}

// reserveAtUsers asks users' machines when one of the operators' has no room, and none
// has given any yet. Such a relay
// is a stranger's, or one of the two sides' own: it learns the addresses of both. So only
// contacts call over one, who tell each other theirs.
func (s *station) reserveAtUsers(now time.Time, p *pair) {
	if !p.contact || p.asked || len(p.relays) > 0 {
		return
	}
	p.asked = true
	_, users := s.relayHosts()
	s.reserveAt(now, p, users)
}

func (s *station) reserveAt(now time.Time, p *pair, relays []linnet.NodeID) {
	for _, id := range relays {
		tag, err := s.sessions.NewTag(p.peer)
		if err == nil {
			err = s.relays.Reserve(now, id, p.peer, tag)
		}
		if err != nil {
			s.sessions.DropTag(tag)
			s.log.Debug("reserve a relay", "relay", id.Short(), "err", err)
		}
	}
}

// takeOffers joins the relays that the other side reserved.
func (s *station) takeOffers(now time.Time, p *pair, offers []message.RelayOffer) {
	for i := range offers[:min(len(offers), maxOffers)] {
		offer := &offers[i]
		// A relay learns our address: it must not be a machine of the caller's own, unless
		// he is told the address anyway.
		entry, err := s.trust.OpenEntry(offer.Entry, now)
		if err != nil || !(entry.Roles&linnet.Relay != 0 || p.contact && entry.Serves()) {
			s.log.Debug("relay offer refused", "from", p.peer.Short(), "err", err)
			continue
		}
		if _, known := p.hosts[entry.Node]; !known && !p.joins.Take(now, joinRate, joinBurst) {
			continue // each may be a session with somebody new
		}
		p.hosts[entry.Node] = entry.Host()
		tag, err := s.sessions.NewTag(p.peer)
		if err == nil {
			err = s.relays.Join(now, entry.Node, p.peer, offer, tag)
		}
		if err != nil {
			s.sessions.DropTag(tag)
			s.log.Debug("join a relay", "relay", entry.Node.Short(), "err", err)
		}
	}
}

const (
	maxOffers = 4       // of the other side's relays are joined at once
	joinRate  = 1. / 30 // relays that it did not offer before
	joinBurst = 2 * maxOffers
)

func (s *station) relayEffect(now time.Time, e relay.Effect) {
	switch e := e.(type) {
	case relay.Open:
		s.openRelay(now, e.Relay)
	case relay.Request:
		token := e.Token
		s.request(now, e.Relay, e.Message, func(now time.Time, reply message.Message, err error) {
			s.relays.Replied(now, token, reply)
		})
	case relay.Send:
		s.send(now, e.Relay, e.Message)
	case relay.Ready:
		s.relayReady(now, e)
	case relay.Joined:
		if p := s.pairs[e.Peer]; p != nil {
			s.relayJoined(now, p, e.Relay)
		}
	case relay.Lost:
		s.sessions.DropTag(e.Tag)
		if p := s.pairs[e.Peer]; p != nil {
			s.relayGone(now, p, e.Relay)
			s.reserveAtUsers(now, p)
		}
	}
}

func (s *station) openRelay(now time.Time, id linnet.NodeID) {
	if s.sessions.Up(id) {
		s.relays.SessionUp(now, id)
		return
	}
	host, known := s.overlay.Host(id)
	for _, p := range s.pairs {
		if h, offered := p.hosts[id]; offered {
			host, known = h, true
		}
	}
	if !known {
		s.relays.SessionDown(now, id)
		return
	}
	if err := s.connect(now, host); err != nil {
		s.relays.SessionDown(now, id)
	}
}

// relayPath is the way to a pair's other end over a relay.
func (s *station) relayPath(e relay.Ready) session.Path {
	path := session.Path{Kind: linnet.RelayUDP, Addr: e.Addr, Via: e.Relay, Tag: e.Tag}
	if routes := s.sessions.Routes(e.Relay); len(routes) > 0 && routes[0].Path.Stream != 0 {
		// Only TCP reaches the relay, so packets for it take that stream.
		path.Kind, path.Addr, path.Stream = linnet.RelayTCP, routes[0].Path.Addr, routes[0].Path.Stream
	}
	return path
}

// relayReady takes a relay that has room for a pair. The side that reserved it
// offers it to the other one.
func (s *station) relayReady(now time.Time, e relay.Ready) {
	p := s.pairs[e.Peer]
	if p == nil {
		s.sessions.DropTag(e.Own)
		s.relays.Release(e.Relay, e.Peer)
		return
	}
	p.relays[e.Relay] = e
	s.relayed[e.Own] = s.relayPath(e)
	if e.Offer != nil {
		if err := s.sessions.Send(now, p.peer, s.sessionRequest(p)); err != nil {
			s.log.Debug("offer a relay", "to", p.peer.Short(), "err", err)
		}
	}
}

func (s *station) relayJoined(now time.Time, p *pair, id linnet.NodeID) {
	if r, ready := p.relays[id]; ready {
		p.way.Relay(now, s.relayPath(r))
	}
}

func (s *station) relayGone(now time.Time, p *pair, id linnet.NodeID) {
	if r, ready := p.relays[id]; ready {
		delete(p.relays, id)
		delete(s.relayed, r.Own)
		p.way.PathDown(now, s.relayPath(r))
	}
}
