package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// The pace of attaching. A dead supernode is noticed after at most two checks
// and replaced within the 2 s after that: a probe, a connect and an attach.
const (
	attachments = 2 // supernodes that a node is attached to, of what exists

	defaultKeepAlive = 30 * time.Second
	minKeepAlive     = 15 * time.Second
	maxKeepAlive     = 120 * time.Second
	checkEvery       = 45 * time.Second // a mapping that has to be refreshed sooner is held in between
	checkWait        = time.Second      // for the answer to a keep-alive, twice
	probeSpare       = 1                // hosts asked at once, besides what is missing
	probePause       = 300 * time.Millisecond
	probeWait        = time.Second
	probeMax         = 30 // hosts asked in one round
	refusedMost      = 6  // probes in one round: a network that is full is asked again later
	connectWait      = 5 * time.Second
	attachWait       = 2 * time.Second
	leaveWait        = 5 * time.Second // for another supernode, when the only one said good-bye
	retryFirst       = time.Second
	retryMost        = time.Minute            // where nobody answers: 30 probes
	retryBusy        = 30 * time.Second       // where supernodes answer that they are full: it costs them little
	seekPause        = 500 * time.Millisecond // after a loss: the others that lost the same one seek, too
	refreshHosts     = 30 * time.Minute
	maxEntries       = 16 // that are read of one message
)

// Errors of Offline.
var (
	ErrNoHosts = errors.New("no supernode is known")
	ErrNoHost  = errors.New("no supernode took this node")
)

type linkState uint8

const (
	connecting linkState = iota
	asking
	attached
)

// A link is an attachment, or an attempt at one.
type link struct {
	host       *cachedHost
	state      linkState
	checking   bool
	doubtful   bool   // the last keep-alive was not answered: do not count on it
	leaving    bool   // it said good-bye, and serves until another one does
	supernodes uint32 // in the network, as it said last

	checked uint32          // the last time, in tenths of a second since the machine started
	told    []linnet.NodeID // the others that it was told of
}

// attaching is an ordinary node's half of attachment.
type attaching struct {
	links   []*link // in the order of attachment
	seeking bool    // a round is under way
	round   uint32  // its number: hosts remember in which one they were tried
	planned bool    // a round begins in a moment
	keeping bool    // keepAlive will be called
	short   int     // rounds in a row that did not find enough
	tried   int     // hosts probed in this round
	blind   bool    // in this round, hosts that answered no probe were connected to
	heard   bool    // in this round, a probe was answered: UDP gets through
	refused int     // probes in this round
	probes  map[netip.AddrPort]*cachedHost
	ready   []*cachedHost // said yes and are not needed yet
	next    time.Time     // for the next probes
}

func (a *attaching) find(node linnet.NodeID) *link {
	for _, l := range a.links {
		if l.host.Node == node {
			return l
		}
	}
	return nil
}

// missing is how many supernodes are wanted besides those that serve and those on their way.
func (a *attaching) missing() int {
	n := attachments
	for _, l := range a.links {
		if l.state != attached || !l.doubtful && !l.leaving {
			n--
		}
	}
	return n
}

// probed ends a probe.
func (a *attaching) probed(addr netip.AddrPort) {
	delete(a.probes, addr)
	a.tidy()
}

// tidy keeps no table that is not used: a simulation has a million of these.
func (a *attaching) tidy() {
	if len(a.probes) == 0 && !a.seeking {
		a.probes = nil
	}
}

func (a *attaching) underWay() bool {
	return len(a.probes) > 0 || slices.ContainsFunc(a.links, func(l *link) bool { return l.state != attached })
}

// Attachments are the supernodes that serve this node, best first; a supernode serves itself.
func (m *Machine) Attachments() []linnet.NodeID {
	if m.serving() {
		return []linnet.NodeID{m.o.Self.Node}
	}
	var nodes []linnet.NodeID
	for _, doubtful := range []bool{false, true} {
		for _, l := range m.attach.links {
			if l.state == attached && (l.doubtful || l.leaving) == doubtful {
				nodes = append(nodes, l.host.Node)
			}
		}
	}
	return nodes[:min(len(nodes), message.MaxAttachments)]
}

// Supernodes is how many there are in the network, as far as this node can know.
func (m *Machine) Supernodes() int {
	if m.serving() {
		return m.table.serving
	}
	n := 0
	for _, l := range m.attach.links {
		n = max(n, int(l.supernodes))
	}
	return n
}

// seek begins a round of attaching if one is wanted.
func (m *Machine) seek(now time.Time) {
	a := &m.attach
	if a.seeking || a.missing() <= 0 || m.serving() || m.leaving {
		return
	}
	a.seeking, a.tried, a.blind, a.heard, a.refused, a.ready, a.next = true, 0, false, false, 0, nil, now
	a.round++
	a.probes = make(map[netip.AddrPort]*cachedHost)
	m.step(now)
}

// step goes on with the round: whatever changed, it looks at what is missing.
func (m *Machine) step(now time.Time) {
	a := &m.attach
	if !a.seeking {
		return
	}
	for a.missing() > 0 && len(a.ready) > 0 {
		h := a.ready[0]
		a.ready = a.ready[1:]
		m.connect(now, h)
	}
	if a.missing() <= 0 {
		if !slices.ContainsFunc(a.links, func(l *link) bool { return l.state != attached }) {
			a.seeking, a.short = false, 0
			a.tidy()
		}
		return
	}
	if now.Before(a.next) || m.probe(now) {
		return // step is called again at a.next
	}
	if a.underWay() {
		return
	}
	if !a.blind && !a.heard {
		// Where UDP is blocked no probe is ever answered; a session's ladder gets through.
		a.blind = true
		for range a.missing() {
			if h := m.candidate(now, func(h *cachedHost) bool { return true }); h != nil {
				m.connect(now, h)
			}
		}
		if a.underWay() {
			return
		}
	}
	m.retry(now)
}

// probe asks the next few hosts, if there are any.
func (m *Machine) probe(now time.Time) (asked bool) {
	a := &m.attach
	round := a.round
	if a.refused >= refusedMost && !m.o.Naive {
		return false
	}
	for range min(a.missing()+probeSpare, probeMax-a.tried) { // each that says yes keeps a place for this node
		h := m.candidate(now, func(h *cachedHost) bool { return h.round != round && a.probes[h.Addrs[0]] == nil })
		if h == nil {
			break
		}
		asked = true
		h.round = round
		a.tried++
		addr := h.Addrs[0]
		a.probes[addr] = h
		m.emit(Probe{addr})
		m.after(now, probeWait, func(now time.Time) {
			if a.round == round && a.probes[addr] == h {
				a.probed(addr)
				h.failed()
				m.step(now)
			}
		})
	}
	if asked {
		a.next = now.Add(probePause)
		m.after(now, probePause, m.step)
	}
	return asked
}

// Probed tells the answer to a Probe: ProbeAccepted means that the supernode
// takes clients, ProbeRefused that it does not and may name others; nil is none.
func (m *Machine) Probed(now time.Time, addr netip.AddrPort, rtt time.Duration, answer message.Message) {
	a := &m.attach
	h := a.probes[addr]
	if h == nil {
		return
	}
	a.probed(addr)
	a.heard = a.heard || answer != nil
	h.rtt = uint32(max(1, min(rtt.Microseconds(), math.MaxUint32)))
	switch answer := answer.(type) {
	case *message.ProbeAccepted:
		a.ready = append(a.ready, h)
	case *message.ProbeRefused:
		a.refused++
		m.redirected(now, answer.Entries[:min(len(answer.Entries), namedToProber)])
	}
	m.step(now)
}

// redirected prefers the supernodes that one without room named.
func (m *Machine) redirected(now time.Time, entries [][]byte) {
	for _, b := range entries[:min(len(entries), maxEntries)] {
		e, err := m.o.Trust.OpenEntry(b, now)
		if err != nil {
			return
		}
		if e.Serves() {
			m.learnHost(now, e.host)
			if h := m.hosts.get(e.Node); h != nil {
				h.named = m.attach.round
			}
		}
	}
}

// candidate is the best host that is in no link and that fits. A little chance
// keeps a crowd of clients from all choosing the same one, and another network
// than that of the first attachment is worth a detour.
func (m *Machine) candidate(now time.Time, fits func(*cachedHost) bool) *cachedHost {
	var best *cachedHost
	var bestScore float64
	consider := func(h *cachedHost) {
		if m.attach.find(h.Node) != nil || !fits(h) {
			return
		}
		score := h.score(now) + 20*m.o.Rand.Float64()
		if h.named == m.attach.round {
			score += redirection
		}
		for _, l := range m.attach.links {
			if widely(h.Addrs[0].Addr()).Contains(l.host.Addrs[0].Addr()) {
				score -= 30
			}
		}
		if best == nil || score > bestScore {
			best, bestScore = h, score
		}
	}
	for _, h := range m.hosts.hosts {
		consider(h)
	}
	for _, h := range m.bootstrap {
		if m.hosts.get(h.Node) == nil {
			consider(h)
		}
	}
	return best
}

// redirection is what it counts that a supernode without room named a host.
const redirection = 60

func (m *Machine) connect(now time.Time, h *cachedHost) {
	if m.attach.find(h.Node) != nil {
		return
	}
	l := &link{host: h}
	m.attach.links = append(m.attach.links, l)
	if _, up := m.sessions[h.Node]; up {
		m.askAttach(now, l)
		return
	}
	m.emit(Connect{*h.Host})
	m.after(now, connectWait, func(now time.Time) {
		if l.state == connecting {
			m.lost(now, l)
		}
	})
}

// connected goes on with a link when its session stands.
func (m *Machine) connected(now time.Time, node linnet.NodeID) {
	if l := m.attach.find(node); l != nil && l.state == connecting {
		m.askAttach(now, l)
	}
}

func (m *Machine) askAttach(now time.Time, l *link) {
	l.state = asking
	l.told = m.others(l)
	ask := &message.Attach{
		Uptime: uint32(now.Sub(m.started) / time.Second),
		Node:   binary.BigEndian.Uint64(m.o.Self.Node[:]),
		Others: l.told,
		Able:   m.able(now),
	}
	if len(m.o.Addrs) > 0 {
		ask.Port = uint32(m.o.Addrs[0].Port())
	}
	m.request(now, l.host.Node, ask, attachWait, func(now time.Time, reply message.Message) {
		if !slices.Contains(m.attach.links, l) {
			return
		}
		switch reply := reply.(type) {
		case *message.Attached:
			m.learnEntries(now, reply.Entries)
			l.supernodes = reply.Supernodes
			m.served(now, l, reply.You)
		case *message.AttachRefused:
			m.redirected(now, reply.Entries)
			l.host.round = m.attach.round // full is no failure, but not to be asked again at once
			m.drop(now, l)
		default:
			m.lost(now, l)
		}
	})
}

// served notes that a supernode took this node.
func (m *Machine) served(now time.Time, l *link, you netip.AddrPort) {
	l.state, l.checked = attached, m.tenths(now)
	m.seen = you
	m.planDial(now)
	m.hosts.add(now, l.host.Host)
	m.hosts.succeeded(now, l.host.Node)
	if h := m.hosts.get(l.host.Node); h != nil {
		l.host = h
	}
	m.hostsChanged(now)
	m.emit(Attached{l.host.Node, you})
	for _, old := range slices.Clone(m.attach.links) {
		if old.leaving {
			m.drop(now, old)
		}
	}
	m.tellOthers(now)
	if !m.attach.keeping {
		m.attach.keeping = true
		m.after(now, m.keepAlivePause(), m.keepAlive)
	}
	m.refresh(now, l)
	m.trim(now)
	m.step(now)
}

// refresh asks for more hosts, now and then.
func (m *Machine) refresh(now time.Time, l *link) {
	if !slices.Contains(m.attach.links, l) {
		return
	}
	m.askHosts(now, l)
	m.after(now, m.jitter(refreshHosts), func(now time.Time) { m.refresh(now, l) })
}

func (m *Machine) askHosts(now time.Time, l *link) {
	m.request(now, l.host.Node, &message.AskSupernodes{Slots: maxEntries, Max: 1}, attachWait, func(now time.Time, reply message.Message) {
		if info, ok := reply.(*message.SlotInfo); ok {
			m.learnEntries(now, info.Entries)
		}
	})
}

// keepAlive asks one supernode whether it is there, and holds the mapping to the
// other one. They take turns, so that the death of both is noticed as soon as if each
// was asked every time.
func (m *Machine) keepAlive(now time.Time) {
	var longest *link // not asked
	for _, l := range m.attach.links {
		if l.state == attached && (longest == nil || l.checked < longest.checked) {
			longest = l
		}
	}
	m.attach.keeping = longest != nil
	if !m.attach.keeping {
		return
	}
	for _, l := range slices.Clone(m.attach.links) {
		switch {
		case l.state != attached:
		case l == longest, m.tenths(now)-l.checked >= uint32(checkEvery/tenth):
			m.check(now, l, linnet.NodeID{})
		default:
			m.emit(Hold{l.host.Node})
		}
	}
	m.after(now, m.keepAlivePause(), m.keepAlive)
}

// SetKeepAlive tells how long the mapping to a supernode lives, once that is known.
func (m *Machine) SetKeepAlive(d time.Duration) {
	m.o.KeepAlive = min(max(d, minKeepAlive), maxKeepAlive)
}

// keepAlivePause is a little less, and never the same, lest the clients that one
// supernode took after the death of another one all speak at the same time.
func (m *Machine) keepAlivePause() time.Duration {
	return m.o.KeepAlive - time.Duration(m.o.Rand.Int64N(int64(m.o.KeepAlive/10)))
}

// check asks a supernode whether it is there; two unanswered checks in a row
// are its end, and after the first one already another is looked for.
func (m *Machine) check(now time.Time, l *link, dead linnet.NodeID) {
	if l.checking || l.state != attached {
		return
	}
	l.checking, l.checked, l.told = true, m.tenths(now), m.others(l)
	watched := m.nextWatched()
	ask := &message.KeepAlive{PeerDown: dead, Others: l.told, Able: m.able(now), Watch: watched}
	m.request(now, l.host.Node, ask, checkWait, func(now time.Time, reply message.Message) {
		l.checking = false
		if _, ok := reply.(*message.KeepAliveAck); !ok {
			m.watched = append(watched, m.watched...)
		}
		if !slices.Contains(m.attach.links, l) {
			return
		}
		ack, ok := reply.(*message.KeepAliveAck)
		_, refused := reply.(*message.Failure)
		switch {
		case refused:
			m.drop(now, l) // it is alive and forgot this node: it was restarted
		case ok:
			l.doubtful, l.supernodes = false, ack.Supernodes
			m.hosts.succeeded(now, l.host.Node)
			m.trim(now)
			if m.attach.missing() > 0 && int(ack.Supernodes) > len(m.attach.links) {
				m.askHosts(now, l) // some may be newer than what this node knows
			}
			m.seek(now)
			m.tellOthers(now)
		case l.doubtful:
			m.lost(now, l)
		default:
			l.doubtful = true
			m.attach.short = 0
			m.check(now, l, dead)
			m.seek(now)
		}
	})
}

// tellOthers lets each supernode know which others there are now: it watches
// over them and reports their death.
func (m *Machine) tellOthers(now time.Time) {
	for _, l := range slices.Clone(m.attach.links) {
		if l.state == attached && !slices.Equal(l.told, m.others(l)) {
			m.check(now, l, linnet.NodeID{})
		}
	}
}

// others are the supernodes besides l that serve this node.
func (m *Machine) others(l *link) []linnet.NodeID {
	nodes := m.Attachments()
	return slices.DeleteFunc(nodes, func(n linnet.NodeID) bool { return n == l.host.Node })
}

// trim lets go of what a doubt brought in excess, the newest first.
func (m *Machine) trim(now time.Time) {
	for m.attach.missing() < 0 {
		i := len(m.attach.links) - 1
		for i >= 0 && (m.attach.links[i].state != attached || m.attach.links[i].doubtful) {
			i--
		}
		if i < 0 {
			return
		}
		l := m.attach.links[i]
		m.emit(Send{l.host.Node, &message.Detach{}})
		m.drop(now, l)
	}
}

// lost is a failure of the supernode; drop may be nobody's fault.
func (m *Machine) lost(now time.Time, l *link) {
	if !slices.Contains(m.attach.links, l) {
		return
	}
	l.host.failed()
	l.host.round = m.attach.round
	m.hostsChanged(now)
	m.drop(now, l)
}

func (m *Machine) drop(now time.Time, l *link) {
	a := &m.attach
	i := slices.Index(a.links, l)
	if i < 0 {
		return
	}
	a.links = slices.Delete(a.links, i, i+1)
	m.emit(Disconnect{l.host.Node})
	if l.state == attached {
		m.emit(Detached{l.host.Node})
		for _, other := range slices.Clone(a.links) {
			m.check(now, other, l.host.Node)
		}
		a.short = 0
		m.seekSoon(now)
	}
	m.step(now)
}

// seekSoon seeks after a moment, which is longer while another supernode serves.
func (m *Machine) seekSoon(now time.Time) {
	if m.attach.planned {
		return
	}
	m.attach.planned = true
	m.after(now, time.Duration(m.o.Rand.Int64N(int64(seekPause))), func(now time.Time) {
		m.attach.planned = false
		m.seek(now)
	})
}

// retry ends a round that found too little, and waits longer each time.
func (m *Machine) retry(now time.Time) {
	a := &m.attach
	a.seeking = false
	a.tidy()
	most := retryMost
	if a.heard {
		most = retryBusy
	}
	wait := m.jitter(min(retryFirst<<min(a.short, 10), most))
	if m.o.Naive {
		wait = 0
	}
	a.short++
	round := a.round
	m.after(now, wait, func(now time.Time) {
		if a.round == round {
			m.seek(now)
		}
	})
	if len(a.links) == 0 {
		err := ErrNoHosts
		if known := len(m.hosts.hosts) + len(m.bootstrap); known > 0 {
			err = fmt.Errorf("%d probed, %d known: %w", a.tried, known, ErrNoHost)
		}
		m.emit(Offline{err, wait})
	}
}

// learnEntries adds supernodes that a supernode named to the host cache.
func (m *Machine) learnEntries(now time.Time, entries [][]byte) {
	news := false
	for _, b := range entries[:min(len(entries), maxEntries)] {
		e, err := m.o.Trust.OpenEntry(b, now)
		if err != nil {
			return // who passes on forgeries is not worth more work
		}
		if e.Serves() && m.learnHost(now, e.host) {
			news = true
		}
	}
	if news && !m.attach.seeking {
		m.seek(now)
	}
}

// receivedDetach: a supernode leaves and names others, or a client goes. The
// only one that serves is kept until there is another one: it may drain.
func (m *Machine) receivedDetach(now time.Time, from linnet.NodeID, msg *message.Detach) {
	m.clients.remove(from)
	l := m.attach.find(from)
	if l == nil {
		return
	}
	l.host.round = m.attach.round + 1 // not again in the round that follows
	only := l.state == attached && !l.leaving && len(m.Attachments()) == 1
	l.leaving = only
	m.learnEntries(now, msg.Entries)
	if !only {
		m.drop(now, l)
		return
	}
	m.attach.short = 0
	m.seekSoon(now)
	m.after(now, leaveWait, func(now time.Time) { m.drop(now, l) })
}

// receivedKeepAlive: a client's, or a supernode's report that another one died.
func (m *Machine) receivedKeepAlive(now time.Time, from linnet.NodeID, id uint16, msg *message.KeepAlive) {
	if c := m.clients.get(from); c != nil {
		m.clients.heardAt(c, m.tenths(now))
		m.clients.setAble(c, msg.Able)
		if !slices.Equal(c.others, msg.Others) {
			c.others = slices.Clone(msg.Others[:min(len(msg.Others), message.MaxAttachments)])
		}
		m.emit(Respond{from, id, &message.KeepAliveAck{You: m.addrOf(from), Load: m.load(now), Supernodes: uint32(m.Supernodes())}})
		m.pingSoon(now, msg.PeerDown)
		m.watchFor(now, from, msg.Watch[:min(len(msg.Watch), maxWatch)])
		return
	}
	if l := m.attach.find(from); l != nil && l.state == attached {
		m.emit(Respond{from, id, &message.KeepAliveAck{You: m.addrOf(from)}})
		// It may err or lie: what it says is a reason to look, no more.
		if dead := m.attach.find(msg.PeerDown); dead != nil {
			m.check(now, dead, linnet.NodeID{})
		}
		return
	}
	m.emit(Respond{from, id, &message.Failure{Code: message.FailureUnavailable, Text: "you are not attached here"}})
}

// addrOf is where this node sees another one; unspecified if it does not know.
func (m *Machine) addrOf(node linnet.NodeID) netip.AddrPort {
	if p := m.sessions[node]; p != (place{}) {
		return p.addr()
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}
