package overlay

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// The pace of SWIM. A death is noticed at most period + pingWait + helpWait +
// suspicion = 8.5 s later by somebody who gets answers in time, and by everybody
// else the few moments later that the suspicion took to reach them.
const (
	period     = 2 * time.Second
	successors = 3 // in the order of ids, pinged in every period
	strays     = 1 // others, at random
	pingWait   = 500 * time.Millisecond
	helpers    = 3
	helpWait   = time.Second
	doubts     = 5 // periods, at most, in which others are heard but none answers in time

	introduced   = 2  // supernodes that one that joins greets at once
	piggyback    = 3  // rumours on a ping: more would not fit a datagram
	mentions     = 3  // pings that a rumour travels with, besides what blocks are told
	maxRumours   = 64 // in one message
	maxHelped    = 256
	maxNews      = 1024
	samples      = 32 // in a large network the successors, and the strays of a minute
	refutePause  = time.Second
	digestPause  = 10 * time.Second
	strangerWait = 10 * time.Second

	joinFirst = 2 * time.Second
	joinMost  = time.Minute
)

type swim struct {
	seq       uint32
	pings     map[linnet.NodeID]ping
	prompt    time.Time         // when the latest ping was sent that was answered within pingWait
	heard     time.Time         // when another supernode was, whatever it said
	helped    map[uint32]helped // pings for others
	sampled   []linnet.NodeID   // whose load is counted, the latest last
	news      []news            // for pings
	toAll     []linnet.NodeID   // for all blocks, and for this one
	toBlock   []linnet.NodeID
	gathering bool
	refuted   time.Time
	greeted   Bucket // answers to supernodes that this one does not know
	pages     Bucket // of digests
}

type ping struct {
	seq    uint32
	sent   time.Time
	sample bool  // the answer counts for the mean load
	until  Token // of its alarm: nearly all are answered, and nobody is to wake for them
}

type helped struct {
	asker  linnet.NodeID
	target linnet.NodeID
	seq    uint32
}

// news is a member that is to be told of.
type news struct {
	node linnet.NodeID
	told int // times
}

func (m *Machine) startSwim(now time.Time) {
	m.swim.pings = make(map[linnet.NodeID]ping)
	m.swim.helped = make(map[uint32]helped)
	m.swim.seq = m.o.Rand.Uint32()
	m.whileServing(now, m.jitter(period/2), m.round)
	m.whileServing(now, m.jitter(digestPause), m.compare)
	m.whileServing(now, m.jitter(strangerWait), m.greetStranger)
	m.whileServing(now, time.Minute, m.sweepMembers)
}

// join greets supernodes until one is known. Who is the first of its network
// goes on asking, ever more rarely, and serves meanwhile.
func (m *Machine) join(now time.Time, wait time.Duration) {
	if m.table.serving > 1 {
		return
	}
	for _, node := range pick(m.o.Rand, introduced, m.strangers()) {
		m.greet(now, node)
	}
	m.whileServing(now, m.jitter(wait), func(now time.Time) { m.join(now, min(2*wait, joinMost)) })
}

// strangers are supernodes that there are or were, and that do not count here:
// the dead, and first supernodes and hosts that this one lost sight of.
func (m *Machine) strangers() []linnet.NodeID {
	var nodes []linnet.NodeID
	for i := range m.table.members {
		if x := &m.table.members[i]; x.state == Dead {
			nodes = append(nodes, x.node)
		}
	}
	unknown := func(h *cachedHost) {
		if m.table.get(h.Node) == nil {
			nodes = append(nodes, h.Node)
		}
	}
	for _, h := range m.hosts.hosts {
		unknown(h)
	}
	for _, h := range m.bootstrap {
		if m.hosts.get(h.Node) == nil {
			unknown(h)
		}
	}
	return nodes
}

// greet introduces this supernode to another one, tells it what is believed of
// it here, and asks for what it knows.
func (m *Machine) greet(_ time.Time, node linnet.NodeID) {
	updates := []message.Rumour{m.self().introduction()}
	if x := m.table.get(node); x != nil {
		updates = append(updates, x.rumour())
	}
	m.emit(Send{node, &message.Rumours{Updates: updates}})
	m.emit(Send{node, m.digest(time.Time{})})
}

// greetStranger heals networks that were divided, or began in two places. A
// first supernode that left may be back and know nobody but the others that all
// nodes begin with.
func (m *Machine) greetStranger(now time.Time) {
	nodes := m.strangers()
	for _, h := range m.bootstrap {
		if x := m.table.get(h.Node); x != nil && x.state == Left {
			nodes = append(nodes, h.Node)
		}
	}
	for _, node := range pick(m.o.Rand, 1, nodes) {
		m.greet(now, node)
	}
	m.whileServing(now, m.jitter(strangerWait), m.greetStranger)
}

// round pings the successors and a stray. Fixed successors bound the time until
// a death is noticed, which chance alone does not.
func (m *Machine) round(now time.Time) {
	targets := m.successors()
	for _, x := range m.table.random(m.o.Rand, strays, func(x *member) bool { return m.isOther(x) && !slices.Contains(targets, x.node) }) {
		targets = append(targets, x.node)
	}
	for _, node := range targets {
		m.ping(now, node, true)
	}
	m.whileServing(now, period, m.round)
}

func (m *Machine) successors() []linnet.NodeID {
	var nodes []linnet.NodeID
	at, _ := m.table.find(m.o.Self.Node)
	all := m.table.members
	for i := 1; i < len(all) && len(nodes) < successors; i++ {
		if x := &all[(at+i)%len(all)]; m.isOther(x) {
			nodes = append(nodes, x.node)
		}
	}
	return nodes
}

// pingSoon looks after a supernode that somebody has reason to doubt. Who those are is
// for others to choose, so their loads are no sample.
func (m *Machine) pingSoon(now time.Time, node linnet.NodeID) {
	if x := m.table.get(node); m.serving() && x != nil && m.isOther(x) {
		m.ping(now, node, false)
	}
}

func (m *Machine) ping(now time.Time, node linnet.NodeID, sample bool) {
	if _, busy := m.swim.pings[node]; busy {
		return
	}
	m.swim.seq++
	p := ping{seq: m.swim.seq, sent: now, sample: sample}
	m.emit(Send{node, m.pingFor(node, p.seq)})
	m.expect(now, node, p, pingWait, func(now time.Time) {
		for _, x := range m.table.random(m.o.Rand, helpers, func(x *member) bool { return m.isOther(x) && x.node != node }) {
			m.emit(Send{x.node, &message.PingRequest{Seq: p.seq, Target: node}})
		}
		m.expect(now, node, p, helpWait, func(now time.Time) { m.overdue(now, node, p, doubts*looks) })
	})
}

// expect waits for the answer to a ping, and then does what is to be done without one.
func (m *Machine) expect(now time.Time, node linnet.NodeID, p ping, wait time.Duration, then func(time.Time)) {
	p.until = m.await(now, node, wait, func(now time.Time, _ message.Message) {
		if m.serving() && m.swim.pings[node].seq == p.seq {
			then(now)
		}
	})
	m.swim.pings[node] = p
}

// overdue suspects who owes an answer. But a supernode that has more to do than
// it can may have that answer among what it did not get to yet, or lost it:
// unless somebody who was pinged no earlier answered in time, it suspects itself
// for a while, and asks again. (After the local health of Dadgar et al.,
// "Lifeguard: Local Health Awareness for More Accurate Failure Detection", 2018.)
func (m *Machine) overdue(now time.Time, node linnet.NodeID, p ping, left int) {
	if left == 0 || m.o.Naive || !m.swim.prompt.Before(p.sent) || m.swim.heard.Before(now.Add(-period)) {
		delete(m.swim.pings, node)
		m.suspect(now, node)
		return
	}
	if left%looks == 0 { // as often as in other rounds, which skip whoever owes an answer
		m.emit(Send{node, m.pingFor(node, p.seq)})
	}
	m.expect(now, node, p, pingWait, func(now time.Time) { m.overdue(now, node, p, left-1) })
}

const looks = int(period / pingWait) // in a period, whether anybody answered

func (m *Machine) pingFor(node linnet.NodeID, seq uint32) *message.Ping {
	return &message.Ping{Seq: seq, Target: node, Updates: m.updatesFor(node)}
}

// receivedSwim takes what only supernodes say to one another. A sender that
// does not count here has to introduce itself before anything else it says is heard.
func (m *Machine) receivedSwim(now time.Time, from linnet.NodeID, msg message.Message) {
	var updates []message.Rumour
	inside := false
	switch msg := msg.(type) {
	case *message.Ping:
		updates = msg.Updates
	case *message.Pong:
		updates = msg.Updates
	case *message.Rumours:
		updates, inside = msg.Updates, msg.Inside
	case *message.Differ:
		updates = msg.Updates
	}
	updates = updates[:min(len(updates), maxRumours)]
	if !m.IsSupernode(from) && !m.introduce(now, from, updates) {
		if ping, ok := msg.(*message.Ping); ok && ping.Target == m.o.Self.Node {
			m.emit(Send{from, &message.Pong{Seq: ping.Seq, Target: ping.Target, Load: m.load(now)}}) // that is true for everybody
		}
		m.receivedStranger(now, from)
		return
	}
	m.swim.heard = now
	var learnt []linnet.NodeID
	for _, r := range updates {
		news, err := m.hear(now, from, r)
		if err != nil {
			return // a forger
		}
		if news {
			learnt = append(learnt, r.Node)
		}
	}
	_, compared := msg.(*message.Differ)
	for _, node := range learnt {
		switch {
		case inside:
			m.tellBlock(now, node)
		case compared && m.passesOn(now):
			m.publish(now, node)
		}
	}
	switch msg := msg.(type) {
	case *message.Ping:
		if msg.Target == m.o.Self.Node {
			m.emit(Send{from, &message.Pong{Seq: msg.Seq, Target: msg.Target, Updates: m.updatesFor(from), Load: m.load(now)}})
		}
	case *message.PingRequest:
		m.help(now, from, msg)
	case *message.Pong:
		m.receivedPong(now, from, msg)
	case *message.Digest:
		m.receivedDigest(now, from, msg)
	case *message.Differ:
		m.receivedDiffer(now, from, msg)
	}
}

// passesOn says whether others are told what came to light here when tables were compared, or
// when somebody came back. In a network that was divided, as in an outage, it comes
// to light at every place at once: in a large one it is enough that a few do.
func (m *Machine) passesOn(now time.Time) bool {
	return m.table.serving <= fewMembers || m.joined(now) && m.o.Rand.IntN(m.table.serving) < fewMembers
}

// joined says that this supernode is no newcomer, who learns what everybody
// knows; what it learns is news to its half of the network, too.
func (m *Machine) joined(now time.Time) bool { return now.Sub(m.since) > settleAfter }

// introduce hears a supernode that does not count here, and says whether it
// does now. All that is heard is who it is, and what it believes of this node:
// in a network that was divided, each half buried the other one.
func (m *Machine) introduce(now time.Time, from linnet.NodeID, updates []message.Rumour) bool {
	for _, r := range updates[:min(len(updates), piggyback)] {
		if r.Node != from && r.Node != m.o.Self.Node {
			continue
		}
		known := m.table.get(r.Node) != nil // then it comes back to others, too
		news, err := m.hear(now, from, r)
		if err != nil {
			return false
		}
		if news && r.Node == from && (!known || m.passesOn(now)) {
			m.publish(now, from)
		}
	}
	return m.IsSupernode(from)
}

// receivedStranger answers one that takes itself for a supernode: it is told
// that it was buried, so that it can refute, or asked who it is.
func (m *Machine) receivedStranger(now time.Time, from linnet.NodeID) {
	if x := m.table.get(from); x != nil && x.state == Left || !m.swim.greeted.Take(now, 10, 50) {
		return
	}
	m.greet(now, from)
}

// help pings a supernode for another one.
func (m *Machine) help(now time.Time, asker linnet.NodeID, msg *message.PingRequest) {
	if x := m.table.get(msg.Target); x == nil || !m.isOther(x) || len(m.swim.helped) >= maxHelped {
		return
	}
	m.swim.seq++
	seq := m.swim.seq
	m.swim.helped[seq] = helped{asker, msg.Target, msg.Seq}
	m.emit(Send{msg.Target, m.pingFor(msg.Target, seq)})
	m.after(now, helpWait, func(time.Time) { delete(m.swim.helped, seq) })
}

// sample counts the load of a supernode instead of the one that told it longest
// ago: in a large network it takes too long to ping all.
func (m *Machine) sample(node linnet.NodeID) {
	s := &m.swim
	s.sampled = slices.DeleteFunc(s.sampled, func(n linnet.NodeID) bool { return n == node })
	if len(s.sampled) == samples {
		s.sampled = slices.Delete(s.sampled, 0, 1)
	}
	s.sampled = append(s.sampled, node)
}

func (m *Machine) receivedPong(now time.Time, from linnet.NodeID, msg *message.Pong) {
	if p, ok := m.swim.pings[msg.Target]; ok && p.seq == msg.Seq {
		m.ended(p.until)
		delete(m.swim.pings, msg.Target)
		if from == msg.Target && now.Sub(p.sent) <= pingWait && p.sent.After(m.swim.prompt) {
			m.swim.prompt = p.sent
		}
		if x := m.table.get(from); from == msg.Target {
			x.rtt = uint16(max(1, min(now.Sub(p.sent)/rttUnit, unmeasured-1)))
			x.load = uint8(min(msg.Load, 200))
			if p.sample {
				m.sample(from)
			}
		}
		return
	}
	if h, ok := m.swim.helped[msg.Seq]; ok && h.target == from && msg.Target == from {
		delete(m.swim.helped, msg.Seq)
		m.emit(Send{h.asker, &message.Pong{Seq: h.seq, Target: h.target}})
	}
}

// mention lets a node travel with the next pings, anew if something newer is
// known of it.
func (m *Machine) mention(node linnet.NodeID) {
	for i := range m.swim.news { // thousands a second in an outage: no call for each
		if m.swim.news[i].node == node {
			m.swim.news = slices.Delete(m.swim.news, i, i+1)
			break
		}
	}
	if len(m.swim.news) < maxNews {
		m.swim.news = append(m.swim.news, news{node: node})
	}
}

// takeNews is what was told least so far, for one listener.
func (m *Machine) takeNews(n int, listener linnet.NodeID) []message.Rumour {
	var updates []message.Rumour
	kept := m.swim.news[:0]
	for i, item := range m.swim.news { // the oldest first, of which all that are told enough go
		if len(updates) >= n {
			kept = append(kept, m.swim.news[i:]...)
			break
		}
		x := m.table.get(item.node)
		if x != nil && item.node != listener {
			updates = append(updates, x.rumour())
			item.told++
		}
		if x != nil && item.told < mentions {
			kept = append(kept, item)
		}
	}
	m.swim.news = kept
	return updates
}

// updatesFor is what travels with a ping: news, and before all what the
// listener has to know of itself, lest it be buried alive.
func (m *Machine) updatesFor(listener linnet.NodeID) []message.Rumour {
	var updates []message.Rumour
	if x := m.table.get(listener); x != nil && x.state == Suspect {
		updates = append(updates, x.rumour())
	}
	return append(updates, m.takeNews(piggyback-len(updates), listener)...)
}
