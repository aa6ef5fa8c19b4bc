package netsim

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet/netx"
)

// Every kind of RFC 4787: one socket inside talks to one of two outside hosts,
// and everybody answers to the mapping that this made.
func TestNATKinds(t *testing.T) {
	kinds := []Dependence{EndpointIndependent, AddressDependent, AddressAndPortDependent}
	for _, mapping := range kinds {
		for _, filtering := range kinds {
			t.Run(fmt.Sprintf("mapping %d filtering %d", mapping, filtering), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testNATKind(t, mapping, filtering) })
			})
		}
	}
}

func testNATKind(t *testing.T, mapping, filtering Dependence) {
	in := New(1)
	nat := in.NAT(NATOptions{Mapping: mapping, Filtering: filtering})
	inside := in.Host(HostOptions{Behind: nat})
	x, y := in.Host(HostOptions{}), in.Host(HostOptions{})
	c, x1, x2, y1 := socket(t, inside), socket(t, x), socket(t, x), socket(t, y)
	got, atX1, atX2, atY := collect(c), collect(x1), collect(x2), collect(y1)

	send(t, c, at(x, x1), "hello")
	settle(0)
	outer := atX1.from[0]
	if outer.Addr() != nat.Addr() || outer.Port() != c.LocalAddr().Port() {
		t.Fatalf("seen from %v, want the kept port of %v", outer, nat.Addr())
	}

	for _, tt := range []struct {
		text    string
		blocked Dependence // from which filtering on it does not pass
		send    func(string)
	}{
		{"same endpoint", AddressAndPortDependent + 1, func(s string) { send(t, x1, outer, s) }},
		{"same host", AddressAndPortDependent, func(s string) { send(t, x2, outer, s) }},
		{"another host", AddressDependent, func(s string) { send(t, y1, outer, s) }},
	} {
		before := len(got.texts)
		tt.send(tt.text)
		settle(0)
		if passed, want := len(got.texts) > before, filtering < tt.blocked; passed != want {
			t.Errorf("answer from the %s passed: %v, want %v", tt.text, passed, want)
		}
	}

	send(t, c, at(x, x2), "hello")
	send(t, c, at(y, y1), "hello")
	settle(0)
	if same, want := atX2.from[0] == outer, mapping < AddressAndPortDependent; same != want {
		t.Errorf("same mapping towards another port: %v, want %v", same, want)
	}
	if same, want := atY.from[0] == outer, mapping == EndpointIndependent; same != want {
		t.Errorf("same mapping towards another host: %v, want %v", same, want)
	}
}

func TestNATMappingTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		o := PortRestrictedCone()
		o.Timeout = 30 * time.Second
		inside, out := in.Host(HostOptions{Behind: in.NAT(o)}), in.Host(HostOptions{})
		c, s := socket(t, inside), socket(t, out)
		got, seen := collect(c), collect(s)
		send(t, c, at(out, s), "hello")
		settle(29 * time.Second)
		send(t, s, seen.from[0], "in time")
		settle(2 * time.Second) // what comes in keeps nothing open
		send(t, s, seen.from[0], "late")
		settle(time.Second)
		if len(got.texts) != 1 || got.texts[0] != "in time" {
			t.Errorf("arrived: %q", got.texts)
		}
	})
}

func TestHolePunchThroughTwoCones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		o := PortRestrictedCone()
		o.Link.Delay = 20 * time.Millisecond
		natA, natB := in.NAT(o), in.NAT(o)
		a, b := in.Host(HostOptions{Behind: natA}), in.Host(HostOptions{Behind: natB})
		ca, cb := socket(t, a), socket(t, b)
		gotA, gotB := collect(ca), collect(cb)
		outerA := netip.AddrPortFrom(natA.Addr(), ca.LocalAddr().Port())
		outerB := netip.AddrPortFrom(natB.Addr(), cb.LocalAddr().Port())
		send(t, ca, outerB, "too early: b has not opened its NAT yet")
		time.Sleep(50 * time.Millisecond)
		send(t, cb, outerA, "passes: a has")
		time.Sleep(50 * time.Millisecond)
		send(t, ca, outerB, "passes too")
		settle(time.Second)
		if len(gotA.texts) != 1 || len(gotB.texts) != 1 || gotB.texts[0] != "passes too" {
			t.Errorf("a got %q, b got %q", gotA.texts, gotB.texts)
		}
	})
}

func TestNATBehindNATAndHairpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		carrier := in.NAT(NATOptions{Hairpin: true})
		home := in.NAT(NATOptions{Behind: carrier})
		a, neighbour, out := in.Host(HostOptions{Behind: home}), in.Host(HostOptions{Behind: carrier}), in.Host(HostOptions{})
		ca, cn, s := socket(t, a), socket(t, neighbour), socket(t, out)
		got, seen := collect(ca), collect(s)
		send(t, ca, at(out, s), "hello")
		settle(0)
		outer := seen.from[0]
		if outer.Addr() != carrier.Addr() {
			t.Fatalf("seen from %v, want %v", outer, carrier.Addr())
		}
		send(t, s, outer, "answer")
		send(t, cn, outer, "hairpin")
		settle(0)
		if len(got.texts) != 2 || got.from[1].Addr() != carrier.Addr() {
			t.Errorf("arrived: %q from %v", got.texts, got.from)
		}
	})
}

// Ports of a NAT that scatters differ from the host's and from one another.
func TestScatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		c := socket(t, in.Host(HostOptions{Behind: in.NAT(Symmetric())}))
		seen := map[uint16]bool{c.LocalAddr().Port(): true}
		for range 5 {
			h := in.Host(HostOptions{})
			x := socket(t, h)
			heard := collect(x)
			send(t, c, at(h, x), "hello")
			settle(0)
			if port := heard.from[0].Port(); seen[port] {
				t.Errorf("port %d again", port)
			} else {
				seen[port] = true
			}
		}
	})
}

// A packet of few hops opens its sender's NAT and comes no farther; one that comes
// unasked spoils the port at a router that answers such packets, for its sender.
func TestHopsAndSpoils(t *testing.T) {
	for _, early := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			in := New(1)
			o := PortRestrictedCone()
			o.Spoils = true
			na, nb := in.NAT(o), in.NAT(o)
			a, b := socket(t, in.Host(HostOptions{Behind: na})), socket(t, in.Host(HostOptions{Behind: nb}))
			got := collect(a)
			outA, outB := netip.AddrPortFrom(na.Addr(), a.LocalAddr().Port()), netip.AddrPortFrom(nb.Addr(), b.LocalAddr().Port())
			if early {
				send(t, a, outB, "early")
			} else if err := netx.WriteHops(a, []byte("near"), outB, 4); err != nil {
				t.Fatal(err)
			}
			settle(0)
			send(t, b, outA, "hello")
			settle(0)
			if passed := len(got.from) == 1 && got.from[0] == outB; passed == early {
				t.Errorf("after an early packet %v: heard from %v", early, got.from)
			}
		})
	}
}
