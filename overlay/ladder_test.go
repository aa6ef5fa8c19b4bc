package overlay_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
)

// climber is a user behind a firewall that lets only some rungs pass, and when
// each rung was tried for the first time in each of its rounds.
type climber struct {
	*overlaytest.Node
	tries []string // "10s tcp-80"
}

func climbs(w *overlaytest.World, ladder overlay.Ladder, open ...linnet.Rung) *climber {
	c := &climber{Node: w.Add("alice", 0)}
	began := w.Now
	c.Options = func(o *overlay.Options) { o.Ladder = ladder }
	c.Passes = func(p overlay.Probe) bool {
		try := fmt.Sprintf("%v %v", w.Now.Sub(began), p.Rung)
		if !slices.Contains(c.tries, try) {
			c.tries = append(c.tries, try)
		}
		return linnet.RungsOf(open...).Has(p.Rung)
	}
	return c
}

// The ladder of Skype's clients to the second: UDP, TCP, port 80, port 443, each
// 5 s, then a pause of 6 s, five times; then it is told what was tried.
func TestClassicLadder(t *testing.T) {
	w := overlaytest.New(t, 80)
	w.Supernodes(2)
	w.Run(20 * time.Second)
	c := climbs(w, overlay.ClassicLadder)
	began := w.Now
	c.Start()
	var want []string
	for round := range 5 {
		for rung := linnet.RungUDP; rung < linnet.NumRungs; rung++ {
			at := time.Duration(round)*26*time.Second + time.Duration(rung)*5*time.Second
			want = append(want, fmt.Sprintf("%v %v", at, rung))
		}
	}
	const end = 4*26*time.Second + 20*time.Second
	w.Run(end - time.Millisecond)
	if off := effects[overlay.Offline](c.Node); len(off) != 0 {
		t.Errorf("told after %v: %v", w.Now.Sub(began), off)
	}
	w.Run(2 * time.Millisecond)
	if !slices.Equal(c.tries, want) {
		t.Errorf("tried\n%s\nwant\n%s", strings.Join(c.tries, "\n"), strings.Join(want, "\n"))
	}
	off := effects[overlay.Offline](c.Node)
	if len(off) != 1 || !errors.Is(off[0].Err, overlay.ErrNoHost) {
		t.Fatalf("after five rounds: %v", off)
	}
	for _, part := range []string{"2 supernodes are known", "2 by UDP", "2 by TCP", "2 on port 80", "2 on port 443"} {
		if !strings.Contains(off[0].Err.Error(), part) {
			t.Errorf("%q does not say %q", off[0].Err, part)
		}
	}
	w.Run(time.Minute)
	if len(c.tries) < 24 {
		t.Error("nothing is tried any more")
	}
}

// Whatever a firewall leaves open, a node gets on the network by it, and the higher
// rungs are left alone.
func TestLadder(t *testing.T) {
	for _, tt := range []struct {
		open   linnet.Rung
		ladder overlay.Ladder
		within time.Duration
	}{
		{linnet.RungUDP, overlay.Ladder{}, time.Second},
		{linnet.RungTCP, overlay.Ladder{}, 1500 * time.Millisecond},
		{linnet.RungPort80, overlay.Ladder{}, 2 * time.Second},
		{linnet.RungPort443, overlay.Ladder{}, 2 * time.Second},
		{linnet.RungUDP, overlay.ClassicLadder, time.Second},
		{linnet.RungTCP, overlay.ClassicLadder, 6 * time.Second},
		{linnet.RungPort443, overlay.ClassicLadder, 16 * time.Second},
	} {
		t.Run(fmt.Sprintf("%v %v", tt.open, tt.ladder.Apart), func(t *testing.T) {
			w := overlaytest.New(t, 81)
			w.Supernodes(3)
			w.Run(20 * time.Second)
			c := climbs(w, tt.ladder, tt.open)
			c.Start()
			took := w.Until(tt.within, "attached", attachedTo(c.Node, 2))
			t.Logf("after %v: %q", took, c.tries)
			for _, try := range c.tries {
				if strings.HasSuffix(try, (tt.open + 1).String()) {
					t.Errorf("tried %s", try)
				}
			}
			for _, id := range c.Machine.Attachments() {
				if r, ok := c.Machine.AttachedBy(id); !ok || r != tt.open {
					t.Errorf("attached by %v", r)
				}
			}
		})
	}
}

// Who got through by a rung before begins with it, and with those below.
func TestLadderRemembersItsRung(t *testing.T) {
	w := overlaytest.New(t, 82)
	for _, n := range w.Supernodes(4) {
		n.Kill()
		n.Options = func(o *overlay.Options) { o.Web = linnet.RungsOf(linnet.RungPort80, linnet.RungPort443) }
		n.Start()
	}
	w.Run(30 * time.Second)
	c := climbs(w, overlay.Ladder{}, linnet.RungPort443)
	c.Start()
	w.Until(2*time.Second, "attached", attachedTo(c.Node, 2))
	c.tries = nil
	lost := w.ByID(c.Machine.Attachments()[0])
	lost.Kill()
	w.Until(time.Minute, "another one is asked", func() bool { return len(c.tries) > 0 })
	var rungs []string
	first, _, _ := strings.Cut(c.tries[0], " ")
	for _, try := range c.tries {
		if at, rung, _ := strings.Cut(try, " "); at == first {
			rungs = append(rungs, rung)
		}
	}
	if want := []string{"udp", "tcp", "tcp-80", "tcp-443"}; !slices.Equal(rungs, want) {
		t.Errorf("at once %q, want %q", rungs, want)
	}
	w.Until(5*time.Second, "attached to another one", attachedTo(c.Node, 2))
}

// A port that a supernode does not listen on is not knocked at.
func TestLadderLeavesClosedPortsAlone(t *testing.T) {
	w := overlaytest.New(t, 83)
	nodes := w.Supernodes(3)
	for _, n := range nodes[:1] {
		n.Kill()
		n.Options = func(o *overlay.Options) { o.Web, o.WebName = linnet.RungsOf(linnet.RungPort443), "phone.example.org" }
		n.Start()
	}
	w.Run(30 * time.Second)
	first := w.User("alice")
	w.Run(10 * time.Second)
	c := climbs(w, overlay.Ladder{}, linnet.RungPort443)
	c.Disk = first.Disk
	open := c.Passes
	c.Options = func(o *overlay.Options) { o.Bootstrap = nil }
	c.Passes = func(p overlay.Probe) bool {
		switch {
		case p.Rung == linnet.RungPort80,
			p.Rung == linnet.RungPort443 && (p.Addr.Addr() != nodes[0].Addr.Addr() || p.Addr.Port() != 443 || p.Name != "phone.example.org"):
			t.Errorf("asked %v", p)
		}
		return open(p)
	}
	c.Start()
	w.Until(2*time.Second, "attached", attachedTo(c.Node, 1))
}
