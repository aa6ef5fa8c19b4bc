package session

import (
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// A packet to an address that was guessed right makes a path known to both sides; the
// others leave nothing behind.
func TestGuess(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.nodes[0], w.nodes[1]
	a.Dial(w.now, b.peer, through)
	w.run(2 * time.Second)
	known := len(a.Paths(b.peer.Node))
	addrs := []netip.AddrPort{address(1), address(2), b.addr, address(3)}
	if err := a.Guess(w.now, b.peer.Node, addrs...); err != nil {
		t.Fatal(err)
	}
	w.take(a)
	if n := len(a.Paths(b.peer.Node)); n != known {
		t.Errorf("%d paths are kept of guesses", n-known)
	}
	w.run(time.Second)
	for _, n := range []*node{a, b} {
		other := n.other(w)
		routes := n.Routes(other.peer.Node)
		if met := find[Met](n); len(met) != 1 || met[0].Path != direct(other) {
			t.Errorf("met %v", met)
		}
		if len(routes) != 1 || routes[0].Path != direct(other) {
			t.Errorf("the session is on %v", routes)
		}
	}
	if err := a.Guess(w.now, linnet.NodeID{1}, addrs...); err != ErrNoSession {
		t.Errorf("without a session: %v", err)
	}
}

// A peer tells from where packets come, with no more bytes than it was asked with,
// and does not take the address for a new place of ours.
func TestWhere(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	elsewhere := address(9)
	var asked, told int
	w.tap = func(from *node, x Effect) {
		if p, ok := x.(SendPacket); ok && from == a && asked == 0 {
			asked = len(p.Body)
		} else if ok && p.Via.Addr == elsewhere {
			told += len(p.Body)
		}
	}
	was := a.addr
	a.addr = elsewhere // from another socket, say
	if err := a.Where(w.now, b.peer.Node, direct(b), 77); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	w.tap = nil
	if err := b.Where(w.now, a.peer.Node, Path{Kind: linnet.DirectUDP, Addr: elsewhere}, 78); err != nil { // and the other way round
		t.Fatal(err)
	}
	w.run(time.Second)
	a.addr = was
	if seen := find[Seen](a); len(seen) != 1 || seen[0] != (Seen{b.peer.Node, direct(b), 77, elsewhere}) {
		t.Errorf("seen %v", seen)
	}
	if got := find[Asked](b); len(got) != 1 || got[0].Token != 77 || got[0].Path.Addr != elsewhere {
		t.Errorf("asked: %v", got)
	}
	if asked == 0 || told == 0 || told > asked {
		t.Errorf("%d bytes asked for %d", asked, told)
	}
	if routes := b.Routes(a.peer.Node); len(routes) != 1 || routes[0].Path.Addr != was {
		t.Errorf("the session moved to %v", routes)
	}
	if n := len(b.Paths(a.peer.Node)); n != 1 {
		t.Errorf("%d paths are known", n)
	}
}

// What is to be told later is left to the owner, who may tell at once.
func TestWhereAfter(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	if err := a.WhereAfter(w.now, b.peer.Node, direct(b), 77, time.Minute); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	want := Asked{a.peer.Node, direct(a), 77, time.Minute}
	if got := find[Asked](b); len(got) != 1 || got[0] != want || len(find[Seen](a)) != 0 {
		t.Fatalf("asked %v, seen %v", got, find[Seen](a))
	}
	w.run(time.Minute)
	if err := b.See(w.now, a.peer.Node, want.Path, 77); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	if seen := find[Seen](a); len(seen) != 1 || seen[0] != (Seen{b.peer.Node, direct(b), 77, a.addr}) {
		t.Errorf("seen %v", seen)
	}
}

// Who misses media says so by every path that is up.
func TestSilence(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	pathA, pathB := w.addRelay(a, b)
	for _, x := range []struct {
		n    *node
		to   Peer
		path Path
	}{{a, b.peer, pathA}, {b, a.peer, pathB}} {
		if err := x.n.Probe(w.now, x.to.Node, x.path); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second)
	if err := b.Silence(w.now, a.peer.Node); err != nil {
		t.Fatal(err)
	}
	w.run(time.Second)
	var by []Path
	for _, x := range find[Silent](a) {
		by = append(by, x.Path)
	}
	if len(by) != 2 || by[0] == by[1] || by[0] != direct(b) && by[1] != direct(b) {
		t.Errorf("told by %v", by)
	}
	if routes := a.Routes(b.peer.Node); len(routes) != 1 || routes[0].Path != direct(b) {
		t.Errorf("that alone moves nothing, but it goes by %v", routes)
	}
}
