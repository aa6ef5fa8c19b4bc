package overlay

import (
	"math/rand/v2"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	clientSilence = 150 * time.Second // the longest keep-alive and some
	clientSweep   = 10 * time.Second
	namedOthers   = 8 // supernodes named to a client
	namedToProber = 3 // entries in a refused probe: one datagram
	stackVersion  = 1
)

// A client is a node that is attached to this supernode. There may be 1,000,000
// of them, so it has no timer and no key of its own.
type client struct {
	node          linnet.NodeID
	before, after *client // of those that were heard, see clients

	heard    uint32 // tenths of a second since the machine started
	able     int32  // it could be a supernode: its place in clients.able, from 1
	others   *other
	forwards Bucket
}

// clients are those of a supernode, in the order in which they were heard last:
// who has been silent for long is found without a look at all of them.
type clients struct {
	byNode  map[linnet.NodeID]*client
	byOther map[linnet.NodeID]*other // one of each ring
	order   client                   // a ring: after it the one that was heard first
	able    []*client
}

func newClients() *clients {
	c := &clients{byNode: make(map[linnet.NodeID]*client), byOther: make(map[linnet.NodeID]*other)}
	c.order.before, c.order.after = &c.order, &c.order
	return c
}

func (l *clients) len() int {
	if l == nil {
		return 0 // no supernode
	}
	return len(l.byNode)
}

func (l *clients) get(node linnet.NodeID) *client {
	if l == nil {
		return nil
	}
	return l.byNode[node]
}

func (l *clients) add(node linnet.NodeID) *client {
	c := &client{node: node}
	c.before, c.after = c, c
	l.byNode[node] = c
	return c
}

// heardAt puts a client last.
func (l *clients) heardAt(c *client, tenths uint32) {
	c.heard = tenths
	c.before.after, c.after.before = c.after, c.before
	c.before, c.after = l.order.before, &l.order
	c.before.after, c.after.before = c, c
}

// setAble notes whether a client could be a supernode.
func (l *clients) setAble(c *client, able bool) {
	switch {
	case able == (c.able != 0):
	case able:
		l.able = append(l.able, c)
		c.able = int32(len(l.able))
	default:
		last := l.able[len(l.able)-1]
		l.able[c.able-1], last.able = last, c.able
		l.able[len(l.able)-1] = nil
		l.able, c.able = l.able[:len(l.able)-1], 0
	}
}

func (l *clients) remove(node linnet.NodeID) {
	if c := l.get(node); c != nil {
		l.setAble(c, false)
		l.dropOthers(c)
		c.before.after, c.after.before = c.after, c.before
		delete(l.byNode, node)
	}
}

// Clients is how many nodes are attached to this supernode.
func (m *Machine) Clients() int { return m.clients.len() }

// IsClient says whether a node is attached to this supernode.
func (m *Machine) IsClient(node linnet.NodeID) bool { return m.clients.get(node) != nil }

func (m *Machine) serving() bool { return m.o.Role&linnet.Supernode != 0 && !m.leaving }

func (m *Machine) receivedAttach(now time.Time, from linnet.NodeID, id uint16, msg *message.Attach) {
	c := m.clients.get(from)
	if c == nil {
		if m.full(now) {
			m.refusals++
			m.emit(Respond{from, id, &message.AttachRefused{Entries: m.roomyEntries(namedOthers)}})
			return
		}
		c = m.clients.add(from)
	}
	m.clients.heardAt(c, m.tenths(now))
	m.clients.setAble(c, msg.Able)
	m.clients.setOthers(c, msg.Others[:min(len(msg.Others), message.MaxAttachments)])
	m.emit(Respond{from, id, &message.Attached{
		StackVersion: stackVersion,
		StackTime:    uint32(now.Sub(m.started) / time.Second),
		Port:         uint32(m.o.Addrs[0].Port()),
		You:          m.addrOf(from),
		Supernode:    []uint32{1},
		Supernodes:   uint32(m.Supernodes()),
		Entries:      m.namedEntries(namedOthers),
	}})
}

// answerProbe invites a client only as fast as clients can be taken: a probe costs
// next to nothing, the handshake that follows an invitation a thousand times as much.
func (m *Machine) answerProbe(now time.Time) message.Message {
	switch {
	case !m.serving():
		return nil
	case !m.full(now) && (m.o.Naive || m.invited.Take(now, m.o.Limits.Invitations, 2*m.o.Limits.Invitations)):
		return &message.ProbeAccepted{}
	}
	m.refusals++
	refused := new(message.ProbeRefused)
	for _, x := range m.table.random(m.o.Rand, namedToProber, m.roomy) {
		refused.Entries = append(refused.Entries, x.entry())
		refused.Others = append(refused.Others, x.addr())
	}
	return refused
}

// answerSupernodes names supernodes: of a slot, or any. An ordinary node knows none for certain.
func (m *Machine) answerSupernodes(ask *message.AskSupernodes) *message.SlotInfo {
	if !m.serving() {
		return nil
	}
	info := new(message.SlotInfo)
	if ask.Slot == nil {
		info.Entries = m.namedEntries(int(min(uint64(ask.Slots)*uint64(ask.Max), 2*maxEntries)))
		return info
	}
	slot := Slot(*ask.Slot % SlotCount)
	members := m.Members(slot)
	named := message.SlotMembers{Slot: uint32(slot), Total: uint32(len(members))}
	for _, node := range members[:min(len(members), int(min(ask.Max, SlotSize)))] {
		x := m.table.get(node)
		named.Addrs = append(named.Addrs, x.addr())
		info.Entries = append(info.Entries, x.entry())
	}
	info.Slots = []message.SlotMembers{named}
	return info
}

// namedEntries are up to n entries of supernodes that are alive, this one's first.
func (m *Machine) namedEntries(n int) [][]byte {
	if n == 0 {
		return nil
	}
	var entries [][]byte
	if self := m.self(); self != nil && self.serves() {
		entries = append(entries, self.entry())
	}
	for _, x := range m.table.random(m.o.Rand, n-len(entries), m.isOther) {
		entries = append(entries, x.entry())
	}
	return entries
}

// roomyEntries are up to n entries of other supernodes that are likely to have room.
func (m *Machine) roomyEntries(n int) [][]byte {
	var entries [][]byte
	for _, x := range m.table.random(m.o.Rand, n, m.roomy) {
		entries = append(entries, x.entry())
	}
	if entries == nil {
		for _, x := range m.table.random(m.o.Rand, n, m.isOther) {
			entries = append(entries, x.entry())
		}
	}
	return entries
}

// roomy says that a supernode has room as far as this one knows.
func (m *Machine) roomy(x *member) bool { return m.isOther(x) && x.load < busyLoad }

// sweepClients forgets the clients that said nothing for long.
func (m *Machine) sweepClients(now time.Time) {
	silent := m.tenths(now.Add(-clientSilence))
	for c := m.clients.order.after; c != &m.clients.order && c.heard < silent; c = m.clients.order.after {
		m.clients.remove(c.node)
	}
	m.whileServing(now, clientSweep, m.sweepClients)
}

// reportDead tells the clients of this supernode that were attached to a dead one, too.
func (m *Machine) reportDead(now time.Time, dead linnet.NodeID) {
	for _, node := range m.clients.with(dead) {
		m.request(now, node, &message.KeepAlive{PeerDown: dead}, checkWait, func(time.Time, message.Message) {})
	}
}

// Leave says good-bye: clients are told where else to go, and supernodes that
// this one serves no longer. The caller carries out the effects and closes.
func (m *Machine) Leave(now time.Time) {
	if !m.serving() {
		for _, l := range m.attach.links {
			if l.state == attached {
				m.emit(Send{l.host.Node, &message.Detach{}})
			}
		}
		m.leaving = true
		return
	}
	m.leaving = true
	for c := m.clients.order.after; c != &m.clients.order; c = c.after {
		m.emit(Send{c.node, &message.Detach{Entries: m.roomyEntries(namedOthers)}})
	}
	if m.announce(now, m.incarnation()+1) == nil { // else they will find out by themselves
		m.flushNews(now)
	}
}

// Drained says, of a supernode that left, that it has no client any more, or
// that there is no other supernode for them.
func (m *Machine) Drained() bool { return m.clients.len() == 0 || m.table.serving == 0 }

// pick chooses up to n of list, all equally likely, in random order.
func pick[T any](r *rand.Rand, n int, list []T) []T {
	n = max(min(n, len(list)), 0)
	for i := range n {
		j := i + r.IntN(len(list)-i)
		list[i], list[j] = list[j], list[i]
	}
	return list[:n]
}
