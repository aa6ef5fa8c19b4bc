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
