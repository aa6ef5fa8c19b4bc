package node

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/traverse"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A prelude is what became of a call's paths since it first rang.
type prelude struct {
	user   linnet.UserName
	rang   time.Time
	direct time.Time // when media could go directly; zero: not yet
}

// rang notes the first ring of a call.
func (s *station) rang(now time.Time, c linnet.CallInfo) {
	if s.preludes[c.ID] != nil {
		return
	}
	r := &prelude{user: c.Peer, rang: now}
	for _, p := range s.pairs {
		if p.user == c.Peer && p.way.State() == traverse.Direct {
			r.direct = now
		}
	}
	s.preludes[c.ID] = r
}

// wentDirect notes that what goes to a user does so directly.
func (s *station) wentDirect(now time.Time, user linnet.UserName) {
	for _, r := range s.preludes {
		if r.user == user && r.direct.IsZero() {
			r.direct = now
		}
	}
}

// prelude adds to a receipt what the phone does not know.
func (s *station) prelude(peer linnet.NodeID, id linnet.CallID, receipt *linnet.Receipt) {
	if r := s.preludes[id]; r != nil && !r.direct.IsZero() {
		receipt.DirectMS = new(r.direct.Sub(r.rang).Milliseconds())
	}
	if p := s.pairs[peer]; p != nil {
		_, theirs := p.way.NAT()
		receipt.NAT = &linnet.CallNAT{Local: s.nat.Finding(s.addrs).Name(), Remote: theirs.Name(untranslated(p.theirs))}
	}
}

// untranslated says whether a peer is seen at an address of its own.
func untranslated(told []message.Candidate) bool {
	return slices.ContainsFunc(told, func(seen message.Candidate) bool {
		return seen.Type == uint32(traverse.Observed) && slices.ContainsFunc(told, func(own message.Candidate) bool {
			return own.Type == uint32(traverse.Local) && own.Addr == seen.Addr
		})
	})
}
