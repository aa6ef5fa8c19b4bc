package sim

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A part is one of the machines of a node.
type part uint8

const (
	ofOverlay part = iota
	ofClient
	ofMember
)

// A node is one computer of the run: the real machines, and in place of sockets
// and sessions only what they would do.
type node struct {
	index   uint32
	account uint32
	id      linnet.NodeID
	addr    netip.AddrPort
	cert    *suite.Certificate
	place   place

	supernode bool // by its owner's will: an operator's
	volunteer bool // can be reached, and its owner agreed
	liar      bool
	doomed    bool // it crashes again and again, and is not counted

	// While it runs.
	machine *overlay.Machine
	client  *directory.Client
	member  *directory.Supernode
	life    uint32
	online  int64 // since when it publishes
	links   int   // attachments
	pumping bool

	sessions sessions
	opening  []opening
	asked    []asked
	nextID   uint16
	looking  []looking

	// On its disk.
	hosts    *overlay.Hosts
	history  []byte
	sequence uint64
	shelf    shelf // of a supernode

	// The processor of a supernode.
	busy      int64 // until when it has work
	ahead     int64 // until when it has work other than handshakes, which goes ahead of them
	used      int64 // nanoseconds of work in this second
	overdue   int64 // since when it is hopelessly behind; 0: it is not
	processor int64 // nanoseconds that a handshake takes; 0: nothing takes any time
}

type opening struct {
	peer  uint32
	since int64
	wait  []outgoing
}

type outgoing struct {
	msg   message.Message
	reply bool
	part  part
	id    uint16
	token overlay.Token
	legs  uint8 // of the event that it was sent in, if it waits for a session
}

type asked struct {
	id    uint16
	part  part
	peer  uint32
	token overlay.Token
	until int64
}

type looking struct {
	id     directory.Lookup
	target uint32
	since  int64
}

const maxQueue = 16 // commands that wait for a session

func (n *node) up() bool { return n.machine != nil }

func (n *node) serves() bool { return n.member != nil }

func (w *world) identity(n *node) overlay.Identity {
	expires := epoch.AddDate(0, 0, 30)
	return overlay.Identity{Node: n.id, Certificate: certify(n.index, n.account, expires), Keys: keys(n.index)}
}

// start starts a node from what it has on its disk.
func (w *world) start(n *node) {
	if n.up() {
		return
	}
	n.life++
	n.links, n.online, n.busy, n.ahead, n.used, n.overdue = 0, 0, 0, 0, 0, 0
	n.sessions = sessions{}
	n.opening, n.asked, n.looking = nil, nil, nil
	o := overlay.Options{
		Self: w.identity(n), Trust: w.trust, Rand: rand.New(rand.NewPCG(w.rand.Uint64(), uint64(n.index))),
		Bootstrap: w.bootstrap(n), KeepAlive: keepAlive, Limits: w.limits(n), Naive: w.o.Naive,
	}
	if o.Hosts = n.hosts; w.o.Wire && n.hosts != nil {
		o.Hosts, o.HostCache = nil, n.hosts.Bytes()
	}
	n.hosts = nil
	if n.supernode {
		o.Role, o.Addrs = linnet.Supernode, []netip.AddrPort{n.addr}
		o.Members = w.known
	}
	if n.volunteer {
		o.Volunteer = overlay.Volunteer{Conditions: overlay.Conditions{Agreed: true, Upstream: 5_000_000, CPU: 10}, History: n.history}
	}
	n.machine = overlay.New(o)
	if n.supernode {
		w.serve(n)
	} else if !n.doomed {
		w.online(n, 1)
	}
	if err := n.machine.Start(w.time()); err != nil {
		w.fail("%s does not start: %v", n.id.Short(), err)
	}
	if !n.supernode {
		n.client = directory.NewClient(directory.ClientOptions{
			Self: w.identity(n), Trust: w.trust, Overlay: n.machine, Rand: rand.New(rand.NewPCG(w.rand.Uint64(), uint64(n.index))), Sequence: n.sequence,
			Open: w.library.open,
		})
		n.client.Publish(w.time(), directory.Status{})
	}
	w.pump(n)
}

// serve gives a node that is a supernode now its shelf.
func (w *world) serve(n *node) {
	n.member = directory.NewSupernode(directory.SupernodeOptions{Self: w.identity(n), Trust: w.trust, Seats: n.machine, Open: w.library.open, Opened: w.library.opened})
	n.member.Start(w.time(), n.shelf.records(), nil)
	n.processor = w.handshake
	w.supernodes++
}

// stop ends a node: told tells its supernodes before, as whoever shuts down does,
// else it crashes.
func (w *world) stop(n *node, told bool) {
	if !n.up() {
		return
	}
	if told {
		n.machine.Leave(w.time())
		w.pump(n)
	}
	if n.serves() {
		w.supernodes--
		if !told {
			w.died(n)
		}
	}
	if !n.supernode && n.client != nil {
		if !n.doomed && !n.serves() {
			w.online(n, -1)
			w.count(n, n.links, 0)
		}
		n.history = n.machine.History()
	}
	n.hosts = n.machine.KeepHosts()
	for _, l := range n.looking {
		w.lookups.abandoned(l)
	}
	n.machine, n.client, n.member, n.opening, n.asked, n.looking = nil, nil, nil, nil, nil, nil
	n.sessions, n.links, n.processor = sessions{}, 0, 0
	w.alarms.remove(n.index)
}

// pump does what the machines want until they want nothing more.
func (w *world) pump(n *node) {
	if n.pumping {
		return
	}
	n.pumping = true
	for again := true; again && n.up(); {
		again = false
		for _, e := range n.machine.Take() {
			again = true
			w.effect(n, ofOverlay, e)
		}
		if n.client != nil {
			for _, e := range n.client.Take() {
				again = true
				w.effect(n, ofClient, e)
			}
		}
		if n.member != nil {
			for _, e := range n.member.Take() {
				again = true
				w.effect(n, ofMember, e)
			}
		}
	}
	n.pumping = false
	if !n.up() {
		return
	}
	next := n.machine.Deadline()
	for _, p := range [2]interface{ Deadline() time.Time }{n.client, n.member} {
		if p == (*directory.Client)(nil) || p == (*directory.Supernode)(nil) {
			continue
		}
		if d := p.Deadline(); !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	if next.IsZero() {
		w.alarms.remove(n.index)
	} else {
		w.alarms.set(n.index, max(int64(next.Sub(epoch)), w.now))
	}
}

func (w *world) tick(n *node) {
	now := w.time()
	n.machine.Tick(now)
	if n.client != nil {
		n.client.Tick(now)
	}
	if n.member != nil {
		n.member.Tick(now)
	}
}

// effect does one thing that a machine wants.
func (w *world) effect(n *node, p part, e overlay.Effect) {
	switch e := e.(type) {
	case overlay.Send:
		w.send(n, w.find(e.To), outgoing{msg: e.Message, part: p})
	case overlay.Request:
		n.nextID++
		if len(n.asked) >= 64 && len(n.asked)%64 == 0 {
			n.asked = slices.DeleteFunc(n.asked, func(a asked) bool { return a.until < w.now })
		}
		peer := w.find(e.To)
		if peer == nil {
			return
		}
		n.asked = append(n.asked, asked{n.nextID, p, peer.index, e.Token, w.now + int64(e.Wait)})
		w.send(n, peer, outgoing{msg: e.Message, part: p, id: n.nextID, token: e.Token})
	case overlay.Respond:
		w.send(n, w.find(e.To), outgoing{msg: e.Message, reply: true, id: e.ID})
	case overlay.Probe:
		if e.Rung == linnet.RungUDP { // who does not answer by UDP here is dead, or out of reach
			w.probe(n, e.Addr)
		}
	case overlay.Dial:
		if peer := w.located(e.Addr); peer != nil && peer.volunteer {
			w.fly(dialled, n, peer, e.Message)
		}
	case overlay.Connect:
		w.open(n, w.find(e.Host.Node))
	case overlay.Disconnect:
		if peer := w.find(e.Node); peer != nil {
			n.sessions.remove(peer.index)
			w.fly(ended, n, peer, nil)
		}
	case overlay.Hold:
		if peer := w.find(e.Node); peer != nil {
			w.bytes(n, peer, 28+3)
		}
	case overlay.Attached:
		n.links++
		w.count(n, n.links-1, n.links)
		if n.client != nil {
			n.client.AttachmentsChanged(w.time())
		}
	case overlay.Detached:
		n.links--
		w.count(n, n.links+1, n.links)
		if n.client != nil {
			n.client.AttachmentsChanged(w.time())
		}
	case overlay.MembersChanged:
		if n.member != nil {
			n.member.MembersChanged(w.time())
		}
	case overlay.RoleChanged:
		w.changeRole(n, e.Role)
	case directory.Persist:
		w.persist(n, e)
	case directory.Forget:
		delete(n.shelf, w.find(e.Node).index)
	case directory.ReadRecords:
		n.member.Read(w.time(), e.Token, w.read(n, e.Nodes))
	case directory.Unanswered:
		n.machine.Doubt(w.time(), e.Node)
	case directory.Published:
		n.sequence = e.Sequence
		if n.online == 0 {
			n.online = w.now
			w.reachable(n)
		}
	case directory.Found:
		w.found(n, e)
	}
}

// persist puts a record on the disk of a supernode.
func (w *world) persist(n *node, e directory.Persist) {
	r, err := w.library.open(e.Record, w.time())
	if err != nil {
		w.fail("%s keeps a bad record: %v", n.id.Short(), err)
		return
	}
	n.shelf.put(w.find(e.Node).index, r)
}

// read gives records from the disk of a supernode.
func (w *world) read(n *node, devices []linnet.NodeID) (list [][]byte) {
	for _, node := range devices {
		if r, ok := n.shelf[w.find(node).index]; ok {
			list = append(list, r.Raw())
		}
	}
	return list
}

// count notes that a client has so many attachments now.
func (w *world) count(n *node, before, after int) {
	if n.supernode || n.doomed || before > 0 == (after > 0) {
		return
	}
	if after > 0 {
		w.attached++
	} else {
		w.attached--
	}
}

// changeRole follows a volunteer who became a supernode, or is one no longer. As
// a user of its own it is not looked at meanwhile.
func (w *world) changeRole(n *node, r linnet.Role) {
	if r&linnet.Supernode != 0 {
		w.promotions++
		w.serve(n)
		w.online(n, -1)
		return
	}
	w.demotions++
	w.online(n, 1)
	w.supernodes--
	n.member, n.processor = nil, 0
}

// bootstrap are the supernodes that a node knows of without having been online before.
func (w *world) bootstrap(n *node) []overlay.Host {
	if n.supernode || w.o.Scenario == "flash-crowd" {
		return w.first
	}
	hosts := make([]overlay.Host, 0, known)
	for range known {
		hosts = append(hosts, w.hosts[w.rand.IntN(len(w.hosts))])
	}
	return hosts
}

const known = 4 // hosts that a node of an old network begins with
