package session

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
	"pgregory.net/rapid"
)

var (
	modern  = suite.Modern()
	network = linnet.NetworkID{'t', 'e', 's', 't'}
	start   = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	login   = must(modern.NewKeys())
	root    = &suite.Descriptor{Name: "test", Network: network, Suite: modern.Name(), Login: login.Public().Signing}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A device is what a node has before it opens an Endpoint.
type device struct {
	keys        suite.Keys
	certificate []byte
	peer        Peer
}

func newDevice(name linnet.UserName, issuer suite.Keys) device {
	keys := must(modern.NewKeys())
	c := &suite.Certificate{
		User: name, Device: "laptop", Signing: keys.Public().Signing, Agreement: keys.Public().Agreement,
		Issued: start.Add(-time.Hour), Expires: start.Add(30 * 24 * time.Hour), Serial: 1, Salt: make([]byte, suite.SaltSize),
	}
	b := must(suite.Issue(issuer, c))
	return device{keys, b, Peer{c.NodeID(), c.Agreement, c}}
}

func (d device) options() Options {
	return Options{
		Suite: modern, Network: network, Node: d.peer.Node, Keys: d.keys,
		Certificate: d.certificate, OpenCertificate: root.OpenCertificate,
	}
}

// Two devices for all tests, alice with the lower NodeID.
var alice, bob = func() (a, b device) {
	a, b = newDevice("alice", login), newDevice("bob", login)
	if slices.Compare(a.peer.Node[:], b.peer.Node[:]) > 0 {
		a, b = b, a
	}
	return a, b
}()

// A node is an Endpoint with its addresses and all that it said.
type node struct {
	*Endpoint
	device
	addr     netip.AddrPort // where its direct packets come from
	seen     []Effect       // but Send...
	sent     int            // bytes
	received []string       // text of CallTone
	skew     time.Duration  // of its clock
	replied  map[*message.Hello]bool
}

// A world joins nodes on virtual time by a wire that may lose, delay and repeat.
type world struct {
	t      testing.TB
	now    time.Time
	nodes  []*node
	queue  []delivery
	count  int
	rng    *rand.Rand
	loss   float64
	dup    float64
	delay  time.Duration
	narrow int // larger packets are lost; 0: none is
	jitter time.Duration
	cut    func(from, to *node, via Path) bool // true: the packet is gone
	tap    func(from *node, x Effect)          // sees all that is sent
	relay  map[uint32]relayed                  // by the tag that the sender uses
	hello  map[*node]*message.Hello            // the last one that arrived
	check  func()
}

type relayed struct {
	to   *node
	tag  uint32 // of the receiver
	back Path   // for the receiver
}

type delivery struct {
	at   time.Time
	seq  int
	call func()
}

func newWorld(t testing.TB, devices ...device) *world {
	w := &world{t: t, now: start, rng: rand.New(rand.NewPCG(1, 2)), delay: 25 * time.Millisecond, relay: map[uint32]relayed{}, hello: map[*node]*message.Hello{}}
	for _, d := range devices {
		w.open(d, d.options())
	}
	return w
}

func (w *world) open(d device, o Options) *node {
	n := &node{Endpoint: New(o), device: d, replied: map[*message.Hello]bool{}, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(len(w.nodes) + 1)}), 1000)}
	w.nodes = append(w.nodes, n)
	return n
}

func direct(n *node) Path { return Path{Kind: linnet.DirectUDP, Addr: n.addr} }

var through = Path{Kind: linnet.Forwarded, Via: linnet.NodeID{'s'}}

func (w *world) at(n *node, p Path) *node {
	for _, m := range w.nodes {
		if p.Kind == linnet.DirectUDP && m.addr == p.Addr {
			return m
		}
		if p.Kind == linnet.Forwarded && m != n {
			return m
		}
	}
	return nil
}

func (w *world) after(d time.Duration, call func()) {
	w.count++
	x := delivery{w.now.Add(d), w.count, call}
	i, _ := slices.BinarySearchFunc(w.queue, x, func(a, b delivery) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq))
	})
	w.queue = slices.Insert(w.queue, i, x)
}

func (w *world) carry(from, to *node, via Path, call func()) {
	if to == nil || w.cut != nil && w.cut(from, to, via) {
		return
	}
	for once := true; once || w.rng.Float64() < w.dup; once = false {
		if w.rng.Float64() >= w.loss {
			w.after(w.delay+time.Duration(w.rng.Int64N(int64(w.jitter)+1)), call)
		}
	}
}

// take does what the node's Endpoint asks for.
func (w *world) take(n *node) {
	for _, x := range n.Take() {
		if w.tap != nil {
			w.tap(n, x)
		}
		switch x := x.(type) {
		case SendHello:
			back := direct(n)
			if x.Via.Kind == linnet.Forwarded {
				back = x.Via
			}
			to := w.at(n, x.Via)
			switch m := x.Message.(type) {
			case *message.Hello:
				n.sent += len(m.Noise)
				send := func() {
					if !n.replied[m] {
						w.carry(n, to, x.Via, func() {
							w.hello[to] = m
							to.Hello(w.clock(to), back, 7, m)
							w.take(to)
						})
					}
				}
				send()
				if x.Via.Kind != linnet.Forwarded { // link.Request
					for d := 500 * time.Millisecond; d < 10*time.Second; d *= 2 {
						w.after(d, send)
					}
				}
			case *message.HelloReply:
				n.sent += len(m.Noise)
				hello := w.hello[n]
				w.carry(n, to, x.Via, func() {
					to.replied[hello] = true
					to.HelloReply(w.clock(to), back, n.peer.Node, m)
					w.take(to)
				})
			}
		case SendPacket:
			n.sent += len(x.Body)
			if size, _ := n.Size(x.To); len(x.Body) > size && !x.Whole || x.Whole && len(x.Body) > widths[0] {
				w.t.Fatalf("a packet of %d bytes", len(x.Body))
			}
			if w.narrow != 0 && len(x.Body) > w.narrow {
				continue
			}
			if r, ok := w.relay[x.Tag]; ok && x.Via.Kind == linnet.RelayUDP {
				w.carry(n, r.to, x.Via, func() { r.to.Packet(w.clock(r.to), r.back, r.tag, x.Body); w.take(r.to) })
				continue
			}
			back := direct(n)
			if x.Via.Kind == linnet.Forwarded {
				back = x.Via
			}
			if to := w.at(n, x.Via); to != nil {
				w.carry(n, to, x.Via, func() { to.Packet(w.clock(to), back, x.Tag, x.Body); w.take(to) })
			}
		default:
			n.seen = append(n.seen, x)
			switch x := x.(type) {
			case Received:
				if m, ok := x.Message.(*message.CallTone); ok {
					n.received = append(n.received, m.Tone)
				}
				if x.ID != 0 {
					n.Respond(w.clock(n), x.From, x.ID, &message.KeepAliveAck{Load: 42})
					w.take(n)
				}
			}
		}
	}
}

// clock is the time as the node sees it.
func (w *world) clock(n *node) time.Time { return w.now.Add(n.skew) }

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for _, n := range w.nodes {
		w.take(n)
	}
	for steps := 0; ; steps++ {
		if steps > 1e6 {
			w.t.Fatal("the world does not come to rest")
		}
		next, from := end, (*node)(nil)
		for _, n := range w.nodes {
			if at := n.Deadline().Add(-n.skew); !n.Deadline().IsZero() && at.Before(next) {
				next, from = at, n
			}
		}
		if len(w.queue) > 0 && !w.queue[0].at.After(next) {
			x := w.queue[0]
			w.queue = w.queue[1:]
			w.now = later(w.now, x.at)
			x.call()
		} else if from != nil {
			w.now = later(w.now, next)
			from.Tick(w.clock(from))
			w.take(from)
		} else {
			w.now = end
			return
		}
		if w.check != nil {
			w.check()
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// join opens a session between the first two nodes.
func (w *world) join() (a, b *node) {
	w.t.Helper()
	a, b = w.nodes[0], w.nodes[1]
	if err := a.Dial(w.now, b.peer, direct(b)); err != nil {
		w.t.Fatal(err)
	}
	w.run(2 * time.Second)
	if !a.Upgraded(b.peer.Node) || !b.Upgraded(a.peer.Node) {
		w.t.Fatalf("no session: %v, %v", a.seen, b.seen)
	}
	return a, b
}

func tone(format string, args ...any) *message.CallTone {
	return &message.CallTone{Tone: fmt.Sprintf(format, args...)}
}

// find counts the effects of a kind.
func find[T Effect](n *node) (found []T) {
	for _, x := range n.seen {
		if x, ok := x.(T); ok {
			found = append(found, x)
		}
	}
	return found
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// checked lets a world fail a rapid check.
type checked struct {
	testing.TB
	t *rapid.T
}

func (n checked) Helper()                      {}
func (n checked) Fatal(args ...any)            { n.t.Fatal(args...) }
func (n checked) Fatalf(f string, args ...any) { n.t.Fatalf(f, args...) }

// address is the i-th of many.
func address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, byte(i >> 16), byte(i >> 8), byte(i)}), 33033)
}
