package call

import (
	"fmt"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Dial calls a user on all devices. The id is fresh; the caller of Dial made it.
// To dial somebody who rings here is to answer.
func (m *Machine) Dial(now time.Time, id linnet.CallID, user linnet.UserName) error {
	return m.dial(now, id, user, nil)
}

// dial calls a user to whom the other end of from hands this one over, if there is one.
func (m *Machine) dial(now time.Time, id linnet.CallID, user linnet.UserName, from *call) error {
	if _, known := m.memory.get(now, id); known || m.find(id) != nil {
		return fmt.Errorf("call %v exists: %w", id, ErrState)
	}
	if len(m.calls) >= m.opts.Lines+maxRequests {
		return fmt.Errorf("call %s: %w", user, ErrTooMany)
	}
	c := &call{
		info: linnet.CallInfo{
			CallRecord: linnet.CallRecord{ID: id, Peer: user, Started: now},
			State:      linnet.CallLooking,
		},
		giveUp:  now.Add(m.opts.LookFor),
		request: &message.CallRequest{Call: id, Time: uint64(now.UnixMilli()), Codecs: m.opts.Codecs},
	}
	if from != nil {
		c.from, c.only, c.info.By, c.request.Referral = from, from.offer.Device, from.info.Peer, from.offer.Referral
	}
	m.calls = append(m.calls, c)
	m.remember(now, c)
	for _, ringing := range m.calls {
		if ringing.info.Incoming && ringing.info.Peer == user && ringing.info.State == linnet.CallRinging {
			m.merge(now, c, nil, ringing)
			return nil
		}
	}
	m.do(Changed{c.info})
	m.do(LookUp{id, user})
	return nil
}

// AskVideo tells those who are called that the caller shows video. It is to follow
// Dial at once.
func (m *Machine) AskVideo(id linnet.CallID) {
	if c := m.find(id); c != nil && c.request != nil {
		c.request.Video, c.info.VideoAsked = true, true
	}
}

// Found takes the devices of a callee. More may follow while it rings.
func (m *Machine) Found(now time.Time, id linnet.CallID, devices []linnet.NodeID) {
	c := m.find(id)
	if c == nil || c.info.Incoming || c.info.State != linnet.CallLooking && c.info.State != linnet.CallRinging {
		return
	}
	for _, node := range devices {
		if node == m.opts.Self || c.leg(node) != nil || len(c.legs) == maxDevices || !c.only.IsZero() && node != c.only {
			continue
		}
		l := &leg{node: node, heard: now}
		l.insist(now, c.request, requestGap)
		c.legs = append(c.legs, l)
		m.speak(now, c, l)
	}
	if len(c.legs) == 0 {
		m.finish(now, c, linnet.OutcomeOffline)
		return
	}
	if c.info.State == linnet.CallLooking {
		c.giveUp = time.Time{} // from here on each device has its own time
	}
}

// Missing says that there is nobody to ring: OutcomeNotFound, OutcomeOffline,
// or OutcomeFailed when the directory could not be asked.
func (m *Machine) Missing(now time.Time, id linnet.CallID, why linnet.Outcome) {
	if c := m.find(id); c != nil && c.info.State == linnet.CallLooking && c.legs == nil {
		m.finish(now, c, why)
	}
}

func (m *Machine) rings(now time.Time, c *call, l *leg, msg *message.CallRinging) {
	if c.info.Incoming || l.state != trying && l.state != ringing {
		return
	}
	if l.state == trying {
		l.state, l.alive = ringing, now.Add(aliveEvery)
		l.silence()
	}
	l.waiting = msg.Waiting
	waiting := !slices.ContainsFunc(c.legs, func(l *leg) bool { return l.state == ringing && !l.waiting })
	switch {
	case c.info.State == linnet.CallLooking:
		c.info.State, c.giveUp = linnet.CallRinging, now.Add(m.opts.RingFor)
	case c.answered() || c.info.Waiting == waiting:
		return
	}
	c.info.Waiting = waiting
	m.do(Changed{c.info})
}

func (m *Machine) answeredBy(now time.Time, c *call, l *leg, msg *message.CallAnswer) {
	if c.info.Incoming {
		return
	}
	if c.answered() { // by l: to others the call is over
		l.alive = now // it has not seen the acknowledgement
		m.speak(now, c, l)
		return
	}
	l.silence()
	if c.codecs = common(m.opts.Codecs, msg.Codecs); len(c.codecs) == 0 {
		l.end(now, c.info.ID, linnet.OutcomeFailed)
		m.speak(now, c, l)
		m.noneLeft(now, c)
		return
	}
	if !isZero(l.rival) { // it took this call instead of its own, which is spent
		m.memory.put(l.rival, past{user: c.info.Peer, incoming: true, outcome: linnet.OutcomeAnsweredElsewhere, at: now})
	}
	c.giveUp = time.Time{}
	m.activate(now, c, l)
	l.alive = now
	m.speak(now, c, l)
	for _, other := range c.legs {
		if other.state != talking && other.state != over {
			other.end(now, c.info.ID, linnet.OutcomeAnsweredElsewhere)
			m.speak(now, c, other)
		}
	}
}

// legOver takes a device out of a call. A rejection is the user's word for all
// devices; else the call goes on while one may still answer.
func (m *Machine) legOver(now time.Time, c *call, l *leg, why linnet.Outcome) {
	l.state, l.why = over, why
	l.silence()
	if why == linnet.OutcomeLost && !l.itEnded { // it may still hear that it was lost
		l.end(now, c.info.ID, why)
		m.speak(now, c, l)
	}
	if why == linnet.OutcomeCompleted {
		c.peer = l // an answer may have been overtaken by its end
	}
	if l == c.peer || why == linnet.OutcomeRejected {
		m.finish(now, c, why)
		return
	}
	m.noneLeft(now, c)
}

// tellingFirst are the reasons for which no device answers, the most telling
// one first.
var tellingFirst = []linnet.Outcome{linnet.OutcomeBusy, linnet.OutcomeNoAnswer, linnet.OutcomeLost, linnet.OutcomeFailed, linnet.OutcomeOffline}

// noneLeft ends a call that no device can answer any more.
func (m *Machine) noneLeft(now time.Time, c *call) {
	best := len(tellingFirst) - 1
	for _, l := range c.legs {
		if l.state != over {
			return
		}
		if i := slices.Index(tellingFirst, l.why); i >= 0 {
			best = min(best, i)
		}
	}
	m.finish(now, c, tellingFirst[best])
}

// endedBy takes the word of a device that the call is over for it.
func (m *Machine) endedBy(now time.Time, c *call, l *leg, reason linnet.Outcome) {
	switch {
	case c.info.Incoming:
		reason = atCallee(reason, c.answered())
	case l == c.peer:
		if reason != linnet.OutcomeCompleted && reason != linnet.OutcomeLost {
			reason = linnet.OutcomeFailed
		}
	default:
		switch reason {
		case linnet.OutcomeBusy, linnet.OutcomeRejected, linnet.OutcomeNoAnswer, linnet.OutcomeLost, linnet.OutcomeCompleted:
		default:
			reason = linnet.OutcomeFailed
		}
	}
	l.itEnded = true
	m.legOver(now, c, l, reason)
}

// common is what is in both lists, in the order of the first.
func common(own, other []string) (both []string) {
	for _, name := range own {
		if slices.Contains(other, name) {
			both = append(both, name)
		}
	}
	return both
}

func isZero(id linnet.CallID) bool { return id == linnet.CallID{} }
