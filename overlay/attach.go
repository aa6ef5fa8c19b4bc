package overlay

import (
	"encoding/binary"
	"errors"
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

	checkEvery   = 45 * time.Second // a mapping that has to be refreshed sooner is held in between
	checkWait    = time.Second      // for the answer to a keep-alive, twice
	connectWait  = 5 * time.Second
	attachWait   = 2 * time.Second
	leaveWait    = 5 * time.Second // for another supernode, when the only one said good-bye
	refreshHosts = 2 * time.Hour   // for each of its supernodes; 16 entries are 5 kB
	maxEntries   = 16              // that are read of one message
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
	doubtful   bool // the last keep-alive was not answered: do not count on it
	leaving    bool // it said good-bye, and serves until another one does
	rung       linnet.Rung
	supernodes uint32 // in the network, as it said last

	checked uint32          // the last time, in tenths of a second since the machine started
	told    []linnet.NodeID // the others that it was told of

	you    netip.AddrPort // this node, as it sees it
	better *better        // where a higher rung than UDP holds
}

// attaching is an ordinary node's half of attachment.
type attaching struct {
	links   []*link         // in the order of attachment
	seeking bool            // a round is under way
	round   uint32          // its number: hosts remember in which one they were tried
	planned bool            // a round begins in a moment
	keeping bool            // keepAlive will be called
	short   int             // rounds in a row that did not find enough
	climb   *climb          // this round; nil: none
	series  int             // rounds that were in vain since the last time it was told
	refused int             // probes in this round
	probes  []probing       // under way
	ready   []way           // said yes and are not needed yet
	rung    linnet.Rung     // by which a supernode took this node last
	better  map[Probe]*link // asked by UDP; nil: none
}

// better is how a supernode that was reached by a stream is asked by UDP.
type better struct {
	next  time.Time
	asked int // how often it was
}

// A probing is a host that was asked.
type probing struct {
	Probe
	host *cachedHost
}

// A way is a host, and how it answered.
type way struct {
	host *cachedHost
	by   Probe
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

// asked is the host of a probe that is under way; nil: it is not.
func (a *attaching) asked(p Probe) *cachedHost {
	for i := range a.probes {
		if a.probes[i].Probe == p {
			return a.probes[i].host
		}
	}
	return nil
}

// probed ends a probe.
func (a *attaching) probed(p Probe) {
	a.probes = slices.DeleteFunc(a.probes, func(x probing) bool { return x.Probe == p })
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

func (m *Machine) connect(now time.Time, w way) {
	h := w.host
	if m.attach.find(h.Node) != nil {
		return
	}
	l := &link{host: h, rung: w.by.Rung}
	m.attach.links = append(m.attach.links, l)
	if _, up := m.sessions[h.Node]; up {
		m.askAttach(now, l)
		return
	}
	m.emit(Connect{*h.Host, w.by})
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
	m.request(now, l.host.Node, ask, l.host.patience(attachWait), func(now time.Time, reply message.Message) {
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
			l.host.mark(m.attach.round, allRungs) // full is no failure, but not to be asked again at once
			m.drop(now, l)
		default:
			m.lost(now, l)
		}
	})
}

// served notes that a supernode took this node.
func (m *Machine) served(now time.Time, l *link, you netip.AddrPort) {
	l.state, l.checked = attached, m.tenths(now)
	m.attach.rung = l.rung
	m.seen, l.you = you, you
	m.planDial(now)
	m.hosts.add(now, l.host.Host)
	m.hosts.succeeded(now, l.host.Node)
	if h := m.hosts.get(l.host.Node); h != nil {
		h.rtt, l.host = l.host.rtt, h // the descriptor's hosts are new to the cache
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
	if l.rung != linnet.RungUDP {
		l.better = &better{next: now.Add(betterSoon)}
		m.after(now, betterSoon, func(now time.Time) {
			if slices.Contains(m.attach.links, l) {
				m.seekBetter(now, l)
			}
		})
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

// How often UDP is tried for a supernode that was reached by a stream: a firewall
// is seldom gone, but a phone that left the office is not to stay on TCP.
const (
	betterSoon  = 3 * time.Second // on a bad line UDP may only have been late
	betterFirst = time.Minute
	betterMost  = 30 * time.Minute
)

// seekBetter asks a supernode by UDP, now and then, where it was reached by a
// higher rung.
func (m *Machine) seekBetter(now time.Time, l *link) {
	if l.state != attached || l.rung == linnet.RungUDP {
		return
	}
	if l.better == nil {
		l.better = &better{next: now.Add(betterFirst)}
	}
	if now.Before(l.better.next) {
		return
	}
	l.better.asked++
	l.better.next = now.Add(m.jitter(min(betterFirst<<min(l.better.asked, 10), betterMost)))
	p := m.probeOf(l.host, linnet.RungUDP)
	if m.attach.better == nil {
		m.attach.better = make(map[Probe]*link)
	}
	m.attach.better[p] = l
	m.emit(p)
	m.after(now, probeWait, func(time.Time) { delete(m.attach.better, p) })
}

// NetworkChanged says that this node has other addresses now: what held before may
// be gone, and what did not may be there.
func (m *Machine) NetworkChanged(now time.Time) {
	a := &m.attach
	a.rung, a.short, a.series = linnet.RungUDP, 0, 0
	for _, l := range slices.Clone(a.links) {
		if l.rung != linnet.RungUDP {
			l.better = &better{next: now}
		}
		m.check(now, l, linnet.NodeID{})
		m.seekBetter(now, l)
	}
	if !a.seeking {
		m.seek(now)
	}
}

// Moved says by which rung the session with a supernode goes now.
func (m *Machine) Moved(now time.Time, node linnet.NodeID, r linnet.Rung) {
	if l := m.attach.find(node); l != nil && l.state == attached && l.rung != r {
		l.rung, l.better, m.attach.rung = r, nil, r
		m.check(now, l, linnet.NodeID{}) // where does it see this node now?
	}
}

// patience is how long an answer of a host is waited for that takes so long at most where
// it is near: on a long line one repetition more has to fit in.
func (h *cachedHost) patience(near time.Duration) time.Duration {
	rtt := time.Duration(h.rtt) * time.Microsecond
	return near + min(max(0, 4*(rtt-nearby)), mostPatience)
}

const (
	nearby       = 100 * time.Millisecond
	mostPatience = 4 * time.Second
)

// check asks a supernode whether it is there; two unanswered checks in a row
// are its end, and after the first one already another is looked for.
func (m *Machine) check(now time.Time, l *link, dead linnet.NodeID) {
	if l.checking || l.state != attached {
		return
	}
	l.checking, l.checked, l.told = true, m.tenths(now), m.others(l)
	watched := m.nextWatched()
	ask := &message.KeepAlive{PeerDown: dead, Others: l.told, Able: m.able(now), Watch: watched}
	m.request(now, l.host.Node, ask, l.host.patience(checkWait), func(now time.Time, reply message.Message) {
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
			if ack.You.Port() != 0 && ack.You != l.you {
				m.seen, l.you = ack.You, ack.You
				m.emit(Seen{l.host.Node, ack.You})
			}
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
	l.host.mark(m.attach.round, allRungs)
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
	l.host.mark(m.attach.round+1, allRungs) // not again in the round that follows
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

// addrOf is where this node sees another one; unspecified if it does not know.
func (m *Machine) addrOf(node linnet.NodeID) netip.AddrPort {
	if p := m.sessions[node]; p != (place{}) {
		return p.addr()
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}

// AttachedBy is the rung on which a supernode serves this node.
func (m *Machine) AttachedBy(node linnet.NodeID) (r linnet.Rung, ok bool) {
	if l := m.attach.find(node); l != nil && l.state == attached {
		return l.rung, true
	}
	return 0, false
}
