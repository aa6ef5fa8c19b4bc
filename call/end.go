package call

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// HangUp ends a call: an unanswered one is cancelled if it is the user's own,
// and else rejected on all devices.
func (m *Machine) HangUp(now time.Time, id linnet.CallID) error {
	c, err := m.inProgress(id)
	switch {
	case err != nil:
		return err
	case c.answered():
		m.finish(now, c, linnet.OutcomeCompleted)
	case c.info.Incoming:
		m.finish(now, c, linnet.OutcomeRejected)
	default:
		m.finish(now, c, linnet.OutcomeCancelled)
	}
	return nil
}

// finish ends a call on this side and tells the other devices.
func (m *Machine) finish(now time.Time, c *call, outcome linnet.Outcome) {
	if c.info.Incoming && c.info.State == linnet.CallRinging {
		m.do(StopRing{c.info.ID})
	}
	if c.media {
		m.do(StopMedia{c.info.ID})
	}
	for _, l := range c.legs {
		if l.state != over {
			l.end(now, c.info.ID, reasonFor(outcome, c.info.Incoming, c.peerNode(), l.node))
			m.speak(now, c, l)
		}
	}
	c.info.State, c.info.Ended = linnet.CallEnded, now
	c.info.HeldHere, c.info.HeldThere, c.info.Waiting = false, false, false
	c.conclude(now, outcome)
	m.do(Changed{c.info})
	m.notThrough(c, outcome)
	m.lineFreed()
	// A callee's own word waits for the caller's, unless it is that nothing is
	// to be heard.
	if !c.info.Incoming || outcome == linnet.OutcomeLost {
		m.settle(now, c)
	}
	m.reap(now, c)
}

// conclude writes the outcome into the record, and takes back an answer that
// the other side never counted.
func (c *call) conclude(now time.Time, outcome linnet.Outcome) {
	c.info.Outcome = outcome
	switch outcome {
	case linnet.OutcomeCompleted:
		if c.info.Answered.IsZero() {
			c.info.Answered = now
		}
	case linnet.OutcomeLost, linnet.OutcomeFailed:
	default:
		c.info.Answered = time.Time{}
	}
}

// unheard gives up telling a caller how its call ended. One that both talked in
// is over for both; of any other the caller knows only that it was lost.
func (m *Machine) unheard(now time.Time, c *call) {
	if c.info.Incoming && !c.settled && (c.info.Outcome != linnet.OutcomeCompleted || !c.known) {
		c.conclude(now, linnet.OutcomeLost)
	}
}

// settle says the final word.
func (m *Machine) settle(now time.Time, c *call) {
	if c.settled {
		return
	}
	c.settled = true
	m.remember(now, c)
	m.do(Ended{c.info.CallRecord})
}

func (m *Machine) remember(now time.Time, c *call) {
	m.memory.put(c.info.ID, past{user: c.info.Peer, node: c.peerNode(), incoming: c.info.Incoming, outcome: c.info.Outcome, at: now})
}

// reap drops an ended call once nobody is left to be told.
func (m *Machine) reap(now time.Time, c *call) {
	for _, l := range c.legs {
		if l.say != nil {
			return
		}
	}
	m.settle(now, c)
	m.calls = slices.DeleteFunc(m.calls, func(x *call) bool { return x == c })
}

// ending takes a message from a device for which the call is over.
func (m *Machine) ending(now time.Time, c *call, l *leg, msg message.Message) {
	switch msg := msg.(type) {
	case *message.CallEnded:
		l.silence()
	case *message.CallEnd:
		if !c.info.Incoming && !l.itEnded {
			m.insistEnd(now, c, l) // both ended it, and the caller's word counts
			break
		}
		m.do(Send{l.node, &message.CallEnded{Call: c.info.ID}})
		l.silence()
		if c.info.Incoming && !c.settled {
			c.conclude(now, atCallee(linnet.Outcome(msg.Reason), !c.info.Answered.IsZero()))
		}
	case *message.CallReceipt:
		if l == c.peer {
			m.do(PeerReceipt{c.info.ID, msg})
		}
	case *message.CallRinging, *message.CallAnswer, *message.CallAlive, *message.CallHold:
		if !l.itEnded { // it does not know yet
			m.insistEnd(now, c, l)
		}
	}
	if c.info.State == linnet.CallEnded {
		m.reap(now, c)
	}
}

// insistEnd says once more that the call is over for a device.
func (m *Machine) insistEnd(now time.Time, c *call, l *leg) {
	if l.say != nil {
		l.sayAt = now
		m.speak(now, c, l)
		return
	}
	reason := linnet.OutcomeAnsweredElsewhere
	if c.info.State == linnet.CallEnded {
		reason = reasonFor(c.info.Outcome, c.info.Incoming, c.peerNode(), l.node)
	} else if !c.answered() {
		reason = l.why
	}
	m.do(Send{l.node, &message.CallEnd{Call: c.info.ID, Reason: uint32(reason)}})
}

// stray takes a message for a call that is not, or no longer, held here.
func (m *Machine) stray(now time.Time, from Peer, id linnet.CallID, msg message.Message) {
	p, known := m.memory.get(now, id)
	if known && p.user != from.User {
		return
	}
	switch msg := msg.(type) {
	case *message.CallEnded:
	case *message.CallEnd:
		said := linnet.Outcome(msg.Reason)
		if known && !p.incoming && p.overrules(said, from.Node) {
			m.do(Send{from.Node, &message.CallEnd{Call: id, Reason: uint32(p.reason(from.Node))}})
			return
		}
		m.do(Send{from.Node, &message.CallEnded{Call: id}})
		if !known && said.AtCallee() == linnet.OutcomeMissed && m.memory.room(now, from, m.opts.RecentUser, m.opts.RecentTotal) {
			c := &call{info: linnet.CallInfo{
				CallRecord: linnet.CallRecord{ID: id, Peer: from.User, Incoming: true, Started: now, Ended: now, Outcome: linnet.OutcomeMissed},
				State:      linnet.CallEnded,
			}}
			m.settle(now, c)
		}
	case *message.CallReceipt:
		if known && p.node == from.Node && !p.receipt {
			p.receipt = true
			m.memory.calls[id] = p
			m.do(PeerReceipt{id, msg})
		}
	case *message.CallRinging, *message.CallAnswer, *message.CallAlive, *message.CallHold:
		// The other side holds a call that is over here, or that died with an
		// earlier run of this node.
		reason := linnet.OutcomeLost
		if known {
			reason = p.reason(from.Node)
		}
		m.do(Send{from.Node, &message.CallEnd{Call: id, Reason: uint32(reason)}})
	}
}

// reasonFor is what node, on the other side, is told about a call that ended as
// outcome with the device peer, or with none. The caller tells the devices that
// were not at the other end that one was, or that it gave up: what else those
// said does not concern them, unless it was no.
func reasonFor(outcome linnet.Outcome, incoming bool, peer, node linnet.NodeID) linnet.Outcome {
	switch outcome {
	case linnet.OutcomeNone:
		return linnet.OutcomeLost
	case linnet.OutcomeMissed:
		return linnet.OutcomeNoAnswer
	case linnet.OutcomeCompleted, linnet.OutcomeLost:
		if !peer.IsZero() && peer != node {
			return linnet.OutcomeAnsweredElsewhere
		}
	case linnet.OutcomeBusy, linnet.OutcomeFailed, linnet.OutcomeOffline, linnet.OutcomeNotFound:
		if !incoming && peer != node {
			return linnet.OutcomeNoAnswer
		}
	}
	return outcome
}
