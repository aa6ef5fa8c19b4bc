package directory_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

// shelf is a Supernode as part of a node.
type shelf struct {
	*directory.Supernode
	n *overlaytest.Node
}

func (s shelf) Effect(now time.Time, e overlay.Effect) {
	switch e := e.(type) {
	case directory.Persist:
		s.n.Disk["record "+e.Node.String()] = e.Record
	case directory.Forget:
		delete(s.n.Disk, "record "+e.Node.String())
	case directory.PersistCard:
		s.n.Disk["card "+string(e.User)] = e.Card
	case directory.ForgetCard:
		delete(s.n.Disk, "card "+string(e.User))
	case directory.ReadRecords:
		var records [][]byte
		for _, node := range e.Nodes {
			if b, ok := s.n.Disk["record "+node.String()]; ok {
				records = append(records, b)
			}
		}
		s.Read(now, e.Token, records)
	case directory.Unanswered:
		s.n.Machine.Doubt(now, e.Node)
	case overlay.MembersChanged:
		s.MembersChanged(now)
	}
}

// device is a Client as part of a node.
type device struct {
	*directory.Client
	n *overlaytest.Node
}

func (d device) Received(time.Time, linnet.NodeID, uint16, message.Message) bool { return false }

func (d device) Effect(now time.Time, e overlay.Effect) {
	switch e := e.(type) {
	case directory.Unanswered:
		d.n.Machine.Doubt(now, e.Node)
	case overlay.Attached, overlay.Detached:
		d.AttachmentsChanged(now)
	}
}

// seats are those of a supernode that may know of some of the others only.
type seats struct {
	*overlay.Machine
	known *overlay.Slots // nil: it knows all
}

func (s *seats) Members(slot overlay.Slot) []linnet.NodeID {
	if s.known != nil {
		return s.known.Members(slot)
	}
	return s.Machine.Members(slot)
}

// narrow has a supernode know nobody of these.
func (s *seats) narrow(unknown []linnet.NodeID) {
	s.known = new(overlay.Slots)
	for _, node := range s.Serving() {
		if h, ok := s.Host(node); ok && !slices.Contains(unknown, node) {
			s.known.Add(node, h.Addrs[0].Addr())
		}
	}
}

// alone has users find one supernode only.
func (w *network) alone(sn *overlaytest.Node) {
	w.Cut = func(a, b *overlaytest.Node) bool { return w.shelves[a].Supernode == nil && b != sn }
	w.Bootstrap = []overlay.Host{{Node: sn.ID(), Agreement: sn.Identity.Keys.Public().Agreement, Addrs: []netip.AddrPort{sn.Addr}}}
}

// widen has a supernode know all others again.
func (w *network) widen(sn *overlaytest.Node) {
	w.seats[sn].known = nil
	w.shelves[sn].MembersChanged(w.Now)
	sn.Pump()
}

// network is a World whose nodes have their part of the directory.
type network struct {
	*overlaytest.World
	shelves map[*overlaytest.Node]shelf
	seats   map[*overlaytest.Node]*seats
	devices map[*overlaytest.Node]device
	pagers  map[*overlaytest.Node]pager
	perSlot int // cards that supernodes list in a slot; 0: as they do
	busy    int // writes that they remember, and whatever else they do at once; 0: as they do
}

func newNetwork(t testing.TB, seed uint64) *network {
	return &network{
		World: overlaytest.New(t, seed), shelves: make(map[*overlaytest.Node]shelf), seats: make(map[*overlaytest.Node]*seats),
		devices: make(map[*overlaytest.Node]device), pagers: make(map[*overlaytest.Node]pager),
	}
}

func (w *network) supernode() *overlaytest.Node {
	n := w.Add(linnet.NodeName(fmt.Sprintf("s%d", len(w.Nodes))), linnet.Supernode)
	n.Parts = func(n *overlaytest.Node) []overlaytest.Part {
		w.seats[n] = &seats{Machine: n.Machine}
		s := shelf{directory.NewSupernode(directory.SupernodeOptions{Self: n.Identity, Trust: w.Trust, Seats: w.seats[n], PerSlot: w.perSlot, Busy: w.busy}), n}
		w.shelves[n] = s
		return []overlaytest.Part{s}
	}
	w.start(n)
	return n
}

// start starts a node, and hands a supernode what it had on disk.
func (w *network) start(n *overlaytest.Node) {
	n.Start()
	if s, ok := w.shelves[n]; ok {
		on := make(map[string][][]byte)
		for _, key := range slices.Sorted(maps.Keys(n.Disk)) {
			kind, _, _ := strings.Cut(key, " ")
			on[kind] = append(on[kind], n.Disk[key])
		}
		s.Start(w.Now, on["record"], on["card"])
		n.Pump()
	}
}

func (w *network) supernodes(n int) (nodes []*overlaytest.Node) {
	for range n {
		nodes = append(nodes, w.supernode())
	}
	w.Run(30 * time.Second)
	return nodes
}

func (w *network) user(name linnet.UserName) *overlaytest.Node {
	n := w.Add(name, linnet.Ordinary)
	n.Parts = func(n *overlaytest.Node) []overlaytest.Part {
		d := device{directory.NewClient(directory.ClientOptions{
			Self: n.Identity, Trust: w.Trust, Overlay: n.Machine, Rand: rand.New(rand.NewPCG(w.Rand.Uint64(), 3)),
		}), n}
		w.devices[n] = d
		return []overlaytest.Part{d, w.pager(n)}
	}
	n.Start()
	return n
}

// online starts a user who publishes, and waits until that is stored.
func (w *network) online(name linnet.UserName) *overlaytest.Node {
	n := w.user(name)
	w.devices[n].Publish(w.Now, directory.Status{NAT: 3})
	n.Pump()
	w.Until(10*time.Second, string(name)+" is published", func() bool {
		p := effects[directory.Published](n)
		return len(p) > 0 && len(n.Machine.Attachments()) == min(2, n.Machine.Supernodes())
	})
	w.Run(2 * time.Second) // the second attachment is in the record, too
	return n
}

func (w *network) lookup(n *overlaytest.Node, user linnet.UserName, fresh bool) (directory.Found, time.Duration) {
	w.T.Helper()
	return w.lookupWithin(3*time.Second, n, user, fresh)
}

func (w *network) lookupWithin(limit time.Duration, n *overlaytest.Node, user linnet.UserName, fresh bool) (directory.Found, time.Duration) {
	w.T.Helper()
	id := w.devices[n].Lookup(w.Now, user, fresh)
	n.Pump()
	var found *directory.Found
	took := w.Until(limit, "an answer about "+string(user), func() bool {
		for _, f := range effects[directory.Found](n) {
			if f.Lookup == id {
				found = &f
			}
		}
		return found != nil
	})
	return *found, took
}

func (w *network) mustFind(n *overlaytest.Node, user *overlaytest.Node) time.Duration {
	w.T.Helper()
	f, took := w.lookup(n, linnet.UserName(user.Name), true)
	if f.Err != nil || len(f.Records) == 0 || !f.Records[0].Reachable(w.Now) || f.Records[0].Node() != user.ID() {
		w.T.Fatalf("%s looks for %s: %v, %d records", n.Name, user.Name, f.Err, len(f.Records))
	}
	return took
}

func effects[E any](n *overlaytest.Node) (list []E) {
	for _, e := range n.Effects {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

// refuses hands a supernode a command that it has to answer with a failure.
func (w *network) refuses(t *testing.T, sn *overlaytest.Node, from linnet.NodeID, msg message.Message, code uint32) {
	t.Helper()
	s := w.shelves[sn]
	s.Take()
	if !s.Received(w.Now, from, 7, msg) {
		t.Fatal("not a command of this package")
	}
	for _, e := range s.Take() {
		if r, ok := e.(overlay.Respond); ok {
			if f, ok := r.Message.(*message.Failure); !ok || f.Code != code || r.ID != 7 {
				t.Errorf("answer %+v, want failure %d", r.Message, code)
			}
			return
		}
	}
	t.Error("no answer")
}
