package overlay

import (
	"cmp"
	"errors"
	"math"
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

// A member is a supernode as this one knows it. A network of 20,000 has as many
// on each of them, hence the sizes.
type member struct {
	*seat
	since uint32 // of the state and the incarnation, here: tenths of a second since the machine started
	rtt   uint16 // in tenths of a millisecond, or unmeasured; 0: there is no session
	state State
	load  uint8 // percent of its limit, as it said last
}

// serves says that it counts: a suspect does until it is dead.
func (x *member) serves() bool { return x.state <= Suspect }

// rumour is what is to be said of it. Who is accused need not be introduced.
func (x *member) rumour() message.Rumour {
	r := message.Rumour{State: uint32(x.state), Node: x.node, Incarnation: x.incarnation}
	if x.state == Alive || x.state == Left {
		r.Entry = x.entry()
	}
	return r
}

// introduction is its rumour for somebody who may not know it.
func (x *member) introduction() message.Rumour {
	r := x.rumour()
	r.Entry = x.entry()
	return r
}

// table is all supernodes that this one knows, itself among them, and who of
// them holds which slot. Pointers into it are good until the next put or drop.
type table struct {
	seats   Seats
	members []member // in the order of their nodes
	serving int      // of them
	blocks  *blocks  // nil as long as there is no member: an ordinary node has none
	cache   map[Slot]cachedSlot
}

// find looks in the block of a node alone: each step goes to another seat, which
// the processor has to fetch.
func (t *table) find(node linnet.NodeID) (int, bool) {
	if t.blocks == nil {
		return 0, false
	}
	block := blockOf(node)
	first, after := t.blocks.begin[block], t.blocks.begin[block+1]
	i, ok := slices.BinarySearchFunc(t.members[first:after], node, func(x member, n linnet.NodeID) int { return compareNodes(x.node, n) })
	return int(first) + i, ok
}

// begin fills an empty table with supernodes that are alive.
func (t *table) begin(seats []*seat) {
	slices.SortFunc(seats, func(a, b *seat) int {
		return cmp.Or(compareNodes(a.node, b.node), -cmp.Compare(a.incarnation, b.incarnation))
	})
	seats = slices.CompactFunc(seats, func(a, b *seat) bool { return a.node == b.node })
	t.members = make([]member, 0, len(seats)+len(seats)/16)
	t.blocks = newBlocks()
	for _, x := range seats {
		t.members = append(t.members, member{seat: x})
		t.blocks.enter(x)
		t.blocks.lasts(x)
	}
	t.serving = len(seats)
	t.blocks.divide(t.members)
}

func (t *table) get(node linnet.NodeID) *member {
	if i, ok := t.find(node); ok {
		return &t.members[i]
	}
	return nil
}

// put notes what is believed of a supernode, and says whether slots may have
// other members now.
func (t *table) put(x *seat, s State, since uint32) (moved bool) {
	i, known := t.find(x.node)
	if t.blocks == nil {
		t.blocks = newBlocks()
	}
	if !known {
		t.members = slices.Insert(t.members, i, member{})
		t.blocks.grow(blockOf(x.node))
	}
	m := &t.members[i]
	before, served := m.seat, known && m.serves()
	m.seat, m.state, m.since = x, s, since
	t.blocks.lasts(x)
	if served {
		t.blocks.leave(before)
	}
	if m.serves() {
		t.blocks.enter(x)
	} else {
		m.rtt = 0 // a session that stands yet leads nowhere
	}
	switch serves := m.serves(); {
	case served && serves && before.network() == x.network() && before.account() == x.account(), !served && !serves:
		return false
	case serves && !served:
		t.serving++
	case served && !serves:
		t.serving--
	}
	t.changed(x)
	return true
}

// drop removes those that no longer count, given the choice, and says whether
// slots may have other members now.
func (t *table) drop(gone func(*member) bool) (moved bool) {
	before := len(t.members)
	t.members = slices.DeleteFunc(t.members, func(x member) bool {
		if !gone(&x) {
			return false
		}
		if x.serves() {
			t.serving--
			t.blocks.leave(x.seat)
			t.changed(x.seat)
			moved = true
		}
		return true
	})
	if len(t.members) < before {
		t.blocks.divide(t.members)
	}
	return moved
}

// random are up to n members that fit, each once, in random order. Most of a
// table fits as a rule, so trying a few is enough; where that fails, many are looked
// at, but never all of a large one: those who have no room are asked most when
// nobody has any.
func (t *table) random(r *rand.Rand, n int, fits func(*member) bool) []*member {
	if n <= 0 || len(t.members) == 0 {
		return nil
	}
	list := make([]*member, 0, n)
	if len(t.members) > 8*n {
		for range 4 * n {
			x := &t.members[r.IntN(len(t.members))]
			if fits(x) && !slices.Contains(list, x) {
				if list = append(list, x); len(list) == n {
					return list
				}
			}
		}
	}
	list = list[:0]
	start := r.IntN(len(t.members))
	for i := range min(len(t.members), lookAt*n) {
		if x := &t.members[(start+i)%len(t.members)]; fits(x) {
			list = append(list, x)
		}
	}
	return pick(r, n, list)
}

const lookAt = 100 // members, for each one that is wanted

// isOther says that a member is a supernode besides this one that counts.
func (m *Machine) isOther(x *member) bool { return x.serves() && x.node != m.o.Self.Node }

func (m *Machine) self() *member { return m.table.get(m.o.Self.Node) }

func (m *Machine) incarnation() uint64 {
	if self := m.self(); self != nil {
		return self.incarnation
	}
	return 0
}

// tenths is a moment as member.since has it.
func (m *Machine) tenths(t time.Time) uint32 {
	return uint32(max(t.Sub(m.started), 0) / tenth)
}

const tenth = 100 * time.Millisecond

// announce signs a new entry of this node, puts it into the table and tells everybody.
func (m *Machine) announce(now time.Time, incarnation uint64) error {
	e := &Entry{Certificate: m.o.Self.Certificate, Addrs: m.o.Addrs, Roles: m.o.Role, Incarnation: incarnation, Web: m.o.Web, WebName: m.o.WebName}
	if m.leaving {
		e.Roles &^= linnet.Supernode
	}
	b, err := e.Sign(m.o.Self.Keys)
	if errors.Is(err, ErrEntrySize) {
		e.WebName = "" // nobody depends on it
		b, err = e.Sign(m.o.Self.Keys)
	}
	if err != nil {
		return err
	}
	opened, err := m.o.Trust.OpenEntry(b, now)
	if err != nil {
		return err
	}
	s := Alive
	if !opened.Serves() {
		s = Left
	}
	m.enter(now, opened.seat, s)
	m.publish(now, opened.Node)
	return nil
}

// remember begins with the supernodes that were known before. Who has gone since
// will be found out like any other death.
func (m *Machine) remember(now time.Time) {
	seats, hosts := make([]*seat, 0, len(m.o.Members)), make([]*Host, 0, len(m.o.Members))
	for _, e := range m.o.Members[:min(len(m.o.Members), m.o.Limits.Members)] {
		if e.Serves() && now.Before(e.Expires) {
			seats, hosts = append(seats, e.seat), append(hosts, e.host)
		}
	}
	for _, h := range pick(m.o.Rand, MaxHosts, hosts) {
		m.learnHost(now, h)
	}
	m.o.Members = nil
	m.table.begin(seats)
}

// enter puts what is now believed of a supernode into the table.
func (m *Machine) enter(now time.Time, e *seat, s State) {
	moved := m.table.put(e, s, m.tenths(now))
	m.membersChanged = m.membersChanged || moved
	m.mention(e.node)
	if s == Suspect {
		node, incarnation := e.node, e.incarnation
		m.whileServing(now, suspicion, func(now time.Time) {
			if x := m.table.get(node); x != nil && x.state == Suspect && x.incarnation == incarnation {
				m.bury(now, x)
			}
		})
	}
}

// bury needs no announcement: whoever heard of the suspicion comes to the same end.
func (m *Machine) bury(now time.Time, x *member) {
	node := x.node
	m.enter(now, x.seat, Dead)
	m.reportDead(now, node)
}

// suspect begins a suspicion that this node found itself.
func (m *Machine) suspect(now time.Time, node linnet.NodeID) {
	if x := m.table.get(node); x != nil && x.state == Alive {
		m.enter(now, x.seat, Suspect)
		m.publish(now, node)
	}
}

var errForged = errors.New("a rumour of another entry than the one it came with")

// hear takes a rumour, and says whether it was news. An error says that it was a forgery.
func (m *Machine) hear(now time.Time, from linnet.NodeID, r message.Rumour) (news bool, err error) {
	accused := State(r.State) == Suspect || State(r.State) == Dead
	x := m.table.get(r.Node)
	if x != nil && r.Incarnation < x.incarnation {
		return false, nil
	}
	if x != nil && r.Incarnation == x.incarnation {
		switch {
		case r.Node == m.o.Self.Node && accused:
			m.refute(now, from, r.Incarnation)
		case accused && x.state == Alive:
			m.enter(now, x.seat, Suspect)
			return true, nil
		}
		return false, nil
	}
	if r.Entry == nil || x == nil && (State(r.State) >= Dead || len(m.table.members) >= m.o.Limits.Members) {
		return false, nil // who was never known need not be buried
	}
	e, err := m.o.Trust.OpenEntry(r.Entry, now)
	if err != nil {
		return false, err
	}
	if e.Node != r.Node || e.Incarnation != r.Incarnation {
		return false, errForged
	}
	if e.Node == m.o.Self.Node {
		m.refute(now, from, e.Incarnation) // of an earlier life of this node
		return false, nil
	}
	s := Alive
	switch {
	case !e.Serves():
		s = Left
	case accused:
		s = Suspect
	}
	if x == nil && s == Left {
		return false, nil
	}
	if s != Left {
		m.learnHost(now, e.host)
	}
	m.enter(now, e.seat, s)
	return true, nil
}

// refute answers an accusation, or an entry of an earlier life of this node
// that is newer than its own: by an entry that outbids it, by no more than that. Else it
// would be younger, and slander would make newcomers of Elders.
func (m *Machine) refute(now time.Time, accuser linnet.NodeID, incarnation uint64) {
	if now.Before(m.swim.refuted.Add(refutePause)) {
		return // an accuser that goes on will be answered then
	}
	m.swim.refuted = now
	if m.announce(now, incarnation+1) == nil {
		m.emit(Send{accuser, &message.Rumours{Updates: []message.Rumour{m.self().rumour()}}})
	}
}

// sweepMembers forgets the long dead, and those whose certificate expired.
func (m *Machine) sweepMembers(now time.Time) {
	minute, ago := now.Unix()/60, m.tenths(now.Add(-forgetAfter))
	expired := minute > int64(m.table.blocks.soonest) // else no certificate need be looked at
	moved := m.table.drop(func(x *member) bool {
		return (expired && minute > int64(x.expires()) || !x.serves() && x.since < ago) && x.node != m.o.Self.Node
	})
	if expired {
		m.table.blocks.expire(m.table.members)
	}
	m.membersChanged = m.membersChanged || moved
	m.whileServing(now, time.Minute, m.sweepMembers)
}

// Members are the supernodes that hold a slot, as this supernode knows them.
// The caller must not change the slice.
func (m *Machine) Members(slot Slot) []linnet.NodeID { return m.table.Members(slot) }

// Seated says that this supernode holds a slot and can know what there is in it: it
// did not just take the seat of another one that died or left, and if it is a newcomer
// there are Elders to ask.
func (m *Machine) Seated(now time.Time, slot Slot) bool {
	at := slices.Index(m.Members(slot), m.o.Self.Node)
	if at < 0 {
		return false
	}
	switch age := now.Sub(m.since); {
	case age < handedOver && len(m.strangers()) > 0, age < gathered && m.astray():
		return false // there is a network that it has not found yet
	case age < republished && m.newcomer():
		if elders, _ := m.Elders(now, slot); age < handedOver || len(elders) == 0 {
			return false
		}
	}
	own, ago := score(slot, m.self().weight), m.tenths(now.Add(-republished))
	for i := range m.table.members {
		if x := &m.table.members[i]; !x.serves() && x.since >= ago && score(slot, x.weight) > own {
			at++ // it stood before this one until then
		}
	}
	return at < SlotSize
}

// Elders are members of a slot that were supernodes before this one, at most three,
// the longest first, as long as this one may not have been given everything there is in the
// slot: who asks them has to hear so many of them. There are none for whoever is no newcomer.
func (m *Machine) Elders(now time.Time, slot Slot) (nodes []linnet.NodeID, hear int) {
	if now.Sub(m.since) >= republished {
		return nil, 0
	}
	before, settled := m.before(), uint64(now.Add(-republished).UnixMilli())
	var list []*seat
	for _, node := range m.Members(slot) {
		if x := m.table.get(node); x != nil && node != m.o.Self.Node && x.incarnation < before {
			list = append(list, x.seat)
		}
	}
	slices.SortStableFunc(list, func(a, b *seat) int { return cmp.Compare(a.incarnation, b.incarnation) })
	hear = 1 // of a network that was restarted machine by machine one may be all there is
	for _, x := range list[:min(len(list), maxElders)] {
		nodes = append(nodes, x.node)
		if len(nodes) == 2 && x.incarnation < settled {
			hear = 2
		}
	}
	return nodes, hear
}

const maxElders = 3

// gathered is how long the machines of a network that starts again take to be back, nearly all.
const gathered = 3 * time.Minute

// astray says that most supernodes that it remembers are unknown to those that it found: when
// a network starts again, parts of it meet before they find one another.
func (m *Machine) astray() bool {
	unknown := 0
	for _, h := range m.hosts.hosts {
		if m.table.get(h.Node) == nil {
			unknown++
		}
	}
	return 2*unknown > len(m.hosts.hosts)
}

// newcomer says that there were supernodes before this one began.
func (m *Machine) newcomer() bool {
	before := m.before()
	return slices.ContainsFunc(m.table.members, func(x member) bool { return x.serves() && x.incarnation < before })
}

// before is which incarnations were there before this supernode. Who began
// together with it was not.
func (m *Machine) before() uint64 { return uint64(m.since.Add(-handedOver).UnixMilli()) }

// handedOver is how long the records of a small slot take to get to a new member, once
// everybody knows of it.
const handedOver = 20 * time.Second

// republished is how long the records of a slot that lost all its members at once
// take to come again, from their devices: before, whoever sits there now cannot say that there
// are none.
const republished = 12 * time.Minute

// Serving are all supernodes that this one believes alive, in the order of their ids.
func (m *Machine) Serving() []linnet.NodeID {
	var nodes []linnet.NodeID
	for i := range m.table.members {
		if x := &m.table.members[i]; x.serves() {
			nodes = append(nodes, x.node)
		}
	}
	return nodes
}

// IsSupernode says that this supernode knows a node as one.
func (m *Machine) IsSupernode(node linnet.NodeID) bool {
	x := m.table.get(node)
	return x != nil && x.serves()
}

// RTT is the round trip to a supernode: zero if there is no session, so that a question
// would take another one, and longer than any other if it was not measured yet. Who is none
// knows those that it is attached to.
func (m *Machine) RTT(node linnet.NodeID) time.Duration {
	if x := m.table.get(node); x != nil {
		return time.Duration(x.rtt) * rttUnit
	}
	if l := m.attach.find(node); l != nil {
		return time.Duration(l.host.rtt) * time.Microsecond
	}
	return 0
}

const (
	rttUnit    = 100 * time.Microsecond // of member.rtt
	unmeasured = math.MaxUint16
)

// Entry is this supernode's own entry, signed; nil if it serves not.
func (m *Machine) Entry() []byte {
	if self := m.self(); self != nil && self.serves() {
		return self.entry()
	}
	return nil
}
