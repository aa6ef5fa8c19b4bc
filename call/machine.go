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
// # Several calls
//
// A call that rings beside another one is waiting, which both its sides know; to
// answer it holds the other one. Who talks with somebody can put them through to
// somebody else: see transfer.go.
//
// # Glare
//
// When two people dial each other, one call remains: the one with the lower id
// of two requests that crossed, else the one that was sent. The other becomes
// Merged into it and it is answered without ringing.
package call

import (
	"cmp"
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
	User        linnet.UserName
	Codecs      []string // names, best first; default "opus", "vp8"
	Lines       int      // calls that may be active at once; default 1
	CallWaiting bool     // ring while no line is free; default: refuse as busy

	// Refer signs a referral of this user's and Referred opens one of somebody else's;
	// nil: no call can be handed over.
	Refer    func(Referral) ([]byte, error)
	Referred func(now time.Time, b []byte) (*Referral, error)
	Stays    bool // declines to be handed over; default: the user is asked

	RingFor   time.Duration // until the caller gives up; default 60 s
	LookFor   time.Duration // for an answer of the directory; default 20 s
	DeadAfter time.Duration // of silence, a device is lost; default 15 s

	MaxRinging  int // incoming calls that ring at once; default 8
	PerUser     int // of them, from one user; default 2
	RecentUser  int // incoming calls from one user within 4 minutes; default 100
	RecentTotal int // and from everybody; half of it is for contacts; default 2048
}

func (o *Options) fill() {
	o.Lines = cmp.Or(o.Lines, 1)
	o.RingFor = cmp.Or(o.RingFor, 60*time.Second)
	o.LookFor = cmp.Or(o.LookFor, 20*time.Second)
	o.DeadAfter = cmp.Or(o.DeadAfter, 15*time.Second)
	o.MaxRinging = cmp.Or(o.MaxRinging, 8)
	o.PerUser = cmp.Or(o.PerUser, 2)
	o.RecentUser = cmp.Or(o.RecentUser, 100)
	o.RecentTotal = cmp.Or(o.RecentTotal, 2048)
	if o.Codecs == nil {
		o.Codecs = []string{"opus", "vp8"}
	}
	if o.Refer == nil {
		o.Refer = func(Referral) ([]byte, error) { return nil, ErrTransfer }
	}
	if o.Referred == nil {
		o.Referred = func(time.Time, []byte) (*Referral, error) { return nil, errReferral }
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
	quiet    bool // incoming calls are refused as busy
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

	// Transfers; see there.
	offer    *message.CallTransfer // the last one, of either side: see info.Transfer
	decideBy time.Time             // the user, about the other side's; zero: need not
	heldFor  bool                  // the own offer began the hold
	from     *call                 // the other end of which put this user through to c
	only     linnet.NodeID         // the one device to call; zero: all
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

// DoNotDisturb has incoming calls refused as busy from now on, or ends that.
// Those that ring already go on.
func (m *Machine) DoNotDisturb(on bool) { m.quiet = on }

// Wait has incoming calls ring from now on while no line is free, or be refused.
func (m *Machine) Wait(on bool) { m.opts.CallWaiting = on }

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

// SessionUp says that a session to a device is finished: both ends have proved
// to be there now. One that replaces another is told as well.
func (m *Machine) SessionUp(now time.Time, node linnet.NodeID) {
	m.sessions[node] = sessionUp // a new one has to be upgraded anew
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
// opened. A call in progress waits for another one until its silence is too long. A
// device that does not ring yet could not be reached, unless it was a session
// from before that ended: it is tried again.
func (m *Machine) SessionDown(now time.Time, node linnet.NodeID) {
	stood := m.sessions[node] >= sessionUp
	delete(m.sessions, node)
	for _, c := range slices.Clone(m.calls) {
		if l := c.leg(node); l != nil && l.state == trying && !stood {
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
	if l == nil || from.User != c.info.Peer || l.hasty(now) {
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
		m.rings(now, c, l, msg)
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
	case *message.CallTransfer:
		m.offered(now, c, l, msg)
	case *message.CallTransferred:
		m.handedOver(now, c, l, msg)
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
	case *message.CallTransfer:
		return msg.Call, true
	case *message.CallTransferred:
		return msg.Call, true
	}
	return linnet.CallID{}, false
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) {
	for _, c := range slices.Clone(m.calls) {
		if c.info.State != linnet.CallEnded && !c.giveUp.IsZero() && !now.Before(c.giveUp) {
			m.gaveUp(now, c)
		}
		if c.asked() && c.info.State != linnet.CallEnded && !now.Before(c.decideBy) {
			m.decline(c)
		}
		for _, l := range c.legs {
			if c.info.State != linnet.CallEnded && l.state != over && now.Sub(l.heard) >= m.opts.DeadAfter {
				why := linnet.OutcomeLost
				if l.state == trying {
					why = linnet.OutcomeOffline
				}
				m.legOver(now, c, l, why)
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
			t = earlier(earlier(t, c.giveUp), c.decideBy)
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
