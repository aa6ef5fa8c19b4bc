// Package overlaytest joins machines of package overlay, and parts on top of
// them, into a network in memory on virtual time: with delay, loss, partitions,
// and nodes that are killed and start again.
//
// It has no sockets and no sessions, only what they would do: commands travel
// as their real bytes between nodes that are certified by a real authority, a
// session has to be opened first, and the session of a node that was killed is
// noticed only by silence. The same seed gives the same run.
package overlaytest

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Epoch is when every World begins.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// connectTimeout is how long a session's handshake, or the acknowledgement of
// what is sent over it, is waited for.
const connectTimeout = 3 * time.Second

// maxQueue is how many commands wait for a session.
const maxQueue = 16

// A World is a network.
type World struct {
	T    testing.TB
	Now  time.Time
	Rand *rand.Rand

	Delay  time.Duration // one way
	Jitter time.Duration // at most, on top of it
	Loss   float64       // of packets; sessions send again, which costs time

	Trust     overlay.Trust
	Nodes     []*Node
	Bootstrap []overlay.Host // told to every node that starts; the first three supernodes

	// Cut says that nothing gets from a to b; nil means that nothing is cut.
	Cut func(a, b *Node) bool
	// Intercept sees every command before it arrives, and may change it; nil drops it.
	Intercept func(from, to *Node, msg message.Message) message.Message

	Commands int // that were sent
	Bytes    int // of them

	events alarm.Queue[func()]
	login  suite.Keys
	byID   map[linnet.NodeID]*Node
	byAddr map[netip.AddrPort]*Node
}

// New makes an empty World of 20 ms one way.
func New(t testing.TB, seed uint64) *World {
	w := &World{
		T: t, Now: epoch, Rand: rand.New(rand.NewPCG(seed, 1)),
		Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond,
		login: keysOf(t, "login"), byID: make(map[linnet.NodeID]*Node), byAddr: make(map[netip.AddrPort]*Node),
	}
	d := suite.Descriptor{Suite: suite.ModernName, Login: w.login.Public().Signing}
	trust, err := overlay.TrustIn(&d)
	if err != nil {
		t.Fatal(err)
	}
	// A certificate is checked once: a World makes thousands of nodes look at the same few.
	type answer struct {
		cert *suite.Certificate
		err  error
	}
	seen := make(map[string]answer)
	w.Trust = overlay.Trust{
		Verify: trust.Verify,
		Certificate: func(b []byte, now time.Time) (*suite.Certificate, error) {
			if a, ok := seen[string(b)]; ok && (a.err != nil || now.Before(a.cert.Expires)) {
				return a.cert, a.err
			}
			cert, err := trust.Certificate(b, now)
			seen[string(b)] = answer{cert, err}
			return cert, err
		},
	}
	return w
}

// keysOf gives the same keys for the same name, so that a seed replays NodeIDs, too.
func keysOf(t testing.TB, name string) suite.Keys {
	signing, agreement := sha256.Sum256([]byte("signing "+name)), sha256.Sum256([]byte("agreement "+name))
	keys, err := suite.Modern().ParseKeys(append(append([]byte{1}, signing[:]...), agreement[:]...))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Identity certifies a device, as the network's authority does.
func (w *World) Identity(user linnet.UserName, device string) overlay.Identity {
	keys := keysOf(w.T, string(user)+" "+device)
	salt := sha256.Sum256([]byte(string(user) + device))
	cert := &suite.Certificate{
		User: user, Device: device, Signing: keys.Public().Signing, Agreement: keys.Public().Agreement,
		Issued: epoch, Expires: epoch.AddDate(0, 0, 30), Serial: 1, Salt: salt[:suite.SaltSize],
	}
	b, err := suite.Issue(w.login, cert)
	if err != nil {
		w.T.Fatal(err)
	}
	return overlay.Identity{Node: cert.NodeID(), Certificate: b, Keys: keys}
}

// A Part is another machine of a node, on top of its overlay.
type Part interface {
	Deadline() time.Time
	Tick(now time.Time)
	Take() []overlay.Effect
	Received(now time.Time, from linnet.NodeID, id uint16, msg message.Message) bool
	Replied(now time.Time, t overlay.Token, from linnet.NodeID, msg message.Message)
	Failed(now time.Time, t overlay.Token)
	// Effect is told the effects that the World has no part in: of the part
	// itself and of the overlay.
	Effect(now time.Time, e overlay.Effect)
}

// A Node is one machine of the World, running or not.
type Node struct {
	Name     string
	Identity overlay.Identity
	Addr     netip.AddrPort
	Role     linnet.Role
	NAT      bool             // nobody gets in who was not asked
	Machine  *overlay.Machine // nil while it does not run
	Disk     map[string][]byte
	Effects  []overlay.Effect // that the World had no part in
	Behind   time.Duration    // with its work: what arrives waits so long

	// Passes says whether the firewall before it lets a probe out; nil: one on the
	// supernode's own port.
	Passes func(overlay.Probe) bool

	// Options changes the options of the next start; Parts makes the parts.
	Options func(*overlay.Options)
	Parts   func(*Node) []Part

	w        *World
	life     int // how often it was started
	parts    []Part
	sessions map[linnet.NodeID]int // peer -> its life when the session was made
	opening  map[linnet.NodeID][]command
	asked    map[uint16]asked
	nextID   uint16
	wake     time.Time
	pumping  bool
}

type command struct {
	message.Command
	reply bool
}

type asked struct {
	to    linnet.NodeID
	part  int // -1: the overlay
	token overlay.Token
}

// Add makes a node that does not run yet.
func (w *World) Add(user linnet.UserName, role linnet.Role) *Node {
	n := len(w.Nodes) + 1
	node := &Node{
		Name: string(user), Identity: w.Identity(user, "device"), Role: role, w: w, Disk: make(map[string][]byte),
		Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), 33033),
	}
	w.Nodes = append(w.Nodes, node)
	w.byID[node.Identity.Node], w.byAddr[node.Addr] = node, node
	if role&linnet.Supernode != 0 && len(w.Bootstrap) < 3 {
		w.Bootstrap = append(w.Bootstrap, overlay.Host{
			Node: node.Identity.Node, Agreement: node.Identity.Keys.Public().Agreement, Addrs: []netip.AddrPort{node.Addr},
		})
	}
	return node
}

// Supernodes adds n supernodes and starts them.
func (w *World) Supernodes(n int) []*Node {
	var nodes []*Node
	for range n {
		nodes = append(nodes, w.Add(linnet.NodeName(fmt.Sprintf("s%d", len(w.Nodes))), linnet.Supernode))
	}
	for _, node := range nodes {
		node.Start()
	}
	return nodes
}

// User adds an ordinary node and starts it.
func (w *World) User(name linnet.UserName) *Node {
	node := w.Add(name, linnet.Ordinary)
	node.Start()
	return node
}

// Rename is told when a node was given another Identity.
func (w *World) Rename(n *Node) { w.byID[n.Identity.Node] = n }

// ByID finds a node.
func (w *World) ByID(id linnet.NodeID) *Node { return w.byID[id] }

// Running says whether the node runs.
func (n *Node) Running() bool { return n.Machine != nil }

// ID is the node's id.
func (n *Node) ID() linnet.NodeID { return n.Identity.Node }

// Start starts the node from what it has on disk.
func (n *Node) Start() {
	w := n.w
	n.life++
	n.sessions, n.opening, n.asked = make(map[linnet.NodeID]int), make(map[linnet.NodeID][]command), make(map[uint16]asked)
	n.wake = time.Time{}
	o := overlay.Options{
		Self: n.Identity, Trust: w.Trust, Rand: rand.New(rand.NewPCG(w.Rand.Uint64(), 2)),
		Role: n.Role, Addrs: []netip.AddrPort{n.Addr}, Bootstrap: w.Bootstrap, HostCache: n.Disk["hosts"],
	}
	if n.Options != nil {
		n.Options(&o)
	}
	n.Machine = overlay.New(o)
	n.parts = nil
	if n.Parts != nil {
		n.parts = n.Parts(n)
	}
	if err := n.Machine.Start(w.Now); err != nil {
		w.T.Fatalf("%s: start: %v", n.Name, err)
	}
	n.Pump()
}

// Kill ends the node as kill -9 does: nobody is told.
func (n *Node) Kill() { n.Machine, n.parts = nil, nil }

// Run lets time pass.
func (w *World) Run(d time.Duration) {
	end := w.Now.Add(d)
	for {
		next := w.events.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(w.Now) {
			w.Now = next
		}
		do, _ := w.events.Pop(w.Now)
		do()
	}
	w.Now = end
}

// Until lets time pass until something is so, and says how long that took.
func (w *World) Until(limit time.Duration, what string, so func() bool) time.Duration {
	start := w.Now
	for !so() {
		if w.Now.Sub(start) >= limit {
			w.T.Helper()
			w.T.Fatalf("not within %v: %s", limit, what)
		}
		w.Run(10 * time.Millisecond)
	}
	return w.Now.Sub(start)
}

func (w *World) after(d time.Duration, do func()) { w.events.Set(w.Now.Add(d), do) }

// on does something to a node unless it was killed meanwhile.
func (n *Node) on(d time.Duration, do func()) {
	life := n.life
	n.w.after(d, func() {
		if n.Running() && n.life == life {
			do()
			n.Pump()
		}
	})
}

// travel is how long a packet takes; ok is false when there is no way.
func (w *World) travel(a, b *Node) (d time.Duration, ok bool) {
	if a == b {
		return 0, true
	}
	if w.Cut != nil && (w.Cut(a, b) || w.Cut(b, a)) {
		return 0, false
	}
	d = w.Delay + b.Behind
	if w.Jitter > 0 {
		d += time.Duration(w.Rand.Int64N(int64(w.Jitter)))
	}
	for again := 3 * w.Delay; w.Loss > 0 && w.Rand.Float64() < w.Loss; again *= 2 {
		d += again
	}
	return d, true
}

// Pump does what the node's machines want done, until they want nothing more.
// Whoever calls a method of a machine from outside calls it afterwards.
func (n *Node) Pump() {
	if n.pumping {
		return
	}
	n.pumping = true
	defer func() { n.pumping = false }()
	for again := true; again && n.Running(); {
		again = false
		for part := -1; part < len(n.parts) && n.Running(); part++ {
			var effects []overlay.Effect
			if part < 0 {
				effects = n.Machine.Take()
			} else {
				effects = n.parts[part].Take()
			}
			for _, e := range effects {
				again = true
				n.do(part, e)
			}
		}
	}
	if !n.Running() {
		return
	}
	next := n.Machine.Deadline()
	for _, p := range n.parts {
		if d := p.Deadline(); !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	if next.IsZero() || !n.wake.IsZero() && !next.Before(n.wake) {
		return
	}
	n.wake = next
	n.on(max(next.Sub(n.w.Now), 0), func() {
		n.wake = time.Time{}
		n.Machine.Tick(n.w.Now)
		for _, p := range n.parts {
			p.Tick(n.w.Now)
		}
	})
}

func (n *Node) do(part int, e overlay.Effect) {
	w := n.w
	switch e := e.(type) {
	case overlay.Probe:
		n.probe(e)
	case overlay.Dial:
		n.dial(e)
	case overlay.Connect:
		n.open(e.Host.Node)
	case overlay.Disconnect:
		delete(n.sessions, e.Node)
		if peer := w.byID[e.Node]; peer != nil && peer.Running() {
			if d, ok := w.travel(n, peer); ok {
				peer.on(d, func() { peer.ended(n.ID()) })
			}
		}
	case overlay.Send:
		n.send(e.To, command{Command: message.Command{Body: e.Message}})
	case overlay.Request:
		n.nextID++
		n.asked[n.nextID] = asked{e.To, part, e.Token}
		n.send(e.To, command{Command: message.Command{ID: n.nextID, Body: e.Message}})
	case overlay.Respond:
		n.send(e.To, command{message.Command{ID: e.ID, Body: e.Message}, true})
	default:
		if _, ok := e.(overlay.HostCacheChanged); ok {
			n.Disk["hosts"] = n.Machine.HostCache()
		}
		if _, ok := e.(overlay.HistoryChanged); ok {
			n.Disk["history"] = n.Machine.History()
		}
		n.Effects = append(n.Effects, e)
		for _, p := range n.parts {
			p.Effect(w.Now, e)
		}
	}
}

func (n *Node) probe(p overlay.Probe) {
	peer := n.w.byAddr[p.Addr]
	if n.Passes != nil {
		if !n.Passes(p) {
			return
		}
		if peer == nil { // a port of the web
			peer = n.w.byHost(p.Addr.Addr())
		}
	}
	if peer == nil {
		return
	}
	there, ok := n.w.travel(n, peer)
	if !ok || n.w.Rand.Float64() < n.w.Loss {
		return
	}
	sent := n.w.Now
	peer.on(there, func() {
		answer := peer.Machine.Raw(n.w.Now, n.Addr, &message.Probe{})
		if back, ok := n.w.travel(peer, n); ok && answer != nil {
			n.on(back, func() { n.Machine.Probed(n.w.Now, p, n.w.Now.Sub(sent), answer) })
		}
	})
}

// byHost is the node that lives at an address.
func (w *World) byHost(ip netip.Addr) *Node {
	for addr, n := range w.byAddr {
		if addr.Addr() == ip {
			return n
		}
	}
	return nil
}

func (n *Node) dial(e overlay.Dial) {
	if peer := n.w.byAddr[e.Addr]; peer != nil && !peer.NAT {
		if d, ok := n.w.travel(n, peer); ok {
			peer.on(d, func() { peer.Machine.Raw(n.w.Now, n.Addr, e.Message) })
		}
	}
}

// open makes a session: a handshake there and back.
func (n *Node) open(to linnet.NodeID) {
	peer := n.w.byID[to]
	if life, ok := n.sessions[to]; ok && peer != nil && peer.Running() && peer.life == life {
		n.on(0, func() { n.Machine.Up(n.w.Now, to, peer.Addr) })
		return
	}
	if _, busy := n.opening[to]; busy {
		return
	}
	n.opening[to] = nil
	n.on(connectTimeout, func() {
		if _, still := n.opening[to]; still {
			delete(n.opening, to)
			n.ended(to)
		}
	})
	if peer == nil || !peer.Running() {
		return
	}
	there, ok := n.w.travel(n, peer)
	if !ok {
		return
	}
	life := n.life
	peer.on(there, func() {
		peer.sessions[n.ID()] = life
		peer.Machine.Up(n.w.Now, n.ID(), n.Addr)
		back, ok := n.w.travel(peer, n)
		if !ok {
			return
		}
		theirs := peer.life
		n.on(back, func() {
			n.sessions[to] = theirs
			waiting := n.opening[to]
			delete(n.opening, to)
			n.Machine.Up(n.w.Now, to, peer.Addr)
			for _, c := range waiting {
				n.send(to, c)
			}
		})
	})
}

func (n *Node) ended(peer linnet.NodeID) {
	delete(n.sessions, peer)
	n.Machine.Down(n.w.Now, peer)
}

func (n *Node) send(to linnet.NodeID, c command) {
	w := n.w
	wire := message.Append(nil, c.Command)
	w.Commands++
	w.Bytes += len(wire)
	peer := w.byID[to]
	if to == n.ID() {
		n.on(0, func() { n.deliver(n, wire, c.reply) })
		return
	}
	life, ok := n.sessions[to]
	if !ok {
		if _, known := n.Machine.Host(to); !known && n.opening[to] == nil {
			return // nobody knows how
		}
		n.open(to)
		if len(n.opening[to]) < maxQueue {
			n.opening[to] = append(n.opening[to], c)
		}
		return
	}
	d, way := w.travel(n, peer)
	if !way || !peer.Running() || peer.life != life {
		n.on(connectTimeout, func() {
			if n.sessions[to] == life && (!peer.Running() || peer.life != life || w.Cut != nil && w.Cut(n, peer)) {
				n.ended(to) // nothing was acknowledged
			}
		})
		return
	}
	peer.on(d, func() { peer.deliver(n, wire, c.reply) })
}

func (n *Node) deliver(from *Node, wire []byte, reply bool) {
	w := n.w
	c, rest, err := message.Parse(wire, message.Session)
	if err != nil || len(rest) != 0 {
		w.T.Fatalf("%s to %s: %x: %v", from.Name, n.Name, wire, err)
	}
	if w.Intercept != nil {
		if c.Body = w.Intercept(from, n, c.Body); c.Body == nil {
			return
		}
	}
	if !reply {
		if n.Machine.Received(w.Now, from.ID(), c.ID, c.Body) {
			return
		}
		for _, p := range n.parts {
			if p.Received(w.Now, from.ID(), c.ID, c.Body) {
				return
			}
		}
		return
	}
	q, ok := n.asked[c.ID]
	if !ok || q.to != from.ID() {
		return
	}
	delete(n.asked, c.ID)
	if q.part < 0 {
		n.Machine.Replied(w.Now, q.token, from.ID(), c.Body)
	} else {
		n.parts[q.part].Replied(w.Now, q.token, from.ID(), c.Body)
	}
}
