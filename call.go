package linnet

import "time"

// CallState is where a call stands on this device.
//
//	Idle ──dial──▶ Looking ──rings──▶ Ringing ──answer──▶ Active ◀──hold──▶ Held
//	                  │                  │                  │                │
//	                  └──────────────────┴────────┬─────────┴────────────────┘
//	Idle ──request──▶ Ringing                     └──▶ Ended, with one Outcome
type CallState uint8

// The states. An outgoing call is Ringing only when a device of the callee says
// that it rings.
const (
	CallIdle CallState = iota
	CallLooking
	CallRinging
	CallActive
	CallHeld
	CallEnded
)

var callStateNames = [...]string{"idle", "looking", "ringing", "active", "held", "ended"}

// String is the name that front ends show.
func (s CallState) String() string { return nameOf(callStateNames[:], s, "state") }

// MarshalText is the text of String.
func (s CallState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *CallState) UnmarshalText(b []byte) error {
	return parseName(s, callStateNames[:], b, "call state")
}

// An Outcome is how a call ended. Each history holds exactly one for each call.
// The numbers are final: they are stored, and some travel as the reason of a
// message.CallEnd.
type Outcome uint8

// The outcomes. "Travels" says that the side which ends the call names it.
const (
	OutcomeNone              Outcome = 0  // not ended yet
	OutcomeCompleted         Outcome = 1  // was answered, then hung up; travels
	OutcomeMissed            Outcome = 2  // callee only: rang, or was to ring, until the caller gave up
	OutcomeNoAnswer          Outcome = 3  // rang until the caller's time was up; travels
	OutcomeBusy              Outcome = 4  // travels
	OutcomeRejected          Outcome = 5  // the callee said no; travels
	OutcomeCancelled         Outcome = 6  // the caller hung up before an answer; travels
	OutcomeOffline           Outcome = 7  // caller only: no device of the callee could be reached
	OutcomeNotFound          Outcome = 8  // caller only: nobody has this name
	OutcomeLost              Outcome = 9  // a side died, or the network between them; travels
	OutcomeFailed            Outcome = 10 // anything else, such as no common codec; travels
	OutcomeAnsweredElsewhere Outcome = 11 // callee only: another device of the same user took it; travels
)

var outcomeNames = [...]string{"none", "completed", "missed", "no-answer", "busy", "rejected", "cancelled", "offline",
	"not-found", "lost", "failed", "answered-elsewhere"}

// String is the name in histories and in JSON.
func (o Outcome) String() string { return nameOf(outcomeNames[:], o, "outcome") }

// MarshalText is the text of String.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (o *Outcome) UnmarshalText(b []byte) error {
	return parseName(o, outcomeNames[:], b, "outcome")
}

// AtCallee is what the callee's history says where the caller's says o: two
// views of one outcome.
func (o Outcome) AtCallee() Outcome {
	switch o {
	case OutcomeCancelled, OutcomeNoAnswer, OutcomeOffline:
		return OutcomeMissed
	}
	return o
}

// CallInfo is a call as it stands now.
type CallInfo struct {
	CallRecord
	State     CallState `json:"state"`
	Waiting   bool      `json:"waiting,omitempty"`    // rings at the callee while another call is in progress there
	HeldHere  bool      `json:"held_here,omitempty"`  // this side holds it
	HeldThere bool      `json:"held_there,omitempty"` // the other side does
	Page      bool      `json:"page,omitempty"`       // spoken and heard at the page in the browser
	Transfer  *Transfer `json:"transfer,omitempty"`   // it is to be handed over, or was to be

	VideoAsked bool  `json:"video_asked,omitempty"` // the caller shows video from the answer on
	VideoAble  bool  `json:"video_able,omitempty"`  // both sides can show something
	VideoHere  Video `json:"video_here,omitempty"`  // what this side shows
	VideoThere Video `json:"video_there,omitempty"`
}

// A Transfer hands one end of a call over to somebody else: the other user calls
// them instead, if he wants to.
type Transfer struct {
	To      UserName      `json:"to"`
	Mine    bool          `json:"mine,omitempty"` // this user hands the other one over; else it is the other way round
	State   TransferState `json:"state"`
	Outcome Outcome       `json:"outcome,omitempty"` // of the call to To that failed
}

// TransferTo is whom a call is handed over to: one of the two.
type TransferTo struct {
	User UserName `json:"user,omitempty"`
	With *CallID  `json:"with,omitempty"` // the other end of this call
}

// CallSettings are how a device takes calls.
type CallSettings struct {
	Waiting bool `json:"waiting"` // it rings while it is in another call; else the caller hears that it is busy
}

// TransferState is how far a Transfer is. The numbers travel.
type TransferState uint8

// The states. All but the first two are final.
const (
	TransferNone     TransferState = iota
	TransferAsked                  // the one who is handed over has not decided
	TransferAccepted               // he calls
	TransferDeclined               //
	TransferFailed                 // nobody answered him
	TransferDone                   // they talk
)

var transferStateNames = [...]string{"none", "asked", "accepted", "declined", "failed", "done"}

// String is the name that front ends show.
func (s TransferState) String() string { return nameOf(transferStateNames[:], s, "transfer") }

// MarshalText is the text of String.
func (s TransferState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *TransferState) UnmarshalText(b []byte) error {
	return parseName(s, transferStateNames[:], b, "transfer state")
}

// Video is what one side of a call shows.
type Video uint8

// What can be shown.
const (
	NoVideo Video = iota
	Camera
	Screen
)

var videoNames = [...]string{"none", "camera", "screen"}

// String is the name in JSON.
func (v Video) String() string { return nameOf(videoNames[:], v, "video") }

// MarshalText is the text of String.
func (v Video) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (v *Video) UnmarshalText(b []byte) error { return parseName(v, videoNames[:], b, "video") }

// A CallRecord is a call's line in the history. While the call lasts, Ended is
// zero.
type CallRecord struct {
	ID       CallID    `json:"call"`
	Peer     UserName  `json:"peer"`
	Incoming bool      `json:"incoming"`
	Started  time.Time `json:"started"`
	Answered time.Time `json:"answered,omitzero"` // zero: never
	Ended    time.Time `json:"ended,omitzero"`
	Outcome  Outcome   `json:"outcome"`
	By       UserName  `json:"by,omitempty"` // who put the two through to each other
	Receipt
}

// Missed says that somebody tried to reach this user, in vain.
func (r *CallRecord) Missed() bool {
	if !r.Incoming || !r.Answered.IsZero() {
		return false
	}
	switch r.Outcome {
	case OutcomeMissed, OutcomeBusy, OutcomeLost, OutcomeFailed:
		return true
	}
	return false
}

// MissedThere says that the callee is to hear, by letter, that this user called:
// no device of theirs may have noticed.
func (r *CallRecord) MissedThere() bool {
	if r.Incoming || !r.Answered.IsZero() {
		return false
	}
	switch r.Outcome {
	case OutcomeNoAnswer, OutcomeCancelled, OutcomeOffline, OutcomeNotFound, OutcomeLost, OutcomeFailed:
		return true
	}
	return false
}

// Talked is how long the two could talk.
func (r *CallRecord) Talked() time.Duration {
	if r.Answered.IsZero() || r.Ended.Before(r.Answered) {
		return 0
	}
	return r.Ended.Sub(r.Answered)
}

// A Receipt is how well a call went, as measured on this side. It is zero for
// calls without media.
type Receipt struct {
	Path            PathKind   `json:"path"` // the last of Paths
	PacketsSent     uint64     `json:"packets_sent"`
	PacketsReceived uint64     `json:"packets_received"` // recovered ones included
	Loss            float64    `json:"loss"`             // 0 to 1, of what was sent to this side, after recovery
	JitterMS        float64    `json:"jitter_ms"`
	RTTMS           float64    `json:"rtt_ms"`
	ConcealedMS     int64      `json:"concealed_ms"` // sound that had to be invented
	MOS             float64    `json:"mos"`          // 1 to 4.5, E-model (G.107); 0 when nothing was heard
	Suffered        Side       `json:"suffered"`
	Paths           []PathSpan `json:"paths,omitempty"`
	DirectMS        *int64     `json:"direct_ms,omitempty"` // from the first ring until media could go directly; null: it never could
	MediaMS         *int64     `json:"media_ms,omitempty"`  // from the answer, as this side knows it, to the other side's first packet
	NAT             *CallNAT   `json:"nat,omitempty"`
}

// CallNAT is what stood before the two sides of a call, in the words of NAT.Name. A
// side tells that only to its contacts.
type CallNAT struct {
	Local  string `json:"local"`
	Remote string `json:"remote"`
}

// A PathSpan says that from T on media took this path.
type PathSpan struct {
	TMS   int64    `json:"t_ms"` // milliseconds since the answer
	Path  PathKind `json:"path"`
	Via   string   `json:"via,omitempty"` // the relay, when there is one
	RTTMS float64  `json:"rtt_ms"`
}

// Milliseconds is d as the figures in JSON give it, in steps of a microsecond.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// A Side is one of the two ends of a call, seen from this one.
type Side uint8

// The sides.
const (
	NoSide Side = iota
	ThisSide
	OtherSide
	BothSides
)

var sideNames = [...]string{"none", "here", "there", "both"}

// String is the name in JSON.
func (s Side) String() string { return nameOf(sideNames[:], s, "side") }

// MarshalText is the text of String.
func (s Side) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *Side) UnmarshalText(b []byte) error { return parseName(s, sideNames[:], b, "side") }
