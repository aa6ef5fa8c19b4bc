package sim

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A scenario is what happens to the network, and what it has to stand.
type scenario struct {
	about      string
	nodes      int // unless the options say otherwise
	supernodes int
	duration   time.Duration
	loss       float64
	lookups    time.Duration // of one node, on the average; 0: 10 min
	volunteers float64       // share of the nodes that could be supernodes
	begin      int           // supernodes that there are at first; 0: all
	plan       func(*world)
	judge      func(*world, *Report) []string // what was not as it should be
	more       func(Options) int              // nodes that the scenario adds
}

func (s *scenario) extra(o Options) int {
	if s.more == nil {
		return 0
	}
	return s.more(o)
}

func (s *scenario) play(w *world) {
	if s.plan != nil {
		w.at(warmUp, func() { s.plan(w) })
	}
}

// Scenarios are the names of all scenarios, and what each is about.
func Scenarios() map[string]string {
	about := make(map[string]string)
	for name, s := range scenarios {
		about[name] = s.about
	}
	return about
}

func defaults(o *Options, s scenario) {
	if o.Nodes == 0 {
		o.Nodes = s.nodes
	}
	if o.Supernodes == 0 {
		o.Supernodes = s.supernodes
	}
	if o.Duration == 0 {
		o.Duration = s.duration
	}
	if o.Loss == 0 {
		o.Loss = s.loss
	}
	o.Loss = max(o.Loss, 0)
}

var scenarios map[string]scenario

func init() { // their functions start nodes, which look at the scenario again
	scenarios = map[string]scenario{
		"steady": {
			about: "nobody comes or goes", nodes: 5000, supernodes: 50, duration: 10 * time.Minute,
			judge: all(lookups(0.999), attached(0.999), idle),
		},
		"growth": {
			about: "one supernode becomes thousands", nodes: 2000, supernodes: 200, duration: 20 * time.Minute, begin: 1,
			plan: grow, judge: all(truth, lookups(0.99), finally(0.99)),
		},
		"churn": {
			about: "computers come and go as in the old network, by day and night, and packets are lost", nodes: 5000, supernodes: 100, duration: 6 * time.Hour,
			loss: 0.01, plan: churn, judge: all(lookups(0.999), attached(0.97), membership),
		},
		"partition": {
			about: "a quarter of the world is cut off for five minutes", nodes: 3000, supernodes: 60, duration: 15 * time.Minute,
			plan: divide, judge: all(finally(0.99), lookupsAtLast(0.99), oneNetwork),
		},
		"outage-2007": {
			about: "nearly all computers restart within two minutes and sign in at once", nodes: 5000, supernodes: 50, duration: 10 * time.Minute,
			volunteers: 0.1, plan: restartAll, judge: all(within(5*time.Minute), truth, withinLimits, noneLost),
		},
		"outage-2010": {
			about: "half of the clients crash again and again, and with them more than a quarter of the supernodes", nodes: 5000, supernodes: 50,
			duration: 10 * time.Minute, volunteers: 0.1, plan: crashHalf, judge: outage2010, lookups: 2 * time.Minute,
		},
		"flash-crowd": {
			about: "as many new users as there are old ones come within a minute, knowing the first supernodes only", nodes: 3000, supernodes: 60,
			duration: 10 * time.Minute, volunteers: 0.2, plan: crowd, judge: all(finally(0.99), lookups(0.99), noneLost),
			more: func(o Options) int { return o.Nodes / 2 },
		},
		"liars": {
			about: "a tenth of the supernodes withhold records or say that there are none", nodes: 3000, supernodes: 60, duration: 10 * time.Minute,
			plan: liars, judge: all(truth, lookups(0.999)), lookups: 2 * time.Minute,
		},
		"sybil": {
			about: "whoever owns a twentieth of all devices runs those that suit him as supernodes, to draw one slot", nodes: 3000, supernodes: 60,
			duration: 10 * time.Minute, plan: sybil, judge: all(truth, lookups(0.999), seats), lookups: 2 * time.Minute,
			more: func(o Options) int { return o.Nodes / 10 },
		},
		"authority-down": {
			about: "the login servers are away: nobody can sign in anew, and all else goes on", nodes: 3000, supernodes: 60, duration: 10 * time.Minute,
			plan: authorityDown, judge: all(lookups(0.999), finally(0.99)),
		},
	}
}

// crash ends a supernode without a word; it comes back after a while.
func (w *world) crash(n *node, away time.Duration) {
	w.stop(n, false)
	w.at(away, func() { w.start(n) })
}

// grow starts supernodes ever faster, and clients as there is room for them.
func grow(w *world) {
	waiting := w.nodes[1:w.o.Supernodes]
	clients := w.nodes[w.o.Supernodes:]
	end := int64(w.o.Duration) * 3 / 4
	start := w.now
	w.every(time.Second, func() {
		share := float64(w.now-start) / float64(end)
		goal := int(share * share * float64(w.o.Supernodes))
		for len(waiting) > 0 && w.o.Supernodes-len(waiting) < goal {
			w.hosts = append(w.hosts, w.hosts[0])
			w.start(waiting[0])
			waiting = waiting[1:]
		}
		for len(clients) > 0 && w.o.Nodes-len(clients) < int(share*share*float64(w.o.Nodes)*0.9) {
			w.start(clients[0])
			clients = clients[1:]
		}
	})
}

func churn(w *world) {
	var supernode, client func(*node)
	supernode = func(n *node) {
		w.stop(n, w.rand.IntN(2) == 0)
		w.at(time.Duration(w.rand.ExpFloat64()*float64(20*time.Minute)), func() {
			w.start(n)
			w.at(w.supernodeSession(), func() { supernode(n) })
		})
	}
	client = func(n *node) {
		w.stop(n, w.rand.IntN(2) == 0)
		w.at(w.clientAbsence(), func() {
			w.start(n)
			w.at(w.clientSession(), func() { client(n) })
		})
	}
	for _, n := range w.nodes[:w.o.Supernodes] {
		w.at(w.supernodeRest(), func() { supernode(n) })
	}
	for _, n := range w.nodes[w.o.Supernodes:] {
		w.at(w.clientRest(), func() { client(n) })
	}
}

// divide cuts off a quarter of all nodes, chosen by their addresses.
func divide(w *world) {
	w.hit()
	far := func(n *node) bool { return n.index%4 == 0 }
	w.cut = func(a, b *node) bool { return far(a) != far(b) }
	w.at(5*time.Minute, func() {
		w.cut = nil
		w.lookups = lookupCount{from: w.now + int64(2*time.Minute)} // meanwhile nobody could find the other half
	})
}

// hit notes the moment from which recovery counts.
func (w *world) hit() { w.blow = w.now }

// perCore is how many clients a core can serve that has to take them all back
// within minutes: what memory holds is more.
const perCore = 30_000

// measured sets the processors of supernodes to what was measured: one core
// attaches 500 clients a second, and has to hold perCore of them. A client of the
// run therefore stands for as many as that is more than the limit; what
// passes between supernodes stands for itself.
func (w *world) measured() {
	w.handshake = measuredHandshake * perCore / int64(w.limit)
	for _, n := range w.nodes {
		if n.serves() {
			n.processor = w.handshake
		}
	}
}

// restartAll is August 2007: 95 % of all computers, supernodes among them,
// restart within two minutes. A tenth of those supernodes stays away, and 30 %
// of the clients have to renew their certificates first.
func restartAll(w *world) {
	w.measured()
	w.hit()
	for _, n := range w.nodes {
		if !n.up() || w.rand.Float64() >= 0.95 {
			continue
		}
		boot := time.Minute + time.Duration(w.rand.Int64N(int64(30*time.Second)))
		if n.supernode && w.rand.Float64() < 0.1 {
			boot = time.Hour
		}
		renews := !n.supernode && w.rand.Float64() < 0.3
		w.at(time.Duration(w.rand.Int64N(int64(2*time.Minute))), func() {
			w.stop(n, false)
			w.at(boot, func() {
				if renews {
					w.online(n, 1) // it wants to sign in, and counts from now
					w.login(n, 0)
				} else {
					w.start(n)
				}
			})
		})
	}
}

// loginsPerSecond is what a login server does on one core, as measured.
const loginsPerSecond = 426

// login renews a certificate first. Who is not served within ten seconds tries
// again, later each time.
func (w *world) login(n *node, try int) {
	w.loginBusy = max(w.loginBusy, w.now)
	wait := w.loginBusy - w.now
	if wait > int64(10*time.Second) || w.authorityDown {
		pause := time.Second << min(try, 8)
		if w.o.Naive {
			pause = time.Second
			w.loginBusy += int64(time.Second) / loginsPerSecond / 4 // refusing costs something, too
		}
		w.at(pause/2+time.Duration(w.rand.Int64N(int64(pause))), func() { w.login(n, try+1) })
		return
	}
	w.loginBusy += int64(time.Second) / loginsPerSecond
	w.at(time.Duration(wait)+200*time.Millisecond, func() {
		w.online(n, -1)
		w.start(n)
	})
}

// crashHalf is December 2010: one version of the client crashes, starts again
// and crashes again for half an hour; 28 % of the supernodes go with it.
func crashHalf(w *world) {
	w.measured()
	w.hit()
	for _, n := range w.nodes[:w.o.Supernodes] {
		if w.rand.Float64() < cmp.Or(w.o.Gone, 0.28) {
			w.crash(n, time.Hour)
		}
	}
	var loop func(n *node)
	loop = func(n *node) {
		if n.up() && !n.serves() {
			w.stop(n, false)
			w.at(30*time.Second+time.Duration(w.rand.Int64N(int64(time.Minute))), func() {
				n.doomed = true // no surviving client: it is not counted
				w.start(n)
				w.at(10*time.Second+time.Duration(w.rand.Int64N(int64(20*time.Second))), func() { loop(n) })
			})
		}
	}
	for _, n := range w.nodes[w.o.Supernodes:] {
		if w.rand.IntN(2) == 0 {
			w.at(time.Duration(w.rand.Int64N(int64(20*time.Second))), func() { loop(n) })
		}
	}
}

func crowd(w *world) {
	w.measured()
	w.hit()
	for range w.o.Nodes / 2 {
		n := w.add(uint32(len(w.nodes)), addrOf(uint32(len(w.nodes))))
		n.volunteer = w.rand.Float64() < w.scenario.volunteers
		w.at(time.Duration(w.rand.Int64N(int64(time.Minute))), func() { w.start(n) })
	}
}

// liars answer nothing about records, or that there are none.
func liars(w *world) {
	for _, n := range w.nodes[:w.o.Supernodes] {
		n.liar = w.rand.IntN(10) == 0
	}
	w.lie = func(n *node, msg message.Message) message.Message {
		if result, ok := msg.(*message.SearchResult); ok {
			if w.rand.IntN(2) == 0 {
				return nil
			}
			return &message.SearchResult{Done: result.Done, Absent: result.Absent}
		}
		return msg
	}
}

func authorityDown(w *world) {
	w.authorityDown = true
	for i, n := range w.nodes[w.o.Supernodes:] {
		if i%10 == 0 { // some restart, and come back with the certificates that they have
			w.at(time.Duration(w.rand.Int64N(int64(w.o.Duration/2))), func() {
				w.stop(n, false)
				w.at(30*time.Second, func() { w.start(n) })
			})
		}
	}
}

// sybil: an attacker owns a twentieth of all devices and sees their NodeIDs. He
// runs the twenty that score highest in the slot of his victim. There are two of
// them: one has one account all over the world, the other many accounts in one
// network. What they run lies.
func sybil(w *world) {
	liars(w)
	for _, n := range w.nodes {
		n.liar = false
	}
	own := make([]*node, 0, w.o.Nodes/10)
	for range w.o.Nodes / 10 {
		i := uint32(len(w.nodes))
		account, addr := uint32(1_000_000), addrOf(i)
		if i%2 == 0 {
			account, addr = 2_000_000+i, netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + i/2)}), uint16(1024+i%50_000))
		}
		own = append(own, w.add(account, addr))
	}
	for kind := range 2 {
		victim := w.somebody()
		slot := overlay.SlotOf(accountName(victim.account))
		w.targets = append(w.targets, slot)
		var list []*node
		for _, n := range own {
			if int(n.index%2) == kind {
				list = append(list, n)
			}
		}
		slices.SortFunc(list, func(a, b *node) int { return cmp.Compare(overlay.Score(slot, b.id), overlay.Score(slot, a.id)) })
		for _, n := range list[:min(20, len(list))] {
			n.supernode, n.volunteer, n.liar = true, true, true
			w.start(n)
		}
		w.every(time.Second, func() { w.lookUpOf(victim) })
	}
	w.every(10*time.Second, func() {
		n := w.nodes[w.rand.IntN(w.o.Supernodes)]
		for slot := range overlay.Slot(overlay.SlotCount) { // whatever he wanted
			var held [2]int
			for _, m := range n.machine.Members(slot) {
				if x := w.find(m); x.liar {
					held[x.index%2]++
				}
			}
			w.seized = max(w.seized, held[0], held[1])
		}
	})
}
