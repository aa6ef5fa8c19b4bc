// Package overlay is the network of supernodes as a state machine: which
// supernodes a node knows (its host cache), which it is attached to, which
// supernodes there are and which of them hold which slot, and how a message
// gets to a node that has no path yet.
//
// It opens no socket, starts no goroutine and reads no clock. A Machine is told
// what happened (Up, Received, Probed, Tick, ...) and says what to do about it
// (Take). What the slots hold is the business of package directory; how a
// session comes to be, of package session.
//
// # An ordinary node
//
//	         ┌────────── nobody answers: wait, longer each time ─────────┐
//	         ▼                                                           │
//	Start ─▶ probe by the rungs of the ladder ─▶ connect ─▶ attach ─▶ attached to two ─▶ keep alive
//	         ▲                                                           │
//	         └────── one is lost: unanswered, reported, closed, left ────┘
//
// # A supernode
//
// All supernodes know one another. They find out who died by SWIM: each pings
// its three successors in the order of ids and one at random every two seconds,
// asks three others to try before it suspects, doubts itself first if nobody
// answers in time, and gives the suspect five seconds to refute by an entry of a
// higher incarnation. Nobody is buried on hearsay: a rumour of a death only
// starts a suspicion, so that a liar cannot remove anybody who is alive. News is passed on with every ping and at once to
// three others; digests repair what was missed; the dead are tried again now
// and then, so that two halves of a divided network find each other.
//
// # Bytes
//
// The messages are those of wire/message/overlay.go and forward.go. An Entry is
// signed; see its own comment.
package overlay

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Options configures a Machine. Self, Trust and Rand are needed.
type Options struct {
	Self  Identity
	Trust Trust
	Rand  *rand.Rand // not for secrets; the same seed gives the same run

	Role  linnet.Role      // Supernode or not
	Addrs []netip.AddrPort // of a supernode, best first: what its entry says

	Bootstrap []Host   // the descriptor's first supernodes
	HostCache []byte   // what Machine.HostCache gave before
	Hosts     *Hosts   // or Machine.KeepHosts, in the same process
	Members   []*Entry // of supernodes, opened, for one that starts again and knew the network before

	Web     linnet.Rungs // of a supernode: whether it listens on port 80, on 443
	WebName string       // the name of its certificate there; may be empty

	Ladder Ladder                // the pace of looking for supernodes
	Reach  func(netip.Addr) bool // whether this node has addresses of that family; nil: any

	KeepAlive time.Duration // of the mapping to a supernode; zero means 30 s
	Limits    Limits
	Seats     Seats
	Volunteer Volunteer

	// Naive, for study, switches off what keeps a crowd from knocking the network
	// over: supernodes refuse nothing and never doubt themselves, clients come back at once.
	Naive bool
}

func set[T int | float64 | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

// Hosted admits operators' machines only, as networks do that want no volunteers.
func Hosted(c *suite.Certificate, _ linnet.Role) bool { return c.User.IsNode() }

// Open admits volunteers, too, but not as relays: those learn addresses of both
// ends of a call, and whoever calls could offer a machine of his own.
func Open(c *suite.Certificate, r linnet.Role) bool {
	return c.User.IsNode() || r&linnet.Relay == 0
}

// AdmittedBy is who may serve in a network.
func AdmittedBy(p suite.Promotion) func(*suite.Certificate, linnet.Role) bool {
	if p == suite.PromotionHosted {
		return Hosted
	}
	return Open
}

// Machine is one node's part of the overlay. It is not safe for concurrent use.
type Machine struct {
	o       Options
	started time.Time
	out     []Effect
	alarms  alarm.Queue[ring]

	token    Token
	pending  map[Token]pending
	sessions map[linnet.NodeID]place // that stand, and where the peer is

	hosts      hostCache
	bootstrap  []*cachedHost
	hostsDirty bool // the cache changed since HostCacheChanged
	hostsQuiet bool // ... which was lately

	attach  attaching          // of an ordinary node
	watched []message.Location // that the next keep-alives ask for

	volunteer volunteering
	seen      netip.AddrPort // this node, by its supernodes

	table          table // of a supernode, as all below
	membersChanged bool
	swim           swim
	clients        *clients
	reign          int       // how often it became one: alarms of earlier times are void
	since          time.Time // of this time
	leaving        bool
	invited        Bucket
	dialling       Bucket // addresses tried for others
	commands       rate
	strain         int
	strained       time.Time // when strain was told
	refusals       int       // lately, for want of room
}

// A place is an address without its zone, half of the size and nothing for the
// garbage collector: a supernode has one of each client. Zero is not known.
type place struct {
	ip   [16]byte
	port uint16
}

func placeOf(a netip.AddrPort) place {
	if !a.IsValid() {
		return place{}
	}
	return place{a.Addr().As16(), a.Port()}
}

func (p place) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(p.ip).Unmap(), p.port)
}

// A ring is what an alarm is for: something to do, or the end of waiting for an answer.
type ring struct {
	do    func(now time.Time)
	token Token
}

type pending struct {
	to   linnet.NodeID
	done func(now time.Time, reply message.Message) // nil: none came
}

// New makes a Machine; it does nothing before Start.
func New(o Options) *Machine {
	o.Limits.defaults()
	o.Ladder.defaults()
	set(&o.KeepAlive, UsualKeepAlive)
	o.Bootstrap = slices.Clone(o.Bootstrap)
	o.Addrs = slices.Clone(o.Addrs)
	return &Machine{
		o:        o,
		sessions: make(map[linnet.NodeID]place),
		table:    table{seats: o.Seats},
		hosts:    o.Hosts.again(),
	}
}

// Start begins. An error says that the host cache cannot be read (the machine
// starts without it) or that a supernode's own entry cannot be made (it starts as
// an ordinary node).
func (m *Machine) Start(now time.Time) error {
	m.started = now
	var err error
	if len(m.o.HostCache) > 0 {
		err = m.hosts.load(now, m.o.HostCache)
	}
	m.o.HostCache, m.o.Hosts = nil, nil
	for i := range m.o.Bootstrap {
		if h := &m.o.Bootstrap[i]; h.valid() && h.Node != m.o.Self.Node {
			m.bootstrap = append(m.bootstrap, &cachedHost{Host: h})
		}
	}
	if historyErr := m.startVolunteer(now); err == nil {
		err = historyErr
	}
	if m.serving() {
		if unable := m.serve(now); unable != nil {
			err = unable
		}
	}
	if !m.serving() {
		m.seek(now)
	}
	return err
}

// serve begins a time as a supernode, unless nobody would believe its entry.
func (m *Machine) serve(now time.Time) error {
	m.o.Role |= linnet.Supernode
	m.reign++
	m.since = now
	m.clients = newClients()
	m.remember(now)
	if m.incarnation() != uint64(now.UnixMilli()) { // else the entry that is known is this one
		if err := m.announce(now, max(m.incarnation()+1, uint64(now.UnixMilli()))); err != nil {
			m.o.Role &^= linnet.Supernode
			return err
		}
	}
	m.join(now, joinFirst)
	m.startSwim(now)
	m.whileServing(now, clientSweep, m.sweepClients)
	m.whileServing(now, m.jitter(recruitPause), m.recruit)
	return nil
}

// Renew is told when the node has a new certificate.
func (m *Machine) Renew(now time.Time, self Identity) error {
	m.o.Self = self
	if !m.serving() {
		return nil
	}
	return m.announce(now, m.incarnation()+1)
}

// Deadline is when Tick wants to be called next; zero means never.
func (m *Machine) Deadline() time.Time {
	m.alarms.Skip(m.answered)
	return m.alarms.Next()
}

// answered says that an alarm has nobody to ring for any more.
func (m *Machine) answered(r ring) bool {
	if r.token == 0 {
		return false
	}
	_, waiting := m.pending[r.token]
	return !waiting
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) {
	for {
		r, ok := m.alarms.Pop(now)
		switch {
		case !ok:
			return
		case r.token != 0:
			m.Failed(now, r.token)
		default:
			r.do(now)
		}
	}
}

// Take gives what is to be done, in this order, and forgets it.
func (m *Machine) Take() []Effect {
	if m.membersChanged {
		m.membersChanged = false
		m.emit(MembersChanged{})
	}
	out := m.out
	m.out = nil
	return out
}

// Up says that a session with a node stands, or moved to another address: that
// at which this node sees it.
func (m *Machine) Up(now time.Time, node linnet.NodeID, addr netip.AddrPort) {
	if _, ok := m.sessions[node]; ok || len(m.sessions) < m.o.Limits.Sessions && !m.IsSupernode(node) {
		m.sessions[node] = placeOf(addr) // a client wants to know; another supernode does
	}
	if x := m.table.get(node); x != nil && x.rtt == 0 {
		x.rtt = unmeasured
	}
	m.connected(now, node)
}

// Down says that a session ended, or that it could not be opened.
func (m *Machine) Down(now time.Time, node linnet.NodeID) {
	delete(m.sessions, node)
	if x := m.table.get(node); x != nil {
		x.rtt = 0
	}
	m.clients.remove(node)
	if l := m.attach.find(node); l != nil {
		m.lost(now, l)
	}
	m.pingSoon(now, node)
}

// Doubt says that a node left a request of another part of this node unanswered.
func (m *Machine) Doubt(now time.Time, node linnet.NodeID) {
	if l := m.attach.find(node); l != nil && l.state == attached {
		m.check(now, l, linnet.NodeID{})
	}
	m.pingSoon(now, node)
}

// Received takes a command of a session: id is the one to answer under, and
// meaningless for one-way commands. It says whether the command was one of this package.
func (m *Machine) Received(now time.Time, from linnet.NodeID, id uint16, msg message.Message) bool {
	m.commands.add(now)
	switch msg := msg.(type) {
	case *message.Detach:
		m.receivedDetach(now, from, msg)
	case *message.KeepAlive:
		m.receivedKeepAlive(now, from, id, msg)
	case *message.Attach:
		m.receivedAttach(now, from, id, msg)
	case *message.AskSupernodes:
		if answer := m.answerSupernodes(msg); answer != nil {
			m.emit(Respond{from, id, answer})
		}
	case *message.Forward:
		m.receivedForward(now, from, msg)
	case *message.Unroutable:
		m.receivedUnroutable(from, msg)
	case *message.Watch:
		m.receivedWatch(from, msg)
	case *message.Gone:
		m.receivedGone(from, msg)
	case *message.BecomeSupernode:
		m.receivedBecome(now, from, id, msg)
	case *message.DialBack:
		m.receivedDialBack(now, from, msg)
	case *message.DialFor:
		m.receivedDialFor(now, from, msg)
	case *message.Ping, *message.PingRequest, *message.Pong, *message.Rumours, *message.Digest, *message.Differ:
		if m.serving() {
			m.receivedSwim(now, from, msg)
		}
	default:
		return false
	}
	return true
}

// Raw answers a command that came outside any session; nil is no answer.
func (m *Machine) Raw(now time.Time, from netip.AddrPort, msg message.Message) message.Message {
	switch msg := msg.(type) {
	case *message.Probe:
		return m.answerProbe(now)
	case *message.DialTest:
		return m.dialled(now, from, msg)
	case *message.AskSupernodes:
		if answer := m.answerSupernodes(msg); answer != nil {
			return answer
		}
	}
	return nil
}

// Replied takes the answer to a Request.
func (m *Machine) Replied(now time.Time, t Token, from linnet.NodeID, msg message.Message) {
	if p, ok := m.pending[t]; ok && p.to == from && msg != nil {
		m.ended(t)
		p.done(now, msg)
	}
}

// ended forgets a request, and the table with the last of them: an idle node has
// none nearly all of the time.
func (m *Machine) ended(t Token) {
	if delete(m.pending, t); len(m.pending) == 0 {
		m.pending = nil
	}
}

// Failed says that no answer to a Request will come. It may be left out: the
// machine waits no longer than it wants to.
func (m *Machine) Failed(now time.Time, t Token) {
	if p, ok := m.pending[t]; ok {
		m.ended(t)
		p.done(now, nil)
	}
}

// Host is how to open a session with a node that this one knows as a supernode.
func (m *Machine) Host(node linnet.NodeID) (Host, bool) {
	if h := m.cached(node); h != nil {
		return *h.Host, true
	}
	if x := m.table.get(node); x != nil {
		if e := m.o.Trust.reopen(x.seat); e != nil {
			return e.Host(), true
		}
	}
	return Host{}, false
}

// HostCache is the host cache for the node's database.
func (m *Machine) HostCache() []byte { return m.hosts.export() }

// KeepHosts is the host cache of a machine that ended.
func (m *Machine) KeepHosts() *Hosts { return &Hosts{m.hosts} }

// Hosts are the ids of the supernodes that the host cache knows.
func (m *Machine) Hosts() []linnet.NodeID {
	nodes := make([]linnet.NodeID, 0, len(m.hosts.hosts))
	for _, h := range m.hosts.hosts {
		nodes = append(nodes, h.Node)
	}
	return nodes
}

// HeardOf is how many supernodes somebody signed for lately: there were no fewer,
// whatever a single supernode says.
func (m *Machine) HeardOf(now time.Time) (n int) {
	for _, h := range m.hosts.hosts {
		if now.Unix()-int64(h.added) <= int64(lately/time.Second) {
			n++
		}
	}
	return n
}

const lately = 10 * time.Minute

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *Machine) after(now time.Time, d time.Duration, do func(now time.Time)) {
	m.alarms.Set(now.Add(d), ring{do: do})
}

// whileServing is after, for a supernode: it is void when that is over.
func (m *Machine) whileServing(now time.Time, d time.Duration, do func(now time.Time)) {
	reign := m.reign
	m.after(now, d, func(now time.Time) {
		if m.reign == reign && m.serving() {
			do(now)
		}
	})
}

// request asks and calls done once: with the reply, or with nil after wait.
func (m *Machine) request(now time.Time, to linnet.NodeID, msg message.Message, wait time.Duration, done func(time.Time, message.Message)) {
	m.emit(Request{to, msg, m.await(now, to, wait, done), wait})
}

// await calls done with nil after wait, unless what is awaited ended before.
func (m *Machine) await(now time.Time, of linnet.NodeID, wait time.Duration, done func(time.Time, message.Message)) Token {
	m.token++
	t := m.token
	if m.pending == nil {
		m.pending = make(map[Token]pending)
	}
	m.pending[t] = pending{of, done}
	m.alarms.Set(now.Add(wait), ring{token: t})
	return t
}

// jitter spreads d over d/2 to 3d/2, so that those who waited for the same
// thing do not come back together.
func (m *Machine) jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(m.o.Rand.Int64N(int64(d)))
}

// learnHost notes a supernode that somebody signed for.
func (m *Machine) learnHost(now time.Time, h *Host) (news bool) {
	if h.Node == m.o.Self.Node {
		return false
	}
	if _, news = m.hosts.add(now, h); news {
		m.hostsChanged(now)
	}
	return news
}

// hostsChanged says HostCacheChanged, but not again within hostsPause.
func (m *Machine) hostsChanged(now time.Time) {
	m.hostsDirty = true
	if m.hostsQuiet {
		return
	}
	m.hostsQuiet = true
	m.after(now, hostsPause, func(now time.Time) {
		m.hostsQuiet = false
		if m.hostsDirty {
			m.hostsDirty = false
			m.emit(HostCacheChanged{})
		}
	})
}

const hostsPause = 2 * time.Second

// cached finds a host in the cache or among the first supernodes.
func (m *Machine) cached(node linnet.NodeID) *cachedHost {
	if h := m.hosts.get(node); h != nil {
		return h
	}
	for _, h := range m.bootstrap {
		if h.Node == node {
			return h
		}
	}
	return nil
}

func compareNodes(a, b linnet.NodeID) int { return bytes.Compare(a[:], b[:]) }
