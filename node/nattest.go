package node

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/traverse"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	natSettle   = 300 * time.Millisecond // a node that attaches asks many supernodes, which are no strangers then
	natTries    = 3
	natRounds   = 3
	natAgain    = 5 * time.Second
	natWait     = 400 * time.Millisecond // for what was sent; the round trip comes on top
	natSpares   = 8                      // sockets that show a block of ports
	hairpinWait = time.Second
)

// A natTest is what is being found out of the NAT: one at a time, with the help of one
// supernode. Its result is the Detector's.
type natTest struct {
	nonce   uint64 // 0: there is none
	by      linnet.NodeID
	at      netip.AddrPort // of the supernode
	side    netip.AddrPort // its other port
	tries   int
	round   int // of tests that found nothing
	filter  traverse.FilterTest
	known   map[netip.Addr]bool // whom this node wrote to before: no strangers
	spares  map[uint32]uint16   // by socket, where the NAT lets them out; 0: not known yet
	hairpin *bool

	concluded bool // of the filter
	over      bool // nothing more is tried
}

// testNAT begins, unless a test is under way.
func (s *station) testNAT(now time.Time, by linnet.NodeID, at, you netip.AddrPort) {
	if s.test.nonce != 0 {
		return
	}
	s.test = natTest{nonce: rand.Uint64() | 1, by: by, at: at}
	nonce := s.test.nonce
	s.testHairpin(you)
	s.later(natSettle, func(now time.Time) {
		if s.test.nonce == nonce {
			s.test.known = s.node.link.Known()
			s.testFilter(now)
		}
	})
}

func (s *station) testFilter(now time.Time) {
	t := s.test
	s.test.tries++
	s.request(now, t.by, &message.NATTest{Nonce: t.nonce}, func(now time.Time, reply message.Message, err error) {
		m, ok := reply.(*message.NATTested)
		if s.test.nonce != t.nonce || !ok {
			s.endTest(now, t.nonce)
			return
		}
		if m.Port != 0 && m.Port < 1<<16 {
			s.test.filter.ByPort = true
			s.test.side = netip.AddrPortFrom(t.at.Addr(), uint16(m.Port))
		}
		s.test.filter.ByStranger = s.test.filter.ByStranger || m.Asked
		s.later(natWait+s.rtt(t.by), func(now time.Time) {
			switch f := s.test.filter; {
			case s.test.nonce != t.nonce:
			case s.test.tries < natTries && !(f.FromStranger && f.FromPort) && (f.ByPort || f.ByStranger):
				s.testFilter(now)
			default:
				s.endTest(now, t.nonce)
			}
		})
	})
}

// endTest concludes, and goes on to what would have spoilt the test of the filter.
func (s *station) endTest(now time.Time, nonce uint64) {
	t := &s.test
	if t.nonce != nonce {
		return
	}
	if t.tries == natTries || t.filter.FromStranger {
		t.concluded = true
		s.nat.Tested(t.filter)
	}
	if t.side.IsValid() {
		s.where(now, t.by, session.Path{Kind: linnet.DirectUDP, Addr: t.side})
	}
	f := s.nat.Finding(s.addrs)
	if f.Dependent {
		s.testBlock()
	}
	if f.NAT.Filtering() != traverse.BehaviorUnknown || t.round == natRounds {
		t.over = true
		s.measureLifetime(t.by, t.at)
		return
	}
	s.later(natAgain, func(now time.Time) { // there may have been no stranger yet
		if t := s.test; t.nonce == nonce {
			s.test = natTest{}
			s.testNAT(now, t.by, t.at, s.observed)
			s.test.round = t.round + 1
		}
	})
}

// natAsked hears a packet that came by itself: the other port of the own supernode got through.
func (s *station) natAsked(e session.Asked) {
	if t := &s.test; t.nonce != 0 && e.Path.Kind == linnet.DirectUDP && e.Token == t.nonce && e.Peer == t.by && e.Path.Addr != t.at && e.Path.Addr.Addr() == t.at.Addr() {
		t.filter.FromPort = true
		s.natLate()
	}
}

// natLate takes what came after the test: a busy machine is late.
func (s *station) natLate() {
	if s.test.concluded {
		s.nat.Tested(s.test.filter)
	}
}

// natDialled hears a supernode that was asked to try this node. It says whether that was
// for this test.
func (s *station) natDialled(from netip.AddrPort, nonce uint64) bool {
	t := &s.test
	if t.nonce == 0 || nonce != t.nonce {
		return false
	}
	// A round trip is known of whom this node asked something since the test began.
	t.filter.FromStranger = t.filter.FromStranger || !t.known[from.Addr()] && s.node.link.RTT(from) == 0
	s.natLate()
	return true
}

// testBlock finds the ports that the NAT gives to some sockets.
func (s *station) testBlock() {
	nonce := s.test.nonce
	s.node.beside(func(context.Context) {
		ids, err := s.node.link.OpenSpares(natSpares)
		s.node.must(func(now time.Time) {
			s.log.Debug("spare sockets", "open", len(ids), "err", err)
			if s.node.station != s {
				s.closeSpares(ids)
				return
			}
			t := &s.test
			t.spares = make(map[uint32]uint16)
			for _, id := range ids {
				t.spares[id] = 0
				s.where(now, t.by, session.Path{Kind: linnet.DirectUDP, Addr: t.at, Socket: id})
			}
			s.later(hairpinWait, func(now time.Time) {
				s.closeSpares(ids)
				if s.test.nonce != nonce {
					return
				}
				var ports []uint16
				for _, id := range ids { // in the order in which they asked
					if port := s.test.spares[id]; port != 0 {
						ports = append(ports, port)
					}
				}
				s.nat.Spread(ports)
			})
		})
	})
}

// testHairpin sends a packet to this node's own public address.
func (s *station) testHairpin(you netip.AddrPort) {
	nonce := s.test.nonce
	tag, err := s.sessions.NewTag(s.test.by) // for nobody else meanwhile
	if err != nil {
		return
	}
	s.node.link.Bind(tag, func(link.Origin, []byte) {
		s.node.post(func(time.Time) {
			if s.test.nonce == nonce {
				s.test.hairpin = new(true)
			}
		})
	})
	if err := s.node.link.SendPacket(link.Origin{Addr: you}, tag, nil); err != nil {
		s.log.Debug("hairpin", "err", err)
	}
	s.later(hairpinWait, func(time.Time) {
		s.node.link.Unbind(tag)
		s.sessions.DropTag(tag)
		if s.test.nonce == nonce && s.test.hairpin == nil {
			s.test.hairpin = new(false)
		}
	})
}

// helpNATTest does it for a client: one packet from another port to where its session is,
// and one more by somebody else, both no longer than the client's own.
func (s *station) helpNATTest(now time.Time, from linnet.NodeID, id uint16, nonce uint64) {
	asked, ok := s.overlay.TryFor(now, from, nonce)
	routes := s.sessions.Routes(from)
	if !ok || len(routes) == 0 || routes[0].Path.Kind != linnet.DirectUDP {
		s.respond(now, from, id, &message.Failure{Code: message.FailureUnavailable, Text: "this is for clients over UDP, now and then"})
		return
	}
	reply := &message.NATTested{Asked: asked}
	if s.side == 0 {
		if ids, err := s.node.link.OpenSpares(1); err == nil && len(ids) == 1 {
			s.side = ids[0]
		}
	}
	if at := s.node.link.SpareAddr(s.side); at.IsValid() {
		reply.Port = uint32(at.Port())
		path := session.Path{Kind: linnet.DirectUDP, Addr: routes[0].Path.Addr, Socket: s.side}
		if err := s.sessions.Where(now, from, path, nonce); err != nil {
			s.log.Debug("NAT test", "of", from.Short(), "err", err)
		}
	}
	s.respond(now, from, id, reply)
}

// later runs f in the loop, if the node still has this identity then.
func (s *station) later(d time.Duration, f func(now time.Time)) {
	s.node.beside(func(ctx context.Context) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return
		}
		s.node.must(func(now time.Time) {
			if s.node.station == s {
				f(now)
			}
		})
	})
}
