package call

import (
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A call is handed over in three steps, each of them the choice of the machine
// that takes it:
//
//	alice, in a call with bob      bob                             carol
//	CallTransfer {carol} ────────▶ asks its user
//	                     ◀──────── CallTransferred
//	                               CallRequest, with alice's word ─▶ rings: bob, by alice
//	                     ◀──────── CallTransferred, CallEnd ◀─────── CallAnswer
//
// That is a blind transfer. An attended one is the same when alice is in a call
// with carol, too: only that device of carol's is called, and takes the call at
// once in place of alice's. If nobody answers, alice and bob are still connected.

// decideFor is how long a user has to say whether he wants to be handed over.
const decideFor = time.Minute

// ErrTransfer says that a call cannot be handed over like this.
var ErrTransfer = errors.New("a call is handed over to somebody who is neither of the two")

// Transfer offers the other end of an answered call to call somebody else
// instead. The call is held meanwhile. offer is fresh, like the id of a call.
func (m *Machine) Transfer(now time.Time, id, offer linnet.CallID, to linnet.UserName) error {
	return m.transfer(now, id, &message.CallTransfer{Call: id, Offer: offer, To: to}, linnet.CallID{})
}

// Connect offers the other ends of two answered calls to talk with each other:
// that of id calls that of with.
func (m *Machine) Connect(now time.Time, id, offer, with linnet.CallID) error {
	other, err := m.inProgress(with)
	if err != nil {
		return err
	}
	if !other.answered() {
		return other.stateError("connect it with another one")
	}
	return m.transfer(now, id, &message.CallTransfer{Call: id, Offer: offer, To: other.info.Peer, Device: other.peer.node}, with)
}

func (m *Machine) transfer(now time.Time, id linnet.CallID, msg *message.CallTransfer, replaces linnet.CallID) error {
	c, err := m.inProgress(id)
	switch {
	case err != nil:
		return err
	case !c.answered(), c.handing():
		return c.stateError("hand it over")
	case msg.To == c.info.Peer, msg.To == m.opts.User:
		return fmt.Errorf("call %v to %s: %w", id, msg.To, ErrTransfer)
	}
	if msg.Referral, err = m.opts.Refer(Referral{Transferee: c.info.Peer, Target: msg.To, Time: now, Replaces: replaces}); err != nil {
		return err
	}
	if !c.info.HeldHere {
		m.setHold(now, id, true) // cannot fail: it is answered and not held
		c.heldFor = true
	}
	c.offer = msg
	m.do(Send{c.peer.node, msg})
	m.transferred(c, true, linnet.TransferAsked, linnet.OutcomeNone)
	return nil
}

// handing says that one of the two is to be handed over.
func (c *call) handing() bool {
	return c.info.Transfer != nil && c.info.Transfer.State <= linnet.TransferAccepted
}

// offers says that this user wants to hand the other one over, who may still do it.
func (c *call) offers() bool {
	return c.handing() && c.info.Transfer.Mine
}

// asked says that the other one wants to hand this user over, who has not decided.
func (c *call) asked() bool {
	t := c.info.Transfer
	return t != nil && !t.Mine && t.State == linnet.TransferAsked
}

// transferred notes and tells how the transfer of c's offer stands.
func (m *Machine) transferred(c *call, mine bool, state linnet.TransferState, outcome linnet.Outcome) {
	c.info.Transfer = &linnet.Transfer{To: c.offer.To, Mine: mine, State: state, Outcome: outcome}
	if c.info.State != linnet.CallEnded {
		if !mine {
			m.tellTransfer(c)
		}
		m.do(Changed{c.info})
	}
}

// tellTransfer tells the one who hands over how that stands.
func (m *Machine) tellTransfer(c *call) {
	t := c.info.Transfer
	m.do(Send{c.peer.node, &message.CallTransferred{
		Call: c.info.ID, Offer: c.offer.Offer, State: uint32(t.State), Outcome: uint32(t.Outcome),
	}})
}

// offered takes the other end's wish to hand this user over.
func (m *Machine) offered(now time.Time, c *call, l *leg, msg *message.CallTransfer) {
	if !c.answered() || l != c.peer {
		return
	}
	c.acknowledged(l)
	t := c.info.Transfer
	if t != nil && !t.Mine && c.offer.Offer == msg.Offer {
		m.tellTransfer(c)
		return
	}
	to, err := linnet.ParseUserName(string(msg.To))
	if m.opts.Stays || err != nil || to != msg.To || to == c.info.Peer || to == m.opts.User || len(msg.Referral) > maxReferral ||
		c.handing() {
		m.do(Send{l.node, &message.CallTransferred{Call: c.info.ID, Offer: msg.Offer, State: uint32(linnet.TransferDeclined)}})
		return
	}
	c.offer, c.decideBy = msg, now.Add(decideFor)
	m.transferred(c, false, linnet.TransferAsked, linnet.OutcomeNone)
}

// AcceptTransfer calls whom the other end hands this user over to. id is fresh.
func (m *Machine) AcceptTransfer(now time.Time, call, id linnet.CallID) error {
	c, err := m.inProgress(call)
	if err != nil {
		return err
	}
	if !c.asked() {
		return c.stateError("be handed over")
	}
	c.decideBy = time.Time{}
	m.transferred(c, false, linnet.TransferAccepted, linnet.OutcomeNone)
	err = m.dial(now, id, c.offer.To, c)
	if err != nil {
		m.transferred(c, false, linnet.TransferFailed, linnet.OutcomeFailed)
	}
	return err
}

// DeclineTransfer says that this user goes on talking with the other end.
func (m *Machine) DeclineTransfer(_ time.Time, call linnet.CallID) error {
	c, err := m.inProgress(call)
	if err != nil {
		return err
	}
	if !c.asked() {
		return c.stateError("stay")
	}
	m.decline(c)
	return nil
}

func (m *Machine) decline(c *call) {
	c.decideBy = time.Time{}
	m.transferred(c, false, linnet.TransferDeclined, linnet.OutcomeNone)
}

// handedOver takes the other end's word on the own offer. One that cannot go on
// ends the hold that it began.
func (m *Machine) handedOver(now time.Time, c *call, l *leg, msg *message.CallTransferred) {
	if !c.answered() || l != c.peer || !c.offers() || c.offer.Offer != msg.Offer {
		return
	}
	state := linnet.TransferState(min(msg.State, 255))
	if state <= c.info.Transfer.State || state > linnet.TransferDone {
		return
	}
	m.transferred(c, true, state, linnet.Outcome(min(msg.Outcome, uint32(linnet.OutcomeAnsweredElsewhere))))
	if (state == linnet.TransferDeclined || state == linnet.TransferFailed) && c.heldFor && c.info.HeldHere && m.free(c) {
		m.setHold(now, c.info.ID, false)
	}
}

// free says that c may become active without another call being held for it.
func (m *Machine) free(c *call) bool { return len(m.active(c)) < m.opts.Lines }

// through ends the call that c was to replace: whoever was in it put this user
// through.
func (m *Machine) through(now time.Time, c *call) {
	from := c.from
	c.from = nil
	if from == nil || !from.answered() {
		return
	}
	m.transferred(from, false, linnet.TransferDone, linnet.OutcomeNone)
	m.finish(now, from, linnet.OutcomeCompleted)
}

// notThrough says that c, to whom somebody else was to put this user through, is
// over without an answer.
func (m *Machine) notThrough(c *call, outcome linnet.Outcome) {
	from := c.from
	c.from = nil
	if from != nil && from.answered() {
		m.transferred(from, false, linnet.TransferFailed, outcome)
	}
}

// referred reads who put the caller through to this user, and which call that is
// to replace.
func (m *Machine) referred(now time.Time, from Peer, req *message.CallRequest) (by linnet.UserName, replaces *call) {
	if len(req.Referral) == 0 || len(req.Referral) > maxReferral {
		return "", nil
	}
	r, err := m.opts.Referred(now, req.Referral)
	if err != nil || r.Transferee != from.User || r.Target != m.opts.User {
		return "", nil
	}
	c := m.find(r.Replaces)
	if c == nil || !c.answered() || c.info.Peer != r.By || c.peer.node != r.Node {
		return r.By, nil
	}
	return r.By, c
}
