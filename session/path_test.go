package session

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// addRelay lets the two nodes reach each other through a relay that swaps tags, and
// returns the path that each of them sends by.
func (w *world) addRelay(a, b *node) (pathA, pathB Path) {
	w.t.Helper()
	relay := netip.MustParseAddrPort("192.0.2.1:33033")
	pathA = Path{Kind: linnet.RelayUDP, Addr: relay, Via: linnet.NodeID{'r'}, Tag: 0x1000}
	pathB = Path{Kind: linnet.RelayUDP, Addr: relay, Via: linnet.NodeID{'r'}, Tag: 0x2000}
	tagA, errA := a.NewTag(b.peer.Node)
	tagB, errB := b.NewTag(a.peer.Node)
	if errA != nil || errB != nil {
		w.t.Fatal(errA, errB)
	}
	w.relay[pathA.Tag] = relayed{b, tagB, pathB}
	w.relay[pathB.Tag] = relayed{a, tagA, pathA}
	return pathA, pathB
}

// A call begins forwarded, moves to a relay, then to a direct path, and back
// when that one dies. Nothing is lost on the way, and media is told each time.
func TestMoves(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.nodes[0], w.nodes[1]
	a.Dial(w.now, b.peer, through)
	w.run(time.Second)
	pathA, pathB := w.addRelay(a, b)

	say := 0
	speak := func() {
		for range 10 {
			a.Send(w.now, b.peer.Node, tone("%d", say))
			b.Send(w.now, a.peer.Node, tone("%d", say))
			say++
			w.run(50 * time.Millisecond)
		}
	}
	on := func(n *node, p Path, tag uint32) {
		t.Helper()
		routes := n.Routes(n.other(w).peer.Node)
		moved := find[Moved](n)
		if len(routes) != 1 || routes[0].Path != p || routes[0].Tag != tag {
			t.Fatalf("media goes by %v, want %v and tag %x", routes, p, tag)
		}
		if !slices.Equal(moved[len(moved)-1].Routes, routes) {
			t.Fatalf("media was told %v, the routes are %v", moved[len(moved)-1].Routes, routes)
		}
	}
	speak()
	on(a, through, b.peers[a.peer.Node].keys.own|1)

	if err := a.Use(w.now, b.peer.Node, pathA); err == nil {
		t.Fatal("a path was used that nobody answered on")
	}
	a.Probe(w.now, b.peer.Node, pathA)
	b.Probe(w.now, a.peer.Node, pathB)
	w.run(200 * time.Millisecond)
	a.Use(w.now, b.peer.Node, pathA)
	b.Use(w.now, a.peer.Node, pathB)
	speak()
	on(a, pathA, pathA.Tag|1)
	on(b, pathB, pathB.Tag|1)

	a.Probe(w.now, b.peer.Node, direct(b))
	b.Probe(w.now, a.peer.Node, direct(a))
	w.run(200 * time.Millisecond)
	a.Use(w.now, b.peer.Node, direct(b))
	b.Use(w.now, a.peer.Node, direct(a))
	speak()
	on(a, direct(b), b.peers[a.peer.Node].keys.own|1)

	w.cut = func(_, _ *node, via Path) bool { return via.Kind == linnet.DirectUDP }
	cut := w.now
	speak()
	w.run(3 * time.Second)
	for _, n := range w.nodes {
		if len(n.Routes(n.other(w).peer.Node)) == 0 || n.Routes(n.other(w).peer.Node)[0].Path.Kind == linnet.DirectUDP {
			t.Errorf("%v after the direct path died: %v", w.now.Sub(cut), n.Paths(n.other(w).peer.Node))
		}
		if d := find[PathDown](n); len(d) != 1 || d[0].Path.Kind != linnet.DirectUDP {
			t.Errorf("paths that went down: %v", d)
		}
		want := make([]string, say)
		for i := range want {
			want[i] = tone("%d", i).Tone
		}
		if !slices.Equal(n.received, want) {
			t.Errorf("received %q", n.received)
		}
	}
	w.cut = func(*node, *node, Path) bool { return true }
	a.Send(w.now, b.peer.Node, tone("into the void"))
	w.run(lostAfter + time.Second)
	if d := find[Down](a); len(d) != 1 || d[0].Err != ErrLost {
		t.Errorf("with no path left: %v", d)
	}
}

func (n *node) other(w *world) *node {
	if w.nodes[0] == n {
		return w.nodes[1]
	}
	return w.nodes[0]
}

// A device that changes its address keeps the session, once a challenge made
// the round trip to the new one.
func TestRoaming(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	was := direct(a)
	w.run(time.Minute)
	a.addr = netip.MustParseAddrPort("198.51.100.7:4711")
	var to []Path
	w.tap = func(n *node, x Effect) {
		if p, ok := x.(SendPacket); ok && n == b {
			to = append(to, p.Via)
		}
	}
	a.Send(w.now, b.peer.Node, tone("I moved"))
	w.run(30 * time.Millisecond)
	if to[0] != direct(a) || b.Routes(a.peer.Node)[0].Path != was {
		t.Errorf("bob sent to %v and is on %v: want a challenge to the new address and nothing else", to, b.Routes(a.peer.Node))
	}
	w.run(time.Second)
	if r := b.Routes(a.peer.Node); len(r) != 1 || r[0].Path != direct(a) {
		t.Errorf("bob is on %v", r)
	}
	b.Send(w.now, a.peer.Node, tone("I see"))
	w.run(time.Second)
	if len(a.received) != 1 || len(b.received) != 1 || len(find[Down](a)) > 0 {
		t.Errorf("alice got %q, bob %q", a.received, b.received)
	}
}

// Somebody who copies a packet to another address gets a challenge that he
// cannot answer, not the session.
func TestCopiedPacket(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	mallory := Path{Kind: linnet.DirectUDP, Addr: netip.MustParseAddrPort("203.0.113.66:6")}
	got, gave := 0, 0
	w.tap = func(n *node, x Effect) {
		p, ok := x.(SendPacket)
		if ok && n == b && p.Via == mallory {
			got += len(p.Body)
		}
		if ok && n == a {
			gave += len(p.Body)
			w.after(time.Millisecond, func() { b.Packet(w.now, mallory, p.Tag, p.Body); w.take(b) }) // he is faster
		}
	}
	for range 100 {
		a.Send(w.now, b.peer.Node, tone("x"))
		w.run(time.Second / 2)
	}
	if got == 0 || got > gave {
		t.Errorf("mallory gave %d bytes and got %d", gave, got)
	}
	if r := b.Routes(a.peer.Node); len(r) != 1 || r[0].Path != direct(a) {
		t.Errorf("bob is on %v", r)
	}
	if len(b.received) != 100 {
		t.Errorf("bob got %d of 100", len(b.received))
	}
}

// A path that falls silent is left for a standby within two seconds, whoever
// has something to say.
func TestStandby(t *testing.T) {
	for _, speaker := range []int{0, 1} {
		w := newWorld(t, alice, bob)
		a, b := w.join()
		pathA, pathB := w.addRelay(a, b)
		a.Probe(w.now, b.peer.Node, pathA)
		b.Probe(w.now, a.peer.Node, pathB)
		w.run(time.Second)
		w.cut = func(_, _ *node, via Path) bool { return via.Kind == linnet.DirectUDP }
		n := w.nodes[speaker]
		n.Send(w.now, n.other(w).peer.Node, tone("still there?"))
		w.run(2 * time.Second)
		if got := n.other(w).received; len(got) != 1 {
			t.Errorf("%d: the command did not arrive", speaker)
		}
		if r := n.Routes(n.other(w).peer.Node); r[0].Path.Kind != linnet.RelayUDP {
			t.Errorf("%d: still on %v", speaker, r)
		}
	}
}

// Who looks after a standby does not move the peer to it, even if nothing was
// heard by the path in use for a while.
func TestStandbyStandsBy(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	pathA, _ := w.addRelay(a, b)
	w.run(time.Minute)
	for _, n := range w.nodes {
		n.seen = nil
	}
	a.Probe(w.now, b.peer.Node, pathA)
	w.run(time.Second)
	for _, n := range w.nodes {
		if moved := find[Moved](n); len(moved) > 0 {
			t.Errorf("moved to %v", moved)
		}
	}
	if len(find[PathUp](b)) == 0 {
		t.Error("bob does not know the standby")
	}
}

// Copies by a second path cost nothing but bytes.
func TestTwoRoutes(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	pathA, _ := w.addRelay(a, b)
	a.Probe(w.now, b.peer.Node, pathA)
	w.run(time.Second)
	if err := a.Use(w.now, b.peer.Node, direct(b), pathA); err != nil {
		t.Fatal(err)
	}
	if r := a.Routes(b.peer.Node); len(r) != 2 || r[1] != (Route{pathA, pathA.Tag | 1}) {
		t.Errorf("routes %v", r)
	}
	w.cut = func(_, _ *node, via Path) bool { return via.Kind == linnet.DirectUDP }
	sent := w.now
	a.SendUnreliable(w.now, b.peer.Node, 0, tone("unreliable"))
	a.Send(w.now, b.peer.Node, tone("reliable"))
	w.run(100 * time.Millisecond)
	if len(b.received) != 2 {
		t.Errorf("after %v bob got %q", w.now.Sub(sent), b.received)
	}
	w.cut = nil
	a.SendUnreliable(w.now, b.peer.Node, 0, tone("once"))
	w.run(100 * time.Millisecond)
	if len(b.received) != 3 {
		t.Errorf("bob got %q", b.received)
	}
}

// However many addresses a peer seems to have, the memory for them is bounded.
func TestManyPaths(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	for i := range 300 {
		a.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}), 1)
		a.Send(w.now, b.peer.Node, tone("%d", i))
		w.run(300 * time.Millisecond)
		if n := len(b.Paths(a.peer.Node)); n > MaxPaths {
			t.Fatalf("%d paths", n)
		}
	}
	w.run(10 * time.Second)
	if len(b.received) != 300 || b.Routes(a.peer.Node)[0].Path != direct(a) {
		t.Errorf("%d received, paths %v", len(b.received), b.Paths(a.peer.Node))
	}
}
