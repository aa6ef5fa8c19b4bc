package overlay

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// State is what a supernode believes of another one.
//
//	Alive ──unanswered, or a rumour──▶ Suspect ──5 s──▶ Dead
//	  ▲ ◀──────────── an entry of a higher incarnation ─────┘
//	  └──────── an entry without the role ───────▶ Left
type State uint8

// The states, as they travel in a Rumour.
const (
	Alive State = iota
	Suspect
	Dead
	Left
)

// String is the state in words.
func (s State) String() string {
	if names := [...]string{"alive", "suspect", "dead", "left"}; int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

const (
	suspicion   = 5 * time.Second
	forgetAfter = time.Hour   // the dead and those who left
	settleAfter = time.Minute // entries older than that are compared by digests
)

// A member is a supernode as this one knows it.
type member struct {
	*Entry
	state  State
	since  time.Time     // of the state and the incarnation, here
	rtt    time.Duration // zero: not measured
	teller linnet.NodeID // who accused it
}

// serves says that it counts: a suspect does until it is dead.
func (x *member) serves() bool { return x.state <= Suspect }

func (x *member) rumour() message.Rumour {
	r := message.Rumour{State: uint32(x.state), Entry: x.raw}
	if x.state == Suspect || x.state == Dead {
		r.Teller = x.teller[:]
	}
	return r
}

// table is all supernodes that this one knows, itself among them.
type table struct {
	members []*member                // in the order of their nodes
	opened  map[string]linnet.NodeID // entries that were checked, by their bytes
	slots   Slots                    // of those that serve
}

func (t *table) find(node linnet.NodeID) (int, bool) {
	return slices.BinarySearchFunc(t.members, node, func(x *member, n linnet.NodeID) int { return compareNodes(x.Node, n) })
}

func (t *table) get(node linnet.NodeID) *member {
	if i, ok := t.find(node); ok {
		return t.members[i]
	}
	return nil
}

func (t *table) put(e *Entry) *member {
	if t.opened == nil {
		t.opened = make(map[string]linnet.NodeID)
	}
	i, ok := t.find(e.Node)
	if !ok {
		t.members = slices.Insert(t.members, i, &member{})
	} else {
		delete(t.opened, string(t.members[i].raw))
	}
	t.opened[string(e.raw)] = e.Node
	t.members[i].Entry = e
	return t.members[i]
}

// drop removes those that no longer count, given the choice.
func (t *table) drop(gone func(*member) bool) {
	t.members = slices.DeleteFunc(t.members, func(x *member) bool {
		if !gone(x) {
			return false
		}
		delete(t.opened, string(x.raw))
		return true
	})
}

// random are up to n members that fit, in random order.
func (t *table) random(r *rand.Rand, n int, fits func(*member) bool) []*member {
	if n <= 0 {
		return nil
	}
	var list []*member
	for _, x := range t.members {
		if fits(x) {
			list = append(list, x)
		}
	}
	return pick(r, n, list)
}

// isOther says that a member is a supernode besides this one that counts.
func (m *Machine) isOther(x *member) bool { return x.serves() && x.Node != m.o.Self.Node }

func (m *Machine) self() *member { return m.table.get(m.o.Self.Node) }

func (m *Machine) incarnation() uint64 {
	if self := m.self(); self != nil {
		return self.Incarnation
	}
	return 0
}

// announce signs a new entry of this node, puts it into the table and spreads it.
func (m *Machine) announce(now time.Time, incarnation uint64) error {
	e := &Entry{Certificate: m.o.Self.Certificate, Addrs: m.o.Addrs, Roles: m.o.Role, Incarnation: incarnation}
	if m.leaving {
		e.Roles &^= linnet.Supernode
	}
	b, err := e.Sign(m.o.Self.Keys)
	if err != nil {
		return err
	}
	opened, err := m.o.Trust.OpenEntry(b, now)
	if err != nil {
		return err
	}
	m.enter(now, opened, Alive, linnet.NodeID{})
	return nil
}

// enter puts what is now believed of a supernode into the table, and spreads it.
func (m *Machine) enter(now time.Time, e *Entry, s State, teller linnet.NodeID) {
	x := m.table.put(e)
	if s != Suspect && s != Dead {
		teller = linnet.NodeID{}
	}
	if !e.Serves() {
		s = Left
	}
	x.state, x.since, x.teller = s, now, teller
	moved := false
	if x.serves() {
		moved = m.table.slots.Add(x.Node, x.Addrs[0].Addr())
		m.learnHost(now, x.Host())
	} else {
		moved = m.table.slots.Remove(x.Node)
	}
	m.membersChanged = m.membersChanged || moved
	m.spread(now, x.Node)
	if s == Suspect {
		incarnation := e.Incarnation
		m.after(now, suspicion, func(now time.Time) {
			if x.state == Suspect && x.Incarnation == incarnation && m.table.get(x.Node) == x {
				m.bury(now, x)
			}
		})
	}
}

func (m *Machine) bury(now time.Time, x *member) {
	m.enter(now, x.Entry, Dead, x.teller)
	m.reportDead(now, x.Node)
}

// suspect begins a suspicion that this node found itself.
func (m *Machine) suspect(now time.Time, node linnet.NodeID) {
	if x := m.table.get(node); x != nil && x.state == Alive {
		m.enter(now, x.Entry, Suspect, m.o.Self.Node)
	}
}

// hear takes a rumour. An error says that it was a forgery.
func (m *Machine) hear(now time.Time, from linnet.NodeID, r message.Rumour) error {
	var e *Entry
	if node, ok := m.table.opened[string(r.Entry)]; ok {
		e = m.table.get(node).Entry
	} else {
		var err error
		if e, err = m.o.Trust.OpenEntry(r.Entry, now); err != nil {
			return err
		}
	}
	accused := State(r.State) == Suspect || State(r.State) == Dead
	if e.Node == m.o.Self.Node {
		if self := m.self(); e.Incarnation > self.Incarnation || accused && e.Incarnation == self.Incarnation {
			m.refute(now, from, e.Incarnation)
		}
		return nil
	}
	var teller linnet.NodeID
	copy(teller[:], r.Teller)
	x := m.table.get(e.Node)
	switch {
	case x == nil && (!e.Serves() || State(r.State) == Dead):
		// Who was never known need not be buried.
	case x == nil && len(m.table.members) >= m.o.Limits.Members:
	case x == nil || e.Incarnation > x.Incarnation:
		s := Alive
		if accused {
			s = Suspect
		}
		m.enter(now, e, s, teller)
	case e.Incarnation == x.Incarnation && accused && x.state == Alive:
		m.enter(now, x.Entry, Suspect, teller)
	}
	return nil
}

// refute answers an accusation, or an entry of an earlier life of this node
// that is newer than its own: by an entry that outbids it.
func (m *Machine) refute(now time.Time, accuser linnet.NodeID, incarnation uint64) {
	if now.Before(m.swim.refuted.Add(refutePause)) {
		return // an accuser that goes on will be answered then
	}
	m.swim.refuted = now
	if m.announce(now, max(incarnation+1, uint64(now.UnixMilli()))) == nil {
		m.emit(Send{accuser, &message.Rumours{Updates: []message.Rumour{m.self().rumour()}}})
	}
}

// sweepMembers forgets the long dead, and those whose certificate expired.
func (m *Machine) sweepMembers(now time.Time) {
	m.table.drop(func(x *member) bool {
		if x.Node == m.o.Self.Node {
			return false
		}
		expired := now.After(x.Expires)
		if expired && m.table.slots.Remove(x.Node) {
			m.membersChanged = true
		}
		return expired || !x.serves() && now.Sub(x.since) > forgetAfter
	})
	m.after(now, time.Minute, m.sweepMembers)
}

// Members are the supernodes that hold a slot, as this supernode knows them.
// The caller must not change the slice.
func (m *Machine) Members(slot Slot) []linnet.NodeID { return m.table.slots.Members(slot) }

// Serving are all supernodes that this one believes alive, in the order of their ids.
func (m *Machine) Serving() []linnet.NodeID {
	var nodes []linnet.NodeID
	for _, x := range m.table.members {
		if x.serves() {
			nodes = append(nodes, x.Node)
		}
	}
	return nodes
}

// IsSupernode says that this supernode knows a node as one.
func (m *Machine) IsSupernode(node linnet.NodeID) bool {
	x := m.table.get(node)
	return x != nil && x.serves()
}

// RTT is the round trip to a supernode; zero if it was never measured.
func (m *Machine) RTT(node linnet.NodeID) time.Duration {
	if x := m.table.get(node); x != nil {
		return x.rtt
	}
	return 0
}

// Entry is this supernode's own entry, signed; nil if it serves not.
func (m *Machine) Entry() []byte {
	if self := m.self(); self != nil {
		return self.raw
	}
	return nil
}
