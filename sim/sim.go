// Package sim runs the supernode network in one process, on virtual time: the
// real machines of packages overlay and directory, a hundred thousand of them,
// and scenarios that they have to survive.
//
// It stands in for what the machines do not do themselves: packets take as long
// as between real places, some are lost, sessions have to be opened and die
// silently, computers come and go as those of the old network did, and the
// processor of a supernode does only so much a second. Signatures are cheap here,
// and none is skipped. There is no socket, no goroutine and no clock, and the
// same options give the same run.
package sim

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Options say what to run. A zero field means the scenario's default.
type Options struct {
	Scenario   string
	Nodes      int
	Supernodes int
	Seed       uint64
	Duration   time.Duration // of virtual time, after everybody is there
	Loss       float64       // of packets; negative: none
	Naive      bool          // for study: supernodes do not shed and clients do not back off
	Gone       float64       // share of the supernodes that outage-2010 takes; 0: 0.28
	Wire       bool          // send every command as its bytes; ten times slower, and the outcome is the same

	Progress io.Writer       // a line now and then; nil: none
	Stop     <-chan struct{} // closed: the run ends here, and its report says what there is; nil: never
}

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// keepAlive is that of nodes whose NAT keeps mappings for 60 s, which 95 % of
// the old network's did.
const keepAlive = 55 * time.Second

// warmUp is how long everybody has to come online before a scenario begins.
const warmUp = 4 * time.Minute

// A world is one run.
type world struct {
	o       Options
	now     int64 // nanoseconds since epoch
	rand    *rand.Rand
	queue   queue
	alarms  alarms
	trust   overlay.Trust
	library *library
	roster
	first []overlay.Host   // the descriptor's supernodes
	hosts []overlay.Host   // of all operators' supernodes
	known []*overlay.Entry // their entries, known to one another from before

	legs      uint8 // of the event that happens now
	cut       func(a, b *node) bool
	lie       func(n *node, msg message.Message) message.Message // nil: nothing is said
	handshake int64                                              // work of a supernode for one; 0: none
	limit     int                                                // clients of a supernode

	supernodes, up, attached int
	promotions, demotions    int
	lost                     int // supernodes that died of their load
	dropped                  int // packets that a processor had no time for
	loginBusy                int64
	authorityDown            bool
	targets                  []overlay.Slot // that an attacker wants
	seized                   int            // seats of one of them that he had at most
	measure
	check    func(*node) // after every event of a node, in tests
	scenario scenario
	failure  error
}

func (w *world) time() time.Time { return epoch.Add(time.Duration(w.now)) }

// fail ends the run: something happened that must never happen.
func (w *world) fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf("at %v: "+format, append([]any{time.Duration(w.now)}, args...)...)
	}
}

// at plans something.
func (w *world) at(d time.Duration, do func()) {
	e := w.queue.make(script, w.now+int64(d), 0)
	e.do = do
	w.queue.push(e)
}

// every plans something again and again.
func (w *world) every(d time.Duration, do func()) {
	w.at(d, func() {
		do()
		w.every(d, do)
	})
}

// Run runs a scenario. An error says that the options make no sense, or that an
// invariant broke; whether the scenario was survived says Report.Failed.
func Run(o Options) (*Report, error) {
	s, ok := scenarios[o.Scenario]
	if !ok {
		return nil, fmt.Errorf("sim: there is no scenario %q", o.Scenario)
	}
	defaults(&o, s)
	if o.Nodes < 10 || o.Supernodes < 1 || o.Nodes > 1<<22 || o.Supernodes > 1<<15 {
		return nil, fmt.Errorf("sim: %d nodes and %d supernodes are too few or too many", o.Nodes, o.Supernodes)
	}
	began := time.Now()
	w := &world{o: o, scenario: s, rand: rand.New(rand.NewPCG(o.Seed, 0x6c696e6e6574))}
	w.limit = max(int(float64(2*o.Nodes)/float64(o.Supernodes)/fullLoad), 20)
	w.build()
	w.sampling()
	s.play(w)
	w.run(int64(warmUp + o.Duration))
	r := w.report(time.Since(began))
	if w.failure != nil {
		return r, fmt.Errorf("sim: %s, seed %d: %w", o.Scenario, o.Seed, w.failure)
	}
	return r, nil
}

func (w *world) run(end int64) {
	began := time.Now()
	var told time.Duration
	for w.failure == nil {
		at := w.queue.next()
		ringing := len(w.alarms.heap) > 0 && w.alarms.heap[0].at < at
		if ringing {
			at = w.alarms.heap[0].at
		}
		if at > end || w.events&0x3fff == 0 && w.stopped() {
			break
		}
		w.now = at
		w.events++
		var n *node
		if ringing {
			n = w.nodes[w.alarms.heap[0].node]
			w.ring(n)
		} else {
			n = w.handle(w.queue.pop())
		}
		if w.check != nil && n != nil {
			w.check(n)
		}
		if w.o.Progress != nil && w.events&0x3fff == 0 && time.Since(began)-told > time.Second/2 {
			told = time.Since(began)
			w.tell(end, told, "\r")
		}
	}
	if !w.stopped() && w.failure == nil {
		w.now = end
	}
	if w.o.Progress != nil {
		w.tell(end, time.Since(began), "\n")
	}
}

func (w *world) tell(end int64, took time.Duration, ending string) {
	fmt.Fprintf(w.o.Progress, "%s: %v of %v, %d supernodes, %d of %d nodes attached, %d lookups, %.1f M events, %v   %s", w.o.Scenario,
		time.Duration(w.now).Truncate(time.Second), time.Duration(end), w.supernodes, w.attached, w.up, w.lookups.count,
		float64(w.events)/1e6, took.Truncate(time.Second), ending)
}

func (w *world) stopped() bool {
	select {
	case <-w.o.Stop:
		return true
	default:
		return false
	}
}

// fullLoad is what of their limit supernodes have to do before a scenario begins.
const fullLoad = 0.70

// build makes all nodes and plans their coming online.
func (w *world) build() {
	o := w.o
	w.trust = w.newTrust()
	w.library = newLibrary(w.trust)
	total := o.Supernodes + o.Nodes
	w.roster = newRoster(total + w.scenario.extra(o))
	for i := range o.Supernodes {
		n := w.add(operator|uint32(i), addrOf(uint32(i)))
		n.supernode, n.volunteer = true, true
	}
	for i := range o.Nodes {
		n := w.add(uint32(i), addrOf(uint32(o.Supernodes+i)))
		n.volunteer = w.scenario.volunteers > 0 && w.rand.Float64() < w.scenario.volunteers
	}
	started := o.Supernodes
	if w.scenario.begin > 0 {
		started = w.scenario.begin
	}
	for _, n := range w.nodes[:o.Supernodes] {
		h := overlay.Host{Node: n.id, Agreement: keys(n.index).Public().Agreement, Addrs: []netip.AddrPort{n.addr}}
		if len(w.first) < 3 {
			w.first = append(w.first, h)
		}
		if int(n.index) < started {
			w.hosts = append(w.hosts, h)
			entry := overlay.Entry{
				Certificate: w.identity(n).Certificate, Addrs: h.Addrs, Roles: linnet.Supernode, Incarnation: uint64(epoch.UnixMilli()),
			}
			b, err := entry.Sign(keys(n.index))
			if err != nil {
				w.fail("entry: %v", err)
				return
			}
			opened, err := w.trust.OpenEntry(b, epoch)
			if err != nil {
				w.fail("entry: %v", err)
				return
			}
			w.known = append(w.known, opened)
		}
	}
	slices.SortFunc(w.known, func(a, b *overlay.Entry) int { return bytes.Compare(a.Node[:], b.Node[:]) }) // as in the tables: it is quicker
	for _, n := range w.nodes[:started] {
		w.start(n)
	}
	if w.scenario.begin == 0 {
		for _, n := range w.nodes[o.Supernodes:] {
			w.at(time.Duration(w.rand.Int64N(int64(warmUp*3/4))), func() { w.start(n) })
		}
	}
	w.known = nil // who starts later asks the others
}

func (w *world) add(account uint32, addr netip.AddrPort) *node {
	n := &node{index: uint32(len(w.nodes)), account: account, addr: addr, place: w.somewhere()}
	w.nodes = append(w.nodes, n)
	w.alarms.add()
	cert, err := w.trust.Certificate(certify(n.index, account, epoch.AddDate(0, 0, 30)), epoch)
	if err != nil {
		w.fail("certificate: %v", err)
		return n
	}
	n.id = cert.NodeID()
	w.enter(n)
	return n
}

func (w *world) limits(n *node) overlay.Limits {
	// Three quarters of what its processor can do, see measured.
	return overlay.Limits{Clients: w.limit, Invitations: max(float64(w.limit)/80, 1)}
}
