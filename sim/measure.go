package sim

import (
	"reflect"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/wire/message"
)

// What travels besides a command: IP and UDP headers, the D frame, counter and
// tag; and the acknowledgement of a request and its reply.
const (
	packetBytes = 28 + 7 + 24
	ackBytes    = packetBytes + 13
	helloBytes  = 28 + 400
)

// measure is what is counted during a run, once the warm-up is over.
type measure struct {
	events     int64
	publishing []uint32 // clients that publish: whom to look up
	lookups    lookupCount

	clientBytes, memberBytes int64
	searchBytes              int64 // of clientBytes
	sizes                    map[reflect.Type]*size
	searches                 int64 // messages of lookups

	series    []sample
	deaths    []*death
	detected  []time.Duration
	told      []time.Duration
	loads     []int // of supernodes, in the last sample
	loadMax   int
	loadSum   int64
	loadCount int64
	loadP99   int
	attachMin float64
	blow      int64         // when that came; 0: there is none
	recovered time.Duration // when fewer than 99 % were attached for the last time, after the blow
}

type size struct{ sent, seen, bytes int64 }

// A death is a supernode that crashed and of which others have to find out.
type death struct {
	node    *node
	at      int64
	noticed bool
	next    int // the first node that may still believe in it
}

// A sample is a point of the report's charts.
type sample struct {
	at              time.Duration
	up, supernodes  int
	attached        float64
	load, loadMax   float64 // of the limit
	lookups, failed int
	promotions      int
}

type lookupCount struct {
	from                       int64 // those that began before do not count
	count, success, wrong, cut int   // wrong: an answer that is not true; cut: the asker went away meanwhile
	windowCount, windowFailed  int
	took                       []float64 // milliseconds
	trips                      [8]int    // lookups that took so many round trips; the last: or more
}

func (c *lookupCount) abandoned(looking) { c.cut++ }

// sized counts a command; of each kind some are measured, the others are as long as those.
func (w *world) sized(from, to *node, msg message.Message, reply bool) {
	t := reflect.TypeOf(msg)
	s := w.sizes[t]
	if s == nil {
		if w.sizes == nil {
			w.sizes = make(map[reflect.Type]*size)
		}
		s = new(size)
		w.sizes[t] = s
	}
	if s.sent++; s.sent <= 64 || s.sent&63 == 0 {
		s.seen++
		s.bytes += int64(len(message.Append(nil, message.Command{ID: 1, Body: msg})))
	}
	n := int(s.bytes/s.seen) + packetBytes + signed(msg)*realBytes
	if reply {
		n += ackBytes
	}
	switch msg.(type) {
	case *message.Search, *message.SearchResult:
		w.searches++
		w.searchBytes += w.ofClients(from, to, n)
	case *message.Ping, *message.PingRequest, *message.Pong, *message.Rumours, *message.Digest, *message.Differ:
		if w.warm() {
			w.memberBytes += int64(n)
		}
	}
	w.bytes(from, to, n)
}

// realBytes is what something signed is longer than here: its certificate has 203
// bytes where a simulated one has 20, its signature 64 and not 8.
const realBytes = 203 - 20 + 64 - 8

// signed is how much that is signed and comes with its certificate travels in a message.
func signed(msg message.Message) (n int) {
	rumours := func(list []message.Rumour) {
		for _, r := range list {
			if r.Entry != nil {
				n++
			}
		}
	}
	switch msg := msg.(type) {
	case *message.StoreRecord:
		return 1
	case *message.SearchResult:
		return len(msg.Hits) + len(msg.Absent)
	case *message.SlotInfo:
		return len(msg.Entries)
	case *message.ProbeRefused:
		return len(msg.Entries)
	case *message.Attached:
		return len(msg.Entries)
	case *message.AttachRefused:
		return len(msg.Entries)
	case *message.Detach:
		return len(msg.Entries)
	case *message.Ping:
		rumours(msg.Updates)
	case *message.Pong:
		rumours(msg.Updates)
	case *message.Rumours:
		rumours(msg.Updates)
	case *message.Differ:
		rumours(msg.Updates)
	}
	return n
}

func (w *world) warm() bool { return w.now >= int64(warmUp) }

func (w *world) bytes(from, to *node, n int) { w.clientBytes += w.ofClients(from, to, n) }

// ofClients is what of so many bytes clients send or receive.
func (w *world) ofClients(from, to *node, n int) (sum int64) {
	if !w.warm() {
		return 0
	}
	for _, x := range [2]*node{from, to} {
		if !x.serves() {
			sum += int64(n)
		}
	}
	return sum
}

// online counts the nodes that should be attached.
func (w *world) online(n *node, by int) { w.up += by }

// reachable notes somebody whom others may look up.
func (w *world) reachable(n *node) { w.publishing = append(w.publishing, n.index) }

// somebody picks one who can be found: who is online and has been for a while.
func (w *world) somebody() *node {
	for range 20 {
		if len(w.publishing) == 0 {
			return nil
		}
		i := w.rand.IntN(len(w.publishing))
		n := w.nodes[w.publishing[i]]
		if n.up() && n.online > 0 && !n.serves() {
			if w.now-n.online > int64(5*time.Second) {
				return n
			}
			continue
		}
		w.publishing[i] = w.publishing[len(w.publishing)-1]
		w.publishing = w.publishing[:len(w.publishing)-1]
	}
	return nil
}

// lookUp lets somebody look somebody up.
func (w *world) lookUp() {
	if target := w.somebody(); target != nil {
		w.lookUpOf(target)
	}
}

func (w *world) lookUpOf(target *node) {
	asker := w.somebody()
	if asker == nil || asker == target || !target.up() || target.doomed {
		return
	}
	w.legs = 0
	id := asker.client.Lookup(w.time(), accountName(target.account), false)
	asker.looking = append(asker.looking, looking{id, target.index, w.now})
	w.pump(asker)
}

func (w *world) found(n *node, f directory.Found) {
	i := slices.IndexFunc(n.looking, func(l looking) bool { return l.id == f.Lookup })
	if i < 0 {
		return
	}
	l := n.looking[i]
	n.looking = slices.Delete(n.looking, i, i+1)
	target := w.nodes[l.target]
	if !target.up() || target.links == 0 || target.serves() || n.doomed || l.since < w.lookups.from {
		w.lookups.cut++ // he went away meanwhile: there is no right answer
		return
	}
	c := &w.lookups
	c.count++
	c.windowCount++
	good := false
	for _, r := range f.Records {
		if r.Node() != target.id {
			c.wrong++
			w.fail("a record of %s was believed to be %s's", r.Node().Short(), f.User)
		}
		good = good || r.Reachable(w.time()) && slices.ContainsFunc(target.machine.Attachments(), func(node linnet.NodeID) bool { return slices.Contains(r.Location.Supernodes, node) })
	}
	if f.Err == directory.ErrNotFound {
		c.wrong++
	}
	if !good {
		c.windowFailed++
		return
	}
	c.success++
	c.trips[min(int(w.legs+1)/2, len(c.trips)-1)]++
	took := w.now - l.since
	if len(c.took) < 1_000_000 {
		c.took = append(c.took, float64(took)/1e6)
	}
}

// died begins to watch how others find out about the death of a supernode.
func (w *world) died(n *node) {
	if w.warm() && len(w.deaths) < max(8, min(64, 64_000/w.o.Supernodes)) {
		w.deaths = append(w.deaths, &death{node: n, at: w.now})
	}
}

func (w *world) watchDeaths() {
	w.deaths = slices.DeleteFunc(w.deaths, func(d *death) bool {
		if d.node.up() {
			return true
		}
		believes := func(n *node) bool { return n.serves() && n.up() && n.machine.IsSupernode(d.node.id) }
		if !d.noticed && slices.ContainsFunc(w.nodes[:w.o.Supernodes], func(n *node) bool { return n.serves() && !believes(n) }) {
			d.noticed = true
			w.detected = append(w.detected, time.Duration(w.now-d.at))
		}
		if !d.noticed {
			return false
		}
		for d.next < w.o.Supernodes && !believes(w.nodes[d.next]) {
			d.next++
		}
		if d.next < w.o.Supernodes {
			return w.now-d.at > int64(5*time.Minute) // cut off by a partition
		}
		w.told = append(w.told, time.Duration(w.now-d.at))
		return true
	})
}

// sampling plans what is looked at regularly.
func (w *world) sampling() {
	w.attachMin = 1
	pause := max(time.Second, w.o.Duration/300)
	w.every(500*time.Millisecond, w.watchDeaths)
	w.every(time.Second, w.everySecond)
	w.every(pause, w.sample)
	per := w.scenario.lookups
	if per == 0 {
		per = 10 * time.Minute
	}
	gap := max(per/time.Duration(w.o.Nodes), time.Microsecond)
	w.at(warmUp, func() { w.every(gap, w.lookUp) })
}

// everySecond looks after processors and recovery.
func (w *world) everySecond() {
	if w.handshake > 0 {
		for _, n := range w.nodes {
			if !n.up() || n.processor == 0 {
				continue
			}
			n.machine.Strain(w.time(), int(n.used/int64(10*time.Millisecond)))
			n.used = 0
			behind := n.ahead-w.now >= maxBacklog || n.machine.Clients() > 2*w.limit
			switch {
			case !behind:
				n.overdue = 0
			case n.overdue == 0:
				n.overdue = w.now
			case w.now-n.overdue > int64(15*time.Second):
				w.lost++ // it gave up, as those of the old network did
				w.crash(n, time.Hour)
			}
		}
	}
	f := w.fraction()
	if w.warm() {
		w.attachMin = min(w.attachMin, f)
	}
	if w.blow > 0 && f < 0.99 {
		w.recovered = time.Duration(w.now - w.blow)
	}
}

func (w *world) fraction() float64 {
	if w.up == 0 {
		return 1
	}
	return float64(w.attached) / float64(w.up)
}

// sample takes a point for the charts, and what the summary says of load.
func (w *world) sample() {
	s := sample{at: time.Duration(w.now), up: w.up, supernodes: w.supernodes, attached: w.fraction(), lookups: w.lookups.windowCount, failed: w.lookups.windowFailed, promotions: w.promotions}
	w.lookups.windowCount, w.lookups.windowFailed = 0, 0
	w.loads = w.loads[:0]
	sum := 0
	for _, n := range w.nodes {
		if n.up() && n.serves() {
			c := n.machine.Clients()
			w.loads = append(w.loads, c)
			sum += c
		}
	}
	if len(w.loads) > 0 {
		slices.Sort(w.loads)
		s.load = float64(sum) / float64(len(w.loads)) / float64(w.limit)
		most := w.loads[len(w.loads)-1]
		s.loadMax = float64(most) / float64(w.limit)
		if w.warm() {
			w.loadMax = max(w.loadMax, most)
			w.loadP99 = max(w.loadP99, w.loads[len(w.loads)*99/100])
			w.loadSum += int64(sum)
			w.loadCount += int64(len(w.loads))
		}
	}
	w.series = append(w.series, s)
}
