package relay

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
	"pgregory.net/rapid"
)

var (
	start = time.Unix(1_800_000_000, 0)
	alice = Sender{linnet.NodeID{1}, udp("192.0.2.1:1000")}
	bob   = Sender{linnet.NodeID{2}, udp("[2001:db8::2]:2000")}
	carol = Sender{linnet.NodeID{3}, Origin{Addr: netip.MustParseAddrPort("198.51.100.3:3000"), Stream: 17}}
)

func udp(s string) Origin { return Origin{Addr: netip.MustParseAddrPort(s)} }

// seeded is a source of randomness that a seed replays.
func seeded(seed uint64) *rand.ChaCha8 {
	var b [32]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	return rand.NewChaCha8(b)
}

func newServer(opts ServerOptions) *Server {
	if opts.Rand == nil {
		opts.Rand = seeded(1)
	}
	return NewServer(start, opts)
}

// reserve and join do what has to succeed.
func reserve(t testing.TB, s *Server, now time.Time, from Sender, session, tag uint32) *message.RelayEstablished {
	t.Helper()
	reply, tell := s.Handle(now, from, &message.RelayReserve{Session: session, Tag: tag})
	e, ok := reply.(*message.RelayEstablished)
	if !ok || len(tell) != 0 {
		t.Fatalf("reserve: %+v, %v", reply, tell)
	}
	return e
}

func join(t testing.TB, s *Server, now time.Time, from Sender, r *message.RelayEstablished, session, tag uint32) *message.RelayEstablished {
	t.Helper()
	reply, tell := s.Handle(now, from, &message.RelayJoin{Relay: r.Relay, Session: session, Tag: tag})
	e, ok := reply.(*message.RelayEstablished)
	if !ok || len(tell) != 1 {
		t.Fatalf("join: %+v, %v", reply, tell)
	}
	return e
}

const (
	aliceTag = 0xa0
	bobTag   = 0xb0
)

// call is a reservation of alice that bob has joined.
func call(t testing.TB, opts ServerOptions) (s *Server, a, b *message.RelayEstablished) {
	t.Helper()
	s = newServer(opts)
	a = reserve(t, s, start, alice, 7, aliceTag)
	b = join(t, s, start, bob, a, 7, bobTag)
	return s, a, b
}

func TestForward(t *testing.T) {
	s, a, b := call(t, ServerOptions{})
	if a.Tag&1 != 0 || b.Tag&1 != 0 || a.Tag == b.Tag || a.Lifetime != 60 || a.Relay != b.Relay {
		t.Errorf("established: %+v and %+v", a, b)
	}
	tests := []struct {
		name string
		from Origin
		tag  uint32
		to   Origin
		out  uint32 // 0: dropped
	}{
		{"session packet", alice.Origin, a.Tag, bob.Origin, bobTag},
		{"media", alice.Origin, a.Tag | 1, bob.Origin, bobTag | 1},
		{"back", bob.Origin, b.Tag, alice.Origin, aliceTag},
		{"media back", bob.Origin, b.Tag | 1, alice.Origin, aliceTag | 1},
		{"spoofed source", carol.Origin, a.Tag, Origin{}, 0},
		{"other port", udp("192.0.2.1:1001"), a.Tag, Origin{}, 0},
		{"other stream", Origin{Addr: alice.Origin.Addr, Stream: 1}, a.Tag, Origin{}, 0},
		{"tags swapped", alice.Origin, b.Tag, Origin{}, 0},
		{"receiver's own tag", alice.Origin, bobTag, Origin{}, 0},
		{"own tag", alice.Origin, aliceTag, Origin{}, 0},
		{"unknown tag", alice.Origin, a.Tag + 2, Origin{}, 0},
		{"zero tag", alice.Origin, 0, Origin{}, 0},
	}
	for _, tt := range tests {
		to, out, mine := s.Forward(start, tt.from, tt.tag, 100)
		known := tt.tag&^1 == a.Tag || tt.tag&^1 == b.Tag
		if to != tt.to || out != tt.out || mine != known {
			t.Errorf("%s: Forward = %v, %#x, %v, want %v, %#x, %v", tt.name, to, out, mine, tt.to, tt.out, known)
		}
	}
	if st := s.Stats(); st.Packets != 4 || st.Bytes != 4*107 || st.Strange != 4 || st.Reservations != 1 {
		t.Errorf("Stats = %+v", st)
	}
}

func TestForwardNeedsBothSides(t *testing.T) {
	s := newServer(ServerOptions{})
	a := reserve(t, s, start, alice, 7, aliceTag)
	if _, _, ok := forward(s, start, alice.Origin, a.Tag, 0); ok {
		t.Error("forwards before anybody joined")
	}
	b := join(t, s, start, bob, a, 7, bobTag)
	s.Gone(bob.Node)
	if _, _, ok := forward(s, start, alice.Origin, a.Tag, 0); ok {
		t.Error("forwards to a node whose session ended")
	}
	if _, _, ok := forward(s, start, bob.Origin, b.Tag, 0); ok {
		t.Error("forwards for a node whose session ended")
	}
	if again := join(t, s, start, bob, a, 7, bobTag); !reflect.DeepEqual(again, b) {
		t.Errorf("joined again: %+v, want %+v", again, b)
	}
	if to, _, ok := forward(s, start, alice.Origin, a.Tag, 0); !ok || to != bob.Origin {
		t.Error("does not forward to a node that is back")
	}
}

func TestCommands(t *testing.T) {
	s, a, _ := call(t, ServerOptions{PerClient: 2})
	tests := []struct {
		name string
		from Sender
		m    message.Message
		code uint32
	}{
		{"odd tag", alice, &message.RelayReserve{Session: 8, Tag: 3}, message.FailureInvalid},
		{"no tag", alice, &message.RelayReserve{Session: 8}, message.FailureInvalid},
		{"join with an odd tag", bob, &message.RelayJoin{Relay: a.Relay, Session: 7, Tag: 3}, message.FailureInvalid},
		{"join nothing", bob, &message.RelayJoin{Relay: a.Relay + 1, Session: 7, Tag: 2}, message.FailureNotFound},
		{"join without the session", carol, &message.RelayJoin{Relay: a.Relay, Session: 8, Tag: 2}, message.FailureNotFound},
		{"join oneself", alice, &message.RelayJoin{Relay: a.Relay, Session: 7, Tag: 2}, message.FailureNotFound},
		{"join as the third", carol, &message.RelayJoin{Relay: a.Relay, Session: 7, Tag: 2}, message.FailureTaken},
		{"move another's side", carol, &message.RelayMove{Relay: a.Relay}, message.FailureNotFound},
		{"move nothing", alice, &message.RelayMove{}, message.FailureNotFound},
	}
	for _, tt := range tests {
		reply, tell := s.Handle(start, tt.from, tt.m)
		if f, ok := reply.(*message.Failure); !ok || f.Code != tt.code || len(tell) != 0 {
			t.Errorf("%s: %+v, %v, want failure %d", tt.name, reply, tell, tt.code)
		}
	}
	if reply, tell := s.Handle(start, carol, &message.RelayRelease{Relay: a.Relay}); reply != nil || tell != nil || s.Stats().Reservations != 1 {
		t.Error("a stranger released the reservation")
	}
	if reply, tell := s.Handle(start, carol, &message.CallAlive{}); reply != nil || tell != nil {
		t.Error("answered what is none of its concern")
	}
	reserve(t, s, start, alice, 8, 0xc0)
	if reply, _ := s.Handle(start, alice, &message.RelayReserve{Session: 9, Tag: 0xd0}); reply.(*message.Failure).Code != message.FailureTooMany {
		t.Errorf("third side of a client: %+v", reply)
	}
	_, tell := s.Handle(start, bob, &message.RelayRelease{Relay: a.Relay})
	if len(tell) != 1 || tell[0].Node != alice.Node {
		t.Errorf("release tells %v", tell)
	}
	if _, _, ok := forward(s, start, alice.Origin, a.Tag, 0); ok || s.Stats().Reservations != 1 {
		t.Error("forwards for a reservation that was given back")
	}
	reserve(t, s, start, alice, 9, 0xd0) // there is room again
}

func TestReserveAgain(t *testing.T) {
	s, a, b := call(t, ServerOptions{})
	if again := reserve(t, s, start, alice, 7, aliceTag); !reflect.DeepEqual(again, a) {
		t.Errorf("reserved again: %+v, want %+v", again, a)
	}
	moved := Sender{alice.Node, udp("203.0.113.9:9")}
	reserve(t, s, start, moved, 7, 0xaa) // also with another tag
	if to, out, ok := forward(s, start, bob.Origin, b.Tag, 0); !ok || to != moved.Origin || out != 0xaa {
		t.Errorf("Forward = %v, %#x, %v", to, out, ok)
	}
	if other := reserve(t, s, start, carol, 7, aliceTag); other.Relay == a.Relay {
		t.Error("another node got the same reservation")
	}
}

func TestMove(t *testing.T) {
	s, a, b := call(t, ServerOptions{})
	moved := Sender{alice.Node, Origin{Addr: alice.Origin.Addr, Stream: 99}} // to TCP
	if reply, _ := s.Handle(start, moved, &message.RelayMove{Relay: a.Relay, UDP: 0}); !reflect.DeepEqual(reply, message.Message(a)) {
		t.Errorf("moved: %+v", reply)
	}
	if to, out, ok := forward(s, start, bob.Origin, b.Tag|1, 0); !ok || to != moved.Origin || out != aliceTag|1 {
		t.Errorf("Forward = %v, %#x, %v", to, out, ok)
	}
	if _, _, ok := forward(s, start, alice.Origin, a.Tag, 0); ok {
		t.Error("takes packets from the old address")
	}
	s.Gone(alice.Node)
	s.Handle(start, alice, &message.RelayMove{Relay: a.Relay, UDP: 1})
	if to, out, ok := forward(s, start, bob.Origin, b.Tag, 0); !ok || to != alice.Origin || out != aliceTag {
		t.Errorf("after a new session: Forward = %v, %#x, %v", to, out, ok)
	}
}

// A side follows its session to another UDP address; one that is reached by a
// stream, or is away, stays.
func TestSessionMoves(t *testing.T) {
	s, a, b := call(t, ServerOptions{})
	there := udp("203.0.113.9:999")
	s.Moved(start, alice.Node, Origin{Addr: there.Addr, Stream: 5})
	if to, _, ok := forward(s, start, bob.Origin, b.Tag, 0); !ok || to != alice.Origin {
		t.Errorf("moved to a stream by itself: %v, %v", to, ok)
	}
	s.Moved(start, alice.Node, there)
	if to, out, ok := forward(s, start, bob.Origin, b.Tag, 0); !ok || to != there || out != aliceTag {
		t.Errorf("Forward = %v, %#x, %v", to, out, ok)
	}
	if _, _, ok := forward(s, start, there, a.Tag, 0); !ok {
		t.Error("takes nothing from the new address")
	}
	s.Gone(alice.Node)
	s.Moved(start, alice.Node, there)
	if _, _, ok := forward(s, start, bob.Origin, b.Tag, 0); ok {
		t.Error("who is away is sent something")
	}
}

// A client is told the relay's address of its own family.
func TestAddressesOfBothFamilies(t *testing.T) {
	four, six := netip.MustParseAddrPort("192.0.2.50:33034"), netip.MustParseAddrPort("[2001:db8::50]:33034")
	_, a, b := call(t, ServerOptions{Addr: four, Also: []netip.AddrPort{six}})
	if a.Addr != four || b.Addr != six {
		t.Errorf("told %v and %v", a.Addr, b.Addr)
	}
	_, a, b = call(t, ServerOptions{Addr: four})
	if a.Addr != four || b.Addr != four {
		t.Errorf("with one address: told %v and %v", a.Addr, b.Addr)
	}
}

func TestExpire(t *testing.T) {
	s, a, b := call(t, ServerOptions{Lifetime: 30 * time.Second})
	idle := reserve(t, s, start, carol, 1, 0xc0)
	now := start
	for range 10 { // packets of either side keep a reservation
		now = now.Add(25 * time.Second)
		forward(s, now, alice.Origin, a.Tag, 0)
		s.Expire(now)
		now = now.Add(25 * time.Second)
		forward(s, now, bob.Origin, b.Tag, 0)
		forward(s, now, alice.Origin, idle.Tag, 0) // those of others do not
		s.Expire(now)
	}
	if n := s.Stats().Reservations; n != 1 {
		t.Errorf("%d reservations, want the used one", n)
	}
	now = now.Add(29 * time.Second)
	s.Handle(now, alice, &message.RelayReserve{Session: 7, Tag: aliceTag}) // so do commands
	now = now.Add(29 * time.Second)
	s.Expire(now)
	if _, _, ok := forward(s, now, alice.Origin, a.Tag, 0); !ok {
		t.Error("expired although it was renewed")
	}
	now = now.Add(31 * time.Second)
	s.Expire(now)
	if _, _, ok := forward(s, now, alice.Origin, a.Tag, 0); ok || len(s.clients) != 0 || len(s.byID) != 0 {
		t.Error("a reservation that nobody uses stays")
	}
	for i := range s.shards {
		if len(s.shards[i].sides) != 0 {
			t.Error("a tag stays")
		}
	}
}

func TestCaps(t *testing.T) {
	// forward sends at a rate for ten seconds and counts what comes through.
	forward := func(s *Server, from Origin, tag uint32, perSecond, size int) (n int) {
		for i := range 10 * perSecond {
			now := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
			if _, _, ok := forward(s, now, from, tag, size); ok {
				n++
			}
		}
		return n
	}
	opts := ServerOptions{Packets: 100, Bytes: 20000}
	tests := []struct {
		name            string
		perSecond, size int
		min, max        int
	}{
		{"a voice call", 50, 160, 500, 500},
		{"too many packets", 1000, 20, 1000, 1050},
		{"too many bytes", 90, 1193, 166, 176}, // 20000/s of 1200 each, and half a second's worth more
	}
	for _, tt := range tests {
		s, a, b := call(t, opts)
		if n := forward(s, alice.Origin, a.Tag, tt.perSecond, tt.size); n < tt.min || n > tt.max {
			t.Errorf("%s: %d packets came through, want %d to %d", tt.name, n, tt.min, tt.max)
		}
		// The other side is not hurt by it.
		if n := forward(s, bob.Origin, b.Tag, 50, 160); n != 500 {
			t.Errorf("%s: %d of the other side's 500 packets came through", tt.name, n)
		}
	}
}

func TestAdmission(t *testing.T) {
	full := func(s *Server) bool {
		reply, _ := s.Handle(start.Add(time.Second), carol, &message.RelayReserve{Session: 99, Tag: 2})
		f, ok := reply.(*message.Failure)
		return ok && f.Code == message.FailureUnavailable
	}
	s, _, _ := call(t, ServerOptions{Reservations: 1})
	if !full(s) {
		t.Error("took more reservations than allowed")
	}
	s, _, b := call(t, ServerOptions{})
	s.Measure(start.Add(time.Second), []time.Duration{time.Second})
	if full(s) {
		t.Error("refused while idle")
	}
	s.Handle(start.Add(time.Second), carol, &message.RelayRelease{Relay: s.clients[carol.Node][0].of.id})
	s.Measure(start.Add(2*time.Second), []time.Duration{1100 * time.Millisecond})
	if busy := s.Stats().Busy; !full(s) || busy < 0.89 || busy > 0.91 {
		t.Errorf("admitted somebody while busy %v of the time", busy)
	}
	if _, _, ok := forward(s, start.Add(2*time.Second), bob.Origin, b.Tag, 0); !ok {
		t.Error("a call that was admitted is hurt")
	}
	reserve(t, s, start.Add(2*time.Second), alice, 7, aliceTag) // renewed all the same
	s.Measure(start.Add(3*time.Second), []time.Duration{2 * time.Second})
	if full(s) {
		t.Error("refused although the load is gone")
	}
}

// Whatever is asked for, packets come only from pinned origins, and go only to
// origins whose sessions stand.
func TestNobodyElseIsSentTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newServer(ServerOptions{PerClient: 3, Reservations: 5, Rand: seeded(rapid.Uint64().Draw(t, "seed"))})
		now := start
		at := map[linnet.NodeID]Origin{} // where commands came from last, while the session stands
		var ids, tags []uint32
		ids, tags = append(ids, 0), append(tags, 0)
		num := func(from []uint32, what string) uint32 { return rapid.SampledFrom(from).Draw(t, what) }
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			who := Sender{linnet.NodeID{byte(rapid.IntRange(1, 3).Draw(t, "who"))}, Origin{}}
			who.Origin = Origin{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, who.Node[0]}), uint16(rapid.IntRange(1, 2).Draw(t, "port")))}
			session, tag := uint32(rapid.IntRange(1, 2).Draw(t, "session")), uint32(rapid.IntRange(0, 9).Draw(t, "tag"))
			var reply message.Message
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				reply, _ = s.Handle(now, who, &message.RelayReserve{Session: session, Tag: tag})
			case 1:
				reply, _ = s.Handle(now, who, &message.RelayJoin{Relay: num(ids, "id"), Session: session, Tag: tag})
			case 2:
				reply, _ = s.Handle(now, who, &message.RelayMove{Relay: num(ids, "id")})
			case 3:
				s.Handle(now, who, &message.RelayRelease{Relay: num(ids, "id")})
			case 4:
				s.Gone(who.Node)
				delete(at, who.Node)
			case 5:
				now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "pause")) * time.Second)
				s.Expire(now)
			case 6:
				to, out, ok := forward(s, now, who.Origin, num(tags, "to")|uint32(rapid.IntRange(0, 1).Draw(t, "media")), 0)
				if !ok {
					break
				}
				if _, stands := at[who.Node]; !stands {
					t.Fatalf("forwarded for %v, who has no session", who)
				}
				node := linnet.NodeID{to.Addr.Addr().As4()[3]}
				if _, stands := at[node]; !stands || node == who.Node || out < 2 {
					t.Fatalf("forwarded to %v under %d", to, out)
				}
			}
			if e, ok := reply.(*message.RelayEstablished); ok {
				at[who.Node] = who.Origin
				ids, tags = append(ids, e.Relay), append(tags, e.Tag)
			}
			for node, sides := range s.clients {
				if len(sides) > 3 || len(sides) == 0 {
					t.Fatalf("%v has %d sides", node, len(sides))
				}
			}
			if len(s.byID) > 5 {
				t.Fatalf("%d reservations", len(s.byID))
			}
		}
	})
}

// Commands and packets at the same time, for the race detector.
func TestConcurrency(t *testing.T) {
	s, a, b := call(t, ServerOptions{Packets: 1 << 30, Bytes: math.MaxInt})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			now := start
			for range 2000 {
				now = now.Add(time.Millisecond)
				if i%2 == 0 {
					forward(s, now, alice.Origin, a.Tag, 100)
				} else {
					forward(s, now, bob.Origin, b.Tag, 100)
				}
			}
		})
	}
	wg.Go(func() {
		now := start
		for i := range uint32(500) {
			now = now.Add(4 * time.Millisecond)
			s.Handle(now, carol, &message.RelayReserve{Session: i % 8, Tag: 2 * (i + 1)})
			s.Handle(now, alice, &message.RelayMove{Relay: a.Relay})
			s.Gone(bob.Node)
			s.Handle(now, bob, &message.RelayJoin{Relay: a.Relay, Session: 7, Tag: bobTag + 2*(i%2)})
			s.Handle(now, carol, &message.RelayRelease{Relay: a.Relay})
			s.Expire(now)
			s.Stats()
		}
	})
	wg.Wait()
	if _, _, ok := forward(s, start.Add(time.Hour), alice.Origin, a.Tag, 0); !ok {
		t.Error("the call was hurt")
	}
}

// fill makes n joined reservations and returns the tags and origins of their
// first sides.
func fill(t testing.TB, s *Server, n int) (tags []uint32, from []Origin) {
	for i := range uint32(n) {
		a, b := alice, bob
		binary.BigEndian.PutUint32(a.Node[4:], i)
		binary.BigEndian.PutUint32(b.Node[4:], i)
		a.Origin.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
		r := reserve(t, s, start, a, i, aliceTag)
		join(t, s, start, b, r, i, bobTag)
		tags, from = append(tags, r.Tag), append(from, a.Origin)
	}
	return tags, from
}

func TestMemoryPerReservation(t *testing.T) {
	const n, limit = 20000, 1024
	s := newServer(ServerOptions{Reservations: n})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fill(t, s, n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%d bytes per reservation", each)
	if each > limit || each < 100 {
		t.Errorf("%d bytes per reservation, want at most %d", each, limit)
	}
	runtime.KeepAlive(s)
}

func TestForwardDoesNotAllocate(t *testing.T) {
	s, a, _ := call(t, ServerOptions{Packets: 1 << 30, Bytes: math.MaxInt})
	body, now := make([]byte, 160), start
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second)
		if _, _, ok := forward(s, now, alice.Origin, a.Tag, len(body)); !ok {
			t.Fatal("not forwarded")
		}
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkForward(b *testing.B) {
	for _, bb := range []struct {
		name         string
		reservations int
	}{{"one", 1}, {"1000", 1000}, {"100000", 100_000}} {
		b.Run(bb.name, func(b *testing.B) {
			s := newServer(ServerOptions{Reservations: bb.reservations, Packets: 1 << 30, Bytes: math.MaxInt})
			tags, from := fill(b, s, bb.reservations)
			body, now := make([]byte, 160), start
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				now = now.Add(time.Microsecond)
				if _, _, ok := forward(s, now, from[i], tags[i], len(body)); !ok {
					b.Fatal("not forwarded")
				}
				if i++; i == len(tags) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkForwardParallel(b *testing.B) {
	s := newServer(ServerOptions{Packets: 1 << 30, Bytes: math.MaxInt})
	tags, from := fill(b, s, 1000)
	body := make([]byte, 160)
	b.RunParallel(func(pb *testing.PB) {
		now := start
		for i := rand.IntN(1000); pb.Next(); i = (i + 1) % 1000 {
			now = now.Add(time.Microsecond)
			forward(s, now, from[i], tags[i], len(body))
		}
	})
}

func TestShortTags(t *testing.T) {
	s := newServer(ServerOptions{ShortTags: true, Reservations: 1 << 20, PerClient: 1 << 20})
	for i := range uint32(4096) {
		if tag := reserve(t, s, start, alice, i, aliceTag).Tag; tag>>15 != 1 || !valid(tag) {
			t.Fatalf("tag %x of %d", tag, i)
		}
	}
	reply, _ := s.Handle(start, alice, &message.RelayReserve{Session: 4096, Tag: aliceTag})
	if f, ok := reply.(*message.Failure); !ok || f.Code != message.FailureUnavailable {
		t.Errorf("one more: %+v", reply)
	}
}

// forward is ok if the packet goes anywhere.
func forward(s *Server, now time.Time, from Origin, tag uint32, size int) (to Origin, out uint32, ok bool) {
	to, out, _ = s.Forward(now, from, tag, size)
	return to, out, to != (Origin{})
}

// A relay vouches for the address of the other side, to a side, and to nobody else.
func TestVouch(t *testing.T) {
	s, a, _ := call(t, ServerOptions{})
	at := func(ip string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(ip), 0) }
	for _, tt := range []struct {
		who  Sender
		addr netip.AddrPort
		want message.Message
	}{
		{bob, at("192.0.2.1"), &message.RelayVouched{Same: true}},
		{bob, at("::ffff:192.0.2.1"), &message.RelayVouched{Same: true}},
		{bob, at("192.0.2.2"), &message.RelayVouched{}},
		{alice, at("2001:db8::2"), &message.RelayVouched{Same: true}},
		{alice, at("192.0.2.1"), &message.RelayVouched{}},
		{carol, at("192.0.2.1"), unknown()},
	} {
		got, tell := s.Handle(start, tt.who, &message.RelayVouch{Relay: a.Relay, Addr: tt.addr})
		if !reflect.DeepEqual(got, tt.want) || len(tell) != 0 {
			t.Errorf("%s to %v: %+v, %v", tt.addr, tt.who.Node, got, tell)
		}
	}
	s.Gone(alice.Node)
	if got, _ := s.Handle(start, bob, &message.RelayVouch{Relay: a.Relay, Addr: at("192.0.2.1")}); !reflect.DeepEqual(got, &message.RelayVouched{}) {
		t.Errorf("of a side that is away: %+v", got)
	}
}
