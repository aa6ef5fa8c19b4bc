package node

import (
	"net/netip"
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
	tell   []relay.Tell           // wanted since the last Take
	passed uint64                 // bytes, when it looked last
	rate   int                    // bit/s in the second before that
}

const expireEvery = time.Second

// startRelaying makes this node a relay for others.
func (s *station) startRelaying(now time.Time, at []netip.AddrPort, o relay.ServerOptions) {
	o.Addr, o.Also, o.ShortTags = at[0], at[1:], s.node.classic()
	s.relaying = relaying{server: relay.NewServer(now, o), waited: s.node.link.Waited, expire: now.Add(expireEvery)}
	s.node.relaying.Store(s.relaying.server)
}

// stopRelaying ends that at once: those who are relayed for have another way, or find one.
func (s *station) stopRelaying(now time.Time) {
	if s.relaying.server == nil {
		return
	}
	for _, t := range s.relaying.server.HandBack() {
		s.tellSide(now, t)
	}
	s.relaying = relaying{}
	s.node.relaying.Store(nil)
}

func (r *relaying) Deadline() time.Time { return r.expire }

func (r *relaying) Tick(now time.Time) {
	if r.server == nil || now.Before(r.expire) {
		return
	}
	r.tell = append(r.tell, r.server.Expire(now)...)
	r.server.Measure(now, r.waited())
	passed := r.server.Stats().Bytes
	r.rate = int(float64(8*(passed-r.passed)) / (now.Sub(r.expire) + expireEvery).Seconds())
	r.passed, r.expire = passed, now.Add(expireEvery)
}

// Take is what the sides of reservations are to be told.
func (r *relaying) Take() []relay.Tell {
	tell := r.tell
	r.tell = nil
	return tell
}

func (s *station) tellSide(now time.Time, t relay.Tell) { s.send(now, t.Node, t.Message) }

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
			s.tellSide(now, t)
		}
		if m, ok := reply.(*message.RelayEstablished); ok {
			m.Entry = s.overlay.Entry() // the client offers it to the other side
		}
	}
	if reply != nil && e.ID != 0 {
		s.respond(now, e.From, e.ID, reply)
	}
}
