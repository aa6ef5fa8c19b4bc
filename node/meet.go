package node

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/traverse"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A doorway is where connections from this node's own TCP port come from, as others see
// them. It is found out when a call wants it: where one of the two sides has no UDP.
type doorway struct {
	at     netip.AddrPort
	asked  time.Time
	node   linnet.NodeID // the supernode that is asked, in a stream of its own
	stream uint64
}

const (
	doorwayFor  = 2 * time.Minute // before it is asked for again
	doorwayPace = 3 * time.Second // for the stream to the supernode
)

// withoutUDP says that this node is on the network by TCP on any port, and not by UDP.
func (s *station) withoutUDP() bool {
	return s.streamsOnly() && slices.ContainsFunc(s.overlay.Attachments(), func(id linnet.NodeID) bool {
		r, ok := s.overlay.AttachedBy(id)
		return ok && r == linnet.RungTCP
	})
}

// meets says whether a pair may need TCP.
func (s *station) meets(p *pair) bool {
	return p.contact && (s.withoutUDP() || slices.ContainsFunc(p.theirs, func(c message.Candidate) bool { return traverse.CandidateType(c.Type).TCP() }))
}

// tcpCandidates are what the other side of a pair may dial.
func (s *station) tcpCandidates(p *pair) (list []message.Candidate) {
	if !s.meets(p) {
		return nil
	}
	if s.doorway.at.IsValid() {
		list = append(list, message.Candidate{Addr: s.doorway.at, Type: uint32(traverse.ObservedTCP)})
	}
	if found := s.node.mapped; found != nil && found.TCP.IsValid() {
		list = append(list, message.Candidate{Addr: found.TCP, Type: uint32(traverse.MappedTCP)})
	}
	return list
}

// seekDoorway asks a supernode for it, if a pair wants it and it was not asked lately. The
// other sides are told when the answer comes.
func (s *station) seekDoorway(now time.Time, p *pair) {
	if !s.meets(p) || !s.doorway.asked.IsZero() && now.Sub(s.doorway.asked) < doorwayFor {
		return
	}
	for _, id := range s.overlay.Attachments() {
		host, known := s.overlay.Host(id)
		addr := s.overlay.AddrOf(host)
		if id == s.id || !known || !addr.IsValid() || host.Rungs != 0 && !host.Rungs.Has(linnet.RungTCP) {
			continue
		}
		s.doorway.asked, s.doorway.node, s.doorway.stream = now, id, 0
		s.node.beside(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, doorwayPace)
			defer cancel()
			stream, err := s.node.link.Meet(ctx, addr, doorwayPace, 1)
			s.node.must(func(now time.Time) {
				if err != nil || stream == 0 || s.doorway.node != id || s.node.station != s {
					s.log.Debug("doorway", "asked", id.Short(), "stream", stream, "err", err)
					s.node.link.Close(stream)
					return
				}
				s.streams.add(now, stream, id)
				s.doorway.stream = stream
				s.where(now, id, session.Path{Kind: linnet.DirectTCP, Addr: addr, Stream: stream})
			})
		})
		return
	}
}

// seenTCP takes what the supernode says of it.
func (s *station) seenTCP(now time.Time, e session.Seen) {
	if e.Path.Stream != s.doorway.stream || e.Peer != s.doorway.node || e.You == s.doorway.at || e.You.Port() == 0 {
		return
	}
	s.doorway.at = e.You
	for _, p := range s.pairs {
		if s.meets(p) {
			s.tellWhere(now, p)
		}
	}
}

// meet dials the other side of a pair, which dials as well.
func (s *station) meet(p *pair, e traverse.Meet) {
	s.node.beside(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(e.Tries+1)*e.Pace)
		defer cancel()
		stream, err := s.node.link.Meet(ctx, e.Addr, e.Pace, e.Tries)
		if err == nil && stream == 0 {
			return // they came in
		}
		s.node.must(func(now time.Time) {
			if err != nil || s.pairs[p.peer] != p || s.node.station != s {
				s.log.Debug("meet", "peer", p.peer.Short(), "at", e.Addr, "err", err)
				s.node.link.Close(stream)
				return
			}
			s.streams.add(now, stream, p.peer)
			p.way.Met(now, session.Path{Kind: linnet.DirectTCP, Addr: e.Addr, Stream: stream})
		})
	})
}
