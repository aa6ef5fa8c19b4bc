package overlay_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

func TestShedsInOrder(t *testing.T) {
	w := overlaytest.New(t, 60)
	sn := w.Supernodes(2)[0]
	w.Run(10 * time.Second)
	for _, tt := range []struct {
		strain int
		sheds  []bool // attaching, searching, forwarding
	}{
		{0, []bool{false, false, false}},
		{89, []bool{false, false, false}},
		{90, []bool{true, false, false}},
		{95, []bool{true, true, false}},
		{100, []bool{true, true, true}},
	} {
		sn.Machine.Strain(w.Now, tt.strain)
		for s, want := range tt.sheds {
			if got := sn.Machine.Sheds(w.Now, overlay.Service(s)); got != want {
				t.Errorf("strain %d, service %d: %v", tt.strain, s, got)
			}
		}
	}
	// A client that is there stays served, whatever the strain; a new one is sent elsewhere.
	sn.Machine.Strain(w.Now, 0)
	alice := w.User("alice")
	w.Run(5 * time.Second)
	if !sn.Machine.IsClient(alice.ID()) {
		t.Fatal("the stage is not set")
	}
	for range 10 {
		sn.Machine.Strain(w.Now, 150)
		w.Run(20 * time.Second)
	}
	if !sn.Machine.IsClient(alice.ID()) {
		t.Error("a client was thrown out")
	}
	bob := w.User("bob")
	w.Run(5 * time.Second)
	if sn.Machine.IsClient(bob.ID()) || len(bob.Machine.Attachments()) != 1 {
		t.Error("under strain it took a new client")
	}
	w.Run(3 * time.Minute) // nobody tells of strain any more
	if sn.Machine.Sheds(w.Now, overlay.Attaching) {
		t.Error("it sheds for ever")
	}
}

// A refused probe names supernodes with room, and they are tried next: who
// knows one full supernode only is attached within a moment.
func TestRefusedProbeLeadsOn(t *testing.T) {
	w := overlaytest.New(t, 61)
	full := w.Add("node:full", linnet.Supernode)
	full.Options = func(o *overlay.Options) { o.Limits.Invitations = 0.001 } // and twice as many at once: none
	full.Start()
	w.Supernodes(3)
	w.Run(20 * time.Second)
	only := w.Bootstrap[:1]
	for i := range 5 {
		n := w.Add(linnet.UserName(fmt.Sprint("user", i)), linnet.Ordinary)
		n.Options = func(o *overlay.Options) { o.Bootstrap = only }
		n.Start()
		w.Until(3*time.Second, "attached to two", attachedTo(n, 2))
		if full.Machine.IsClient(n.ID()) {
			t.Error("the full one took it")
		}
	}
}

// Who is refused everywhere comes back ever more rarely, every half a minute in
// the end, and never together with those who were refused at the same time.
func TestRefusedClientsBackOff(t *testing.T) {
	w := overlaytest.New(t, 62)
	for _, sn := range []*overlaytest.Node{w.Add("node:a", linnet.Supernode), w.Add("node:b", linnet.Supernode)} {
		sn.Options = func(o *overlay.Options) { o.Limits.Clients = 1 }
		sn.Start()
	}
	w.Run(10 * time.Second)
	w.User("first")
	w.Run(5 * time.Second)
	var rest []*overlaytest.Node
	for i := range 20 {
		rest = append(rest, w.User(linnet.UserName(fmt.Sprint("user", i))))
	}
	w.Run(10 * time.Minute)
	moments := make(map[time.Duration]bool)
	for _, n := range rest {
		offline := effects[overlay.Offline](n)
		if len(offline) < 15 || len(offline) > 35 {
			t.Errorf("%s tried %d times in ten minutes", n.Name, len(offline))
		}
		moments[offline[len(offline)-1].Retry] = true
	}
	if len(moments) < len(rest)/2 {
		t.Errorf("%d nodes wait %d different times", len(rest), len(moments))
	}
}

// A supernode tries an address for its client only if the client is there.
func TestDialBackIsNoWeapon(t *testing.T) {
	w := overlaytest.New(t, 63)
	nodes := w.Supernodes(5)
	w.Run(20 * time.Second)
	alice := w.User("alice")
	w.Run(5 * time.Second)
	own := w.ByID(alice.Machine.Attachments()[0])
	dials := func(addr netip.AddrPort) (n int) {
		own.Machine.Received(w.Now, alice.ID(), 0, &message.DialBack{Addr: addr, Nonce: 1})
		for _, e := range own.Machine.Take() {
			if s, ok := e.(overlay.Send); ok {
				if _, ok := s.Message.(*message.DialFor); ok {
					n++
				}
			}
		}
		return n
	}
	if got := dials(netip.MustParseAddrPort("203.0.113.7:25")); got != 0 {
		t.Error("an address of somebody else is tried")
	}
	if got := dials(alice.Addr); got != 1 {
		t.Errorf("%d supernodes try the client's own address", got)
	}
	// From a stranger the request to try means nothing, and a supernode's is limited.
	stranger := linnet.NodeID{1}
	tried := 0
	for range 100 {
		nodes[0].Machine.Received(w.Now, stranger, 0, &message.DialFor{Addr: alice.Addr})
		nodes[0].Machine.Received(w.Now, nodes[1].ID(), 0, &message.DialFor{Addr: alice.Addr})
	}
	for _, e := range nodes[0].Machine.Take() {
		if _, ok := e.(overlay.Dial); ok {
			tried++
		}
	}
	if tried == 0 || tried > 10 {
		t.Errorf("%d tries at once", tried)
	}
}
