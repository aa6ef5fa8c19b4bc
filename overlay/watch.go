package overlay

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A device that crashed says no good-bye. Whoever wants to know asks its own
// supernode now and then, in a keep-alive that is sent anyway, and that one asks the
// supernodes of those devices, all that are at one of them at once. Nobody keeps
// anything between two questions, and there is an answer only where a device is gone.
//
//	client ──KeepAlive{Watch}──▶ own supernode ──Watch──▶ theirs
//	       ◀──────Gone──────────               ◀──Gone───

// maxWatch is how many devices a keep-alive asks for.
const maxWatch = 32

// Gone says of devices that they are not attached where Watch was told: they
// crashed, or went elsewhere.
type Gone struct{ Nodes []linnet.NodeID }

// Watch has the own supernodes asked, with the next keep-alives, which of these
// devices are not attached any more to the first supernode of their location.
func (m *Machine) Watch(now time.Time, devices []message.Location) {
	if m.serving() {
		m.watchFor(now, m.o.Self.Node, devices)
		return
	}
	m.watched = slices.Clone(devices)
}

// nextWatched are the devices that the next keep-alive asks for.
func (m *Machine) nextWatched() []message.Location {
	n := min(len(m.watched), maxWatch)
	next := make([]message.Location, n)
	for i, l := range m.watched[:n] {
		next[i] = message.Location{Node: l.Node, Supernodes: l.Supernodes[:min(len(l.Supernodes), 1)]}
	}
	m.watched = m.watched[n:]
	return next
}

// watchFor asks the supernodes of devices for a client, or for this node itself.
func (m *Machine) watchFor(now time.Time, asker linnet.NodeID, devices []message.Location) {
	var gone, order []linnet.NodeID
	at := make(map[linnet.NodeID][]linnet.NodeID)
	for _, l := range devices {
		if c := m.clients.get(asker); c != nil && !c.forwards.Take(now, m.o.Limits.Forwards, m.o.Limits.ForwardBurst) {
			break
		}
		if m.attachedHere(l.Node) {
			continue
		}
		i := slices.IndexFunc(l.Supernodes, func(node linnet.NodeID) bool {
			x := m.table.get(node)
			return x != nil && m.isOther(x)
		})
		if i < 0 {
			gone = append(gone, l.Node)
			continue
		}
		home := l.Supernodes[i]
		if at[home] == nil {
			order = append(order, home)
		}
		at[home] = append(at[home], l.Node)
	}
	for _, home := range order {
		for nodes := range slices.Chunk(at[home], maxWatch) { // more is not answered
			m.emit(Send{home, &message.Watch{Nodes: nodes, Asker: asker}})
		}
	}
	m.tellGone(asker, gone)
}

func (m *Machine) attachedHere(node linnet.NodeID) bool {
	return node == m.o.Self.Node || m.clients.get(node) != nil
}

func (m *Machine) tellGone(asker linnet.NodeID, gone []linnet.NodeID) {
	switch {
	case len(gone) == 0:
	case asker == m.o.Self.Node:
		m.emit(Gone{gone})
	case m.clients.get(asker) != nil:
		m.emit(Send{asker, &message.Gone{Nodes: gone}})
	}
}

func (m *Machine) receivedWatch(from linnet.NodeID, msg *message.Watch) {
	if !m.serving() || !m.IsSupernode(from) {
		return
	}
	gone := slices.DeleteFunc(slices.Clone(msg.Nodes[:min(len(msg.Nodes), maxWatch)]), m.attachedHere)
	if len(gone) > 0 {
		m.emit(Send{from, &message.Gone{Nodes: gone, Asker: msg.Asker}})
	}
}

func (m *Machine) receivedGone(from linnet.NodeID, msg *message.Gone) {
	nodes := msg.Nodes[:min(len(msg.Nodes), maxWatch)]
	if m.serving() {
		if m.IsSupernode(from) {
			m.tellGone(msg.Asker, nodes)
		}
	} else if l := m.attach.find(from); l != nil && l.state == attached && len(nodes) > 0 {
		m.emit(Gone{nodes})
	}
}
