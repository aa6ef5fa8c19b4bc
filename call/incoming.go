package call

import (
	"bytes"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// requested takes a CallRequest.
func (m *Machine) requested(now time.Time, from Peer, early bool, req *message.CallRequest) {
	if c := m.find(req.Call); c != nil {
		if !early {
			m.requestedAgain(now, c, from)
		}
		return
	}
	if p, known := m.memory.get(now, req.Call); known {
		if p.user == from.User && !early {
			m.refuse(from, req.Call, p.reason(from.Node))
		}
		return
	}
	age := now.Sub(time.UnixMilli(int64(min(req.Time, 1<<52))))
	fresh := age.Abs() <= freshFor
	own, l := m.crossed(from)
	by, replaced := m.referred(now, from, req)
	if early && (!fresh || !from.Contact || own != nil) {
		return // it may be a replay; the session will bring it again
	}
	if own != nil && l != nil && l.state != over && bytes.Compare(own.info.ID[:], req.Call[:]) < 0 {
		l.rival = req.Call // the other side will answer ours
		return
	}
	if !m.memory.room(now, from, m.opts.RecentUser, m.opts.RecentTotal) || len(m.calls) >= m.opts.Lines+maxRequests {
		m.refuse(from, req.Call, linnet.OutcomeBusy)
		return
	}
	c := &call{
		info: linnet.CallInfo{
			CallRecord: linnet.CallRecord{ID: req.Call, Peer: from.User, Incoming: true, Started: now, By: by},
			State:      linnet.CallRinging,
			VideoAsked: req.Video,
		},
		giveUp: now.Add(m.opts.RingFor + m.opts.DeadAfter), // the caller is the one to give up
		codecs: common(m.opts.Codecs, req.Codecs),
		peer:   &leg{node: from.Node, state: ringing, heard: now},
	}
	c.legs = []*leg{c.peer}
	busy, ringing, ofUser, talks := 0, 0, 0, false
	for _, other := range m.calls {
		if other.info.State == linnet.CallEnded || other == own {
			continue
		}
		busy++
		talks = talks || other.answered() && other.peer.node == from.Node
		if other.info.Incoming && other.info.State == linnet.CallRinging {
			ringing++
			if other.info.Peer == from.User {
				ofUser++
			}
		}
	}
	if own == nil && replaced == nil && (ringing >= m.opts.MaxRinging || ofUser >= m.opts.PerUser) {
		m.refuse(from, req.Call, linnet.OutcomeBusy)
		return
	}
	m.calls = append(m.calls, c)
	m.remember(now, c)
	switch {
	case !fresh, len(c.codecs) == 0:
		m.turnAway(now, c, linnet.OutcomeFailed)
	case own != nil:
		c.info.State = linnet.CallIdle // it never rings
		m.merge(now, own, l, c)
		m.replace(now, replaced)
	case replaced != nil && !talks:
		c.info.State = linnet.CallIdle
		m.do(Replaced{replaced.info.ID, c.info.ID})
		m.take(now, c)
		m.replace(now, replaced)
	case m.quiet, talks, busy >= m.opts.Lines && !m.opts.CallWaiting: // one device has one call with another
		m.turnAway(now, c, linnet.OutcomeBusy)
	default:
		c.info.Waiting = busy >= m.opts.Lines
		c.peer.alive = now.Add(aliveEvery)
		m.do(Ring{c.info})
		m.tellRinging(c)
	}
}

func (m *Machine) tellRinging(c *call) {
	m.do(Send{c.peer.node, &message.CallRinging{Call: c.info.ID, Waiting: c.info.Waiting}})
}

// replace ends a call in whose place another one was taken.
func (m *Machine) replace(now time.Time, c *call) {
	if c != nil && c.answered() {
		m.finish(now, c, linnet.OutcomeCompleted)
	}
}

// lineFreed lets calls wait no longer when nothing is left to wait for.
func (m *Machine) lineFreed() {
	busy := 0
	for _, c := range m.calls {
		if c.info.State != linnet.CallEnded {
			busy++
		}
	}
	for _, c := range m.calls {
		if c.info.Incoming && c.info.State == linnet.CallRinging && c.info.Waiting && busy <= m.opts.Lines {
			c.info.Waiting = false
			m.tellRinging(c)
			m.do(Changed{c.info})
		}
	}
}

// refuse says no without remembering it.
func (m *Machine) refuse(from Peer, id linnet.CallID, reason linnet.Outcome) {
	m.do(Send{from.Node, &message.CallEnd{Call: id, Reason: uint32(reason)}})
}

// turnAway ends a call that never rang here.
func (m *Machine) turnAway(now time.Time, c *call, outcome linnet.Outcome) {
	c.info.State = linnet.CallIdle
	m.do(Changed{c.info}) // so that the history has a line, whatever happens until the caller knows
	m.finish(now, c, outcome)
}

// requestedAgain tells the caller once more how its call stands.
func (m *Machine) requestedAgain(now time.Time, c *call, from Peer) {
	if !c.info.Incoming || c.peer.node != from.Node {
		return
	}
	c.peer.heard = now
	if c.info.State == linnet.CallRinging {
		m.tellRinging(c)
	} else if c.peer.say != nil {
		c.peer.sayAt = now
		m.speak(now, c, c.peer)
	}
}

// crossed finds the user's own call to whoever calls now, and the leg of the
// very device if it was asked.
func (m *Machine) crossed(from Peer) (*call, *leg) {
	for _, c := range m.calls {
		if !c.info.Incoming && c.info.Peer == from.User && (c.info.State == linnet.CallLooking || c.info.State == linnet.CallRinging) {
			return c, c.leg(from.Node)
		}
	}
	return nil, nil
}

// merge lets own go on as c, over the device of l.
func (m *Machine) merge(now time.Time, own *call, l *leg, c *call) {
	if l != nil {
		l.state, l.why = over, linnet.OutcomeAnsweredElsewhere
		l.silence()
	}
	for _, other := range own.legs {
		if other.state != over {
			other.end(now, own.info.ID, linnet.OutcomeAnsweredElsewhere)
			m.speak(now, own, other)
		}
	}
	own.info.State, own.info.Outcome, own.settled = linnet.CallEnded, linnet.OutcomeAnsweredElsewhere, true
	m.remember(now, own)
	c.from, own.from = own.from, nil
	if own.info.By != "" {
		c.info.By = own.info.By
	}
	m.do(Merged{own.info.ID, c.info.ID})
	m.reap(now, own)
	m.take(now, c)
}

// Answer takes a call that rings here, and holds another one if there is no
// line free.
func (m *Machine) Answer(now time.Time, id linnet.CallID) error {
	c, err := m.inProgress(id)
	if err != nil {
		return err
	}
	if !c.info.Incoming || c.info.State != linnet.CallRinging {
		return c.stateError("answer")
	}
	m.take(now, c)
	return nil
}

func (m *Machine) take(now time.Time, c *call) {
	c.giveUp = time.Time{}
	c.peer.heard = now // a caller that was silent for a while gets its full time to acknowledge
	c.peer.insist(now, &message.CallAnswer{Call: c.info.ID, Codecs: c.codecs}, answerGap)
	m.speak(now, c, c.peer)
	m.activate(now, c, c.peer)
}

// Reject refuses a call that rings here, on all devices of this user.
func (m *Machine) Reject(now time.Time, id linnet.CallID) error {
	c, err := m.inProgress(id)
	if err != nil {
		return err
	}
	if !c.info.Incoming || c.info.State != linnet.CallRinging {
		return c.stateError("reject")
	}
	m.finish(now, c, linnet.OutcomeRejected)
	return nil
}

// atCallee is the outcome at a callee whom the caller told reason.
func atCallee(reason linnet.Outcome, answered bool) linnet.Outcome {
	switch reason {
	case linnet.OutcomeCompleted:
		if !answered {
			return linnet.OutcomeMissed
		}
		return reason
	case linnet.OutcomeCancelled, linnet.OutcomeNoAnswer, linnet.OutcomeRejected, linnet.OutcomeLost, linnet.OutcomeAnsweredElsewhere:
		return reason.AtCallee()
	}
	return linnet.OutcomeFailed
}
