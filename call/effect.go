package call

import (
	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An Effect is something that the machine wants done. The node does them in
// order: what is stored before something rings or is answered stays so.
type Effect interface{ effect() }

// LookUp asks for the devices of a user; the answer is Found or Missing.
type LookUp struct {
	Call linnet.CallID
	User linnet.UserName
}

// Open wants a session to a device, and First said as early as may be: in the
// Hello that opens it, or over the session that there is already. First is nil
// when only the session is wanted. Opening what is being opened changes nothing.
type Open struct {
	Node  linnet.NodeID
	First message.Message
}

// Send says something over the session to a device. Without a session it is
// dropped: the machine says again what matters.
type Send struct {
	Node    linnet.NodeID
	Message message.Message
}

// Ring makes this device ring for a new incoming call. It is stored first, so
// that the same request cannot ring again after a crash.
type Ring struct{ Call linnet.CallInfo }

// StopRing ends Ring: the call was answered, here or elsewhere, or is over.
type StopRing struct{ Call linnet.CallID }

// Changed tells front ends, and the history, how a call stands. A new outgoing
// call begins with one. With State CallEnded it is for the eye and not for the
// history: Ended follows, and may know better how the call ended.
type Changed struct{ Call linnet.CallInfo }

// StartMedia begins the media of an answered call with the device at its other
// end. Own keys may be handed over now: the session has its hybrid keys.
type StartMedia struct {
	Call   linnet.CallID
	Node   linnet.NodeID
	Codecs []string
}

// PeerKeys are the streams that the other end sends, and their keys.
type PeerKeys struct {
	Call    linnet.CallID
	Node    linnet.NodeID
	Streams []message.MediaStream
}

// HoldMedia says who holds the call; it flows when nobody does.
type HoldMedia struct {
	Call        linnet.CallID
	Here, There bool
}

// StopMedia ends StartMedia. It comes before Ended, so that the receipt is
// there to go with the record.
type StopMedia struct{ Call linnet.CallID }

// Tone is a key that the other end pressed.
type Tone struct {
	Call linnet.CallID
	Tone string
}

// PeerReceipt is what the other end measured.
type PeerReceipt struct {
	Call    linnet.CallID
	Receipt *message.CallReceipt
}

// Merged says that both sides dialled each other, and that an own call goes on
// as Into, under the other side's id. Call has no outcome and no line in the
// history.
type Merged struct{ Call, Into linnet.CallID }

// Replaced says that an incoming call goes on where another one, which ends, was:
// whoever talked in Old has put the two through. It is taken without ringing.
type Replaced struct{ Old, New linnet.CallID }

// Ended is the final word on a call: exactly one for each, but those merged.
type Ended struct{ Record linnet.CallRecord }

func (LookUp) effect()      {}
func (Open) effect()        {}
func (Send) effect()        {}
func (Ring) effect()        {}
func (StopRing) effect()    {}
func (Changed) effect()     {}
func (StartMedia) effect()  {}
func (PeerKeys) effect()    {}
func (HoldMedia) effect()   {}
func (StopMedia) effect()   {}
func (Tone) effect()        {}
func (PeerReceipt) effect() {}
func (Replaced) effect()    {}
func (Merged) effect()      {}
func (Ended) effect()       {}
