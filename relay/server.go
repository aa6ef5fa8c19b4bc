package relay

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"io"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// ServerOptions configures a Server. The zero value relays a thousand calls.
type ServerOptions struct {
	Addr netip.AddrPort   // where the relay takes packets, as clients are told
	Also []netip.AddrPort // the same for clients of the other family

	Lifetime     time.Duration // of a reservation without packets or commands; default 60 s
	Reservations int           // at once; default 1000
	PerClient    int           // sides of one node; default 16

	// What each side may send. Default 1000 packets and 384 KiB per second: a
	// video call. Half a second's worth may come at once.
	Packets, Bytes int

	// Daily is how many bytes are passed on in a day of UTC at the most; 0 means any
	// number. Spent were on the day of the start, before it.
	Daily, Spent uint64

	// ShortTags are for classic networks, whose streams carry tags of 16 bits: the
	// highest is set, so that they are never those of the node's own sessions.
	// Reservations is 4096 at the most then.
	ShortTags bool

	Rand io.Reader // draws tags and ids; default crypto/rand
}

func (o *ServerOptions) fill() {
	o.Lifetime = cmp.Or(o.Lifetime, time.Minute)
	o.Reservations = cmp.Or(o.Reservations, 1000)
	if o.ShortTags {
		o.Reservations = min(o.Reservations, 4096) // a tag that is free is soon drawn
	}
	o.PerClient = cmp.Or(o.PerClient, 16)
	o.Packets = cmp.Or(o.Packets, 1000)
	o.Bytes = cmp.Or(o.Bytes, 384<<10)
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
}

// burst is how much of a second may come at once.
const burst = int64(time.Second / 2)

// A Sender is a client that a command came from: its device, and the origin of
// its session at this moment.
type Sender struct {
	Node   linnet.NodeID
	Origin Origin
}

// A Tell is a one-way message for a client other than the one who asked.
type Tell struct {
	Node    linnet.NodeID
	Message message.Message
}

// A Server is the relay's half. Its methods may be called concurrently; Forward
// never waits for the others.
type Server struct {
	opts       ServerOptions
	start      time.Time
	packetCost int64 // nanoseconds
	byteCost   int64 // nanoseconds of 1024 bytes

	shards [64]shard // of the tags

	mu        sync.Mutex
	byID      map[uint32]*reservation
	clients   map[linnet.NodeID][]*side
	closed    bool // nobody new is admitted
	admission admission
	quota     quota
	refused   uint64
}

// A shard is a part of the tags, and of the counters, that processors seldom
// share.
type shard struct {
	mu        sync.RWMutex
	sides     map[uint32]*side
	forwarded atomic.Uint64
	bytes     atomic.Uint64
	strange   atomic.Uint64
	capped    atomic.Uint64
	away      atomic.Uint64
	_         [64]byte
}

// NewServer makes a relay without reservations.
func NewServer(now time.Time, opts ServerOptions) *Server {
	opts.fill()
	return &Server{
		opts: opts, start: now,
		packetCost: int64(time.Second) / int64(opts.Packets),
		byteCost:   int64(time.Second) * 1024 / int64(opts.Bytes),
		byID:       make(map[uint32]*reservation),
		clients:    make(map[linnet.NodeID][]*side),
		quota:      quota{bytes: opts.Daily, day: dayOf(now), spent: opts.Spent},
	}
}

func (s *Server) shard(tag uint32) *shard {
	return &s.shards[tag>>1%uint32(len(s.shards))]
}

// Forward says where to send a packet with so many bytes of body, and under
// which tag. It is mine if the tag is of a reservation here. Nowhere, the zero
// Origin, means that it is dropped: it comes from elsewhere than its side is, the
// other side is away, or this one sends too much. Addresses are those of the
// link: IPv4 is never written as IPv6.
func (s *Server) Forward(now time.Time, from Origin, tag uint32, size int) (to Origin, out uint32, mine bool) {
	sh := s.shard(tag)
	sh.mu.RLock()
	sender := sh.sides[tag&^1]
	sh.mu.RUnlock()
	if sender == nil {
		return to, 0, false
	}
	here := sender.at.Load()
	if here == nil || here.origin != from {
		sh.strange.Add(1)
		return to, 0, true
	}
	t := int64(now.Sub(s.start))
	sender.of.touch(t)
	there := sender.other.at.Load()
	if there == nil {
		sh.away.Add(1)
		return to, 0, true
	}
	bytes := int64(size + frame.SessionSize)
	if !sender.packets.take(t, s.packetCost, burst) || !sender.bytes.take(t, bytes*s.byteCost/1024, burst) {
		sh.capped.Add(1)
		return to, 0, true
	}
	sh.forwarded.Add(1)
	sh.bytes.Add(uint64(bytes))
	return there.origin, there.tag | tag&1, true
}

// Handle answers a command of a client's session; the reply is nil for one-way
// commands and for those of no concern here.
func (s *Server) Handle(now time.Time, from Sender, m message.Message) (reply message.Message, tell []Tell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := int64(now.Sub(s.start))
	switch m := m.(type) {
	case *message.RelayReserve:
		return s.reserve(t, from, m), nil
	case *message.RelayJoin:
		return s.join(t, from, m)
	case *message.RelayMove:
		side := s.sideOf(m.Relay, from.Node)
		if side == nil {
			return unknown(), nil
		}
		tag := side.tag
		s.pin(t, side, from.Origin, tag)
		return s.established(side), nil
	case *message.RelayVouch:
		side := s.sideOf(m.Relay, from.Node)
		if side == nil {
			return unknown(), nil
		}
		at := side.other.at.Load()
		return &message.RelayVouched{Same: at != nil && at.origin.Addr.Addr() == m.Addr.Addr().Unmap()}, nil
	case *message.RelayRelease:
		if side := s.sideOf(m.Relay, from.Node); side != nil {
			if side.other.in != 0 {
				tell = []Tell{{side.other.node, &message.RelayRelease{Relay: m.Relay}}}
			}
			s.drop(side.of)
		}
	}
	return nil, tell
}

func (s *Server) reserve(t int64, from Sender, m *message.RelayReserve) message.Message {
	if !valid(m.Tag) {
		return &message.Failure{Code: message.FailureInvalid, Text: "a tag is even and not 0"}
	}
	for _, side := range s.clients[from.Node] {
		if r := side.of; side == &r.sides[0] && r.session == m.Session {
			s.pin(t, side, from.Origin, m.Tag)
			return s.established(side)
		}
	}
	if s.closed || !s.quota.over.IsZero() || len(s.byID) >= s.opts.Reservations || !s.admission.admits() {
		s.refused++
		return &message.Failure{Code: message.FailureUnavailable, Text: "the relay is full"}
	}
	if len(s.clients[from.Node]) >= s.opts.PerClient {
		s.refused++
		return tooMany()
	}
	r := &reservation{session: m.Session}
	for r.id == 0 || s.byID[r.id] != nil {
		r.id = s.draw()
	}
	for i := range r.sides {
		r.sides[i].of, r.sides[i].other = r, &r.sides[1-i]
	}
	s.byID[r.id] = r
	s.admission.admitted++
	s.enter(t, &r.sides[0], from, m.Tag)
	return s.established(&r.sides[0])
}

func (s *Server) join(t int64, from Sender, m *message.RelayJoin) (message.Message, []Tell) {
	r := s.byID[m.Relay]
	switch {
	case !valid(m.Tag):
		return &message.Failure{Code: message.FailureInvalid, Text: "a tag is even and not 0"}, nil
	case r == nil || r.session != m.Session || r.sides[0].node == from.Node:
		return unknown(), nil
	}
	second := &r.sides[1]
	switch {
	case second.in == 0:
		if len(s.clients[from.Node]) >= s.opts.PerClient {
			return tooMany(), nil
		}
		s.enter(t, second, from, m.Tag)
	case second.node == from.Node:
		s.pin(t, second, from.Origin, m.Tag)
	default:
		return &message.Failure{Code: message.FailureTaken, Text: "the reservation has two sides already"}, nil
	}
	return s.established(second), []Tell{{r.sides[0].node, &message.RelayJoined{
		Session: r.session, Expires: uint32(s.opts.Lifetime / time.Second),
	}}}
}

func valid(tag uint32) bool { return tag != 0 && tag&1 == 0 }

func unknown() message.Message {
	return &message.Failure{Code: message.FailureNotFound, Text: "no such reservation"}
}

func tooMany() message.Message {
	return &message.Failure{Code: message.FailureTooMany, Text: "too many reservations of one device"}
}

func (s *Server) established(x *side) message.Message {
	return &message.RelayEstablished{
		Lifetime: uint32(s.opts.Lifetime / time.Second), Relay: x.of.id, Tag: x.in, Addr: s.addrFor(x),
	}
}

// addrFor is the relay's address of the family by which a side came.
func (s *Server) addrFor(x *side) netip.AddrPort {
	if at := x.at.Load(); at != nil {
		is4 := at.origin.Addr.Addr().Is4()
		for _, a := range s.opts.Also {
			if s.opts.Addr.Addr().Is4() != is4 && a.Addr().Is4() == is4 {
				return a
			}
		}
	}
	return s.opts.Addr
}

// sideOf finds the side of a reservation that a node holds.
func (s *Server) sideOf(id uint32, node linnet.NodeID) *side {
	if r := s.byID[id]; r != nil {
		for i := range r.sides {
			if r.sides[i].in != 0 && r.sides[i].node == node {
				return &r.sides[i]
			}
		}
	}
	return nil
}

// enter gives a side to a client.
func (s *Server) enter(t int64, x *side, from Sender, tag uint32) {
	x.node = from.Node
	s.clients[from.Node] = append(s.clients[from.Node], x)
	s.pin(t, x, from.Origin, tag) // before it can be found
	for {
		in := s.draw() &^ 1
		if s.opts.ShortTags {
			in = in&math.MaxUint16 | 1<<15
		}
		sh := s.shard(in)
		sh.mu.Lock()
		if in != 0 && sh.sides[in] == nil {
			if sh.sides == nil {
				sh.sides = make(map[uint32]*side)
			}
			x.in = in
			sh.sides[in] = x
			sh.mu.Unlock()
			return
		}
		sh.mu.Unlock()
	}
}

// pin sets where a side is.
func (s *Server) pin(t int64, x *side, at Origin, tag uint32) {
	x.tag = tag
	x.of.used.Store(t)
	if old := x.at.Load(); old == nil || old.origin != at || old.tag != tag {
		x.at.Store(&spot{at, tag})
	}
}

// Moved says that the session with a client goes by another address now, which
// answered a challenge there: its sides move with it. One that is reached by a
// stream stays, as its client sends there until it asks again.
func (s *Server) Moved(now time.Time, node linnet.NodeID, to Origin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.clients[node] {
		if at := x.at.Load(); at != nil && at.origin.Stream == 0 && to.Stream == 0 {
			s.pin(int64(now.Sub(s.start)), x, to, x.tag)
		}
	}
}

// HandBack admits nobody any more and tells both sides of every reservation
// that the relay gives it up. Packets pass until the sides have moved: they
// leave, or what they no longer use expires.
func (s *Server) HandBack() []Tell {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.giveUp()
}

func (s *Server) giveUp() (tell []Tell) {
	for id, r := range s.byID {
		for i := range r.sides {
			if x := &r.sides[i]; x.in != 0 {
				tell = append(tell, Tell{x.node, &message.RelayRelease{Relay: id}})
			}
		}
	}
	return tell
}

// Gone says that the session with a client ended: its sides are away until it
// asks again.
func (s *Server) Gone(node linnet.NodeID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.clients[node] {
		x.at.Store(nil)
	}
}

// Expire drops reservations that nobody used for their lifetime, and hands all back
// when the day's volume is used up. It is called about once a second.
func (s *Server) Expire(now time.Time) (tell []Tell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	usedUp, late := s.quota.count(now, s.passed())
	if usedUp {
		tell = s.giveUp()
	}
	t := int64(now.Sub(s.start))
	for _, r := range s.byID {
		if late || t-r.used.Load() > int64(s.opts.Lifetime) {
			s.drop(r)
		}
	}
	return tell
}

// Measure says how long, of the time since the server was made, each reader of the
// packets has waited for them: a link's Waited. It is called about once a second;
// a relay that is never told admits all that its options allow.
func (s *Server) Measure(now time.Time, waited []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	silent := 0
	for _, r := range s.byID {
		if !r.carries.Load() {
			silent++
		}
	}
	s.admission.measure(now.Sub(s.start), waited, s.forwarded(), silent)
}

func (s *Server) drop(r *reservation) {
	delete(s.byID, r.id)
	for i := range r.sides {
		x := &r.sides[i]
		if x.in == 0 {
			continue
		}
		sh := s.shard(x.in)
		sh.mu.Lock()
		delete(sh.sides, x.in)
		sh.mu.Unlock()
		rest := slices.DeleteFunc(s.clients[x.node], func(y *side) bool { return y == x })
		if len(rest) == 0 {
			delete(s.clients, x.node)
		} else {
			s.clients[x.node] = rest
		}
	}
}

func (s *Server) draw() uint32 {
	var b [4]byte
	if _, err := io.ReadFull(s.opts.Rand, b[:]); err != nil {
		panic("relay: ServerOptions.Rand: " + err.Error())
	}
	return binary.BigEndian.Uint32(b[:])
}

// Stats is what a relay did so far.
type Stats struct {
	Reservations int
	Calls        int     // of them, those that packets have come for
	Busy         float64 // of the time, when it was last measured; 0 to 1
	Day          int64   // since 1970, when Expire was called last
	Spent        uint64  // bytes passed on that day until then
	UsedUp       bool    // that is all that it may
	Packets      uint64  // forwarded
	Bytes        uint64
	Strange      uint64 // packets of a reservation from a wrong origin
	Capped       uint64 // packets over a side's limits
	Away         uint64 // packets for a side that is not there
	Refused      uint64 // reservations
}

// Stats counts.
func (s *Server) Stats() (st Stats) {
	for i := range s.shards {
		sh := &s.shards[i]
		st.Packets += sh.forwarded.Load()
		st.Bytes += sh.bytes.Load()
		st.Strange += sh.strange.Load()
		st.Capped += sh.capped.Load()
		st.Away += sh.away.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.byID {
		if r.carries.Load() {
			st.Calls++
		}
	}
	st.Reservations, st.Busy = len(s.byID), s.admission.busy
	st.Refused = s.refused
	st.Day, st.Spent, st.UsedUp = s.quota.day, s.quota.spent, !s.quota.over.IsZero()
	return st
}

func (s *Server) passed() (bytes uint64) {
	for i := range s.shards {
		bytes += s.shards[i].bytes.Load()
	}
	return bytes
}

func (s *Server) forwarded() (n uint64) {
	for i := range s.shards {
		n += s.shards[i].forwarded.Load()
	}
	return n
}
