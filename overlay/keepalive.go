package overlay

import (
	"cmp"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

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
		m.seekBetter(now, l)
	}
	m.after(now, m.keepAlivePause(), m.keepAlive)
}

// UsualKeepAlive is how long the NATs before a node are left without a packet to a
// supernode while nothing is known of them.
const UsualKeepAlive = 30 * time.Second

// SetKeepAlive sets how long the NATs before this node may be left without a packet to a
// supernode; 0: the usual time.
func (m *Machine) SetKeepAlive(d time.Duration) { m.o.KeepAlive = cmp.Or(d, UsualKeepAlive) }

// keepAlivePause is a little less than KeepAlive, and never the same, lest the clients that one
// supernode took after the death of another one all speak at the same time.
func (m *Machine) keepAlivePause() time.Duration {
	return m.o.KeepAlive - time.Duration(m.o.Rand.Int64N(int64(m.o.KeepAlive/10)))
}

// receivedKeepAlive: a client's, or a supernode's report that another one died.
func (m *Machine) receivedKeepAlive(now time.Time, from linnet.NodeID, id uint16, msg *message.KeepAlive) {
	if c := m.clients.get(from); c != nil {
		m.clients.heardAt(c, m.tenths(now))
		m.clients.setAble(c, msg.Able)
		m.clients.setOthers(c, msg.Others[:min(len(msg.Others), message.MaxAttachments)])
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
