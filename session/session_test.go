package session

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
	"pgregory.net/rapid"
)

// The whole story of a call's set-up, with the times at which things happen: half
// a round trip is 25 ms.
func TestSetUp(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.nodes[0], w.nodes[1]
	var story []string
	note := func(name string, n *node) {
		for _, x := range n.seen {
			line := fmt.Sprintf("%3d ms %s %T", w.now.Sub(start).Milliseconds(), name, x)
			if r, ok := x.(Received); ok {
				line += fmt.Sprintf(" %s early=%v", r.Message.(*message.CallTone).Tone, r.Early)
				if r.Early {
					b.Send(w.now, a.peer.Node, tone("ringing"))
					w.take(b)
				}
			}
			story = append(story, strings.ReplaceAll(line, "session.", ""))
		}
		n.seen = nil
	}
	w.check = func() { note("alice", a); note("bob", b) }
	a.Dial(w.now, b.peer, direct(b), tone("call"))
	a.Send(w.now, b.peer.Node, tone("more"))
	w.run(5 * time.Second)

	want := []string{
		" 25 ms bob Received call early=true",
		" 50 ms alice Up", " 50 ms alice Bind", " 50 ms alice PathUp", " 50 ms alice Moved",
		" 50 ms alice Bind", " 50 ms alice Received ringing early=false", // one round trip after the call
		" 75 ms bob Up", " 75 ms bob Bind", " 75 ms bob PathUp", " 75 ms bob Moved",
		" 75 ms bob Received more early=false", " 75 ms bob Bind",
		"100 ms alice Upgraded", "100 ms alice Moved",
		"125 ms bob Upgraded", "125 ms bob Moved",
	}
	story = slices.DeleteFunc(story, func(s string) bool { return strings.Contains(s, "Unbind") }) // old tags, 10 s later
	if !reflect.DeepEqual(story, want) {
		t.Errorf("the story is\n%s\nwant\n%s", strings.Join(story, "\n"), strings.Join(want, "\n"))
	}
}

// Whatever the wire does, each command arrives once and in order, or both sides
// learn that the session is down.
func TestExactlyOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(checked{t: t}, alice, bob)
		w.rng = seeded(rapid.Uint64().Draw(t, "seed"))
		w.loss = rapid.Float64Range(0, 0.4).Draw(t, "loss")
		w.dup = rapid.Float64Range(0, 0.3).Draw(t, "repeats")
		w.delay = time.Duration(rapid.IntRange(0, 200).Draw(t, "delay")) * time.Millisecond
		w.jitter = time.Duration(rapid.IntRange(0, 300).Draw(t, "jitter")) * time.Millisecond
		path := rapid.SampledFrom([]string{"direct", "forwarded"}).Draw(t, "path")
		bothDial := rapid.Bool().Draw(t, "both dial")
		a, b := w.nodes[0], w.nodes[1]
		via := func(to *node) Path {
			if path == "forwarded" {
				return through
			}
			return direct(to)
		}
		a.Dial(w.now, b.peer, via(b))
		if bothDial {
			w.run(time.Duration(rapid.IntRange(0, 400).Draw(t, "after")) * time.Millisecond)
			b.Dial(w.now, a.peer, via(a))
		}
		sent := map[*node][]string{}
		for i := range rapid.IntRange(1, 60).Draw(t, "commands") {
			from, to := a, b
			if rapid.Bool().Draw(t, "from b") && b.peers[a.peer.Node] != nil {
				from, to = b, a
			}
			size := rapid.SampledFrom([]int{1, 40, 1100, 1170, 1180, 5000, 60000}).Draw(t, "size")
			m := tone("%d %s", i, strings.Repeat("x", size))
			if err := from.Send(w.now, to.peer.Node, m); err == nil {
				sent[from] = append(sent[from], m.Tone)
			} else if !errors.Is(err, ErrQueue) {
				t.Fatal(err)
			}
			w.run(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 50, 700}).Draw(t, "pause")) * time.Millisecond)
		}
		w.run(3 * time.Minute)
		for _, x := range []struct{ from, to *node }{{a, b}, {b, a}} {
			if len(find[Down](x.from)) > 0 {
				if w.loss < 0.1 {
					t.Fatalf("down with little loss: %v", find[Down](x.from))
				}
				if got := x.to.received; len(got) > len(sent[x.from]) || !slices.Equal(got, sent[x.from][:len(got)]) {
					t.Fatalf("a session that went down delivered something else than was sent")
				}
				continue
			}
			if !slices.Equal(x.to.received, sent[x.from]) {
				t.Fatalf("sent %d commands, %d arrived", len(sent[x.from]), len(x.to.received))
			}
		}
		if len(find[Down](a))+len(find[Down](b)) > 0 {
			return // one side may still hope
		}
		for _, n := range w.nodes { // and nothing is left over
			for _, s := range n.peers {
				if s.flow != nil {
					t.Fatalf("a quiet session keeps a flow: %+v", s.flow)
				}
			}
		}
	})
}

// What is sent is neither readable by who carries it, nor can he change it or say something
// of his own.
func TestManInTheMiddle(t *testing.T) {
	const secret = "the password is swordfish"
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(checked{t: t}, alice, bob)
		w.rng = seeded(rapid.Uint64().Draw(t, "seed"))
		a, b := w.nodes[0], w.nodes[1]
		var sealed []SendPacket
		w.tap = func(_ *node, x Effect) {
			var body []byte
			switch x := x.(type) {
			case SendHello:
				body = message.Marshal(x.Message)
			case SendPacket:
				body = x.Body
				sealed = append(sealed, SendPacket{x.To, x.Via, x.Tag, bytes.Clone(x.Body), false})
			}
			for _, clear := range []string{secret, "alice", "laptop"} {
				if bytes.Contains(body, []byte(clear)) {
					t.Fatalf("%T shows %q", x, clear)
				}
			}
			// He sends everything again, changed and unchanged.
			if p, ok := x.(SendPacket); ok && rapid.Bool().Draw(t, "meddle") {
				to := w.at(nil, p.Via)
				forged := bytes.Clone(p.Body)
				forged[w.rng.IntN(len(forged))] ^= 1 << w.rng.IntN(8)
				again := sealed[w.rng.IntN(len(sealed))]
				w.after(time.Millisecond, func() {
					to.Packet(w.now, p.Via, p.Tag, forged)
					to.Packet(w.now, p.Via, p.Tag, forged[:w.rng.IntN(len(forged))])
					w.take(to)
				})
				w.after(60*time.Millisecond, func() {
					for _, n := range w.nodes {
						n.Packet(w.now, direct(n), again.Tag, again.Body)
						w.take(n)
					}
				})
			}
		}
		a.Dial(w.now, b.peer, direct(b), tone(secret))
		for range 3 {
			a.Send(w.now, b.peer.Node, tone(secret))
			w.run(time.Second)
		}
		w.run(30 * time.Second)
		if want := slices.Repeat([]string{secret}, 4); !slices.Equal(b.received, want) {
			t.Fatalf("bob got %q", b.received)
		}
		if len(find[Down](a))+len(find[Down](b)) > 0 || len(find[Upgraded](a)) != 1 || len(find[Upgraded](b)) != 1 {
			t.Fatalf("the session was disturbed: %v %v", a.seen, b.seen)
		}
	})
}

// Forged packets leave no trace in the session.
func TestGarbageChangesNothing(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	w.run(time.Minute)
	s := b.peers[a.peer.Node]
	before := *s
	for i := range 3000 {
		body := make([]byte, w.rng.IntN(1300))
		for j := range body {
			body[j] = byte(w.rng.Uint32())
		}
		if len(body) > 8 {
			clear(body[:6]) // a counter in the window
		}
		tag := s.keys.own
		if i%3 == 0 {
			tag = w.rng.Uint32()
		}
		b.Packet(w.now, Path{Kind: linnet.DirectUDP, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(i), 1, 1, 1}), 5)}, tag, body)
	}
	b.seen = nil
	for _, x := range b.Take() {
		t.Errorf("an answer to garbage: %#v", x)
	}
	w.run(time.Minute) // the ciphers are gone again
	after := *b.peers[a.peer.Node]
	before.wake, after.wake = 0, 0
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the session is %+v, was %+v", after, before)
	}
}

// A session that fell quiet keeps no window, and takes a packet a second time as
// little as one that had one.
func TestReplayAfterQuiet(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	var packets []SendPacket
	w.tap = func(n *node, x Effect) {
		if p, ok := x.(SendPacket); ok && n == a {
			p.Body = bytes.Clone(p.Body)
			packets = append(packets, p)
		}
	}
	for i := range 3 {
		a.Send(w.now, b.peer.Node, tone("%d", i))
		w.run(time.Minute)
	}
	if s := b.peers[a.peer.Node]; s.keys.warm() || s.keys.seen != nil {
		t.Error("a quiet session keeps its window")
	}
	got := len(b.received)
	for _, p := range packets {
		b.Packet(w.now, direct(a), p.Tag, p.Body)
		w.take(b)
	}
	if got != 3 || len(b.received) != got || b.peers[a.peer.Node].keys.seen != nil {
		t.Errorf("%d commands, %d after all packets came again", got, len(b.received))
	}
	a.Send(w.now, b.peer.Node, tone("more"))
	if w.run(time.Second); len(b.received) != got+1 {
		t.Error("what is new does not arrive any more")
	}
}

func TestReplayedHello(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.nodes[0], w.nodes[1]
	var hello *message.Hello
	var replies []*message.HelloReply
	w.tap = func(n *node, x Effect) {
		if h, ok := x.(SendHello); ok {
			switch m := h.Message.(type) {
			case *message.Hello:
				hello = m
			case *message.HelloReply:
				replies = append(replies, m)
			}
		}
	}
	a.Dial(w.now, b.peer, direct(b), tone("ring"))
	w.take(a)
	elsewhere := Path{Kind: linnet.DirectUDP, Addr: netip.MustParseAddrPort("203.0.113.9:9")}
	for range 3 { // before the true one is answered
		b.Hello(w.now, elsewhere, 9, hello)
		w.take(b)
	}
	if len(replies) != 3 || replies[0] != replies[1] || replies[1] != replies[2] {
		t.Errorf("%d replies to the same Hello, want three times the same", len(replies))
	}
	w.run(2 * time.Second)
	replies = nil
	for _, pause := range []time.Duration{0, time.Minute, 2 * time.Minute, 10 * time.Minute} {
		w.run(pause)
		b.Hello(w.now, elsewhere, 9, hello)
		w.take(b)
	}
	w.run(time.Minute)
	if len(b.received) != 1 {
		t.Errorf("it rang %d times", len(b.received))
	}
	if ups := find[Up](b); len(ups) != 1 {
		t.Errorf("up %d times", len(ups))
	}
	if len(b.halves) != 0 || b.shadows != 0 {
		t.Errorf("%d half-open sessions, %d shadows are left", len(b.halves), b.shadows)
	}
}

// Commands of a Hello wait for the first packet if the peer's word is not enough.
func TestHeldCommands(t *testing.T) {
	tests := []struct {
		name  string
		early func(*suite.Certificate) bool
		skew  time.Duration // of bob's clock
	}{
		{"a stranger", func(c *suite.Certificate) bool { return c.User == "carol" }, 0},
		{"a clock that is slow", nil, -3 * time.Minute},
		{"a clock that is fast", nil, 3 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, alice)
			o := bob.options()
			o.Early = tt.early
			b := w.open(bob, o)
			a := w.nodes[0]
			a.Dial(w.now, bob.peer, direct(b), tone("ring"))
			b.skew = tt.skew
			w.check = func() {
				if len(b.received) > 0 && !b.Up(alice.peer.Node) {
					t.Fatal("it rang before the first packet")
				}
			}
			w.run(time.Second)
			got := find[Received](b)
			if len(got) != 1 || got[0].Early {
				t.Errorf("received %v, want the ring, not early, once", got)
			}
		})
	}
}

// Who answers a Hello sends no more bytes than it had until the peer shows itself.
func TestNoAmplification(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.nodes[0], w.nodes[1]
	size := 0
	w.tap = func(_ *node, x Effect) {
		if h, ok := x.(SendHello); ok && h.ReplyTo == 0 {
			size = len(h.Message.(*message.Hello).Noise)
		}
	}
	w.cut = func(_, to *node, _ Path) bool { return to == a }
	a.Dial(w.now, b.peer, direct(b), tone("ring"))
	w.take(a)
	var hello *message.Hello = a.peers[b.peer.Node].dial.hello
	b.Hello(w.now, direct(a), 1, hello)
	for i := range 20 {
		b.Send(w.now, a.peer.Node, tone("%d %s", i, strings.Repeat("x", 300)))
	}
	w.take(b)
	w.after(0, func() {})
	for range 100 {
		if at := b.Deadline(); !at.IsZero() {
			w.now = at
			b.Tick(at)
			w.take(b)
		}
	}
	if b.sent > size || b.sent == 0 {
		t.Errorf("sent %d bytes for a Hello of %d", b.sent, size)
	}
	if len(b.peers)+len(b.tags)+len(b.halves) != 0 {
		t.Errorf("the session that nobody confirmed is still there")
	}
}

func TestCertificates(t *testing.T) {
	mallory := must(modern.NewKeys())
	forged := newDevice("alice", mallory) // certified by nobody
	stolen := newDevice("carol", login)
	stolen.certificate = alice.certificate // somebody else's
	stolen.peer = alice.peer
	expired := newDevice("dora", login)
	for _, tt := range []struct {
		name string
		device
		late time.Duration
	}{{"forged", forged, 0}, {"stolen", stolen, 0}, {"expired", expired, 31 * 24 * time.Hour}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.device, bob)
			w.now = start.Add(tt.late)
			a, b := w.nodes[0], w.nodes[1]
			a.Dial(w.now, b.peer, direct(b), tone("ring"))
			w.run(time.Minute)
			if len(b.seen) != 0 || b.sent != 0 {
				t.Errorf("bob took it: %v", b.seen)
			}
			if d := find[Down](a); len(d) != 1 || d[0].Err != ErrUnreachable {
				t.Errorf("the dialer was told %v", d)
			}
		})
	}
}

// Both dial at once, and both have something to say: one session, all is said.
func TestGlare(t *testing.T) {
	for _, ahead := range []time.Duration{-40, -20, 0, 20, 40} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			w := newWorld(t, alice, bob)
			a, b := w.nodes[0], w.nodes[1]
			dial := func(x, y *node, what string) {
				x.Dial(w.now, y.peer, direct(y), tone("%s", what))
				x.Request(w.now, y.peer.Node, &message.KeepAlive{}, 5)
				w.take(x)
			}
			w.after(max(0, -ahead)*time.Millisecond, func() { dial(a, b, "from alice") })
			w.after(max(0, ahead)*time.Millisecond, func() { dial(b, a, "from bob") })
			w.run(3 * time.Second)
			if !slices.Equal(a.received, []string{"from bob"}) || !slices.Equal(b.received, []string{"from alice"}) {
				t.Errorf("alice got %q, bob %q", a.received, b.received)
			}
			for _, n := range w.nodes {
				if len(find[Up](n)) != 1 || len(find[Down](n)) != 0 || len(find[Reply](n)) != 1 {
					t.Errorf("%v", n.seen)
				}
			}
		})
	}
}

func TestRequest(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	for i := range uint64(100) {
		if err := a.Request(w.now, b.peer.Node, &message.KeepAlive{}, i); err != nil {
			t.Fatal(err)
		}
	}
	w.run(time.Second)
	replies := find[Reply](a)
	if len(replies) != 100 {
		t.Fatalf("%d replies", len(replies))
	}
	for i, r := range replies {
		if r.Token != uint64(i) || r.Message.(*message.KeepAliveAck).Load != 42 {
			t.Errorf("reply %d is %+v", i, r)
		}
	}
	w.cut = func(*node, *node, Path) bool { return true }
	a.Request(w.now, b.peer.Node, &message.KeepAlive{}, 7)
	w.run(time.Minute)
	if f := find[Failed](a); len(f) != 1 || f[0].Token != 7 {
		t.Errorf("failed: %v", f)
	}
	if d := find[Down](a); len(d) != 1 || d[0].Err != ErrLost {
		t.Errorf("down: %v", d)
	}
}

func TestClose(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	w.loss = 0.3
	for i := range 30 {
		a.Send(w.now, b.peer.Node, tone("%d", i))
	}
	a.Close(w.now, b.peer.Node, "bye")
	w.run(10 * time.Second)
	if len(b.received) != 30 {
		t.Errorf("%d of 30 commands before the goodbye arrived", len(b.received))
	}
	var closed *ClosedError
	if d := find[Down](b); len(d) != 1 || !errors.As(d[0].Err, &closed) || closed.Reason != "bye" || !errors.Is(d[0].Err, ErrClosed) {
		t.Errorf("bob was told %v", d)
	}
	for _, n := range w.nodes {
		if len(n.peers)+len(n.tags)+len(n.queue) != 0 {
			t.Errorf("something is left: %d peers, %d tags, %d in the queue", len(n.peers), len(n.tags), len(n.queue))
		}
		if len(find[Bind](n)) != len(find[Unbind](n)) {
			t.Errorf("%d tags bound, %d unbound", len(find[Bind](n)), len(find[Unbind](n)))
		}
	}
}

// A peer that restarted is a new session; the other side hears of both.
func TestRestart(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	a.Endpoint = New(alice.options()) // all forgotten
	a.Dial(w.now, b.peer, direct(b), tone("again"))
	w.run(3 * time.Second)
	if !slices.Equal(b.received, []string{"again"}) {
		t.Errorf("bob got %q", b.received)
	}
	if d := find[Down](b); len(d) != 1 || d[0].Err != ErrReplaced || len(find[Up](b)) != 2 {
		t.Errorf("bob saw %v", b.seen)
	}
	// And the other way: bob forgets, and alice, who knows nothing of it, dials.
	b.Endpoint, b.received = New(bob.options()), nil
	w.run(20 * time.Second)
	a.Dial(w.now, b.peer, direct(b), tone("third"))
	w.run(3 * time.Second)
	if !slices.Equal(b.received, []string{"third"}) || !a.Up(b.peer.Node) {
		t.Errorf("bob got %q", b.received)
	}
	// Even if he was heard a moment ago: he owes an answer.
	b.Endpoint, b.received = New(bob.options()), nil
	for range 2 {
		a.Dial(w.now, b.peer, direct(b), tone("fourth"))
		w.run(1500 * time.Millisecond)
	}
	if !slices.Equal(b.received, []string{"fourth"}) || !a.Up(b.peer.Node) {
		t.Errorf("bob got %q", b.received)
	}
}

// Dialling again by a way that the Hello went already sends nothing.
func TestDialAgain(t *testing.T) {
	w := newWorld(t, alice, bob)
	a := w.nodes[0]
	hellos := 0
	w.tap = func(_ *node, x Effect) {
		if _, is := x.(SendHello); is {
			hellos++
		}
	}
	w.cut = func(_, _ *node, _ Path) bool { return true }
	for range 5 {
		for _, via := range []Path{through, direct(w.nodes[1])} {
			a.Dial(w.now, bob.peer, via)
		}
	}
	w.run(500 * time.Millisecond)
	if hellos != 2 {
		t.Errorf("%d Hellos by two ways", hellos)
	}
}

func TestRekey(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	a.KeepAlive(w.now, b.peer.Node, 30*time.Second)
	first := a.peers[b.peer.Node].keys
	for i := range 29 {
		a.Send(w.now, b.peer.Node, tone("%d", i))
		b.Send(w.now, a.peer.Node, tone("%d", i))
		w.run(10 * time.Minute)
	}
	if n := len(find[Upgraded](a)); n != 5 { // at once, and after each of four hours
		t.Errorf("upgraded %d times in nearly five hours", n)
	}
	now := a.peers[b.peer.Node].keys
	if now.Send == first.Send || now.own == first.own || now.peer == first.peer {
		t.Error("the keys or tags are the old ones")
	}
	if len(a.received) != 29 || len(b.received) != 29 || len(a.tags) != 1 || len(b.tags) != 1 {
		t.Errorf("%d, %d received, %d and %d tags", len(a.received), len(b.received), len(a.tags), len(b.tags))
	}
}

// What was on its way when the keys changed arrives, even if the last message
// of the upgrade gets lost again and again.
func TestUpgradeUnderLoss(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.nodes[0], w.nodes[1]
	a.Dial(w.now, b.peer, direct(b))
	said := 0
	w.check = func() {
		if len(find[Upgraded](a)) == 1 && len(find[Upgraded](b)) == 0 {
			w.loss = 0.8
			if said < 100 {
				said++
				a.Send(w.now, b.peer.Node, tone("%d", said))
				w.take(a)
			}
		} else {
			w.loss = 0
		}
	}
	w.run(time.Minute)
	if len(find[Upgraded](b)) != 1 || len(find[Down](a)) != 0 {
		t.Fatalf("no upgrade: %v", find[Down](a))
	}
	if a.peers[b.peer.Node].old != nil || len(b.received) == 0 || len(b.received) != said {
		t.Errorf("%d of %d received", len(b.received), said)
	}
}

func TestQuietSessionsEnd(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	w.run(4 * time.Minute)
	if !a.Up(b.peer.Node) || !b.Up(a.peer.Node) {
		t.Fatal("ended too early")
	}
	w.run(2 * time.Minute)
	if d := find[Down](a); len(d) != 1 || d[0].Err != ErrIdle || len(find[Down](b)) != 1 {
		t.Errorf("alice %v, bob %v", a.seen, b.seen)
	}
}

func TestLastingSessionsEndLater(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	a.Lasting(w.now, b.peer.Node)
	b.Lasting(w.now, a.peer.Node)
	w.run(lastingIdle - time.Minute)
	if !a.Up(b.peer.Node) || !b.Up(a.peer.Node) {
		t.Fatal("ended too early")
	}
	w.run(2 * time.Hour)
	if a.Up(b.peer.Node) || b.Up(a.peer.Node) {
		t.Error("they stand for ever")
	}
}

func TestKeepAlive(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.join()
	a.KeepAlive(w.now, b.peer.Node, 30*time.Second)
	w.run(time.Hour / 2)
	if !a.Up(b.peer.Node) || !b.Up(a.peer.Node) {
		t.Fatalf("the session did not live on: %v", find[Down](b))
	}
	if s := a.peers[b.peer.Node]; s.flow != nil || s.keys.warm() {
		w.run(coolAfter + time.Second)
		if s.flow != nil || s.keys.warm() {
			t.Error("a quiet session keeps ciphers")
		}
	}
	w.cut = func(*node, *node, Path) bool { return true }
	cut := w.now
	w.check = func() {
		if len(find[Down](a)) > 0 && w.now.Sub(cut) < 5*time.Second {
			t.Error("down too early")
		}
	}
	w.run(30*time.Second + lostAfter + time.Second)
	if d := find[Down](a); len(d) != 1 || d[0].Err != ErrLost {
		t.Errorf("alice did not notice: %v", d)
	}
}

// On a long line a peer that owes an answer for a second is not dialled again yet.
func TestDialTrustsLongLines(t *testing.T) {
	for _, tt := range []struct {
		delay, trusted, doubted time.Duration
	}{
		{10 * time.Millisecond, 900 * time.Millisecond, 1100 * time.Millisecond},
		{200 * time.Millisecond, 1600 * time.Millisecond, 9 * time.Second},
	} {
		w := newWorld(t, alice, bob)
		w.delay = tt.delay
		a, b := w.nodes[0], w.nodes[1]
		if err := a.Dial(w.now, b.peer, direct(b)); err != nil {
			t.Fatal(err)
		}
		w.run(5 * time.Second)
		w.cut = func(_, _ *node, _ Path) bool { return true }
		a.Send(w.now, b.peer.Node, tone("hello?"))
		w.run(tt.trusted)
		a.Dial(w.now, b.peer, direct(b))
		if a.peers[b.peer.Node].state == dialing {
			t.Errorf("delay %v: dials after %v", tt.delay, tt.trusted)
		}
		w.run(tt.doubted - tt.trusted)
		a.Dial(w.now, b.peer, direct(b))
		if s := a.peers[b.peer.Node]; s == nil || s.state != dialing {
			t.Errorf("delay %v: does not dial after %v", tt.delay, tt.doubted)
		}
	}
}
