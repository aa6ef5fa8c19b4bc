package overlay

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func testHost(n int) *Host {
	return &Host{Node: testNode(n + 1), Agreement: bytes.Repeat([]byte{1}, 32), Addrs: []netip.AddrPort{netip.AddrPortFrom(spreadAddr(n), 33033)}}
}

func TestHostCacheKeepsTheBest(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	var c hostCache
	c.add(now, testHost(0))
	c.succeeded(now, testHost(0).Node)
	for i := range 500 {
		c.add(now, testHost(i+1))
		if h := c.get(testHost(i + 1).Node); h != nil && i%2 == 0 {
			h.failures = 3
		}
	}
	if len(c.hosts) > MaxHosts || len(c.hosts) < MaxHosts-givenUp {
		t.Errorf("%d hosts, want %d", len(c.hosts), MaxHosts)
	}
	if c.get(testHost(0).Node) == nil {
		t.Error("the only one that ever worked was given up")
	}
	failed := 0
	for _, h := range c.hosts {
		if h.failures > 0 {
			failed++
		}
	}
	if failed > 1 {
		t.Errorf("%d of those kept had failed, although there were enough others", failed)
	}
}

// A full cache gives up one of many in one place before one that is alone in its own.
func TestHostCacheIsDiverse(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	var c hostCache
	lonely := testHost(1)
	lonely.Addrs = []netip.AddrPort{netip.MustParseAddrPort("203.0.113.9:33033")}
	c.add(now.Add(-6*time.Hour), lonely)
	for i := range MaxHosts {
		h := testHost(i + 10)
		h.Addrs = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i), 1}), 33033)}
		c.add(now, h)
	}
	if len(c.hosts) < MaxHosts-givenUp || c.get(lonely.Node) == nil {
		t.Errorf("of %d hosts the one in another network was given up", len(c.hosts))
	}
}

func TestHostScore(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	today, before := uint32(now.Unix()), uint32(now.Add(-48*time.Hour).Unix())
	// The best first.
	order := []cachedHost{
		{success: today, added: today, rtt: 10_000},
		{success: today, added: today, rtt: 200_000},
		{success: before, added: today, rtt: 10_000},
		{added: today},
		{added: before},
		{success: before, added: today, failures: 2},
		{added: today, failures: 5},
	}
	for i := range order[1:] {
		if a, b := order[i].score(now), order[i+1].score(now); a <= b {
			t.Errorf("host %d scores %.0f, and the worse one after it %.0f", i, a, b)
		}
	}
}

func TestHostCacheSurvives(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	var c hostCache
	for i := range 5 {
		h, _ := c.add(now.Add(-time.Duration(i)*time.Hour), testHost(i))
		h.failures, h.rtt = uint8(i), uint32(1000*i)
	}
	c.succeeded(now, testHost(2).Node)
	var back hostCache
	if err := back.load(now, c.export()); err != nil {
		t.Fatal(err)
	}
	if len(back.hosts) != len(c.hosts) {
		t.Fatalf("%d hosts, want %d", len(back.hosts), len(c.hosts))
	}
	for i, h := range c.hosts {
		if got := back.hosts[i]; got.Node != h.Node || got.score(now) != h.score(now) || got.Addrs[0] != h.Addrs[0] {
			t.Errorf("host %d: %+v, want %+v", i, got, h)
		}
	}
	// A clock that was ahead leaves no host that looks fresh for ever.
	var early hostCache
	if err := early.load(now.Add(-24*time.Hour), c.export()); err != nil {
		t.Fatal(err)
	}
	for _, h := range early.hosts {
		if yesterday := uint32(now.Add(-24 * time.Hour).Unix()); h.added > yesterday || h.success > yesterday {
			t.Error("a moment that has not come yet")
		}
	}
}

func TestUnreadableHostCacheIsNoDisaster(t *testing.T) {
	m := New(Options{HostCache: []byte("rubbish"), Bootstrap: []Host{*testHost(1)}, Rand: rand.New(rand.NewPCG(1, 1))})
	if err := m.Start(time.Unix(1_900_000_000, 0)); err == nil {
		t.Error("nothing was said")
	}
	for _, e := range m.Take() {
		if p, ok := e.(Probe); ok && p.Addr == testHost(1).Addrs[0] {
			return
		}
	}
	t.Error("the first supernode was not probed")
}

func FuzzHostCache(f *testing.F) {
	now := time.Unix(1_900_000_000, 0)
	var c hostCache
	c.add(now, testHost(1))
	c.succeeded(now, testHost(1).Node)
	f.Add(c.export())
	f.Fuzz(func(t *testing.T, b []byte) {
		var c hostCache
		if c.load(now, b) != nil {
			return
		}
		if len(c.hosts) > MaxHosts {
			t.Fatalf("%d hosts", len(c.hosts))
		}
		var again hostCache
		if err := again.load(now, c.export()); err != nil || len(again.hosts) != len(c.hosts) {
			t.Fatalf("%v: %d of %d hosts came back", err, len(again.hosts), len(c.hosts))
		}
	})
}
