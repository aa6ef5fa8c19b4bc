package session

import (
	"bytes"
	"time"

	"github.com/linnet-p2p/linnet/wire/message"
)

// Limits of a flow.
const (
	partWindow  = 64 // parts between the oldest that is not acked and the newest
	firstWindow = 16 // of them in flight at the beginning
	ackDelay    = 20 * time.Millisecond
	reorder     = 3 // a part is lost when one that is so much later arrived
	minRTO      = 100 * time.Millisecond
	firstRTO    = 500 * time.Millisecond
	maxRTO      = 2 * time.Second
	smallPiece  = 64 // bytes: less is not worth a part of its own
	maxLoose    = 64

	roughFor = 30 * time.Second // after a part was overdue, they go by all paths
)

// A flow is what is on its way between two devices: commands in parts, acked,
// resent, put in order; and those that need no ack. A quiet session has none.
type flow struct {
	queue    []outgoing // not wholly sent
	queued   int        // bytes of commands in queue and flight
	flight   []part     // sent and not acked, in order
	window   int        // parts that may be in flight
	backoff  uint       // of the resend timer
	progress instant    // when an ack was worth something last
	loose    [][]byte

	later   map[uint64]piece // arrived before their turn
	command []byte           // what is here of the next command
	owed    int              // parts to acknowledge
	ackAt   instant

	requests map[uint16]request
}

type outgoing struct {
	command []byte
	done    int  // bytes of it that are in parts already
	old     bool // goes under the old keys
}

type part struct {
	piece
	old   bool
	lost  bool // to be sent again
	sends int
	first instant
	sent  instant
}

type request struct {
	token   uint64
	timeout instant
}

// flowing returns the flow of s, which begins when it is needed.
func (s *session) flowing(now instant) *flow {
	if s.flow == nil {
		s.flow = &flow{window: firstWindow, progress: now}
	}
	return s.flow
}

// quiet says that nothing would be lost with the flow.
func (f *flow) quiet() bool {
	return len(f.queue)+len(f.flight)+len(f.loose)+len(f.later)+len(f.command)+f.owed+len(f.requests) == 0
}

// enqueue adds a reliable command, unless too many wait already.
func (e *Endpoint) enqueue(s *session, command []byte) error {
	if len(command) > MaxCommand {
		return ErrSize
	}
	if s.flow != nil && s.flow.queued+len(command) > MaxQueue {
		return ErrQueue
	}
	e.push(s, command)
	return nil
}

// push adds a reliable command of the session's own, which must not get lost.
func (e *Endpoint) push(s *session, command []byte) {
	f := s.flowing(e.now)
	if len(f.flight) == 0 && len(f.queue) == 0 {
		f.progress = e.now
	}
	f.queue = append(f.queue, outgoing{command: command})
	f.queued += len(command)
	e.touch(s)
}

// absorb moves what waits to be sent, and the tags that relays know, to another
// session of the same peer that takes the place of s. Nothing of it was acked, since s
// was never up.
func (e *Endpoint) absorb(into, s *session) {
	into.tags = append(into.tags, s.tags...)
	for _, tag := range s.tags {
		e.tags[tag] = into
	}
	s.tags = nil
	f := s.flow
	s.flow = nil
	if f == nil {
		return
	}
	var command []byte
	g := into.flowing(e.now)
	for _, p := range f.flight {
		if command = append(command, p.data...); p.last {
			g.queue = append(g.queue, outgoing{command: command})
			command = nil
		}
	}
	for _, o := range f.queue { // the first one may have parts in flight: they begin again
		g.queue = append(g.queue, outgoing{command: o.command})
	}
	g.queued += f.queued
	for id, r := range f.requests {
		if g.requests == nil {
			g.requests = make(map[uint16]request)
		}
		if old, taken := g.requests[id]; taken {
			e.emit(Failed{s.peer, old.token, ErrReplaced})
		}
		g.requests[id] = r
	}
	e.touch(into)
}

// rto is how long an acknowledgement may take.
func (s *session) rto() time.Duration {
	if s.rtt == 0 {
		return firstRTO
	}
	return min(max(s.rtt+4*s.rttVar+ackDelay, minRTO), maxRTO)
}

// sample takes a round trip into the smoothed ones (RFC 6298).
func (s *session) sample(d time.Duration) {
	d = max(d, time.Microsecond)
	if s.rtt == 0 {
		s.rtt, s.rttVar = d, d/2
		return
	}
	s.rttVar += ((s.rtt - d).Abs() - s.rttVar) / 4
	s.rtt += (d - s.rtt) / 8
}

// acked takes an acknowledgement.
func (e *Endpoint) acked(s *session, a ack) {
	f := s.flow
	if f == nil || a.next > s.next {
		return
	}
	var newest *part
	var highest uint64
	kept := f.flight[:0]
	for _, p := range f.flight {
		if !a.has(p.sequence) {
			kept = append(kept, p)
			continue
		}
		highest = p.sequence
		f.queued -= len(p.data)
		newest = &p
	}
	clear(f.flight[len(kept):])
	f.flight = kept
	if newest == nil {
		return
	}
	// Where the newest was sent again, older ones may have waited for an
	// acknowledgement that got lost.
	if newest.sends == 1 && newest.sent >= s.moved {
		s.sample(e.now.since(newest.sent))
	}
	f.progress, f.backoff = e.now, 0
	f.window = min(f.window+1, partWindow)
	hole := false
	for i := range f.flight {
		p := &f.flight[i]
		if !p.lost && p.sequence+reorder <= highest && e.now.since(p.sent) >= s.rtt {
			p.lost, hole = true, true
		}
	}
	if hole {
		f.window = max(f.window/2, 4)
	}
}

// resendAt is when the oldest part in flight counts as lost.
func (s *session) resendAt() (at instant) {
	if f := s.flow; f != nil {
		for i := range f.flight {
			if p := &f.flight[i]; !p.lost {
				at = sooner(at, p.sent.add(min(s.rto()<<f.backoff, maxRTO)))
			}
		}
	}
	return at
}

// expire marks the parts whose acknowledgement is overdue.
func (e *Endpoint) expire(s *session) {
	at := s.resendAt()
	if at == 0 || at > e.now {
		return
	}
	f := s.flow
	overdue := min(s.rto()<<f.backoff, maxRTO)
	for i := range f.flight {
		if p := &f.flight[i]; e.now.since(p.sent) >= overdue {
			p.lost = true
		}
	}
	s.rough = e.now.add(roughFor)
	e.doubtWidth(s)
	f.backoff = min(f.backoff+1, 5)
	f.window = max(f.window/2, 4)
}

// received takes a part.
func (e *Endpoint) received(s *session, p piece) {
	f := s.flowing(e.now)
	if p.sequence >= s.want+partWindow {
		return
	}
	if f.owed++; f.owed == 1 {
		f.ackAt = e.now.add(ackDelay)
	}
	if p.sequence != s.want || f.owed >= 2 {
		f.ackAt = e.now // the sender waits for it
	}
	if p.sequence < s.want {
		return
	}
	if p.sequence > s.want {
		if _, here := f.later[p.sequence]; !here {
			if f.later == nil {
				f.later = make(map[uint64]piece)
			}
			p.data = bytes.Clone(p.data)
			f.later[p.sequence] = p
		}
		return
	}
	for ok := true; ok && s.state != dead; p, ok = f.later[s.want] {
		delete(f.later, s.want)
		s.want++
		if f.command = append(f.command, p.data...); len(f.command) > MaxCommand {
			e.finish(s, ErrSize)
			return
		}
		if p.last {
			command := f.command
			f.command = nil
			e.deliver(s, command, true)
		}
	}
}

// deliver hands out a command; what cannot be read is dropped, as it may
// come from a newer node.
func (e *Endpoint) deliver(s *session, command []byte, reliable bool) {
	c, rest, err := message.Parse(command, message.Session)
	if err != nil || len(rest) > 0 {
		return
	}
	switch m := c.Body.(type) {
	case *message.Upgrade1, *message.Upgrade2, *message.Upgrade3:
		if reliable {
			e.upgradeStep(s, m)
		}
	case *message.Goodbye:
		if reliable {
			s.flow.ackAt = e.now
			e.flush(s) // the last chance to acknowledge
			e.finish(s, &ClosedError{m.Reason})
		}
	default:
		if s.state == closing {
			return
		}
		if message.SpecOf(m).Kind != message.Reply {
			e.emit(Received{From: s.peer, ID: c.ID, Message: m})
			return
		}
		if s.flow == nil {
			return
		}
		if r, ok := s.flow.requests[c.ID]; ok {
			delete(s.flow.requests, c.ID)
			e.emit(Reply{s.peer, r.token, m})
		}
	}
}

// timeouts fails requests that nobody answered.
func (e *Endpoint) timeouts(s *session) {
	if s.flow == nil {
		return
	}
	for _, id := range sortedIDs(s.flow.requests) {
		if r := s.flow.requests[id]; r.timeout <= e.now {
			delete(s.flow.requests, id)
			e.emit(Failed{s.peer, r.token, ErrTimeout})
		}
	}
}

// flush sends what may be sent now.
func (e *Endpoint) flush(s *session) {
	for s.flow != nil && (s.state == up || s.state == closing || s.state == answered) && e.packet(s) {
	}
}

// room is how many bytes of records a packet takes.
func (s *session) room(now instant) int {
	limit := maxBody
	if s.main().Kind == forwarded {
		limit = maxForward
	} else if !s.stalled && s.rough <= now && len(s.routes()) == 1 { // no copy goes by another path
		limit = s.size()
	}
	if s.state == answered {
		limit = min(limit, s.half.budget)
	}
	return limit - overhead
}

// packet sends one packet of commands and acks, and says whether there was any
// reason to.
func (e *Endpoint) packet(s *session) bool {
	f, room := s.flow, s.room(e.now)
	if f.queued >= widenQueue && s.state == up && s.wide < e.now.add(widenFor/2) {
		e.widen(s, widenFor)
	}
	b := e.records[:0]
	if f.owed > 0 {
		b = ack{s.want, f.bitmap(s.want)}.append(b)
	}
	empty := len(b)
	underOld := false // all parts of a packet go under the same keys
	fits := func(old bool, n, room int) bool {
		if len(b) > empty && old != underOld || len(b)+n > room {
			return false
		}
		underOld = old
		return true
	}
	solicits := false
	for i := range f.flight {
		p := &f.flight[i]
		room := room
		if len(b) == empty && s.state != answered {
			room = max(room, maxBody-overhead) // it may have been cut for a larger packet
		}
		if p.lost && fits(p.old, partOverhead+len(p.data), room) {
			b = p.append(b)
			p.lost, p.sent, solicits = false, e.now, true
			p.sends++
		}
	}
	for len(f.queue) > 0 && len(f.flight) < f.window &&
		(len(f.flight) == 0 || s.next-f.flight[0].sequence < partWindow) {
		o := &f.queue[0]
		left := len(o.command) - o.done
		if !fits(o.old, partOverhead+min(left, smallPiece), room) {
			break
		}
		n := min(left, room-max(len(b), ackSize)-partOverhead, maxBody-overhead-ackSize-partOverhead)
		if n < 0 { // what may be sent to somebody who proved nothing is used up; an empty piece still asks for an ack
			break
		}
		p := part{
			piece: piece{s.next, n == left, o.command[o.done : o.done+n]},
			old:   o.old, sends: 1, first: e.now, sent: e.now,
		}
		b = p.append(b)
		f.flight = append(f.flight, p)
		s.next++
		solicits = true
		if o.done += n; p.last {
			f.queue = f.queue[1:]
		}
	}
	for len(f.loose) > 0 {
		if len(f.loose[0])+looseOverhead > room { // the path has changed since
			f.loose = f.loose[1:]
			continue
		}
		if !fits(false, looseOverhead+len(f.loose[0]), room) {
			break
		}
		b = appendRecord(b, recCommand, f.loose[0])
		f.loose = f.loose[1:]
	}
	if e.records = b[:0]; len(b) == empty {
		if f.owed == 0 || f.ackAt > e.now {
			return false
		}
		underOld = s.handingOver()
	}
	f.owed = 0
	if solicits && s.silence == 0 && s.state == up {
		s.silence = e.now
	}
	e.send(s, underOld, b, solicits && s.rough > e.now)
	return true
}

// bitmap says which parts after want are here.
func (f *flow) bitmap(want uint64) (later uint64) {
	for n := range f.later {
		later |= 1 << (n - want - 1)
	}
	return later
}

// send seals records once and sends them by every path in use, or that is up: the
// receiver takes one copy.
func (e *Endpoint) send(s *session, underOld bool, records []byte, all bool) {
	keys := &s.keys
	if underOld && s.old != nil {
		keys = s.old
	}
	body, ok := keys.seal(e.o.Suite, records)
	if !ok {
		return
	}
	if s.sent = e.now; s.state == answered {
		s.half.budget -= len(body)
	}
	for i := range s.paths {
		if p := &s.paths[i]; p.rank != 0 || (s.stalled || all) && p.up {
			e.emit(SendPacket{To: s.peer, Via: p.Path, Tag: p.tag(keys), Body: body})
		}
	}
}
