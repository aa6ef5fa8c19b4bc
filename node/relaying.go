package node

import (
	"time"

	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/relay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// relaying is what a relay does for others, as one of the loop's machines. The
// zero value relays for nobody.
type relaying struct {
	server *relay.Server
	expire time.Time // when to look for unused reservations
}

const expireEvery = time.Second

// startRelaying makes this node a relay for others.
func (s *station) startRelaying(now time.Time) {
	s.relaying = relaying{relay.NewServer(now, relay.ServerOptions{Addr: s.node.advertised()[0]}), now.Add(expireEvery)}
	s.node.relaying.Store(s.relaying.server)
}

func (r *relaying) Deadline() time.Time { return r.expire }

func (r *relaying) Tick(now time.Time) {
	if r.server != nil && !now.Before(r.expire) {
		r.server.Expire(now)
		r.expire = now.Add(expireEvery)
	}
}

// relayPacket passes a packet on if it is of a reservation here. It runs in the
// link's goroutines.
func (n *Node) relayPacket(from link.Origin, tag uint32, body []byte) bool {
	r := n.relaying.Load()
	if r == nil {
		return false
	}
	to, out, ok := r.Forward(time.Now(), relay.Origin(from), tag, body)
	if !ok {
		return false
	}
	if err := n.link.SendPacket(link.Origin(to), out, body); err != nil {
		n.log.Debug("relay", "to", to.Addr, "err", err)
	}
	return true
}

func (s *station) relayAsked(now time.Time, e session.Received) {
	reply := message.Message(&message.Failure{Code: message.FailureUnavailable, Text: "this node relays for nobody"})
	// Only who comes directly is relayed for: two relays that reach a client
	// through each other would pass its packets round for ever.
	if routes := s.sessions.Routes(e.From); s.relaying.server != nil && len(routes) > 0 && routes[0].Path.Kind.Direct() {
		sender := relay.Sender{Node: e.From, Origin: relay.Origin(origin(routes[0].Path))}
		var tell []relay.Tell
		reply, tell = s.relaying.server.Handle(now, sender, e.Message)
		for _, t := range tell {
			s.send(now, t.Node, t.Message)
		}
		if m, ok := reply.(*message.RelayEstablished); ok {
			m.Entry = s.overlay.Entry() // the client offers it to the other side
		}
	}
	if reply != nil && e.ID != 0 {
		s.respond(now, e.From, e.ID, reply)
	}
}
