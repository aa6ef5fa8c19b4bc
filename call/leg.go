package call

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A leg is one device that takes part in a call: an outgoing call has one for
// each device of the callee, an incoming one has the caller's.
type leg struct {
	node    linnet.NodeID
	state   legState
	why     linnet.Outcome // once over
	heard   time.Time      // its last sign of life
	alive   time.Time      // when to give the next own one; zero before it rings
	keys    *message.MediaKeys
	itEnded bool          // the device itself said that it is over
	rival   linnet.CallID // its own call to this user, which yields to this one
	waiting bool          // it rings beside another call

	paid time.Time // until when what it said would have taken a person

	say   message.Message // said again until something answers it; nil: nothing
	sayAt time.Time
	gap   time.Duration
	until time.Time // when say is given up; zero: with the leg
}

type legState uint8

const (
	trying  legState = iota // has not been heard of yet
	ringing                 // it rings there, or here
	talking
	over
)

const (
	aliveEvery  = 5 * time.Second // and the longest gap between repetitions
	endFor      = 10 * time.Second
	requestGap  = time.Second
	answerGap   = 500 * time.Millisecond
	endGap      = 500 * time.Millisecond
	maxStreams  = 8 // in one MediaKeys
	maxDevices  = 16
	maxRequests = 64 // calls in the machine at once, ending ones included, beyond Lines
)

// insist makes the leg say msg, first right now, and again until it is silenced.
func (l *leg) insist(now time.Time, msg message.Message, gap time.Duration) {
	l.say, l.sayAt, l.gap, l.until = msg, now, gap, time.Time{}
}

// end tells the device that the call is over for it.
func (l *leg) end(now time.Time, id linnet.CallID, reason linnet.Outcome) {
	l.state, l.why = over, reason
	l.insist(now, &message.CallEnd{Call: id, Reason: uint32(reason)}, endGap)
	l.until = now.Add(endFor)
}

// What a device may say about a call: more than anybody presses keys, and little
// enough not to keep a disk or a front end busy.
const (
	perMessage = 50 * time.Millisecond
	atOnce     = 5 * time.Second / perMessage
)

// hasty says that the device says too much. What matters it says again.
func (l *leg) hasty(now time.Time) bool {
	paid := l.paid
	if paid.Before(now) {
		paid = now
	}
	if paid = paid.Add(perMessage); paid.Sub(now) > atOnce*perMessage {
		return true
	}
	l.paid = paid
	return false
}

// silence stops what is being said.
func (l *leg) silence() { l.say = nil }

// speak says what is due.
func (m *Machine) speak(now time.Time, c *call, l *leg) {
	if l.say != nil && !l.until.IsZero() && !now.Before(l.until) {
		l.silence()
		m.unheard(now, c)
	}
	up := m.sessions[l.node] >= sessionUp
	if l.say != nil && !now.Before(l.sayAt) {
		l.sayAt = now.Add(l.gap)
		l.gap = min(2*l.gap, aliveEvery)
		if _, first := l.say.(*message.CallRequest); first { // even if a session stands: it may be with a device that has died since
			m.do(Open{l.node, l.say})
		} else {
			m.do(Send{l.node, l.say})
		}
	}
	if l.state == over || l.alive.IsZero() || now.Before(l.alive) {
		return
	}
	l.alive = now.Add(aliveEvery)
	if !up && !c.info.Incoming {
		m.do(Open{Node: l.node}) // one side only, or they would cross
		return
	}
	m.do(Send{l.node, &message.CallAlive{Call: c.info.ID, State: uint32(c.stateFor(l))}})
	if l == c.peer && c.answered() && c.offers() {
		m.do(Send{l.node, c.offer})
	}
}

// deadline is when the leg has to be looked after, if it is before t.
func (l *leg) deadline(t time.Time, deadAfter time.Duration) time.Time {
	if l.say != nil {
		t = earlier(t, l.sayAt)
		t = earlier(t, l.until)
	}
	if l.state != over {
		t = earlier(t, l.alive)
		t = earlier(t, l.heard.Add(deadAfter))
	}
	return t
}

// earlier is the earlier one of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
