package session

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

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
