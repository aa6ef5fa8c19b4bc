package session

import (
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"pgregory.net/rapid"
)

// largest is the size of the largest packet that is sent but to try it.
func (w *world) largest(n *node) *int {
	most := 0
	w.tap = func(from *node, x Effect) {
		if p, ok := x.(SendPacket); ok && from == n && !p.Whole {
			most = max(most, len(p.Body))
		}
	}
	return &most
}

// What passes is found, at the first try where all does, and used for long commands.
func TestWiden(t *testing.T) {
	for _, tt := range []struct {
		narrow, want int
		within       time.Duration
	}{
		{0, 1445, 100 * time.Millisecond},
		{1400, 1385, 2 * time.Second},
		{1270, 1265, 2 * time.Second},
		{1200, 1200, 2 * time.Second},
	} {
		w := newWorld(t, alice, bob)
		a, b := w.join()
		w.narrow = tt.narrow
		if size, sure := a.Size(b.peer.Node); size != maxBody || !sure {
			t.Fatalf("before: %d, %v", size, sure)
		}
		a.Widen(w.now, b.peer.Node, time.Minute)
		w.run(tt.within)
		if size, sure := a.Size(b.peer.Node); size != tt.want || !sure {
			t.Errorf("with room for %d: %d, %v", tt.narrow, size, sure)
		}
		told := find[Sized](a)
		if len(told) == 0 || told[len(told)-1] != (Sized{b.peer.Node, tt.want, true}) {
			t.Errorf("told %v", told)
		}
		most := w.largest(a)
		long := strings.Repeat("x", 20000)
		if err := a.Send(w.now, b.peer.Node, tone("%s", long)); err != nil {
			t.Fatal(err)
		}
		w.run(2 * time.Second)
		if len(b.received) != 1 || b.received[0] != long || *most > tt.want || *most < tt.want-smallPiece-partOverhead {
			t.Errorf("with room for %d: packets of up to %d bytes, %d commands", tt.narrow, *most, len(b.received))
		}
		w.run(2 * time.Minute) // nobody needs it any more
		if size, _ := a.Size(b.peer.Node); size != maxBody {
			t.Errorf("in the end: %d", size)
		}
	}
}

// Who has much to send finds out by himself.
func TestWidensForMuch(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	most := w.largest(a)
	for range 6 {
		a.Send(w.now, b.peer.Node, tone("%s", strings.Repeat("x", 30000)))
	}
	w.run(10 * time.Second)
	if len(b.received) != 6 || *most < widths[0]-smallPiece-partOverhead {
		t.Errorf("%d commands in packets of up to %d bytes", len(b.received), *most)
	}
}

// A black hole swallows what passed before: commands arrive all the same, soon, and no
// large packet is sent from then on but to try it.
func TestBlackHole(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	a.Widen(w.now, b.peer.Node, time.Hour)
	a.KeepAlive(w.now, b.peer.Node, time.Second)
	w.run(10 * time.Second)
	w.narrow = maxBody
	long := strings.Repeat("x", 5000)
	a.Send(w.now, b.peer.Node, tone("%s", long))
	w.run(3 * time.Second)
	if len(b.received) != 1 || b.received[0] != long {
		t.Fatalf("%d commands came", len(b.received))
	}
	w.run(5 * time.Second)
	if told := find[Sized](a); told[len(told)-1] != (Sized{b.peer.Node, maxBody, true}) {
		t.Fatalf("told %v", told)
	}
	w.run(5 * time.Minute)
	most := w.largest(a)
	a.Send(w.now, b.peer.Node, tone("%s", long))
	w.run(time.Minute)
	if len(b.received) != 2 || *most > maxBody {
		t.Errorf("%d commands, packets of up to %d bytes", len(b.received), *most)
	}
	w.narrow = 0
	w.run(11 * time.Minute)
	if size, _ := a.Size(b.peer.Node); size != widths[0] {
		t.Errorf("after the hole was mended: %d", size)
	}
}

// What one path carries says nothing of the next one.
func TestWidthOfPaths(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	pathA, _ := w.addRelay(a, b)
	a.Widen(w.now, b.peer.Node, time.Hour)
	a.Probe(w.now, b.peer.Node, pathA)
	w.run(time.Second)
	w.narrow = 1300
	if err := a.Use(w.now, b.peer.Node, pathA); err != nil {
		t.Fatal(err)
	}
	if size, sure := a.Size(b.peer.Node); size != maxBody || sure {
		t.Errorf("on another path: %d, %v", size, sure)
	}
	w.run(2 * time.Second)
	if size, sure := a.Size(b.peer.Node); size != 1265 || !sure {
		t.Errorf("later: %d, %v", size, sure)
	}
	streams := Path{Kind: linnet.DirectTCP, Addr: b.addr, Stream: 1}
	a.peers[b.peer.Node].paths = append(a.peers[b.peer.Node].paths, path{Path: streams, up: true})
	if err := a.Use(w.now, b.peer.Node, streams); err != nil {
		t.Fatal(err)
	}
	if size, sure := a.Size(b.peer.Node); size != maxBody || !sure {
		t.Errorf("in a stream: %d, %v", size, sure)
	}
}

// Whatever the path does to large packets, and to any, commands arrive in order.
func TestWideCommandsArrive(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(checked{t, r}, alice, bob)
		a, b := w.join()
		w.loss = rapid.Float64Range(0, 0.2).Draw(r, "loss")
		n := rapid.IntRange(1, 8).Draw(r, "commands")
		for i := range n {
			w.narrow = rapid.SampledFrom([]int{0, 1200, 1265, 1300, 1400}).Draw(r, "room")
			a.Widen(w.now, b.peer.Node, time.Minute)
			a.Send(w.now, b.peer.Node, tone("%d %s", i, strings.Repeat("y", rapid.IntRange(0, 40000).Draw(r, "bytes"))))
			w.run(time.Duration(rapid.IntRange(0, 3000).Draw(r, "ms")) * time.Millisecond)
		}
		w.run(25 * time.Second)
		if len(b.received) != n {
			r.Fatalf("%d of %d commands came", len(b.received), n)
		}
		for i, text := range b.received {
			if !strings.HasPrefix(text, string(rune('0'+i))+" ") {
				r.Fatalf("command %d came as the %dth", i, i)
			}
		}
	})
}
