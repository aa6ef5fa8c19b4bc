package session

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
	"pgregory.net/rapid"
)

// classicDevices are alice and bob of a classic network, alice with the lower
// NodeID; making their keys takes a while.
var classicDevices = sync.OnceValue(func() [2]classicDevice {
	classic := suite.Classic()
	_, login, err := classic.NewAuthorityKeys()
	if err != nil {
		panic(err)
	}
	museum := &suite.Descriptor{Name: "museum", Network: network, Suite: classic.Name(), Login: login.Public().Signing}
	var devices [2]classicDevice
	for i, name := range []linnet.UserName{"alice", "bob"} {
		keys := must(classic.NewKeys())
		c := &suite.Certificate{
			User: name, Device: "laptop", Signing: keys.Public().Signing, Agreement: keys.Public().Agreement,
			Issued: start.Add(-time.Hour), Expires: start.Add(30 * 24 * time.Hour), Serial: 1, Salt: make([]byte, suite.SaltSize),
		}
		b := must(suite.Issue(login, c))
		devices[i] = classicDevice{device{keys, b, Peer{c.NodeID(), c.Agreement, c}}, Options{
			Suite: classic, Network: network, Node: c.NodeID(), Keys: keys, Certificate: b,
			OpenCertificate: museum.OpenCertificate, ShortTags: true,
		}}
	}
	if a, b := devices[0].peer.Node, devices[1].peer.Node; slices.Compare(a[:], b[:]) > 0 {
		devices[0], devices[1] = devices[1], devices[0]
	}
	return devices
})

type classicDevice struct {
	device
	options Options
}

func newClassicWorld(t testing.TB) *world {
	w := newWorld(t)
	for _, d := range classicDevices() {
		w.open(d.device, d.options)
	}
	return w
}

// The same as TestSetUp: a classic session has no keys to wait for, and media may
// begin half a round trip earlier.
func TestClassicSetUp(t *testing.T) {
	w := newClassicWorld(t)
	a, b := w.nodes[0], w.nodes[1]
	var story []string
	note := func(name string, n *node) {
		for _, x := range n.seen {
			line := fmt.Sprintf("%3d ms %s %T", w.now.Sub(start).Milliseconds(), name, x)
			if r, ok := x.(Received); ok {
				line += fmt.Sprintf(" %s early=%v", r.Message.(*message.CallTone).Tone, r.Early)
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
		" 50 ms alice Up", " 50 ms alice Bind", " 50 ms alice PathUp", " 50 ms alice Moved", " 50 ms alice Upgraded",
		" 75 ms bob Up", " 75 ms bob Bind", " 75 ms bob PathUp", " 75 ms bob Moved",
		" 75 ms bob Received more early=false", " 75 ms bob Upgraded",
	}
	if !reflect.DeepEqual(story, want) {
		t.Errorf("the story is\n%s\nwant\n%s", strings.Join(story, "\n"), strings.Join(want, "\n"))
	}
}

// Through supernodes there is room for the request of a call in the first packet.
func TestClassicForwarded(t *testing.T) {
	w := newClassicWorld(t)
	a, b := w.nodes[0], w.nodes[1]
	w.tap = func(_ *node, x Effect) {
		if h, ok := x.(SendHello); ok {
			if m, ok := h.Message.(*message.Hello); ok && len(m.Noise) > maxForward {
				t.Errorf("a hello of %d bytes", len(m.Noise))
			}
		}
	}
	request := &message.CallRequest{Call: linnet.CallID{1}, Time: 1, Codecs: []string{"opus", "pcmu"}}
	if err := a.Dial(w.now, b.peer, through, request); err != nil {
		t.Fatal(err)
	}
	w.run(2 * time.Second)
	got := find[Received](b)
	if len(got) != 1 || !got[0].Early || !reflect.DeepEqual(got[0].Message, request) {
		t.Errorf("bob got %+v", got)
	}
}

// Whatever the wire does, each command arrives once and in order, or the session
// is down and what arrived is how it began.
func TestClassicConversation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newClassicWorld(checked{t: t})
		w.rng = seeded(rapid.Uint64().Draw(t, "seed"))
		w.loss = rapid.Float64Range(0, 0.2).Draw(t, "loss")
		w.dup = rapid.Float64Range(0, 0.2).Draw(t, "dup")
		w.jitter = 30 * time.Millisecond
		a, b := w.nodes[0], w.nodes[1]
		var want []string
		a.Dial(w.now, b.peer, direct(b))
		for i := range rapid.IntRange(1, 30).Draw(t, "commands") {
			want = append(want, fmt.Sprintf("%d %s", i, strings.Repeat("x", rapid.IntRange(0, 3000).Draw(t, "size"))))
			if err := a.Send(w.now, b.peer.Node, tone("%s", want[i])); err != nil {
				t.Fatal(err)
			}
			w.run(10 * time.Millisecond)
		}
		w.run(time.Minute)
		if len(find[Down](a)) > 0 && w.loss >= 0.1 && len(b.received) <= len(want) {
			want = want[:len(b.received)]
		}
		if !slices.Equal(b.received, want) {
			t.Fatalf("%d of %d arrived", len(b.received), len(want))
		}
	})
}

// A peer that changes networks keeps its session, quiet as it may be; a peer
// that restarted has a new one.
func TestClassicPeerMoves(t *testing.T) {
	w := newClassicWorld(t)
	a, b := w.join()
	a.KeepAlive(w.now, b.peer.Node, 5*time.Second)
	w.run(2 * time.Hour) // beyond the time at which keys are changed elsewhere
	a.addr = netip.MustParseAddrPort("10.9.9.9:999")
	w.run(20 * time.Second)
	if r := b.Routes(a.peer.Node); len(r) == 0 || r[0].Path != direct(a) {
		t.Errorf("bob's routes are %v", r)
	}
	a.Send(w.now, b.peer.Node, tone("still here"))
	w.run(time.Second)
	if len(b.received) != 1 || len(find[Up](b)) != 1 {
		t.Errorf("bob got %q in %d sessions", b.received, len(find[Up](b)))
	}

	restarted := w.open(a.device, classicDevices()[0].options)
	restarted.addr = netip.MustParseAddrPort("10.9.9.10:999")
	restarted.Dial(w.now, b.peer, direct(b), tone("again"))
	w.run(5 * time.Second)
	if d := find[Down](b); len(d) != 1 || d[0].Err != ErrReplaced || !slices.Contains(b.received, "again") {
		t.Errorf("bob saw %v and got %q", d, b.received)
	}
}

// Streams of classic networks carry tags of 16 bits.
func TestClassicTagsAreShort(t *testing.T) {
	w := newClassicWorld(t)
	w.tap = func(_ *node, x Effect) {
		if p, ok := x.(SendPacket); ok && p.Tag>>16 != 0 {
			t.Errorf("tag %08x", p.Tag)
		}
	}
	a, b := w.join()
	a.Send(w.now, b.peer.Node, tone("hello"))
	w.run(time.Second)
	if !slices.Equal(b.received, []string{"hello"}) {
		t.Errorf("bob got %q", b.received)
	}
}

// Any device can say of itself that it has bob's key, and nothing else: the
// certificate has to name the key that signed the hello.
func TestClassicHelloWithAnothersCertificate(t *testing.T) {
	w := newClassicWorld(t)
	a, b := w.nodes[0], w.nodes[1]
	o := classicDevices()[0].options
	o.Keys = must(suite.Classic().NewKeys())
	o.Certificate = bytes.Clone(a.certificate)
	mallory := w.open(a.device, o)
	mallory.Dial(w.now, b.peer, direct(b), tone("alice here"))
	w.run(5 * time.Second)
	if len(b.seen) > 0 {
		t.Errorf("bob saw %v", b.seen)
	}
}
