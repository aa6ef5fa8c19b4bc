package session

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Options configures an Endpoint. Suite, Network, Node, Keys, Certificate and
// OpenCertificate have to be given.
type Options struct {
	Suite       suite.SessionSuite
	Network     linnet.NetworkID
	Node        linnet.NodeID // our own
	Keys        suite.Keys
	Certificate []byte // ours, as the authority signed it

	// OpenCertificate verifies a peer's certificate.
	OpenCertificate func([]byte, time.Time) (*suite.Certificate, error)
	// Early says whose commands may be delivered before the peer has shown that it is there
	// now, and not somebody who repeats its Hello. nil means everybody's.
	Early func(*suite.Certificate) bool

	// ForgetCertificates says that those of peers are not kept once Up has shown
	// them: they are a third of what an idle session takes. Certificate then knows none.
	ForgetCertificates bool

	ShortTags      bool          // tags of 15 bits: streams of classic networks carry 16, and a relay's have the highest one set
	RequestTimeout time.Duration // of a Request; 0 means 10 s
	IdleTimeout    time.Duration // of sessions without KeepAlive; 0 means 5 min
	Rand           io.Reader     // for tags and challenges; nil means crypto/rand
}

// An Endpoint holds the sessions of one node. It is not safe for concurrent use.
// Call Take after every other method: what a method sends is put into packets there.
type Endpoint struct {
	o      Options
	peers  map[linnet.NodeID]*session // the newest of each peer, older ones behind it
	tags   map[uint32]*session
	halves map[[hashSize]byte]*session
	seen   seen

	shadows int
	queue   wakeQueue
	dirty   []*session // with something to send or to schedule
	nextID  uint16     // of requests

	epoch time.Time // instant 0
	now   instant   // of the last call

	effects         []Effect
	records, opened []byte // scratch
}

// New makes an Endpoint.
func New(o Options) *Endpoint {
	if o.RequestTimeout == 0 {
		o.RequestTimeout = requestTimeout
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 5 * time.Minute
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Endpoint{
		o:      o,
		peers:  make(map[linnet.NodeID]*session),
		tags:   make(map[uint32]*session),
		halves: make(map[[hashSize]byte]*session),
	}
}

// SetCertificate replaces our certificate, after a renewal.
func (e *Endpoint) SetCertificate(c []byte) { e.o.Certificate = bytes.Clone(c) }

// at takes the time of a call. Instants begin at 1, since 0 means never.
func (e *Endpoint) at(now time.Time) {
	if e.epoch.IsZero() {
		e.epoch = now.Add(-1)
	}
	e.now = max(e.now, instant(now.Sub(e.epoch)))
}

// time is the calendar's name of the present.
func (e *Endpoint) time() time.Time { return e.epoch.Add(time.Duration(e.now)) }

// Up says whether a session with the peer stands.
func (e *Endpoint) Up(peer linnet.NodeID) bool { return e.standing(peer) != nil }

// Upgraded says whether the peer is sent to under hybrid keys.
func (e *Endpoint) Upgraded(peer linnet.NodeID) bool {
	s := e.standing(peer)
	return s != nil && s.upgraded
}

// Certificate is what the peer showed, or what Dial was given.
func (e *Endpoint) Certificate(peer linnet.NodeID) *suite.Certificate {
	if s := e.peers[peer]; s != nil {
		return s.certificate
	}
	return nil
}

// standing is the session of a peer that is up.
func (e *Endpoint) standing(peer linnet.NodeID) *session {
	for s := e.peers[peer]; s != nil; s = s.older {
		if s.state == up {
			return s
		}
	}
	return nil
}

// Send sends a command reliably and in order.
func (e *Endpoint) Send(now time.Time, to linnet.NodeID, m message.Message) error {
	return e.Respond(now, to, 0, m)
}

// Respond answers the request with this id.
func (e *Endpoint) Respond(now time.Time, to linnet.NodeID, id uint16, m message.Message) error {
	e.at(now)
	s := e.peers[to]
	if s == nil {
		return ErrNoSession
	}
	return e.enqueue(s, encode(m, id))
}

// Request sends a request; Reply or Failed tell token how it ended.
func (e *Endpoint) Request(now time.Time, to linnet.NodeID, m message.Message, token uint64) error {
	e.at(now)
	s := e.peers[to]
	if s == nil {
		return ErrNoSession
	}
	f := s.flowing(e.now)
	if len(f.requests) >= maxPending {
		return ErrQueue
	}
	for taken := true; taken || e.nextID == 0; _, taken = f.requests[e.nextID] {
		e.nextID++
	}
	if err := e.enqueue(s, encode(m, e.nextID)); err != nil {
		return err
	}
	if f.requests == nil {
		f.requests = make(map[uint16]request)
	}
	f.requests[e.nextID] = request{token, e.now.add(e.o.RequestTimeout)}
	return nil
}

// SendUnreliable sends a command that may get lost, in one packet, and is not
// acknowledged: a one-way one with id 0, or the answer to the request with this id,
// which waits for it in vain if it gets lost.
func (e *Endpoint) SendUnreliable(now time.Time, to linnet.NodeID, id uint16, m message.Message) error {
	e.at(now)
	s := e.standing(to)
	if s == nil {
		return ErrNoSession
	}
	b := encode(m, id)
	if len(b)+looseOverhead > min(s.room(e.now), maxBody-overhead) { // a path that carries more may be gone when it is sent
		return ErrSize
	}
	f := s.flowing(e.now)
	if len(f.loose) >= maxLoose {
		return ErrQueue
	}
	f.loose = append(f.loose, b)
	e.touch(s)
	return nil
}

// KeepAlive has the peer asked for a sign of life whenever nothing was sent or
// heard for so long; 0 ends it.
func (e *Endpoint) KeepAlive(now time.Time, to linnet.NodeID, every time.Duration) {
	e.at(now)
	if s := e.standing(to); s != nil {
		s.keepAlive = every
		e.touch(s)
	}
}

// Lasting has the session with a peer stand for 50 min though nothing is said, without
// asking for signs of life: as between those who can always reach each other, and will ask again.
func (e *Endpoint) Lasting(now time.Time, to linnet.NodeID) {
	e.at(now)
	if s := e.standing(to); s != nil {
		s.lasting = true
		e.touch(s)
	}
}

// NewTag draws a tag for the peer's packets that come through a relay. It
// lives as long as the session.
func (e *Endpoint) NewTag(to linnet.NodeID) (uint32, error) {
	s := e.peers[to]
	if s == nil {
		return 0, ErrNoSession
	}
	if len(s.tags) >= maxTags {
		return 0, ErrQueue
	}
	tag := e.boundTag(s)
	s.tags = append(s.tags, tag)
	return tag, nil
}

// DropTag forgets a tag of NewTag.
func (e *Endpoint) DropTag(tag uint32) {
	s := e.tags[tag]
	if s == nil {
		return
	}
	if i := slices.Index(s.tags, tag); i >= 0 {
		s.tags = slices.Delete(s.tags, i, i+1)
		e.unbind(s, tag)
	}
}

func (e *Endpoint) unbind(s *session, tag uint32) {
	delete(e.tags, tag)
	e.emit(Unbind{s.peer, tag})
}

// maxShortTags is how many short tags there may be before new ones are long,
// and good for datagrams only: drawing one that is free has to stay quick.
const maxShortTags = 1 << 13

// newTag draws a tag that nobody has, and gives it to s.
func (e *Endpoint) newTag(s *session) uint32 {
	bits := uint32(math.MaxUint32 &^ 1)
	if e.o.ShortTags && len(e.tags) < maxShortTags {
		bits = math.MaxInt16 &^ 1
	}
	for {
		var b [4]byte
		e.random(b[:])
		tag := binary.BigEndian.Uint32(b[:]) & bits
		if _, taken := e.tags[tag]; !taken && isTag(tag) {
			e.tags[tag] = s
			return tag
		}
	}
}

// isTag says whether session packets can go under a tag.
func isTag(tag uint32) bool { return tag != 0 && tag&1 == 0 }

func (e *Endpoint) random(b []byte) {
	if _, err := io.ReadFull(e.o.Rand, b); err != nil {
		panic("session: Options.Rand: " + err.Error())
	}
}

// Packet takes a D frame. via is where it came from, as a way back.
func (e *Endpoint) Packet(now time.Time, via Path, tag uint32, body []byte) {
	e.at(now)
	s := e.tags[tag]
	if s == nil || s.state == dialing || len(body) > maxReceived {
		return
	}
	records, ok := e.open(s, tag, body)
	if !ok {
		e.touch(s) // ciphers may have been built
		return
	}
	e.opened = records[:0]
	if s.state == answered {
		e.confirm(s)
	}
	place := aboutPlace(records)
	if place == 0 || place == recSeen && via == s.main().Path { // else it says nothing of the path in use
		s.heard, s.silence = e.now, 0
	}
	if head := e.peers[s.peer]; s.state == up && head != nil && head.state == answered && e.now.since(head.half.began) >= glareFor {
		e.giveUp(head, ErrUnreachable) // whoever sent that Hello, the peer is still in this session
	}
	if s.state == up {
		if place == 0 {
			e.heardBy(s, via, len(body))
		}
		k := &s.keys
		if s.dialled && (k.sent >= rekeyPackets || k.next > rekeyPackets) && s.upgrade == nil && s.old == nil {
			e.startUpgrade(s)
		}
	}
	e.touch(s)
	e.read(s, via, records)
}

// open tries the keys that may belong to a tag.
func (e *Endpoint) open(s *session, tag uint32, body []byte) ([]byte, bool) {
	if s.old == nil || tag != s.old.own {
		if records, ok := s.keys.open(e.o.Suite, e.opened[:0], body); ok || tag == s.keys.own {
			return records, ok
		}
	}
	if s.old == nil {
		return nil, false
	}
	return s.old.open(e.o.Suite, e.opened[:0], body)
}

// aboutPlace is the kind of a packet that is only to show an address, or to try a path: the
// peer did not move there. 0: it is another one.
func aboutPlace(records []byte) byte {
	if kind, _, _, ok := cutRecord(records); ok && (kind == recWhere || kind == recSeen) {
		return kind
	}
	return 0
}

// heardBy notes on which path the peer was heard. One that is not known yet has to
// answer a challenge; as nobody knows who is there, it gets no more bytes than came.
func (e *Endpoint) heardBy(s *session, via Path, size int) {
	p := e.meet(s, via)
	p.heard = e.now
	if p.rank == 1 {
		s.stalled = false
	}
	if p.up || p.rank != 0 {
		return
	}
	last := p.lastProbe()
	if size >= e.o.Suite.PacketOverhead()+challengeSize && (last == 0 || e.now.since(last) >= s.rto()) {
		if last == 0 {
			e.emit(Met{s.peer, via})
		}
		p.roamed = true
		e.challenge(s, p)
	}
}

// read takes the records of a packet.
func (e *Endpoint) read(s *session, via Path, records []byte) {
	responded := false // once per packet, or a packet would call for many
	for s.state != dead {
		kind, body, rest, ok := cutRecord(records)
		if !ok {
			return
		}
		records = rest
		switch kind {
		case recPart:
			if p, ok := parsePiece(body); ok {
				e.received(s, p)
			}
		case recAck:
			if a, ok := parseAck(body); ok {
				e.acked(s, a)
			}
		case recCommand:
			e.deliver(s, body, false)
		case recChallenge:
			if len(body) == 8 && !responded {
				responded = true
				e.sendBy(s, &path{Path: via}, recResponse, body)
			}
		case recResponse:
			e.response(s, body)
		case recWhere:
			if !responded {
				responded = true
				e.where(s, via, body)
			}
		case recSilent:
			e.emit(Silent{s.peer, via})
		case recSeen:
			if x, ok := parseSighting(body); ok {
				e.emit(Seen{s.peer, via, x.token, x.addr})
			}
		}
	}
}

// Close tells the peer goodbye, after what was sent before, and ends the session.
func (e *Endpoint) Close(now time.Time, to linnet.NodeID, reason string) {
	e.at(now)
	s := e.standing(to)
	for x := e.peers[to]; x != nil; x = e.peers[to] {
		if x == s {
			break
		}
		if s != nil {
			e.giveUp(x, ErrClosed) // what it was to send goes before the goodbye
		} else {
			e.finish(x, ErrClosed)
		}
	}
	if s == nil {
		return
	}
	e.fail(s, ErrClosed)
	e.push(s, encode(&message.Goodbye{Reason: reason}, 0))
	s.state, s.end = closing, e.now.add(lingerFor)
	delete(e.peers, to)
	e.emit(Down{to, ErrClosed})
	e.touch(s)
}

// finish ends a session that cannot go on.
func (e *Endpoint) finish(s *session, err error) {
	if s.state == dead {
		return
	}
	silent := s.state == closing || s.half != nil && s.half.shadow
	e.fail(s, err)
	e.remove(s)
	if !silent {
		e.emit(Down{s.peer, err})
	}
}

// fail tells those who wait for replies.
func (e *Endpoint) fail(s *session, err error) {
	if s.flow == nil {
		return
	}
	for _, id := range sortedIDs(s.flow.requests) {
		e.emit(Failed{s.peer, s.flow.requests[id].token, err})
	}
	s.flow.requests = nil
}

func sortedIDs(requests map[uint16]request) []uint16 {
	ids := make([]uint16, 0, len(requests))
	for id := range requests {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// remove takes a session out of all tables.
func (e *Endpoint) remove(s *session) {
	if head := e.peers[s.peer]; head == s {
		if s.older != nil {
			e.peers[s.peer] = s.older
		} else {
			delete(e.peers, s.peer)
		}
	} else {
		for ; head != nil; head = head.older {
			if head.older == s {
				head.older = s.older
			}
		}
	}
	s.older = nil
	if s.half != nil {
		delete(e.halves, s.half.hash)
		if s.half.shadow {
			e.shadows--
		}
	}
	if s.upgrade != nil {
		e.unbind(s, s.upgrade.own)
	}
	if s.old != nil {
		e.unbind(s, s.old.own)
	}
	for _, tag := range s.tags {
		e.unbind(s, tag)
	}
	if s.state == up || s.state == closing {
		e.unbind(s, s.keys.own)
	} else {
		delete(e.tags, s.keys.own)
	}
	s.state = dead
	e.queue.set(s, 0)
}

// Tick does what is due.
func (e *Endpoint) Tick(now time.Time) {
	e.at(now)
	for len(e.queue) > 0 && e.queue[0].wake <= e.now {
		s := e.queue[0]
		e.queue.set(s, 0)
		e.tick(s)
		e.touch(s)
	}
}

// Deadline is when Tick wants to be called; zero means never. It counts after Take.
func (e *Endpoint) Deadline() time.Time {
	if len(e.queue) == 0 {
		return time.Time{}
	}
	return e.epoch.Add(time.Duration(e.queue[0].wake))
}

// Take hands over what is to be done, in order.
func (e *Endpoint) Take() []Effect {
	for i := 0; i < len(e.dirty); i++ { // flushing may touch others
		s := e.dirty[i]
		s.dirty = false
		e.flush(s)
		e.settle(s)
	}
	clear(e.dirty)
	e.dirty = e.dirty[:0]
	out := e.effects
	e.effects = nil
	return out
}

func (e *Endpoint) emit(x Effect) { e.effects = append(e.effects, x) }

// touch has Take look at s.
func (e *Endpoint) touch(s *session) {
	if !s.dirty {
		s.dirty = true
		e.dirty = append(e.dirty, s)
	}
}

func encode(m message.Message, id uint16) []byte {
	return message.Append(nil, message.Command{ID: id, Body: m})
}
