package overlay

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An ordinary node whose owner agreed becomes a supernode when it is asked to
// and is fit, and goes back when it is needed no longer or has other things to do.
//
//	Ordinary ──asked by its supernode (26), and fit──▶ Supernode
//	    ▲ ◀─── at once: owner, battery, metered link, busy processor ───┤
//	    └───── after half an hour with little to do in the network ─────┘
const (
	fitUptime   = 30 * time.Minute // within a week
	fitUrgent   = time.Minute      // while supernodes turn clients away
	fitUpstream = 1_000_000        // bit/s
	fitCPU      = 50               // percent in use; one that serves may go to tooBusy
	tooBusy     = 80

	dialEvery = 30 * time.Minute
	dialRetry = 2 * time.Minute
	dialGood  = 2 * dialEvery // that a proof of being reachable counts
	dials     = 2             // supernodes that have to get through
	countUp   = 10 * time.Minute

	recruitPause   = 30 * time.Second
	recruitUrgent  = 5 * time.Second
	urgentRefusals = 5 // since the last look

	wantAbove  = 75 // percent of load, in the mean of what is known: more supernodes are wanted
	wantTarget = 65
	idleBelow  = 25 // below that, some are wanted no longer
	idleFor    = 30 * time.Minute
	restAfter  = 30 * time.Minute // that one that stepped down is not asked again, but urgently
)

// A Volunteer is what the owner and the machine of an ordinary node allow.
// Operators' supernodes have no use for it.
type Volunteer struct {
	Conditions
	Addr    netip.AddrPort // where it would be reached; zero: as its supernodes see it
	History []byte         // what Machine.History gave before
}

// Conditions are what may change at any time. The zero value does not volunteer.
type Conditions struct {
	Agreed   bool // by the owner
	Upstream int  // bit/s to spare, as measured
	CPU      int  // percent in use
	Battery  bool
	Metered  bool
}

// may says that the owner lets the machine serve; busy is the processor's limit.
func (c *Conditions) may(busy int) bool {
	return c.Agreed && !c.Battery && !c.Metered && c.Fast() && c.CPU < busy
}

// Fast says that the line is good enough for a supernode, and Idle the same of the processor.
func (c *Conditions) Fast() bool { return c.Upstream >= fitUpstream }
func (c *Conditions) Idle() bool { return c.CPU < fitCPU }

// HistoryChanged asks to put Machine.History on disk.
type HistoryChanged struct{}

// RoleChanged says that this node became a supernode, or is one no longer.
type RoleChanged struct{ Role linnet.Role }

type volunteering struct {
	history history
	counted time.Time // until when uptime is in the history

	nonce     uint64              // of the test under way
	reached   map[netip.Addr]bool // who got through
	reachable time.Time           // when that was proved last
	testing   bool                // the next test is planned
	recruited bool                // it is a supernode, and was an ordinary node before
	resigned  time.Time           // when this node stepped down
	idle      time.Time           // since when a supernode has little to do; zero: it has not
}

// history is how long a node was up on each of the last days, and whether it was
// a supernode before.
type history struct {
	day    uint32    // the newest, since 1970
	up     [7]uint32 // seconds, the newest first
	served bool
}

func (h *history) at(now time.Time) {
	today := uint32(now.Unix() / (24 * 3600))
	for ; h.day < today && h.up != [7]uint32{}; h.day++ {
		copy(h.up[1:], h.up[:6])
		h.up[0] = 0
	}
	h.day = today
}

func (h *history) sum() (d time.Duration) {
	for _, s := range h.up {
		d += time.Duration(s) * time.Second
	}
	return d
}

// History is the node's uptime for its database: 1 version, 4 day, 7 x 4 seconds, 1 served.
func (m *Machine) History() []byte {
	h := &m.volunteer.history
	b := binary.BigEndian.AppendUint32([]byte{historyVersion}, h.day)
	for _, s := range h.up {
		b = binary.BigEndian.AppendUint32(b, s)
	}
	if h.served {
		return append(b, 1)
	}
	return append(b, 0)
}

const (
	historyVersion = 1
	historySize    = 1 + 4 + 7*4 + 1
)

func (h *history) load(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) != historySize || b[0] != historyVersion {
		return fmt.Errorf("history of uptime: %d bytes, version %d", len(b), b[0])
	}
	h.day = binary.BigEndian.Uint32(b[1:])
	for i := range h.up {
		h.up[i] = min(binary.BigEndian.Uint32(b[5+4*i:]), 24*3600)
	}
	h.served = b[historySize-1] == 1
	return nil
}

func (m *Machine) startVolunteer(now time.Time) error {
	v := &m.volunteer
	v.counted = now
	err := v.history.load(m.o.Volunteer.History)
	m.o.Volunteer.History = nil
	if m.o.Volunteer.Agreed {
		m.after(now, m.jitter(countUp), m.countUptime)
	}
	return err
}

func (m *Machine) countUptime(now time.Time) {
	m.count(now)
	m.emit(HistoryChanged{})
	if m.o.Volunteer.Agreed {
		m.after(now, countUp, m.countUptime)
	}
}

func (m *Machine) count(now time.Time) {
	v := &m.volunteer
	v.history.at(now)
	if up := now.Sub(v.counted); up > 0 {
		v.history.up[0] = min(v.history.up[0]+uint32(up/time.Second), 24*3600)
	}
	v.counted = now
	v.history.served = v.history.served || m.serving()
}

// SetConditions tells what the owner and the machine allow now.
func (m *Machine) SetConditions(now time.Time, c Conditions) {
	before := m.o.Volunteer.Agreed
	m.o.Volunteer.Conditions = c
	switch {
	case m.serving() && m.volunteer.recruited && !c.may(tooBusy):
		m.resign(now)
	case !before && c.Agreed:
		m.after(now, countUp, m.countUptime)
		m.after(now, 0, m.testDial)
	}
}

// able says that this node could be a supernode, apart from how long it was up.
func (m *Machine) able(now time.Time) bool {
	return !m.serving() && m.o.Volunteer.may(fitCPU) && m.Reachable(now)
}

// Reachable says that strangers got through to this volunteer lately.
func (m *Machine) Reachable(now time.Time) bool {
	t := m.volunteer.reachable
	return !t.IsZero() && now.Sub(t) < dialGood
}

// planDial has the address tested soon, unless that was done lately.
func (m *Machine) planDial(now time.Time) {
	v := &m.volunteer
	if v.testing || !m.o.Volunteer.Agreed {
		return
	}
	v.testing = true
	m.after(now, max(0, v.reachable.Add(m.jitter(dialEvery)).Sub(now)), m.testDial)
}

// testDial asks the supernodes of this node to have its address tried by others.
func (m *Machine) testDial(now time.Time) {
	v := &m.volunteer
	v.testing = false
	nodes := m.Attachments()
	if m.serving() || !m.o.Volunteer.Agreed || len(nodes) == 0 {
		return // served plans the next one
	}
	v.nonce, v.reached = m.o.Rand.Uint64(), make(map[netip.Addr]bool)
	for i := range dials {
		m.emit(Send{nodes[i%len(nodes)], &message.DialBack{Addr: m.place(), Nonce: v.nonce}})
	}
	v.testing = true
	m.after(now, dialRetry, func(now time.Time) {
		v.testing = false
		m.planDial(now)
	})
}

// place is where this node would be reached as a supernode.
func (m *Machine) place() netip.AddrPort {
	if m.o.Volunteer.Addr.IsValid() {
		return m.o.Volunteer.Addr
	}
	return m.seen
}

// dialled answers the try of a supernode that this node has nothing to do with:
// no NAT would have let it in otherwise.
func (m *Machine) dialled(now time.Time, from netip.AddrPort, msg *message.DialTest) message.Message {
	v := &m.volunteer
	own := slices.ContainsFunc(m.attach.links, func(l *link) bool {
		return slices.ContainsFunc(l.host.Addrs, func(a netip.AddrPort) bool { return a.Addr() == from.Addr() })
	})
	if v.reached == nil || msg.Nonce != v.nonce || own {
		return nil
	}
	v.reached[from.Addr()] = true
	if len(v.reached) >= dials {
		v.reachable, v.reached = now, nil
	}
	return &message.DialTested{}
}

// receivedDialBack finds somebody to try the address of a client. It has to be
// the one that the client comes from: nobody is to be sent what he did not ask for.
func (m *Machine) receivedDialBack(now time.Time, from linnet.NodeID, msg *message.DialBack) {
	c := m.clients.get(from)
	if c == nil || m.addrOf(from).Addr().Unmap() != msg.Addr.Addr().Unmap() || !c.forwards.Take(now, m.o.Limits.Forwards, m.o.Limits.ForwardBurst) {
		return
	}
	m.tryFor(c, &message.DialFor{Addr: msg.Addr, Nonce: msg.Nonce})
}

// TryFor has another supernode try the address of a client, which is the one
// that its session comes from. It says whether one was asked; ok is false if this client
// asks too often, or is none.
func (m *Machine) TryFor(now time.Time, from linnet.NodeID, nonce uint64) (asked, ok bool) {
	c := m.clients.get(from)
	if c == nil || !c.forwards.Take(now, m.o.Limits.Forwards, m.o.Limits.ForwardBurst) {
		return false, false
	}
	return m.tryFor(c, &message.DialFor{Addr: m.addrOf(from), Nonce: nonce}), true
}

// tryFor passes it to somebody whom the client is not attached to.
func (m *Machine) tryFor(c *client, msg *message.DialFor) bool {
	others := m.table.random(m.o.Rand, 1, func(x *member) bool { return m.isOther(x) && !c.hasOther(x.node) })
	for _, x := range others {
		m.emit(Send{x.node, msg})
	}
	return len(others) > 0
}

func (m *Machine) receivedDialFor(now time.Time, from linnet.NodeID, msg *message.DialFor) {
	if m.serving() && m.IsSupernode(from) && usable(msg.Addr) && m.dialling.Take(now, dialRate, dialRate) {
		m.emit(Dial{msg.Addr, &message.DialTest{Nonce: msg.Nonce}})
	}
}

const dialRate = 5 // a second, that one supernode tries for others

// receivedBecome decides whether this node becomes a supernode now.
func (m *Machine) receivedBecome(now time.Time, from linnet.NodeID, id uint16, msg *message.BecomeSupernode) {
	l := m.attach.find(from)
	v := &m.volunteer
	m.count(now)
	fit := l != nil && l.state == attached && m.able(now) &&
		(v.history.served || v.history.sum() >= fitUptime || msg.Urgent && v.history.sum() >= fitUrgent) &&
		(msg.Urgent || v.resigned.IsZero() || now.Sub(v.resigned) >= restAfter)
	m.emit(Respond{from, id, &message.Promotion{Accepted: fit}})
	if !fit {
		return
	}
	m.o.Addrs = []netip.AddrPort{m.place()}
	if m.serve(now) != nil {
		return // the network does not admit it
	}
	v.recruited, v.history.served, v.idle = true, true, time.Time{}
	for _, l := range m.attach.links {
		if l.state == attached {
			m.emit(Send{l.host.Node, &message.Detach{}})
			m.emit(Detached{l.host.Node})
		}
	}
	m.attach = attaching{round: m.attach.round}
	m.emit(HistoryChanged{})
	m.emit(RoleChanged{m.o.Role})
}

// resign makes a supernode an ordinary node again.
func (m *Machine) resign(now time.Time) {
	m.Leave(now)
	v := &m.volunteer
	v.recruited, v.resigned = false, now
	m.o.Role &^= linnet.Supernode
	m.leaving = false
	m.reign++
	m.clients, m.table, m.swim = nil, table{seats: m.o.Seats}, swim{}
	m.emit(RoleChanged{m.o.Role})
	m.seek(now)
}

// recruit looks now and then whether the network has too few supernodes, or too
// many, as far as this one can tell. Each does its share at random, so that all
// of them together ask for what is missing in two minutes, or at once if it is urgent.
func (m *Machine) recruit(now time.Time) {
	mean := m.meanLoad(now)
	few := m.table.serving < SlotSize
	urgent := m.refusals >= urgentRefusals && mean >= busyLoad
	m.refusals = 0
	share := float64(mean-wantTarget) / wantTarget / 4
	pause := m.jitter(recruitPause)
	switch {
	case urgent:
		share, pause = 4*share, m.jitter(recruitUrgent)
	case few:
		share = 1
	case mean < wantAbove:
		share = 0
	}
	m.whileServing(now, pause, m.recruit)
	if m.o.Rand.Float64() < share {
		m.ask(now, urgent)
	}
	v := &m.volunteer
	switch {
	case !v.recruited || few || mean >= idleBelow:
		v.idle = time.Time{}
	case v.idle.IsZero():
		v.idle = now
	case now.Sub(v.idle) >= idleFor && m.o.Rand.IntN(10) == 0:
		m.resign(now)
	}
}

// ask asks one of the clients that could be a supernode to become one.
func (m *Machine) ask(now time.Time, urgent bool) {
	if len(m.clients.able) == 0 {
		return
	}
	node := m.clients.able[m.o.Rand.IntN(len(m.clients.able))].node
	m.request(now, node, &message.BecomeSupernode{Urgent: urgent}, checkWait, func(_ time.Time, reply message.Message) {
		if p, ok := reply.(*message.Promotion); ok && !p.Accepted {
			if c := m.clients.get(node); c != nil {
				m.clients.setAble(c, false) // until it says so again
			}
		}
	})
}

// meanLoad is the load of this supernode and those that it pinged in turn lately, in percent.
func (m *Machine) meanLoad(now time.Time) int {
	sum, n := int(m.load(now)), 1
	for _, node := range m.swim.sampled {
		if x := m.table.get(node); x != nil && m.isOther(x) {
			sum, n = sum+int(x.load), n+1
		}
	}
	return sum / n
}
