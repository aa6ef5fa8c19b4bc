package overlay

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A Forward goes from a node to one of its supernodes, from there to a
// supernode of the target, and from there to the target. The first supernode
// vouches for Source; nobody vouches for the packet, which proves itself.

const (
	forwardVersion = 2
	maxForward     = 4096 // bytes of a packet: handshakes and signalling, no media
)

// Location is where this node can be reached.
func (m *Machine) Location() message.Location {
	return message.Location{Node: m.o.Self.Node, Supernodes: m.Attachments()}
}

// Forward sends a packet to a node through the supernodes of both. Via is the
// own supernode to use; zero means the best one. It says whether there is one.
func (m *Machine) Forward(now time.Time, via linnet.NodeID, target message.Location, inner uint32, body []byte) bool {
	f := &message.Forward{
		Version: forwardVersion, Target: target, Inner: inner, Packet: message.Packet{Body: body},
		Source: m.Location(), Hops: message.MaxHops,
	}
	if m.serving() {
		m.route(now, m.o.Self.Node, f)
		return true
	}
	ours := m.Attachments()
	if via.IsZero() {
		via = m.toward(target, ours)
	}
	if !slices.Contains(ours, via) {
		return false
	}
	m.emit(Send{via, f})
	return true
}

// toward is the best of ours for a target: one that serves both ends saves a
// hop, unless it owes us an answer.
func (m *Machine) toward(target message.Location, ours []linnet.NodeID) (via linnet.NodeID) {
	for _, node := range ours {
		if slices.Contains(target.Supernodes, node) && !m.attach.find(node).doubtful {
			return node
		}
	}
	if len(ours) > 0 {
		via = ours[0]
	}
	return via
}

func (m *Machine) receivedForward(now time.Time, from linnet.NodeID, f *message.Forward) {
	if !m.serving() {
		if l := m.attach.find(from); l != nil && l.state == attached && f.Target.Node == m.o.Self.Node {
			m.emit(ForwardUp{f})
		}
		return
	}
	if f.Version != forwardVersion || len(f.Packet.Body) > maxForward {
		return
	}
	f.Hops = min(f.Hops, message.MaxHops)
	if c := m.clients.get(from); c != nil {
		if f.Source.Node != from || !c.forwards.Take(now, m.o.Limits.Forwards, m.o.Limits.ForwardBurst) {
			return
		}
	} else if !m.IsSupernode(from) {
		return // a stranger has a supernode of its own
	}
	m.route(now, from, f)
}

// route passes a message on by one hop, or tells its source that it cannot.
func (m *Machine) route(now time.Time, from linnet.NodeID, f *message.Forward) {
	target := f.Target.Node
	if target == m.o.Self.Node {
		m.emit(ForwardUp{f})
		return
	}
	if f.Hops == 0 {
		m.unroutable(from, f)
		return
	}
	next := *f
	next.Hops--
	if m.clients.get(target) != nil {
		m.emit(Send{target, &next})
		return
	}
	if from != m.o.Self.Node && m.clients.get(from) == nil && (f.Hops < message.MaxHops-1 || m.Sheds(now, Forwarding)) {
		// It went astray twice already: its location is old.
		m.unroutable(from, f)
		return
	}
	for _, doubtful := range []bool{false, true} {
		for _, node := range f.Target.Supernodes {
			x := m.table.get(node)
			if x != nil && m.isOther(x) && node != from && (x.state == Suspect) == doubtful {
				m.emit(Send{node, &next})
				return
			}
		}
	}
	m.unroutable(from, f)
}

// unroutable tells the source of a message: directly if it is here, else through
// the supernode that vouched for it.
func (m *Machine) unroutable(hop linnet.NodeID, f *message.Forward) {
	source := f.Source.Node
	no := &message.Unroutable{Target: f.Target.Node, Source: source}
	switch {
	case source == m.o.Self.Node:
		m.emit(Unrouted{f.Target.Node})
	case m.clients.get(source) != nil:
		m.emit(Send{source, no})
	default:
		for _, node := range f.Source.Supernodes {
			if x := m.table.get(node); x != nil && m.isOther(x) {
				hop = node
				break
			}
		}
		m.emit(Send{hop, no})
	}
}

func (m *Machine) receivedUnroutable(from linnet.NodeID, msg *message.Unroutable) {
	switch {
	case !m.serving():
		if l := m.attach.find(from); l != nil && l.state == attached {
			m.emit(Unrouted{msg.Target})
		}
	case !m.IsSupernode(from):
	case msg.Source == m.o.Self.Node:
		m.emit(Unrouted{msg.Target})
	case m.clients.get(msg.Source) != nil:
		m.emit(Send{msg.Source, msg})
	}
}
