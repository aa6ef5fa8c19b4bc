package message

import "github.com/linnet-p2p/linnet"

// CallRequest starts a call (INVITE). It is idempotent by Call, and repeated
// until the device rings, refuses or is given up; always so when a session
// that it opened is up, since its first copy could have been a replay.
type CallRequest struct {
	Call   linnet.CallID `obj:"4/0"`
	Time   uint64        `obj:"1/1"` // milliseconds since 1970
	Codecs []string      `obj:"3/2"` // by name, best first: "opus", "vp8"

	// Referral is who handed the caller over, signed by them; see package call.
	Referral []byte `obj:"4/3,opt"`

	Video bool `obj:"0/4,opt"` // the caller shows video from the answer on
}

// CallRinging says that this device rings, maybe beside another call (waiting). It
// is said again when that ends.
type CallRinging struct {
	Call    linnet.CallID `obj:"4/0"`
	Waiting bool          `obj:"0/1,opt"`
}

// CallAnswer says that this device took the call.
type CallAnswer struct {
	Call   linnet.CallID `obj:"4/0"`
	Codecs []string      `obj:"3/2"` // the chosen ones
}

// CallEnd ends a call, or refuses it.
type CallEnd struct {
	Call   linnet.CallID `obj:"4/0"`
	Reason uint32        `obj:"0/1"` // linnet.Outcome, one that travels
}

// CallEnded acknowledges CallEnd.
type CallEnded struct {
	Call linnet.CallID `obj:"4/0"`
}

// CallHold puts a call on hold, or takes it back.
type CallHold struct {
	Call linnet.CallID `obj:"4/0"`
	On   bool          `obj:"0/1"`
}

// CallTone is a DTMF key.
type CallTone struct {
	Call linnet.CallID `obj:"4/0"`
	Tone string        `obj:"3/1"` // one of 0-9 * # A-D
}

// CallAlive is exchanged every 5 s from the first ring on, so that both ends
// notice the death of the other one even when nobody speaks, and what they
// missed of each other's state. The caller also sends it at once to
// acknowledge CallAnswer.
type CallAlive struct {
	Call  linnet.CallID `obj:"4/0"`
	State uint32        `obj:"0/1"` // linnet.CallState of the sender: ringing, active, or held by it
}

// MediaKeys hands the sender's media keys to the other participant; a call's
// media waits for it, and it waits for the hybrid keys of the session. It lists all
// streams that the sender sends from now on: it is said again, with the same
// streams, one more or one less, when video begins or ends.
type MediaKeys struct {
	Call    linnet.CallID `obj:"4/0"`
	Streams []MediaStream `obj:"5/1"`
}

// MediaStream is one source of media and its key (sender keys, RFC 7714).
type MediaStream struct {
	SSRC        uint32 `obj:"0/0"`
	Key         []byte `obj:"4/1"` // 32 bytes
	Salt        []byte `obj:"4/2"` // 12 bytes
	ROC         uint32 `obj:"0/3"` // rollover counter at Sequence
	Sequence    uint32 `obj:"0/4"` // of the first packet
	Codec       string `obj:"3/5"`
	PayloadType uint32 `obj:"0/6"`
	Redundancy  uint32 `obj:"0/7"`     // payload type of RFC 2198 packets
	Screen      bool   `obj:"0/8,opt"` // video: a screen, not a camera
}

// CallReceipt is what the sender measured, told after the call.
type CallReceipt struct {
	Call     linnet.CallID `obj:"4/0"`
	Sent     uint32        `obj:"0/1"` // packets
	Received uint32        `obj:"0/2"`
	LossPPM  uint32        `obj:"0/3"` // after recovery, of a million
	JitterUS uint32        `obj:"0/4"` // microseconds
	RTTUS    uint32        `obj:"0/5"`
	MOS100   uint32        `obj:"0/6"` // hundredths
}

// CallTransfer asks the other end of a call to call somebody else instead. It is
// said again with every CallAlive until the answer is final.
type CallTransfer struct {
	Call     linnet.CallID   `obj:"4/0"`
	Offer    linnet.CallID   `obj:"4/1"` // tells offers apart
	To       linnet.UserName `obj:"3/2"`
	Referral []byte          `obj:"4/3"`     // for the call request
	Device   linnet.NodeID   `obj:"4/4,opt"` // of To, the only one to be called: it is in a call with the sender
}

// CallTransferred says how a CallTransfer stands.
type CallTransferred struct {
	Call    linnet.CallID `obj:"4/0"`
	Offer   linnet.CallID `obj:"4/1"`
	State   uint32        `obj:"0/2"`     // linnet.TransferState
	Outcome uint32        `obj:"0/3,opt"` // of the call that failed: linnet.Outcome
}
