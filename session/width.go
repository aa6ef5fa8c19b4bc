package session

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
)

// The width of a path is what it carries in one datagram, by its MTU. It is found out where
// somebody has much to send, as in RFC 8899: packets of several sizes, which routers must not
// cut, ask for a sign, and the largest that is answered counts.
//
//	Widen ──▶ searching ── three rounds, or the largest is answered ──▶ known ── every 5 s asked again
//	              ▲                                                       │
//	              └────── 30 s, with what passes everywhere ◀── three ────┘
//	                                                          unanswered
//
// No part of a command is larger than what passes everywhere (maxBody), so that each can be
// sent again whatever the path has become.
var widths = [...]int{1445, 1385, 1325, 1265} // D bodies: 1452 bytes of UDP fit 1500 of IPv6, 1392 fit WireGuard

const (
	widthRounds = 3
	roundLeast  = 300 * time.Millisecond
	confirmEach = 5 * time.Second
	widthMisses = 3
	narrowFor   = 30 * time.Second
	raiseEach   = 10 * time.Minute

	widenQueue = 32 << 10 // bytes of commands that wait: worth looking
	widenFor   = 10 * time.Second
)

// width is what a path is known to carry, or is being asked for.
type width struct {
	size   int  // largest D body that came through; 0: none above maxBody
	round  int  // of a search; widthRounds: it is over
	told   bool // what it found
	missed int  // confirmations in a row
	asked  [len(widths)]uint64
	next   instant
	raise  instant // the next search though something is known
}

// searched says that nothing larger is being tried.
func (w *width) searched() bool { return w.round >= widthRounds || w.size == widths[0] }

// Widen looks for what the path in use carries, and sees to it that it still does for so
// long; Sized tells. A stream, and supernodes that forward, carry no more than anything.
func (e *Endpoint) Widen(now time.Time, to linnet.NodeID, d time.Duration) {
	e.at(now)
	if s := e.standing(to); s != nil {
		e.widen(s, d)
	}
}

func (e *Endpoint) widen(s *session, d time.Duration) {
	s.wide = max(s.wide, e.now.add(d))
	if p := s.main(); p.width == nil && (p.Kind == linnet.DirectUDP || p.Kind == linnet.RelayUDP) {
		p.width = &width{next: e.now, raise: e.now.add(raiseEach)}
	}
	e.touch(s)
}

// Size is the largest D body that the path in use is known to carry, and whether no larger
// one is being tried.
func (e *Endpoint) Size(to linnet.NodeID) (size int, sure bool) {
	s := e.standing(to)
	if s == nil {
		return maxBody, true
	}
	w := s.main().width
	return s.size(), s.main().Kind != forwarded && (w == nil || w.searched())
}

func (s *session) size() int {
	if w := s.main().width; w != nil {
		return max(w.size, maxBody)
	}
	return maxBody
}

func (e *Endpoint) sized(s *session) {
	size, sure := e.Size(s.peer)
	e.emit(Sized{s.peer, size, sure})
}

// widenAlso does the same for the path that a session moved to.
func (e *Endpoint) widenAlso(s *session) {
	if s.wide > e.now {
		e.widen(s, 0)
		e.sized(s)
	}
}

// tryWidths does what is due for the path in use, and forgets what others carried.
func (e *Endpoint) tryWidths(s *session) {
	for i := range s.paths {
		p := &s.paths[i]
		w := p.width
		if w == nil || p.rank == 1 && (w.next > e.now && s.wide > e.now) {
			continue
		}
		if p.rank != 1 || s.wide <= e.now {
			p.width = nil // it may have changed when somebody needs it again
			if p.rank == 1 && w.size != 0 {
				e.sized(s)
			}
			continue
		}
		e.tryWidth(s, p, w)
	}
}

func (e *Endpoint) tryWidth(s *session, p *path, w *width) {
	if w.searched() && w.size != widths[0] && w.missed == 0 && w.raise <= e.now {
		w.round, w.told, w.raise = 0, false, e.now.add(raiseEach)
	}
	w.next = e.now.add(max(3*p.rtt, roundLeast))
	switch {
	case !w.searched():
		w.round++
		for i, size := range widths {
			if size > w.size && (i == 0 || w.round > 1) { // the largest passes nearly everywhere
				w.asked[i] = e.askWidth(s, p, size)
			}
		}
	case w.missed == widthMisses:
		*w = width{next: e.now.add(narrowFor), raise: e.now.add(raiseEach)}
		e.emit(Sized{s.peer, maxBody, true})
	default:
		if !w.told {
			w.told = true
			e.sized(s)
		}
		if w.size == 0 {
			w.next = w.raise
			return
		}
		w.missed++
		w.asked[slices.Index(widths[:], w.size)] = e.askWidth(s, p, w.size)
	}
}

// askWidth sends a challenge in a packet of this size.
func (e *Endpoint) askWidth(s *session, p *path, size int) uint64 {
	var token [8]byte
	e.random(token[:])
	keys := &s.keys
	if s.handingOver() {
		keys = s.old
	}
	records := appendRecord(nil, recChallenge, token[:])
	const paddingHead = 1 + 2 // its length takes two bytes
	records = appendRecord(records, recPadding, make([]byte, size-e.o.Suite.PacketOverhead()-len(records)-paddingHead))
	if packet, ok := keys.seal(e.o.Suite, records); ok {
		s.sent = e.now
		e.emit(SendPacket{To: s.peer, Via: p.Path, Tag: p.tag(keys), Body: packet, Whole: true})
	}
	e.touch(s)
	return binary.BigEndian.Uint64(token[:])
}

// wideAnswer takes the answer to a challenge of askWidth, and says whether it was one.
func (e *Endpoint) wideAnswer(s *session, p *path, token uint64) bool {
	w := p.width
	if w == nil {
		return false
	}
	i := slices.Index(w.asked[:], token)
	if i < 0 || token == 0 {
		return false
	}
	w.asked[i] = 0
	switch {
	case widths[i] > w.size:
		if w.size, w.missed = widths[i], 0; w.searched() {
			w.told, w.next = true, e.now.add(confirmEach)
		}
		if p.rank == 1 {
			e.sized(s)
		}
	case widths[i] == w.size:
		w.missed, w.next = 0, e.now.add(confirmEach)
	}
	return true
}

// doubtWidth asks again at once: something was lost that was larger than what passes everywhere.
func (e *Endpoint) doubtWidth(s *session) {
	if w := s.main().width; w != nil && w.size != 0 && w.missed == 0 && w.searched() {
		w.next = e.now
	}
}
