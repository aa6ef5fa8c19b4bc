package call

import (
	"time"

	"github.com/linnet-p2p/linnet"
)

// remembered is how long the id of a call is kept: a request is fresh for
// freshFor before and after the time that it carries, so it can be replayed
// for twice as long, and no longer.
const remembered = 2 * freshFor

// memory is the calls that were: it keeps a replayed request from ringing
// twice, answers messages that come late, and counts who calls how often. It
// forgets, and what it holds of others' calls is bounded by room.
type memory struct {
	calls    map[linnet.CallID]past
	order    []stamp // when entries were written, the oldest first
	incoming int
	byUser   map[linnet.UserName]int // of incoming
}

type past struct {
	user     linnet.UserName
	node     linnet.NodeID // at the other end; zero if never answered
	incoming bool
	outcome  linnet.Outcome // OutcomeNone while it lasts
	at       time.Time
	receipt  bool // the other end's was taken: one is enough
}

// reason is what a device that still holds the call is told.
func (p past) reason(node linnet.NodeID) linnet.Outcome {
	return reasonFor(p.outcome, p.incoming, p.node, node)
}

// overrules says that the caller, whose past this is, ended the call in another
// way than a device of the callee says. Busy and failed are the devices' own words.
func (p past) overrules(said linnet.Outcome, node linnet.NodeID) bool {
	if said == p.outcome && (said == linnet.OutcomeBusy || said == linnet.OutcomeFailed) {
		return false
	}
	return said != p.reason(node)
}

type stamp struct {
	id linnet.CallID
	at time.Time
}

func (m *memory) put(id linnet.CallID, p past) {
	if m.calls == nil {
		m.calls = make(map[linnet.CallID]past)
		m.byUser = make(map[linnet.UserName]int)
	}
	m.forget(p.at)
	m.drop(id)
	m.calls[id] = p
	m.order = append(m.order, stamp{id, p.at})
	if p.incoming {
		m.incoming++
		m.byUser[p.user]++
	}
}

func (m *memory) get(now time.Time, id linnet.CallID) (past, bool) {
	m.forget(now)
	p, ok := m.calls[id]
	return p, ok
}

// room says whether another call of this user may be remembered. A call that
// may not be is refused: it would ring again for whoever replays it. Half of
// the room is for contacts only.
func (m *memory) room(now time.Time, from Peer, perUser, total int) bool {
	m.forget(now)
	if !from.Contact {
		total /= 2
	}
	return m.byUser[from.User] < perUser && m.incoming < total
}

func (m *memory) forget(now time.Time) {
	n := 0
	for n < len(m.order) && now.Sub(m.order[n].at) > remembered {
		if s := m.order[n]; m.calls[s.id].at.Equal(s.at) {
			m.drop(s.id)
		}
		n++
	}
	m.order = m.order[n:]
}

func (m *memory) drop(id linnet.CallID) {
	p, ok := m.calls[id]
	if !ok {
		return
	}
	delete(m.calls, id)
	if p.incoming {
		m.incoming--
		if m.byUser[p.user]--; m.byUser[p.user] == 0 {
			delete(m.byUser, p.user)
		}
	}
}
