package netsim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// trace sends n datagrams, one a millisecond, and tells what arrived when.
func trace(t *testing.T, seed uint64, link Link, n int) *inbox {
	var got *inbox
	synctest.Test(t, func(t *testing.T) {
		in := New(seed)
		a, b := in.Host(HostOptions{Link: link}), in.Host(HostOptions{Link: Link{Delay: 5 * time.Millisecond}})
		ca, cb := socket(t, a), socket(t, b)
		got = collect(cb)
		for i := range n {
			send(t, ca, at(b, cb), fmt.Sprintf("%04d", i))
			time.Sleep(time.Millisecond)
		}
		settle(time.Second)
	})
	return got
}

func TestDelay(t *testing.T) {
	got := trace(t, 1, Link{Delay: 20 * time.Millisecond}, 3)
	want := []time.Duration{25 * time.Millisecond, 26 * time.Millisecond, 27 * time.Millisecond}
	if !slices.Equal(got.when, want) {
		t.Errorf("arrived at %v, want %v", got.when, want)
	}
}

func TestLossIsAsAsked(t *testing.T) {
	got := trace(t, 1, Link{Loss: 0.1}, 5000)
	if n := 5000 - len(got.texts); n < 430 || n > 570 { // 3.3 sigma
		t.Errorf("%d of 5000 lost, want about 500", n)
	}
}

func TestJitterKeepsTheOrder(t *testing.T) {
	got := trace(t, 1, Link{Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond}, 200)
	if len(got.texts) != 200 || !slices.IsSorted(got.texts) {
		t.Errorf("%d of 200 arrived, in order: %v", len(got.texts), slices.IsSorted(got.texts))
	}
	if slices.Max(got.when)-200*time.Millisecond < 15*time.Millisecond {
		t.Error("there was no jitter")
	}
}

func TestReorder(t *testing.T) {
	got := trace(t, 1, Link{Delay: 10 * time.Millisecond, Reorder: 0.2}, 500)
	late := 0
	for i := 1; i < len(got.texts); i++ {
		if got.texts[i] < got.texts[i-1] {
			late++
		}
	}
	if len(got.texts) != 500 || late < 40 || late > 120 {
		t.Errorf("%d of 500 arrived, %d overtaken", len(got.texts), late)
	}
}

func TestRateBoundsQueueAndThroughput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		a, b := in.Host(HostOptions{Link: Link{Rate: 100_000}}), in.Host(HostOptions{})
		ca, cb := socket(t, a), socket(t, b)
		got := collect(cb)
		for range 100 { // 100 kB at once, 200 ms of which may wait
			send(t, ca, at(b, cb), strings.Repeat("x", 972))
		}
		settle(time.Second)
		if len(got.texts) != 21 || got.when[20] != 210*time.Millisecond {
			t.Errorf("%d arrived, the last one after %v", len(got.texts), got.when[len(got.when)-1])
		}
	})
}

func TestSameSeedSameRun(t *testing.T) {
	link := Link{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.2, Reorder: 0.1}
	a, b, c := trace(t, 7, link, 300), trace(t, 7, link, 300), trace(t, 8, link, 300)
	if !slices.Equal(a.texts, b.texts) || !slices.Equal(a.when, b.when) {
		t.Error("two runs of one seed differ")
	}
	if slices.Equal(a.texts, c.texts) {
		t.Error("two seeds gave one run")
	}
}

func TestCutAndHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		a, b := in.Host(HostOptions{}), in.Host(HostOptions{Link: Link{Delay: 50 * time.Millisecond}})
		ca, cb := socket(t, a), socket(t, b)
		got := collect(cb)
		for _, step := range []struct {
			text string
			do   func()
		}{
			{"pair cut", func() { in.Cut(a, b) }}, {"healed 1", func() { in.Heal(a, b) }},
			{"cable cut", b.Cut}, {"healed 2", b.Heal},
		} {
			step.do()
			send(t, ca, at(b, cb), step.text)
			settle(time.Second)
		}
		send(t, ca, at(b, cb), "was under way")
		b.Cut()
		settle(time.Second)
		if want := []string{"healed 1", "healed 2"}; !slices.Equal(got.texts, want) {
			t.Errorf("arrived: %q, want %q", got.texts, want)
		}
	})
}

func TestTap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		a, b := in.Host(HostOptions{}), in.Host(HostOptions{})
		ca, cb := socket(t, a), socket(t, b)
		var seen []string
		b.Tap(func(p Packet) { seen = append(seen, fmt.Sprintf("%v %s", p.Sent, p.Payload)) })
		send(t, ca, at(b, cb), "in")
		settle(0)
		send(t, cb, at(a, ca), "out")
		settle(0)
		if want := []string{"false in", "true out"}; !slices.Equal(seen, want) {
			t.Errorf("tap saw %q, want %q", seen, want)
		}
	})
}

func TestBothFamiliesAndLoopback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		v4, v6 := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1")
		a := in.Host(HostOptions{Addrs: []netip.Addr{v4, v6}})
		b := in.Host(HostOptions{Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("2001:db8::2")}})
		ca, cb := socket(t, a), socket(t, b)
		got := collect(ca)
		port := ca.LocalAddr().Port()
		send(t, cb, netip.AddrPortFrom(v4, port), "four")
		send(t, cb, netip.AddrPortFrom(v6, port), "six")
		send(t, ca, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), "self")
		settle(0)
		want := []netip.Addr{netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("127.0.0.1")}
		if len(got.from) != 3 || got.from[0].Addr() != want[0] || got.from[1].Addr() != want[1] || got.from[2].Addr() != want[2] {
			t.Errorf("came from %v, want %v", got.from, want)
		}
	})
}
