package overlay_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

// agree says whether every running supernode knows exactly the running ones.
func agree(w *overlaytest.World) bool {
	var want []linnet.NodeID
	for _, n := range w.Nodes {
		if n.Running() && n.Role&linnet.Supernode != 0 {
			want = append(want, n.ID())
		}
	}
	slices.SortFunc(want, func(a, b linnet.NodeID) int { return slices.Compare(a[:], b[:]) })
	for _, n := range w.Nodes {
		if n.Running() && n.Role&linnet.Supernode != 0 && !slices.Equal(n.Machine.Serving(), want) {
			return false
		}
	}
	return true
}

func attachedTo(n *overlaytest.Node, count int) func() bool {
	return func() bool { return len(n.Machine.Attachments()) == count }
}

func knows(a, b *overlaytest.Node) bool { return a.Machine.IsSupernode(b.ID()) }

func effects[E any](n *overlaytest.Node) (list []E) {
	for _, e := range n.Effects {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

func TestNetworksOfAllSizes(t *testing.T) {
	for _, size := range []int{1, 2, 3, 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := overlaytest.New(t, uint64(size))
			w.Supernodes(size)
			w.Until(20*time.Second, "all supernodes know one another", func() bool { return agree(w) })

			alice := w.User("alice")
			took := w.Until(2*time.Second, "alice is attached", attachedTo(alice, min(2, size)))
			t.Logf("attached within %v", took)
			w.Run(10 * time.Minute)
			if got := len(alice.Machine.Attachments()); got != min(2, size) || !agree(w) {
				t.Errorf("after ten idle minutes: %d attachments, agree %v", got, agree(w))
			}
			if got := alice.Machine.Supernodes(); got != size {
				t.Errorf("alice believes in %d supernodes", got)
			}
			if n := len(effects[overlay.Detached](alice)); n != 0 {
				t.Errorf("detached %d times for no reason", n)
			}
			if n := len(effects[overlay.Offline](alice)); n != 0 {
				t.Errorf("offline %d times for no reason", n)
			}
			you := effects[overlay.Attached](alice)[0].You
			if you != alice.Addr {
				t.Errorf("You = %v, want %v", you, alice.Addr)
			}
		})
	}
}

func TestDeathIsNoticedAndKnownEverywhere(t *testing.T) {
	for _, loss := range []float64{0, 0.1} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			w := overlaytest.New(t, 5)
			w.Loss = loss
			nodes := w.Supernodes(20)
			w.Until(20*time.Second, "all supernodes know one another", func() bool { return agree(w) })
			w.Run(time.Minute)
			nodes[7].Kill()
			noticed := w.Until(10*time.Second, "somebody noticed", func() bool {
				return slices.ContainsFunc(nodes, func(n *overlaytest.Node) bool { return n.Running() && !knows(n, nodes[7]) })
			})
			known := noticed + w.Until(20*time.Second-noticed, "everybody knows", func() bool { return agree(w) })
			t.Logf("noticed after %v, known everywhere after %v", noticed, known)

			nodes[7].Start()
			back := w.Until(10*time.Second, "it is back", func() bool { return agree(w) })
			t.Logf("back after %v", back)
		})
	}
}

// Who looks somebody up asks those first to whom a session stands.
func TestRTTNeedsASession(t *testing.T) {
	w := overlaytest.New(t, 5)
	nodes := w.Supernodes(3)
	w.Run(time.Minute)
	m, other := nodes[0].Machine, nodes[1]
	measured := func() bool { rtt := m.RTT(other.ID()); return rtt >= 2*w.Delay && rtt <= 2*(w.Delay+w.Jitter) }
	if !measured() {
		t.Fatalf("RTT = %v, want %v and jitter", m.RTT(other.ID()), 2*w.Delay)
	}
	m.Down(w.Now, other.ID())
	if got := m.RTT(other.ID()); got != 0 {
		t.Errorf("RTT = %v without a session, want 0", got)
	}
	m.Up(w.Now, other.ID(), other.Addr)
	if got := m.RTT(other.ID()); got < time.Second {
		t.Errorf("RTT = %v before it was measured, want more than any other", got)
	}
	w.Until(5*time.Second, "it is measured again", measured)
}

// A supernode that is behind with its work gets to all answers late. It must not
// accuse everybody else of that.
func TestBusySupernodeDoubtsItself(t *testing.T) {
	w := overlaytest.New(t, 5)
	nodes := w.Supernodes(20)
	w.Until(20*time.Second, "all supernodes know one another", func() bool { return agree(w) })
	busy := nodes[3]
	accused := make(map[linnet.NodeID]int)
	w.Intercept = func(from, _ *overlaytest.Node, msg message.Message) message.Message {
		if msg, ok := msg.(*message.Rumours); ok {
			for _, r := range msg.Updates {
				if overlay.State(r.State) == overlay.Suspect {
					accused[r.Node]++
				}
			}
		}
		return msg
	}
	for _, behind := range []time.Duration{1600 * time.Millisecond, 2600 * time.Millisecond} {
		busy.Behind = behind
		w.Run(time.Minute)
		delete(accused, busy.ID()) // who is right, until it says that it lives
		if len(accused) > 0 {
			t.Fatalf("%d were accused by one that is %v behind", len(accused), behind)
		}
		if !agree(w) {
			t.Errorf("%v behind it was buried", behind)
		}
	}
	busy.Behind = 0
	nodes[4].Kill()
	w.Until(20*time.Second, "a death is known everywhere", func() bool { return agree(w) })
}

// A supernode that is back before anybody noticed was never away.
func TestQuickRestart(t *testing.T) {
	w := overlaytest.New(t, 6)
	nodes := w.Supernodes(5)
	w.Run(time.Minute)
	nodes[2].Kill()
	w.Run(2 * time.Second)
	nodes[2].Start()
	for range 300 {
		w.Run(100 * time.Millisecond)
		if !knows(nodes[0], nodes[2]) {
			t.Fatal("it was buried although it is back")
		}
	}
	if !agree(w) {
		t.Error("tables differ")
	}
}

func TestDividedNetworkHeals(t *testing.T) {
	for _, size := range []int{8, 48} { // in a larger one not everybody tells everybody
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := overlaytest.New(t, 7)
			nodes := w.Supernodes(size)
			w.Run(time.Minute)
			smaller := size / 3
			side := func(n *overlaytest.Node) bool { return slices.Index(nodes, n) < smaller }
			w.Cut = func(a, b *overlaytest.Node) bool { return side(a) != side(b) }
			w.Run(5 * time.Minute)
			if got := len(nodes[0].Machine.Serving()); got != smaller {
				t.Fatalf("one side believes in %d supernodes, want %d", got, smaller)
			}
			w.Cut = nil
			took := w.Until(time.Minute, "both sides are one network", func() bool { return agree(w) })
			t.Logf("healed after %v", took)
		})
	}
}

// A newcomer hears at once of all supernodes, however many there are: clients come,
// and what it keeps for them has to go to those who hold their slots.
func TestNewcomerLearnsAll(t *testing.T) {
	w := overlaytest.New(t, 9)
	w.Supernodes(100)
	w.Run(20 * time.Second)
	for i := range 5 {
		n := w.Add(linnet.NodeName(fmt.Sprint("new", i)), linnet.Supernode)
		n.Start()
		took := w.Until(8*time.Second, "the newcomer knows all", func() bool { return len(n.Machine.Serving()) == 101+i })
		t.Logf("after %v", took)
	}
}

// The founder of a network knows nobody; the second one has to find it, and
// networks that began in two places become one.
func TestTwoFounders(t *testing.T) {
	w := overlaytest.New(t, 8)
	a := w.Add("node:a", linnet.Supernode)
	b := w.Add("node:b", linnet.Supernode)
	first, second := w.Bootstrap[:1], w.Bootstrap[1:]
	a.Options = func(o *overlay.Options) { o.Bootstrap = first }
	b.Options = func(o *overlay.Options) { o.Bootstrap = second }
	a.Start()
	b.Start()
	for _, name := range []linnet.UserName{"node:c", "node:d"} {
		n := w.Add(name, linnet.Supernode)
		hosts := map[linnet.UserName][]overlay.Host{"node:c": first, "node:d": second}[name]
		n.Options = func(o *overlay.Options) { o.Bootstrap = hosts }
		n.Start()
	}
	w.Run(30 * time.Second)
	if agree(w) {
		t.Fatal("nobody told one half of the other, and yet they agree")
	}
	bridge := w.Add("node:e", linnet.Supernode)
	bridge.Start()
	w.Until(30*time.Second, "one network", func() bool { return agree(w) })
}

func TestDeadSupernodeIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		name  string
		doubt bool // of another part of the node, whose request was not answered
		mute  bool // the other supernode reports nothing
		limit time.Duration
	}{
		{"unanswered request", true, false, 4 * time.Second},
		{"reported by the other one", false, false, 20 * time.Second},
		{"next keep-alive", false, true, 124 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := overlaytest.New(t, 9)
			w.Supernodes(4)
			w.Run(20 * time.Second)
			alice := w.Add("alice", linnet.Ordinary)
			alice.Options = func(o *overlay.Options) { o.KeepAlive = 2 * time.Minute }
			alice.Start()
			w.Until(2*time.Second, "attached", attachedTo(alice, 2))
			w.Run(10 * time.Second)
			if tt.mute {
				w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
					if _, ok := msg.(*message.KeepAlive); ok && to == alice {
						return nil
					}
					return msg
				}
			}
			victim := w.ByID(alice.Machine.Attachments()[0])
			victim.Kill()
			if tt.doubt {
				alice.Machine.Doubt(w.Now, victim.ID())
				alice.Pump()
			}
			took := w.Until(tt.limit, "replaced", func() bool {
				now := alice.Machine.Attachments()
				return len(now) == 2 && !slices.Contains(now, victim.ID())
			})
			t.Logf("replaced after %v", took)
			if got := effects[overlay.Detached](alice); len(got) != 1 || got[0].Node != victim.ID() {
				t.Errorf("detached: %v", got)
			}
		})
	}
}

func TestBothLostAndBack(t *testing.T) {
	w := overlaytest.New(t, 10)
	nodes := w.Supernodes(3)
	w.Run(20 * time.Second)
	alice := w.User("alice")
	w.Until(2*time.Second, "attached", attachedTo(alice, 2))
	for _, n := range nodes {
		n.Kill()
	}
	w.Run(10 * time.Minute)
	if got := alice.Machine.Attachments(); len(got) != 0 {
		t.Fatalf("attached to %d dead supernodes", len(got))
	}
	offline := effects[overlay.Offline](alice)
	if len(offline) < 3 || len(offline) > 20 {
		t.Errorf("%d rounds in ten minutes", len(offline))
	}
	if last := offline[len(offline)-1]; !errors.Is(last.Err, overlay.ErrNoHost) || last.Retry < time.Minute/4 {
		t.Errorf("last round: %v, next after %v: delays have to grow", last.Err, last.Retry)
	}
	for _, n := range nodes {
		n.Start()
	}
	w.Until(8*time.Minute, "attached again", attachedTo(alice, 2))
	w.Until(time.Minute, "the supernodes found each other", func() bool { return agree(w) })
}

// What a node has on disk is enough: the first supernodes may all be gone.
// A client of a network with one supernode takes the second one that comes.
func TestNewSupernodeIsFound(t *testing.T) {
	w := overlaytest.New(t, 8)
	w.Supernodes(1)
	alice := w.User("alice")
	w.Until(10*time.Second, "alice is attached to what there is", attachedTo(alice, 1))
	w.Run(time.Minute)
	newer := w.Add(linnet.NodeName("newer"), linnet.Supernode)
	newer.Start()
	w.Until(40*time.Second, "and to the newer one", attachedTo(alice, 2))
}

func TestHostCacheOutlivesBootstrap(t *testing.T) {
	w := overlaytest.New(t, 11)
	nodes := w.Supernodes(8)
	w.Run(20 * time.Second)
	alice := w.User("alice")
	w.Run(time.Minute)
	alice.Kill()
	for _, n := range nodes[:3] {
		n.Kill()
	}
	w.Run(time.Minute)
	alice.Start()
	took := w.Until(5*time.Second, "attached", attachedTo(alice, 2))
	t.Logf("attached after %v", took)
}

func TestNoHostsAtAll(t *testing.T) {
	w := overlaytest.New(t, 12)
	alice := w.User("alice")
	w.Run(time.Second)
	if off := effects[overlay.Offline](alice); len(off) == 0 || !errors.Is(off[0].Err, overlay.ErrNoHosts) {
		t.Errorf("offline = %v, want %v", off, overlay.ErrNoHosts)
	}
}

func TestFullSupernodeNamesOthers(t *testing.T) {
	w := overlaytest.New(t, 13)
	limit := func(n int) func(*overlay.Options) {
		return func(o *overlay.Options) { o.Limits.Clients = n }
	}
	full := w.Add("node:full", linnet.Supernode)
	full.Options = limit(1)
	full.Start()
	for range 3 {
		n := w.Add(linnet.NodeName(fmt.Sprint("free", len(w.Nodes))), linnet.Supernode)
		n.Start()
	}
	w.Bootstrap = w.Bootstrap[:1] // all that clients know
	w.Run(20 * time.Second)
	first := w.User("first")
	w.Until(2*time.Second, "attached", attachedTo(first, 2))
	var rest []*overlaytest.Node
	for i := range 5 {
		rest = append(rest, w.User(linnet.UserName(fmt.Sprint("user", i))))
	}
	w.Run(5 * time.Second)
	for _, n := range rest {
		if got := n.Machine.Attachments(); len(got) != 2 || slices.Contains(got, full.ID()) {
			t.Errorf("%s is attached to %d, the full one among them: %v", n.Name, len(got), slices.Contains(got, full.ID()))
		}
	}
	if full.Machine.Clients() > 1 {
		t.Errorf("%d clients, limit 1", full.Machine.Clients())
	}
}

func TestLeave(t *testing.T) {
	w := overlaytest.New(t, 14)
	w.Supernodes(4)
	w.Run(20 * time.Second)
	alice := w.User("alice")
	w.Until(2*time.Second, "attached", attachedTo(alice, 2))
	leaver := w.ByID(alice.Machine.Attachments()[0])
	leaver.Machine.Leave(w.Now)
	leaver.Pump()
	w.Until(time.Second, "alice moved", func() bool {
		now := alice.Machine.Attachments()
		return len(now) == 2 && !slices.Contains(now, leaver.ID())
	})
	leaver.Kill()
	w.Until(2*time.Second, "everybody knows, without any suspicion", func() bool { return agree(w) })

	bob := w.ByID(alice.Machine.Attachments()[0])
	alice.Machine.Leave(w.Now)
	alice.Pump()
	w.Run(time.Second)
	if bob.Machine.IsClient(alice.ID()) {
		t.Error("who left is still a client")
	}
}

func TestForward(t *testing.T) {
	w := overlaytest.New(t, 15)
	w.Supernodes(6)
	w.Run(20 * time.Second)
	alice, bob := w.User("alice"), w.User("bob")
	w.Until(2*time.Second, "attached", func() bool { return attachedTo(alice, 2)() && attachedTo(bob, 2)() })
	where := bob.Machine.Location()
	send := func(target message.Location, body string) {
		t.Helper()
		for _, via := range alice.Machine.Attachments() {
			if !alice.Machine.Forward(w.Now, via, target, message.InnerPacket, []byte(body)) {
				t.Fatal("no way to send")
			}
		}
		alice.Pump()
		w.Run(time.Second)
	}
	got := func() (bodies []string) {
		for _, e := range effects[overlay.ForwardUp](bob) {
			bodies = append(bodies, string(e.Message.Packet.Body))
			if e.Message.Source.Node != alice.ID() {
				t.Errorf("source %v", e.Message.Source.Node)
			}
		}
		bob.Effects = nil
		return bodies
	}
	send(where, "hello")
	if g := got(); !slices.Equal(g, []string{"hello", "hello"}) {
		t.Errorf("bob got %q, want one over each of alice's supernodes", g)
	}

	t.Run("old location", func(t *testing.T) {
		old := message.Location{Node: bob.ID(), Supernodes: slices.Clone(where.Supernodes)}
		for _, n := range w.Nodes[:6] { // one that never served bob, before those that do
			if !slices.Contains(where.Supernodes, n.ID()) {
				old.Supernodes = slices.Insert(old.Supernodes, 0, n.ID())
				break
			}
		}
		send(old, "again")
		if g := got(); len(g) == 0 {
			t.Error("a message to where bob was before did not find him")
		}
	})
	t.Run("unroutable", func(t *testing.T) {
		alice.Effects = nil
		bob.Machine.Leave(w.Now)
		bob.Pump()
		bob.Kill()
		w.Run(time.Second)
		send(where, "too late")
		if u := effects[overlay.Unrouted](alice); len(u) != 2 || u[0].Target != bob.ID() {
			t.Errorf("unrouted: %v", u)
		}
	})
}

func TestForwardChecksSourceAndRate(t *testing.T) {
	w := overlaytest.New(t, 16)
	sn := w.Supernodes(1)[0]
	alice, bob := w.User("alice"), w.User("bob")
	w.Run(2 * time.Second)
	receive := func(from *overlaytest.Node, f message.Forward) {
		sn.Machine.Received(w.Now, from.ID(), 0, &f)
		sn.Pump()
	}
	honest := message.Forward{Version: 2, Target: bob.Machine.Location(), Inner: message.InnerPacket, Source: alice.Machine.Location(), Hops: 3}
	forged := honest
	forged.Source = message.Location{Node: sn.ID()}
	stranger := honest
	stranger.Source.Node = linnet.NodeID{1}

	receive(alice, forged)
	sn.Machine.Received(w.Now, linnet.NodeID{1}, 0, &stranger)
	sn.Pump()
	w.Run(time.Second)
	if n := len(effects[overlay.ForwardUp](bob)); n != 0 {
		t.Fatalf("%d messages with a source that nobody vouches for arrived", n)
	}
	for range 500 {
		receive(alice, honest)
	}
	w.Run(time.Second)
	if n := len(effects[overlay.ForwardUp](bob)); n != 200 {
		t.Errorf("%d of 500 messages at once were forwarded, want the burst of 200", n)
	}
}

// A supernode may say what it likes of others: who lives cannot be talked to death.
func TestSlanderIsRefuted(t *testing.T) {
	w := overlaytest.New(t, 17)
	nodes := w.Supernodes(6)
	w.Run(2 * time.Minute)
	liar, victim := nodes[0], nodes[1]
	began, err := w.Trust.OpenEntry(victim.Machine.Entry(), w.Now)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		e, err := w.Trust.OpenEntry(victim.Machine.Entry(), w.Now)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes[2:] {
			n.Machine.Received(w.Now, liar.ID(), 0, &message.Rumours{Updates: []message.Rumour{
				{State: uint32(overlay.Dead), Node: e.Node, Incarnation: e.Incarnation},
			}})
			n.Pump()
		}
		w.Run(time.Second)
		for _, n := range nodes[2:] {
			if !knows(n, victim) {
				t.Fatal("talked to death")
			}
		}
	}
	e, err := w.Trust.OpenEntry(victim.Machine.Entry(), w.Now)
	if err != nil {
		t.Fatal(err)
	}
	if younger := e.Incarnation - began.Incarnation; younger == 0 || younger > 60 {
		t.Errorf("60 accusations made it %d ms younger", younger)
	}
}

// News that somebody missed is found by digests, whoever of the two asks.
func TestDigestsRepair(t *testing.T) {
	for _, asks := range []string{"the one who missed it", "the others"} {
		t.Run(asks, func(t *testing.T) {
			w := overlaytest.New(t, 20)
			nodes := w.Supernodes(5)
			w.Run(time.Minute)
			missed := nodes[2]
			deaf := true
			w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
				if _, ok := msg.(*message.Digest); ok && (from == missed || to == missed) {
					if deaf || (from == missed) != (asks == "the one who missed it") {
						return nil
					}
				}
				if deaf && to == missed {
					switch msg := msg.(type) {
					case *message.Rumours:
						return nil
					case *message.Ping:
						msg.Updates = nil
					case *message.Pong:
						msg.Updates = nil
					}
				}
				return msg
			}
			late := w.Supernodes(1)[0]
			w.Cut = func(a, b *overlaytest.Node) bool { return a == late && b == missed }
			w.Run(2 * time.Minute)
			if knows(missed, late) || !knows(nodes[0], late) {
				t.Fatal("the stage is not set")
			}
			deaf = false
			took := w.Until(time.Minute, "it knows", func() bool { return knows(missed, late) })
			t.Logf("repaired after %v", took)
		})
	}
}

func TestSameSeedSameRun(t *testing.T) {
	run := func() (commands, bytes int, attached []linnet.NodeID) {
		w := overlaytest.New(t, 18)
		w.Loss = 0.05
		nodes := w.Supernodes(7)
		alice := w.User("alice")
		w.Run(time.Minute)
		nodes[3].Kill()
		w.Run(time.Minute)
		return w.Commands, w.Bytes, alice.Machine.Attachments()
	}
	c1, b1, a1 := run()
	c2, b2, a2 := run()
	if c1 != c2 || b1 != b2 || !slices.Equal(a1, a2) {
		t.Errorf("%d commands, %d bytes, %v; again %d, %d, %v", c1, b1, a1, c2, b2, a2)
	}
}

// What an idle network costs is a figure of docs/protocol.md.
func TestIdleTraffic(t *testing.T) {
	w := overlaytest.New(t, 19)
	w.Supernodes(20)
	w.Run(5 * time.Minute)
	commands, bytes := w.Commands, w.Bytes
	w.Run(10 * time.Minute)
	perSecond := float64(w.Bytes-bytes) / 20 / 600
	t.Logf("a supernode among 20 sends %.1f commands and %.0f bytes a second", float64(w.Commands-commands)/20/600, perSecond)
	if perSecond > 500 {
		t.Errorf("%.0f bytes a second", perSecond)
	}
}

// The first supernodes of a network are restarted, all of them, and know nobody
// but each other; those that saw them leave greet them.
func TestFirstSupernodesComeBack(t *testing.T) {
	w := overlaytest.New(t, 80)
	nodes := w.Supernodes(5)
	w.Run(10 * time.Second)
	for _, n := range nodes[:3] {
		n.Machine.Leave(w.Now)
		n.Pump()
		w.Run(100 * time.Millisecond)
		n.Kill()
		clear(n.Disk)
	}
	for _, n := range nodes[:3] {
		n.Start()
	}
	w.Until(time.Minute, "all know five", func() bool { return agree(w) && len(nodes[0].Machine.Serving()) == 5 })
}

// However long all supernodes were away, everybody is attached two minutes after
// they are back: who heard nobody does not wait much longer than who was refused.
func TestNobodyBacksOffForLong(t *testing.T) {
	w := overlaytest.New(t, 81)
	nodes := w.Supernodes(3)
	w.Run(10 * time.Second)
	users := make([]*overlaytest.Node, 30)
	for i := range users {
		users[i] = w.User(linnet.UserName(fmt.Sprint("user", i)))
	}
	w.Run(10 * time.Second)
	for _, n := range nodes {
		n.Kill()
	}
	w.Run(time.Hour)
	for _, n := range nodes {
		n.Start()
	}
	took := w.Until(2*time.Minute, "all are attached", func() bool {
		return !slices.ContainsFunc(users, func(n *overlaytest.Node) bool { return len(n.Machine.Attachments()) == 0 })
	})
	t.Logf("after %v", took)
}
