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
	waited func() []time.Duration // the link's
	expire time.Time              // when to look for unused reservations
}

const expireEvery = time.Second

// startRelaying makes this node a relay for others.
func (s *station) startRelaying(now time.Time) {
	at := s.node.advertised()
	s.relaying = relaying{relay.NewServer(now, relay.ServerOptions{
		Addr: at[0], Also: at[1:], ShortTags: s.node.classic(),
	}), s.node.link.Waited, now.Add(expireEvery)}
	s.node.relaying.Store(s.relaying.server)
}

func (r *relaying) Deadline() time.Time { return r.expire }

func (r *relaying) Tick(now time.Time) {
	if r.server != nil && !now.Before(r.expire) {
		r.server.Expire(now)
		r.server.Measure(now, r.waited())
		r.expire = now.Add(expireEvery)
	}
}

// relayPacket says where the link sends a packet that is of a reservation here.
func (n *Node) relayPacket(now time.Time, from link.Origin, tag uint32, size int) (to link.Origin, out uint32, mine bool) {
	r := n.relaying.Load()
	if r == nil {
		return to, 0, false
	}
	there, out, mine := r.Forward(now, relay.Origin(from), tag, size)
	return link.Origin(there), out, mine
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
