// Package call is the calls of one device: whom it rings, what rings here, who
// talks, and how each call ended.
//
// It is a state machine without I/O. Methods take the time and what happened,
// Take returns what to do about it, Deadline says when to call Tick. It finds
// no devices, opens no sessions, touches no media and stores nothing: effects
// ask the node for that. It also knows nothing of contacts and blocked people
// but what the node says in Peer.
//
// # A call
//
//	caller                              each device of the callee
//	CallRequest (in the first Hello) ─▶
//	                                 ◀─ CallRinging
//	                                 ◀─ CallAnswer, MediaKeys
//	CallAlive (acknowledges), MediaKeys ─▶    and CallEnd to all other devices
//	                     CallAlive every 5 s, both ways
//	CallEnd ─▶ CallEnded    or    CallEnded ◀─ CallEnd
//
// Requests, answers and ends are said again until they are answered, also when
// a session breaks and comes back.
//
// # One outcome
//
// Each side ends a call exactly once. The caller's word is final at once. A
// callee's (rejected, busy, hung up) becomes final when the caller has
// acknowledged it; if an end from the caller crosses it, the caller's counts, so
// that both histories agree; if the caller stays silent, an unanswered call was lost. An end that overtakes its
// request is a missed call.
//
// # Replays and strangers
//
// A request inside a Hello may be a replay. It rings at once for contacts, if
// its time is fresh and its id is new; else it is ignored, and the caller says it
// again as the first thing in the finished session. Ids are remembered as long as
// their requests are fresh, over a restart with Recover. Messages count only
// when they come from a device that takes part in the call. The number of calls
// that others can make this machine hold or remember is bounded.
//
// # Glare
//
// When two people dial each other, one call remains: the one with the lower id
// of two requests that crossed, else the one that was sent. The other becomes
// Merged into it and it is answered without ringing.
package call

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Options configures a Machine. The zero value is a telephone with one line.
type Options struct {
	Self        linnet.NodeID // this device: never rung when a user calls herself
	Codecs      []string      // names, best first; default "opus"
	Lines       int           // calls that may be active at once; default 1
	CallWaiting bool          // ring while no line is free; default: refuse as busy

	RingFor   time.Duration // until the caller gives up; default 60 s
	LookFor   time.Duration // for an answer of the directory; default 20 s
	DeadAfter time.Duration // of silence, a device is lost; default 15 s

	MaxRinging  int // incoming calls that ring at once; default 8
	PerUser     int // of them, from one user; default 2
	RecentUser  int // incoming calls from one user within 4 minutes; default 20
	RecentTotal int // and from everybody; half of it is for contacts; default 1024
}

func (o *Options) fill() {
	set(&o.Lines, 1)
	set(&o.RingFor, 60*time.Second)
	set(&o.LookFor, 20*time.Second)
	set(&o.DeadAfter, 15*time.Second)
	set(&o.MaxRinging, 8)
	set(&o.PerUser, 2)
	set(&o.RecentUser, 20)
	set(&o.RecentTotal, 1024)
	if o.Codecs == nil {
		o.Codecs = []string{"opus"}
	}
}

func set[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

// freshFor is how far the time of a request may be from now, either way.
const freshFor = 2 * time.Minute

// Errors of the user's own actions.
var (
	ErrUnknown = errors.New("no such call")
	ErrState   = errors.New("the call is in no state for that")
	ErrTooMany = errors.New("too many calls at once")
	ErrTone    = errors.New("a tone is one of 0-9, *, #, A-D")
)

// A Peer is a device at the other end of a session, and what is known of it.
type Peer struct {
	Node    linnet.NodeID
	User    linnet.UserName // as certified
	Contact bool            // of this user
}

// A Machine is all calls of one device. It belongs to one goroutine.
type Machine struct {
	opts     Options
	calls    []*call // the oldest first; ended ones until the other side knows
	sessions map[linnet.NodeID]sessionState
	memory   memory
	effects  []Effect
}

type sessionState uint8

const (
	sessionUp sessionState = 1 + iota
	sessionUpgraded
)

type call struct {
	info    linnet.CallInfo
	legs    []*leg
	peer    *leg      // at the other end; nil while an outgoing call has no answer
	giveUp  time.Time // looking, ringing
	codecs  []string  // incoming: those that both sides have
	request *message.CallRequest
	known   bool // incoming: the caller has shown that it knows of the answer
	media   bool // started
	settled bool // Ended was said, or is not due
}

// New makes a machine without calls.
func New(opts Options) *Machine {
	opts.fill()
	return &Machine{opts: opts, sessions: make(map[linnet.NodeID]sessionState)}
}

// Take returns what to do, in order, and forgets it.
func (m *Machine) Take() []Effect {
	e := m.effects
	m.effects = nil
	return e
}

func (m *Machine) do(e Effect) { m.effects = append(m.effects, e) }

// Calls is every call in progress, the oldest first.
func (m *Machine) Calls() []linnet.CallInfo {
	var infos []linnet.CallInfo
	for _, c := range m.calls {
		if c.info.State != linnet.CallEnded {
			infos = append(infos, c.info)
		}
	}
	return infos
}

func (m *Machine) find(id linnet.CallID) *call {
	for _, c := range m.calls {
		if c.info.ID == id {
			return c
		}
	}
	return nil
}

// inProgress finds a call for an action of the user.
func (m *Machine) inProgress(id linnet.CallID) (*call, error) {
	c := m.find(id)
	if c == nil || c.info.State == linnet.CallEnded {
		return nil, fmt.Errorf("call %v: %w", id, ErrUnknown)
	}
	return c, nil
}

func (c *call) leg(node linnet.NodeID) *leg {
	for _, l := range c.legs {
		if l.node == node {
			return l
		}
	}
	return nil
}

// peerNode is the device at the other end; zero if there is none.
func (c *call) peerNode() (node linnet.NodeID) {
	if c.peer != nil {
		node = c.peer.node
	}
	return node
}

func (c *call) stateError(doing string) error {
	return fmt.Errorf("call %v: cannot %s, it is %v: %w", c.info.ID, doing, c.info.State, ErrState)
}

// answered says that two devices are connected.
func (c *call) answered() bool {
	return c.info.State == linnet.CallActive || c.info.State == linnet.CallHeld
}

// stateFor is what CallAlive tells the device of l: the other side's hold is
// its own business, and devices that did not answer only ring.
func (c *call) stateFor(l *leg) linnet.CallState {
	switch {
	case !c.answered() || l != c.peer:
		return linnet.CallRinging
	case c.info.HeldHere:
		return linnet.CallHeld
	}
	return linnet.CallActive
}

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
		return c.stateError(map[bool]string{true: "hold", false: "resume"}[on])
	}
	if !on {
		m.freeLine(now, c)
	}
	c.info.HeldHere = on
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
	var active []*call
	for _, other := range m.calls {
		if other != c && other.answered() && !other.info.HeldHere {
			active = append(active, other)
		}
	}
	for _, other := range active[:max(0, len(active)-m.opts.Lines+1)] {
		m.setHold(now, other.info.ID, true) // cannot fail: it is answered and not held
	}
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
	return len(s) == 1 && bytes.IndexByte([]byte("0123456789*#ABCD"), s[0]) >= 0
}

// MediaSeen says that media of the call's other end arrived: it lives.
func (m *Machine) MediaSeen(now time.Time, id linnet.CallID) {
	if c := m.find(id); c != nil && c.answered() {
		c.peer.heard = now
	}
}

// SessionUp says that a session to a device is finished: both ends have proved
// to be there now.
func (m *Machine) SessionUp(now time.Time, node linnet.NodeID) {
	m.sessions[node] = max(m.sessions[node], sessionUp)
	for _, c := range slices.Clone(m.calls) {
		if l := c.leg(node); l != nil {
			if l.say != nil {
				l.sayAt = now
			}
			if !l.alive.IsZero() {
				l.alive = now
			}
			m.speak(now, c, l)
		}
	}
}

// Upgraded says that the session has its final, hybrid keys: keys of media may
// travel in it. Where the suite has no such step it follows SessionUp at once.
func (m *Machine) Upgraded(now time.Time, node linnet.NodeID) {
	if m.sessions[node] == 0 {
		m.SessionUp(now, node)
	}
	m.sessions[node] = sessionUpgraded
	for _, c := range m.calls {
		if c.answered() && c.peer.node == node {
			m.startMedia(c)
		}
	}
}

// SessionDown says that there is no session to a device, and none is being
// opened. A call in progress waits for another one until its silence is too long.
func (m *Machine) SessionDown(now time.Time, node linnet.NodeID) {
	delete(m.sessions, node)
	for _, c := range slices.Clone(m.calls) {
		if l := c.leg(node); l != nil && l.state == trying {
			m.legOver(now, c, l, linnet.OutcomeOffline)
		}
	}
}

// Received takes a message of this package's concern from a session; others
// are ignored. early says that it came in a Hello, so that it may be a replay
// (what comes in the answer to one's own Hello cannot be).
func (m *Machine) Received(now time.Time, from Peer, early bool, msg message.Message) {
	if req, ok := msg.(*message.CallRequest); ok {
		m.requested(now, from, early, req)
		return
	}
	id, ok := callOf(msg)
	if !ok || early {
		return
	}
	c := m.find(id)
	if c == nil {
		m.stray(now, from, id, msg)
		return
	}
	l := c.leg(from.Node)
	if l == nil || from.User != c.info.Peer {
		return
	}
	l.heard = now
	if c.info.State == linnet.CallEnded {
		m.ending(now, c, l, msg)
		return
	}
	if l.state == over && l.why == linnet.OutcomeOffline && !c.answered() {
		l.state = trying // it was only slow
	}
	if l.state == over {
		m.ending(now, c, l, msg)
		return
	}
	switch msg := msg.(type) {
	case *message.CallRinging:
		m.rings(now, c, l)
	case *message.CallAnswer:
		m.answeredBy(now, c, l, msg)
	case *message.CallEnd:
		m.do(Send{l.node, &message.CallEnded{Call: id}})
		m.endedBy(now, c, l, linnet.Outcome(msg.Reason))
	case *message.CallHold:
		m.heldBy(now, c, l, msg.On)
	case *message.CallAlive:
		switch linnet.CallState(msg.State) {
		case linnet.CallActive:
			m.heldBy(now, c, l, false)
		case linnet.CallHeld:
			m.heldBy(now, c, l, true)
		}
	case *message.CallTone:
		if c.answered() && l == c.peer && isTone(msg.Tone) {
			m.do(Tone{id, msg.Tone})
		}
	case *message.MediaKeys:
		m.keysOf(c, l, msg)
	case *message.CallReceipt: // it overtook the end
		if l == c.peer {
			m.do(PeerReceipt{id, msg})
		}
	}
}

// callOf is the call that a message belongs to.
func callOf(msg message.Message) (linnet.CallID, bool) {
	switch msg := msg.(type) {
	case *message.CallRinging:
		return msg.Call, true
	case *message.CallAnswer:
		return msg.Call, true
	case *message.CallEnd:
		return msg.Call, true
	case *message.CallEnded:
		return msg.Call, true
	case *message.CallHold:
		return msg.Call, true
	case *message.CallTone:
		return msg.Call, true
	case *message.CallAlive:
		return msg.Call, true
	case *message.MediaKeys:
		return msg.Call, true
	case *message.CallReceipt:
		return msg.Call, true
	}
	return linnet.CallID{}, false
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
	m.memory.put(c.info.ID, past{c.info.Peer, c.peerNode(), c.info.Incoming, c.info.Outcome, now})
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
		if known && p.node == from.Node {
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

// Tick does what is due.
func (m *Machine) Tick(now time.Time) {
	for _, c := range slices.Clone(m.calls) {
		if c.info.State != linnet.CallEnded && !c.giveUp.IsZero() && !now.Before(c.giveUp) {
			m.gaveUp(now, c)
		}
		for _, l := range c.legs {
			if c.info.State != linnet.CallEnded && l.state != over && now.Sub(l.heard) >= m.opts.DeadAfter {
				m.legOver(now, c, l, map[bool]linnet.Outcome{true: linnet.OutcomeOffline, false: linnet.OutcomeLost}[l.state == trying])
			}
			m.speak(now, c, l)
		}
		if c.info.State == linnet.CallEnded {
			m.reap(now, c)
		}
	}
}

// Deadline is when Tick has something to do; zero means that it has not.
func (m *Machine) Deadline() (t time.Time) {
	for _, c := range m.calls {
		if c.info.State != linnet.CallEnded {
			t = earlier(t, c.giveUp)
		}
		for _, l := range c.legs {
			t = l.deadline(t, m.opts.DeadAfter)
		}
	}
	return t
}

func (m *Machine) gaveUp(now time.Time, c *call) {
	switch {
	case c.info.State == linnet.CallLooking:
		m.finish(now, c, linnet.OutcomeFailed)
	case c.info.Incoming:
		m.finish(now, c, linnet.OutcomeMissed)
	default:
		m.finish(now, c, linnet.OutcomeNoAnswer)
	}
}
