package traverse

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
	"pgregory.net/rapid"
)

var start = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func direct(s string) session.Path { return session.Path{Kind: linnet.DirectUDP, Addr: addr(s)} }

func candidates(list ...string) (c []message.Candidate) {
	for _, s := range list {
		c = append(c, message.Candidate{Addr: addr(s), Type: uint32(Observed)})
	}
	return c
}

var (
	relay  = session.Path{Kind: linnet.RelayUDP, Addr: addr("192.0.2.1:33033"), Tag: 2}
	public = direct("198.51.100.1:5000")
	lan    = direct("192.168.1.9:5000")
)

// A field stands for the network: each path works after some time, until another.
type field struct {
	*Pair
	now     time.Time
	works   map[session.Path]link
	pending []answer
	up      map[session.Path]int // probes that were not answered since it was up
	probes  map[session.Path]int
	opened  map[netip.AddrPort]int
	story   []string
	used    session.Path
	check   func()
}

type link struct {
	from, until time.Duration // 0: for ever
	rtt         time.Duration
}

type answer struct {
	at   time.Time
	path session.Path
	rtt  time.Duration
}

func newField(o Options, works map[session.Path]link) *field {
	return &field{
		Pair: New(start, o), now: start, works: works,
		up: map[session.Path]int{}, probes: map[session.Path]int{}, opened: map[netip.AddrPort]int{},
	}
}

func (f *field) alive(p session.Path) (link, bool) {
	l, ok := f.works[p]
	t := f.now.Sub(start)
	return l, ok && t >= l.from && (l.until == 0 || t < l.until)
}

func (f *field) note(format string, args ...any) {
	f.story = append(f.story, fmt.Sprintf("%5d ms ", f.now.Sub(start).Milliseconds())+fmt.Sprintf(format, args...))
}

func (f *field) take(t testing.TB) {
	for _, x := range f.Take() {
		switch x := x.(type) {
		case Probe:
			f.probes[x.Path]++
			if l, ok := f.alive(x.Path); ok {
				f.pending = append(f.pending, answer{f.now.Add(l.rtt), x.Path, l.rtt})
			} else if n, up := f.up[x.Path]; up {
				if f.up[x.Path]++; n >= 2 { // as package session does
					f.down(x.Path)
				}
			}
		case Open:
			f.opened[x.Addr]++
		case Use:
			if _, up := f.up[x.Path]; !up {
				t.Fatalf("uses %v, which is not up", x.Path)
			}
			f.used = x.Path
			f.note("use %v", x.Path.Kind)
		}
	}
}

func (f *field) down(p session.Path) {
	delete(f.up, p)
	f.PathDown(f.now, p)
}

// run lets time pass. The path in use is watched by package session: its end is
// told a second later.
func (f *field) run(t testing.TB, d time.Duration) {
	end := f.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 100000 {
			t.Fatal("it does not come to rest")
		}
		f.take(t)
		if f.check != nil {
			f.check()
		}
		next, what := end, func() {}
		if at := f.Deadline(); !at.IsZero() && at.Before(next) {
			next, what = at, func() { f.Tick(f.now) }
		}
		for i, a := range f.pending {
			if a.at.Before(next) {
				next, what = a.at, func() {
					f.pending = slices.Delete(f.pending, i, i+1)
					f.up[a.path] = 0
					f.PathUp(f.now, a.path, a.rtt)
				}
			}
		}
		if l, ok := f.works[f.used]; ok && l.until != 0 {
			if _, up := f.up[f.used]; up {
				if at := start.Add(l.until + time.Second); at.Before(next) {
					next, what = later(at, f.now), func() { f.down(f.used) }
				}
			}
		}
		f.now = later(f.now, next)
		if !next.Before(end) {
			return
		}
		what()
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func TestChoice(t *testing.T) {
	ms := time.Millisecond
	own := candidates("203.0.113.5:7000", "192.168.1.5:7000")
	tests := []struct {
		name  string
		works map[session.Path]link
		run   time.Duration
		want  []string
		state State
	}{
		{"direct answers at once", map[session.Path]link{relay: {rtt: 60 * ms}, public: {rtt: 40 * ms}}, time.Second,
			[]string{"  140 ms use direct-udp"}, Direct},
		{"relay first, but there is time", map[session.Path]link{relay: {rtt: 20 * ms}, public: {rtt: 190 * ms}}, time.Second,
			[]string{"  290 ms use direct-udp"}, Direct},
		{"no direct path", map[session.Path]link{relay: {rtt: 20 * ms}}, time.Minute,
			[]string{"  300 ms use relay-udp"}, Relayed},
		{"direct later", map[session.Path]link{relay: {rtt: 20 * ms}, public: {from: 900 * ms, rtt: 40 * ms}}, time.Minute,
			[]string{"  300 ms use relay-udp", " 1040 ms use direct-udp"}, Direct},
		{"direct much later", map[session.Path]link{relay: {rtt: 20 * ms}, public: {from: time.Minute, rtt: 40 * ms}}, 3 * time.Minute,
			[]string{"  300 ms use relay-udp", "90140 ms use direct-udp"}, Direct},
		{"direct dies", map[session.Path]link{relay: {rtt: 20 * ms}, public: {until: 10 * time.Second, rtt: 40 * ms}}, time.Minute,
			[]string{"  140 ms use direct-udp", "11000 ms use relay-udp"}, Relayed},
		{"a direct path that is nearer", map[session.Path]link{public: {rtt: 30 * ms}, lan: {from: 170 * ms, rtt: 2 * ms}}, time.Minute,
			[]string{"  130 ms use direct-udp", "  252 ms use direct-udp"}, Direct},
		{"one that is hardly nearer", map[session.Path]link{public: {rtt: 30 * ms}, lan: {from: 170 * ms, rtt: 27 * ms}}, time.Minute,
			[]string{"  130 ms use direct-udp"}, Direct},
		{"one on the same network, whose routers hold nothing up", map[session.Path]link{public: {rtt: 30 * ms}, lan: {rtt: 2 * ms}}, time.Minute,
			[]string{"    2 ms use direct-udp"}, Direct},
		{"nothing works", nil, time.Hour, nil, Searching},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newField(Options{Own: own}, tt.works)
			f.Relay(f.now, relay)
			f.Remote(f.now, Unknown, candidates("198.51.100.1:5000", "192.168.1.9:5000"))
			f.run(t, tt.run)
			if !reflect.DeepEqual(f.story, tt.want) {
				t.Errorf("the story is\n%s\nwant\n%s", strings.Join(f.story, "\n"), strings.Join(tt.want, "\n"))
			}
			if f.State() != tt.state {
				t.Errorf("it is %v, want %v", f.State(), tt.state)
			}
		})
	}
}

// Whatever works and when: a path is used soon after it works, the direct one
// before the relay, and no address is flooded.
func TestAnyNetwork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Millisecond
		}
		works := map[session.Path]link{}
		peer := []string{"198.51.100.1:5000", "198.51.100.2:5000", "198.51.100.3:5000"}
		for _, p := range []session.Path{relay, direct(peer[0]), direct(peer[1]), direct(peer[2])} {
			if rapid.Bool().Draw(t, "works") {
				l := link{from: draw("from", 120000), rtt: draw("rtt", 400) + 1}
				if rapid.Bool().Draw(t, "dies") {
					l.until = l.from + draw("lasts", 120000) + 1
				}
				works[p] = l
			}
		}
		f := newField(Options{Own: candidates("203.0.113.5:7000")}, works)
		events := []func(){
			func() { f.Relay(f.now, relay) },
			func() { f.Remote(f.now, Unknown, candidates(peer...)) },
		}
		if rapid.Bool().Draw(t, "relay last") {
			slices.Reverse(events)
		}
		for _, event := range events {
			event()
			f.run(failer{t: t}, draw("pause", 1000))
		}
		for range rapid.IntRange(0, 20).Draw(t, "chatter") { // a peer that sends its answer again and again
			f.Remote(f.now, Unknown, candidates(peer...))
			f.run(failer{t: t}, draw("between", 500))
		}
		f.run(failer{t: t}, 20*time.Minute)
		want := Searching
		for p := range works {
			if _, ok := f.alive(p); ok {
				want = max(want, map[bool]State{true: Direct, false: Relayed}[p.Kind.Direct()])
			}
		}
		if want == Relayed && works[relay].from > 40*time.Second || want == Direct {
			// It may take a long time, but it gets there.
			f.run(failer{t: t}, againAtMost)
		}
		if got := f.State(); got != want {
			t.Fatalf("it is %v, want %v: %v", got, want, f.story)
		}
		for p, n := range f.probes {
			if p.Kind.Direct() && n > 300 {
				t.Fatalf("%d probes to %v in %v", n, p, f.now.Sub(start))
			}
		}
	})
}

// failer lets a field fail a rapid check.
type failer struct {
	testing.TB
	t *rapid.T
}

func (f failer) Fatal(args ...any)            { f.t.Fatal(args...) }
func (f failer) Fatalf(s string, args ...any) { f.t.Fatalf(s, args...) }

// A peer cannot have us send to more addresses than MaxCandidates at a time, nor
// keep us busy by repeating itself.
func TestBounds(t *testing.T) {
	f := newField(Options{Own: candidates("203.0.113.5:7000")}, nil)
	var many []message.Candidate
	for i := range 1000 {
		many = append(many, message.Candidate{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 9)})
	}
	for range 1000 {
		f.Remote(f.now, Unknown, many)
		f.take(t)
	}
	if len(f.opened) != MaxCandidates {
		t.Errorf("NATs were opened for %d addresses", len(f.opened))
	}
	for a, n := range f.opened {
		if n > maxCredit {
			t.Errorf("%d packets towards %v at once", n, a)
		}
	}
	f.run(t, time.Second)
	if len(f.probes) != MaxCandidates {
		t.Errorf("%d addresses were probed", len(f.probes))
	}
	for i := range 1000 {
		f.Relay(f.now, session.Path{Kind: linnet.RelayUDP, Tag: uint32(i)})
		f.PathUp(f.now, session.Path{Kind: linnet.DirectUDP, Stream: uint64(i)}, time.Millisecond)
	}
	if len(f.relays) > maxRelays || len(f.Pair.up) > maxPaths {
		t.Errorf("%d relays, %d paths", len(f.relays), len(f.Pair.up))
	}
}

// Who moves soon after many changes is not forgotten: the burst comes a little later.
func TestOwed(t *testing.T) {
	at := direct("198.51.100.9:5000")
	f := newField(Options{Own: candidates("203.0.113.5:7000")}, map[session.Path]link{at: {rtt: 10 * time.Millisecond}})
	for range maxCredit {
		f.Remote(f.now, Unknown, candidates("198.51.100.1:5000"))
	}
	f.run(t, burst[len(burst)-1]*time.Millisecond)
	f.Remote(f.now, Unknown, candidates("198.51.100.9:5000"))
	f.run(t, creditEvery)
	if f.State() != Direct {
		t.Errorf("it is %v; probes %v", f.State(), f.probes)
	}
}

// The session left a path by itself: it is used again when it answers again.
func TestMovedByItself(t *testing.T) {
	works := map[session.Path]link{public: {rtt: 10 * time.Millisecond}, relay: {rtt: 20 * time.Millisecond}}
	f := newField(Options{Own: candidates("203.0.113.5:7000")}, works)
	f.Relay(f.now, relay)
	f.Remote(f.now, Unknown, candidates("198.51.100.1:5000"))
	f.run(t, time.Minute)
	works[public] = link{from: time.Minute + 400*time.Millisecond, rtt: 10 * time.Millisecond}
	f.Moved(f.now, relay)
	if f.State() != Relayed {
		t.Errorf("it is %v", f.State())
	}
	f.run(t, time.Minute)
	want := []string{"  110 ms use direct-udp", "60510 ms use direct-udp"}
	if !reflect.DeepEqual(f.story, want) {
		t.Errorf("the story is %q, want %q", f.story, want)
	}
}

func TestAddressChange(t *testing.T) {
	f := newField(Options{Own: candidates("203.0.113.5:7000")}, map[session.Path]link{public: {rtt: 10 * time.Millisecond}})
	f.Remote(f.now, Unknown, candidates("198.51.100.1:5000", "198.51.100.2:5000"))
	f.run(t, time.Minute)
	clear(f.probes)
	f.Own(f.now, Unknown, candidates("203.0.113.77:1"))
	f.run(t, 140*time.Millisecond)
	if f.probes[public] != 1 || f.probes[direct("198.51.100.2:5000")] != 1 {
		t.Errorf("probes after a change of address: %v", f.probes)
	}
}

// A peer that misses media gets it by two paths, until it misses none for a while
// or the first path is found dead.
func TestSilent(t *testing.T) {
	works := map[session.Path]link{public: {rtt: 10 * time.Millisecond}, relay: {rtt: 20 * time.Millisecond}}
	f := newField(Options{Own: candidates("203.0.113.5:7000")}, works)
	f.Relay(f.now, relay)
	f.Remote(f.now, Unknown, candidates("198.51.100.1:5000"))
	f.run(t, time.Minute)
	uses := func() (u []Use) {
		for _, x := range f.Take() {
			if x, ok := x.(Use); ok {
				u = append(u, x)
			}
		}
		return u
	}
	both := []Use{{public, relay}}
	for _, by := range []session.Path{relay, public, direct("198.51.100.99:1")} { // by itself it may be heard, or be unknown
		f.Silent(f.now, by)
		if got := uses(); !reflect.DeepEqual(got, both) {
			t.Errorf("told by %v: uses %v", by, got)
		}
		f.Silent(f.now, by)
		if got := uses(); len(got) != 0 {
			t.Errorf("told again by %v: uses %v", by, got)
		}
		f.now = f.now.Add(sureAfter)
		f.Tick(f.now)
		if got, want := uses(), []Use{{Path: public}}; !reflect.DeepEqual(got, want) {
			t.Errorf("later: uses %v, want %v", got, want)
		}
	}
	f.Silent(f.now, relay)
	f.PathDown(f.now, public)
	if got, want := uses(), append(both, Use{Path: relay}); !reflect.DeepEqual(got, want) {
		t.Errorf("uses %v, want %v", got, want)
	}
	f.Silent(f.now, relay)
	if got := uses(); len(got) != 0 {
		t.Errorf("without another path: uses %v", got)
	}
}
