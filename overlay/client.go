package overlay

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	clientSilence = 150 * time.Second // the longest keep-alive and some
	clientSweep   = 10 * time.Second
	namedOthers   = 8 // supernodes named to a client
	stackVersion  = 1
)

// A client is a node that is attached to this supernode. There may be 100,000
// of them, so it has no timer and no key of its own.
type client struct {
	heard    time.Time
	others   []linnet.NodeID // its other supernodes
	forwards Bucket
}

// Clients is how many nodes are attached to this supernode.
func (m *Machine) Clients() int { return len(m.clients) }

// IsClient says whether a node is attached to this supernode.
func (m *Machine) IsClient(node linnet.NodeID) bool { return m.clients[node] != nil }

func (m *Machine) serving() bool { return m.o.Role&linnet.Supernode != 0 }

func (m *Machine) full() bool {
	return !m.serving() || m.leaving || len(m.clients) >= m.o.Limits.Clients
}

// load is what of the limit is used, in percent.
func (m *Machine) load() uint32 { return uint32(100 * len(m.clients) / m.o.Limits.Clients) }

func (m *Machine) receivedAttach(now time.Time, from linnet.NodeID, id uint16, msg *message.Attach) {
	c := m.clients[from]
	if c == nil {
		if m.full() {
			m.emit(Respond{from, id, &message.AttachRefused{Entries: m.namedEntries(namedOthers)}})
			return
		}
		c = new(client)
		m.clients[from] = c
	}
	c.heard = now
	c.others = msg.Others[:min(len(msg.Others), message.MaxAttachments)]
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

func (m *Machine) answerProbe() message.Message {
	switch {
	case !m.serving():
		return nil
	case !m.full():
		return &message.ProbeAccepted{}
	}
	refused := new(message.ProbeRefused)
	for _, x := range m.table.random(m.o.Rand, namedOthers, m.isOther) {
		refused.Others = append(refused.Others, x.Addrs[0])
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
		named.Addrs = append(named.Addrs, x.Addrs[0])
		info.Entries = append(info.Entries, x.raw)
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
	if self := m.self(); self != nil && !m.leaving {
		entries = append(entries, self.raw)
	}
	for _, x := range m.table.random(m.o.Rand, n-len(entries), m.isOther) {
		entries = append(entries, x.raw)
	}
	return entries
}

// sweepClients forgets the clients that said nothing for long.
func (m *Machine) sweepClients(now time.Time) {
	for node, c := range m.clients {
		if now.Sub(c.heard) > clientSilence {
			delete(m.clients, node)
		}
	}
	m.after(now, clientSweep, m.sweepClients)
}

// reportDead tells the clients of this supernode that were attached to a dead one, too.
func (m *Machine) reportDead(now time.Time, dead linnet.NodeID) {
	var nodes []linnet.NodeID
	for node, c := range m.clients {
		if slices.Contains(c.others, dead) {
			nodes = append(nodes, node)
		}
	}
	slices.SortFunc(nodes, compareNodes) // a map has no order, and a run is to be repeatable
	for _, node := range nodes {
		m.request(now, node, &message.KeepAlive{PeerDown: dead}, checkWait, func(time.Time, message.Message) {})
	}
}

// Leave says good-bye: clients are told where else to go, and supernodes that
// this one serves no longer. The caller carries out the effects and closes.
func (m *Machine) Leave(now time.Time) {
	m.leaving = true
	if !m.serving() {
		for _, l := range m.attach.links {
			if l.state == attached {
				m.emit(Send{l.host.Node, &message.Detach{}})
			}
		}
		return
	}
	nodes := make([]linnet.NodeID, 0, len(m.clients))
	for node := range m.clients {
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, compareNodes)
	for _, node := range nodes {
		m.emit(Send{node, &message.Detach{Entries: m.namedEntries(namedOthers)}})
	}
	self := m.self()
	if self == nil || m.announce(now, self.Incarnation+1) != nil {
		return // they will find out by themselves
	}
	last := &message.Rumours{Updates: []message.Rumour{m.table.get(m.o.Self.Node).rumour()}}
	for _, x := range m.table.random(m.o.Rand, 2*fanout, m.isOther) {
		m.emit(Send{x.Node, last})
	}
}

// pick chooses up to n of list, all equally likely, in random order.
func pick[T any](r *rand.Rand, n int, list []T) []T {
	n = max(min(n, len(list)), 0)
	for i := range n {
		j := i + r.IntN(len(list)-i)
		list[i], list[j] = list[j], list[i]
	}
	return list[:n]
}
