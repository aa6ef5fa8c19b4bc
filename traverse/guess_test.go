package traverse

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
)

var (
	cone      = NewNAT(EndpointIndependent, BehaviorUnknown)
	symmetric = NewNAT(AddressAndPortDependent, BehaviorUnknown)
	peerIP    = netip.MustParseAddr("198.51.100.1")
)

// A hunter runs a Pair and writes down what its searches want, and when.
type hunter struct {
	*Pair
	now      time.Time
	vouches  []netip.Addr
	spreads  []Spread
	gathers  []Gather
	predicts []Predict
	tells    int
	guesses  []netip.AddrPort
	at       []time.Duration // of each guess
}

func newHunter(own, peer NAT) *hunter {
	h := &hunter{Pair: New(start, Options{Own: candidates("203.0.113.5:7000"), NAT: own, Rand: rand.New(rand.NewPCG(1, 2))}), now: start}
	h.Remote(h.now, peer, candidates("198.51.100.1:5000"))
	h.Relay(h.now, relay)
	return h
}

func (h *hunter) run(d time.Duration) {
	for end := h.now.Add(d); ; {
		for _, x := range h.Take() {
			switch x := x.(type) {
			case Vouch:
				h.vouches = append(h.vouches, x.Addr)
			case Spread:
				h.spreads = append(h.spreads, x)
			case Predict:
				h.predicts = append(h.predicts, x)
			case Tell:
				h.tells++
			case Gather:
				h.gathers = append(h.gathers, x)
			case Guess:
				for _, a := range x.To {
					h.guesses = append(h.guesses, a)
					h.at = append(h.at, h.now.Sub(start))
				}
			}
		}
		at := h.Deadline()
		if at.IsZero() || at.After(end) {
			h.now = end
			return
		}
		h.now = later(h.now, at)
		h.Tick(h.now)
	}
}

// The easy side guesses 500 ports a second for two seconds, then 100, and stops at 2,048:
// each of them once, all at the one address that a relay vouched for.
func TestGuesses(t *testing.T) {
	h := newHunter(cone, symmetric)
	h.run(time.Minute)
	if len(h.vouches) == 0 || h.vouches[0] != peerIP || len(h.guesses) != 0 {
		t.Fatalf("before a relay vouches: asked for %v, %d guesses", h.vouches, len(h.guesses))
	}
	h = newHunter(cone, symmetric)
	h.run(100 * time.Millisecond)
	h.Vouched(h.now, peerIP)
	h.run(4 * time.Minute)
	first := slices.IndexFunc(h.at, func(d time.Duration) bool { return d >= h.at[0]+2*time.Second })
	if len(h.guesses) != maxGuesses || first < 980 || first > 1010 || h.at[0] > 300*time.Millisecond || h.at[maxGuesses-1] > 14*time.Second {
		t.Errorf("%d guesses from %v to %v, %d in the first 2 s", len(h.guesses), h.at[0], h.at[len(h.at)-1], first)
	}
	seen := map[uint16]bool{}
	for _, a := range h.guesses {
		if a.Addr() != peerIP || a.Port() < firstPort || seen[a.Port()] {
			t.Fatalf("guesses %v", a)
		}
		seen[a.Port()] = true
	}
	h.run(10 * time.Minute)
	if n := len(h.guesses); n > 3*maxGuesses {
		t.Errorf("%d guesses in a quarter of an hour", n)
	}
	if len(h.spreads)+len(h.gathers) > 0 {
		t.Error("the easy side needs no sockets")
	}
}

func TestGuessesWithinBlock(t *testing.T) {
	h := newHunter(cone, symmetric.WithBlock(20000, 24095))
	h.Vouched(h.now, peerIP)
	h.run(time.Minute)
	low, high := uint16(65535), uint16(0)
	seen := map[uint16]bool{}
	for _, a := range h.guesses {
		low, high = min(low, a.Port()), max(high, a.Port())
		seen[a.Port()] = true
	}
	if low < 19968 || high > 24319 || len(seen) != maxGuesses {
		t.Errorf("%d ports from %d to %d", len(seen), low, high)
	}
}

// The hard side opens its sockets, and closes those that it does not use.
func TestSpread(t *testing.T) {
	h := newHunter(symmetric, cone)
	h.run(time.Second)
	if len(h.spreads) != 0 {
		t.Fatal("nobody vouched")
	}
	h.Vouched(h.now, peerIP)
	h.run(500 * time.Millisecond)
	if want := (Spread{spread, addr("198.51.100.1:5000"), farther}); len(h.spreads) != 1 || !reflect.DeepEqual(h.spreads[0], want) {
		t.Fatalf("spreads %v", h.spreads)
	}
	found := session.Path{Kind: linnet.DirectUDP, Addr: addr("198.51.100.1:5000"), Socket: 7}
	h.PathUp(h.now, found, 30*time.Millisecond)
	h.run(time.Minute)
	if len(h.spreads) != 1 || len(h.gathers) != 1 || !slices.Equal(h.gathers[0].Keep, []uint32{7}) || h.Path() != found {
		t.Errorf("%d spreads, gathered %v, on %v", len(h.spreads), h.gathers, h.Path())
	}
	if len(h.guesses) != 0 {
		t.Error("the hard side guesses")
	}

	h = newHunter(symmetric.WithBlock(20000, 24095), cone)
	h.Vouched(h.now, peerIP)
	h.run(time.Minute)
	if len(h.spreads) != 1 || h.spreads[0].Sockets != spreadBlock || len(h.gathers) != 1 || len(h.gathers[0].Keep) != 0 {
		t.Errorf("with a block: %v, gathered %v", h.spreads, h.gathers)
	}
}

// Where guessing cannot help, or is not needed, nothing is asked for.
func TestNoHunt(t *testing.T) {
	for _, nats := range [][2]NAT{{cone, cone}, {symmetric, symmetric}, {Unknown, symmetric}, {symmetric, Unknown}} {
		h := newHunter(nats[0], nats[1])
		h.Vouched(h.now, peerIP)
		h.run(time.Minute)
		if len(h.vouches)+len(h.spreads)+len(h.guesses) > 0 {
			t.Errorf("%v: %v, %v, %d guesses", nats, h.vouches, h.spreads, len(h.guesses))
		}
	}
	h := newHunter(cone, symmetric)
	h.Vouched(h.now, netip.MustParseAddr("198.51.100.77"))
	h.run(time.Minute)
	if len(h.guesses) > 0 {
		t.Error("guesses at an address that no relay vouched for")
	}
	h = newHunter(cone, symmetric)
	h.PathUp(h.now, public, time.Millisecond)
	h.Vouched(h.now, peerIP)
	h.run(time.Minute)
	if len(h.guesses) > 0 {
		t.Error("guesses though there is a direct path")
	}
}

// A path by which the peer came is probed like one that it named, but few are.
func TestMet(t *testing.T) {
	f := newField(Options{Own: candidates("203.0.113.5:7000")}, map[session.Path]link{})
	f.Remote(f.now, Unknown, candidates("198.51.100.1:5000"))
	f.run(t, time.Minute)
	for i := range uint16(20) {
		f.Met(f.now, direct(netip.AddrPortFrom(peerIP, 6000+i).String()))
	}
	f.run(t, 5*time.Second)
	if n := len(f.probes); n != 1+maxMet {
		t.Errorf("%d addresses were probed", n)
	}
	for p, n := range f.probes {
		if n > 3*len(burst) {
			t.Errorf("%d probes to %v", n, p)
		}
	}
}

func TestHops(t *testing.T) {
	for _, tt := range []struct {
		routers string
		want    int
	}{
		{"192.168.1.1 203.0.113.1 198.51.100.1", 2},
		{"10.0.0.1 100.64.0.1 10.9.9.9 203.0.113.1", 4},
		{"203.0.113.1", 1},
		{"192.168.1.1 - 203.0.113.1", 0}, // one that is silent may be a NAT
		{"192.168.1.1 10.0.0.1", 0},
		{"", 0},
	} {
		var routers []netip.Addr
		for r := range strings.FieldsSeq(tt.routers) {
			a, _ := netip.ParseAddr(r)
			routers = append(routers, a)
		}
		if got := Hops(routers); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.routers, got, tt.want)
		}
	}
}
