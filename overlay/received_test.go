package overlay_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

// machines are a supernode and an ordinary node among some others, to be
// told anything by anybody.
func machines(t testing.TB) (w *overlaytest.World, list []*overlaytest.Node) {
	w = overlaytest.New(t, 31)
	sn := w.Supernodes(4)[0]
	w.Run(20 * time.Second)
	alice := w.User("alice")
	w.User("bob")
	w.Run(5 * time.Second)
	return w, []*overlaytest.Node{sn, alice}
}

// FuzzReceived hands machines any commands of anybody.
func FuzzReceived(f *testing.F) {
	w, list := machines(f)
	entry := list[0].Machine.Entry()
	slot := uint32(5)
	for _, m := range []message.Message{
		&message.Attach{}, &message.Detach{Entries: [][]byte{entry}}, &message.KeepAlive{PeerDown: list[0].ID()},
		&message.AskSupernodes{Slot: &slot, Max: 99}, &message.AskSupernodes{Slots: 1 << 31, Max: 1 << 31},
		&message.Ping{Seq: 1, Target: list[0].ID(), Updates: []message.Rumour{{State: 2, Entry: entry, Node: list[0].ID(), Incarnation: 1}}},
		&message.PingRequest{Seq: 1, Target: list[0].ID()}, &message.Pong{Target: list[1].ID()},
		&message.Rumours{Updates: []message.Rumour{{State: 1, Node: list[0].ID(), Incarnation: 1}}},
		&message.Digest{Blocks: []uint32{0, 255, 256, 1 << 31}, Hashes: make([]byte, 32)}, &message.Differ{Blocks: []uint32{0, 1 << 31}},
		&message.Forward{Version: 2, Target: list[1].Machine.Location(), Source: list[1].Machine.Location(), Hops: 1 << 31},
		&message.Unroutable{Target: list[1].ID(), Source: list[0].ID()},
	} {
		f.Add(uint8(0), message.Append(nil, message.Command{ID: 1, Body: m}))
		f.Add(uint8(3), message.Append(nil, message.Command{ID: 1, Body: m}))
	}
	f.Fuzz(func(t *testing.T, who uint8, b []byte) {
		from := linnet.NodeID{who} // a stranger, or one of the network
		if int(who) < len(w.Nodes) {
			from = w.Nodes[who].ID()
		}
		for len(b) > 0 {
			c, rest, err := message.Parse(b, message.Session|message.Raw)
			b = rest
			if err != nil {
				continue
			}
			for _, n := range list {
				n.Machine.Received(w.Now, from, c.ID, c.Body)
				n.Machine.Raw(w.Now, n.Addr, c.Body)
				for token := range overlay.Token(4) {
					n.Machine.Replied(w.Now, token, from, c.Body)
				}
				n.Machine.Tick(w.Now.Add(time.Minute))
				n.Machine.Take()
			}
		}
	})
}

// Whatever a crowd does, a supernode's tables stay within their limits.
func TestBounds(t *testing.T) {
	w := overlaytest.New(t, 32)
	sn := w.Add("node:small", linnet.Supernode)
	sn.Options = func(o *overlay.Options) {
		o.Limits = overlay.Limits{Clients: 5, Members: 8, Sessions: 20}
	}
	sn.Start()
	w.Run(time.Second)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		id := w.Identity(linnet.NodeName(fmt.Sprint("crowd", i)), "device")
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 200, byte(i), 1}), 33033)
		e := overlay.Entry{
			Certificate: id.Certificate, Addrs: []netip.AddrPort{addr}, Roles: linnet.Supernode, Incarnation: uint64(w.Now.UnixMilli()),
		}
		b, err := e.Sign(id.Keys)
		if err != nil {
			t.Fatal(err)
		}
		sn.Machine.Up(w.Now, id.Node, addr)
		sn.Machine.Received(w.Now, id.Node, 1, &message.Attach{Others: make([]linnet.NodeID, 500)})
		sn.Machine.Received(w.Now, id.Node, 1, &message.Rumours{Updates: []message.Rumour{{Entry: b, Node: id.Node, Incarnation: e.Incarnation}}})
		for range 100 {
			sn.Machine.Received(w.Now, id.Node, 1, &message.PingRequest{Seq: r.Uint32(), Target: id.Node})
		}
	}
	for table, limit := range map[string]int{
		"clients": 5, "members": 8, "sessions": 20, "helped": 256, "pings": 8, "news": 8, "hosts": overlay.MaxHosts,
	} {
		if got := sn.Machine.Sizes()[table]; got > limit {
			t.Errorf("%s: %d, limit %d", table, got, limit)
		}
	}
	if got := sn.Machine.Sizes(); got["clients"] != 5 || got["helped"] != 256 || got["members"] != 8 {
		t.Errorf("the limits were not even reached: %v", got)
	}
}

// Who is attached and says nothing is not kept for ever.
func TestSilentClientIsForgotten(t *testing.T) {
	w := overlaytest.New(t, 33)
	sn := w.Supernodes(1)[0]
	alice := w.User("alice")
	w.Run(5 * time.Minute)
	if !sn.Machine.IsClient(alice.ID()) {
		t.Fatal("alice keeps alive and was forgotten")
	}
	alice.Kill()
	w.Run(5 * time.Minute)
	if sn.Machine.Clients() != 0 {
		t.Error("the dead client is still there")
	}
}

// Only the policy's nodes become supernodes, whatever others say of themselves.
func TestAdmit(t *testing.T) {
	w := overlaytest.New(t, 34)
	operators := func(o *overlay.Options) { o.Trust.Admit = overlay.Hosted }
	for _, name := range []linnet.UserName{"node:a", "node:b", "volunteer"} {
		n := w.Add(name, linnet.Supernode)
		if name.IsNode() {
			n.Options = operators
		}
		n.Start()
	}
	w.Run(30 * time.Second)
	if got := len(w.Nodes[0].Machine.Serving()); got != 2 {
		t.Errorf("%d supernodes, want the two of the operator", got)
	}
}

// A user's machine that is told to be a supernode is an ordinary node, and
// nothing that others say to supernodes harms it.
func TestNotAdmittedIsOrdinary(t *testing.T) {
	w := overlaytest.New(t, 35)
	w.Supernodes(1)
	trust := w.Trust
	trust.Admit = overlay.Hosted
	m := overlay.New(overlay.Options{
		Self: w.Identity("volunteer", "laptop"), Trust: trust, Rand: w.Rand, Role: linnet.Supernode,
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.9:33033")},
	})
	if err := m.Start(w.Now); err == nil {
		t.Error("it may be a supernode")
	}
	m.Received(w.Now, linnet.NodeID{1}, 0, &message.Rumours{})
	m.Received(w.Now, linnet.NodeID{1}, 0, &message.Digest{})
	m.Received(w.Now, linnet.NodeID{1}, 1, &message.Attach{})
	for _, e := range m.Take() {
		if r, ok := e.(overlay.Respond); ok {
			if _, attached := r.Message.(*message.Attached); attached {
				t.Error("it takes clients")
			}
		}
	}
}
