package call

import (
	"fmt"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Hold holds an answered call: nothing is heard of it on either side.
func (m *Machine) Hold(now time.Time, id linnet.CallID) error { return m.setHold(now, id, true) }

// Resume takes a call back, and holds another one if there is no line free.
func (m *Machine) Resume(now time.Time, id linnet.CallID) error { return m.setHold(now, id, false) }

func (m *Machine) setHold(now time.Time, id linnet.CallID, on bool) error {
	c, err := m.inProgress(id)
	if err != nil {
		return err
	}
	if !c.answered() || c.info.HeldHere == on {
		return c.stateError("hold or resume")
	}
	if !on {
		m.freeLine(now, c)
	}
	c.info.HeldHere, c.heldFor = on, false
	m.do(Send{c.peer.node, &message.CallHold{Call: id, On: on}})
	m.held(c)
	return nil
}

func (m *Machine) held(c *call) {
	c.info.State = linnet.CallActive
	if c.info.HeldHere || c.info.HeldThere {
		c.info.State = linnet.CallHeld
	}
	m.do(HoldMedia{c.info.ID, c.info.HeldHere, c.info.HeldThere})
	m.do(Changed{c.info})
}

// freeLine holds others until c may be active.
func (m *Machine) freeLine(now time.Time, c *call) {
	active := m.active(c)
	for _, other := range active[:max(0, len(active)-m.opts.Lines+1)] {
		m.setHold(now, other.info.ID, true) // cannot fail: it is answered and not held
	}
}

// active are the calls besides c that this side does not hold.
func (m *Machine) active(c *call) (list []*call) {
	for _, other := range m.calls {
		if other != c && other.answered() && !other.info.HeldHere {
			list = append(list, other)
		}
	}
	return list
}

// Tone presses a key (DTMF).
func (m *Machine) Tone(now time.Time, id linnet.CallID, tone string) error {
	c, err := m.inProgress(id)
	switch {
	case err != nil:
		return err
	case !c.answered():
		return c.stateError("send a tone")
	case !isTone(tone):
		return fmt.Errorf("tone %q: %w", tone, ErrTone)
	}
	m.do(Send{c.peer.node, &message.CallTone{Call: id, Tone: tone}})
	return nil
}

func isTone(s string) bool {
	return len(s) == 1 && strings.Contains("0123456789*#ABCD", s)
}

// MediaSeen says that media of the call's other end arrived: it lives.
func (m *Machine) MediaSeen(now time.Time, id linnet.CallID) {
	if c := m.find(id); c != nil && c.answered() {
		c.peer.heard = now
	}
}

// heldBy takes the other side's hold, which also proves that it knows of the
// answer.
func (m *Machine) heldBy(now time.Time, c *call, l *leg, on bool) {
	if !c.answered() || l != c.peer {
		return
	}
	c.acknowledged(l)
	if c.info.HeldThere != on {
		c.info.HeldThere = on
		m.held(c)
	}
}

// acknowledged ends the repetition of the answer.
func (c *call) acknowledged(l *leg) {
	if c.info.Incoming && !c.known {
		c.known = true
		l.silence()
	}
}

// keysOf takes media keys. They may overtake the answer.
func (m *Machine) keysOf(c *call, l *leg, msg *message.MediaKeys) {
	switch {
	case len(msg.Streams) > maxStreams:
	case c.answered() && l == c.peer:
		c.acknowledged(l)
		m.do(PeerKeys{c.info.ID, l.node, msg.Streams})
	case !c.answered() && !c.info.Incoming && l.state != over:
		l.keys = msg
	}
}

// activate connects c with the device of l.
func (m *Machine) activate(now time.Time, c *call, l *leg) {
	m.through(now, c)
	m.freeLine(now, c)
	if c.info.Incoming && c.info.State == linnet.CallRinging {
		m.do(StopRing{c.info.ID})
	}
	c.peer, l.state, l.alive = l, talking, now.Add(aliveEvery)
	c.info.State, c.info.Answered, c.info.Waiting = linnet.CallActive, now, false
	m.do(Changed{c.info})
	m.startMedia(c)
	if l.keys != nil {
		m.do(PeerKeys{c.info.ID, l.node, l.keys.Streams})
		l.keys = nil
	}
}

func (m *Machine) startMedia(c *call) {
	if !c.media && m.sessions[c.peer.node] == sessionUpgraded {
		c.media = true
		m.do(StartMedia{c.info.ID, c.peer.node, c.codecs})
	}
}
