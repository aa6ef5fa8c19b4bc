package linnet

import (
	"context"
	"io"
	"net/netip"
	"time"
)

// Client is what a running node offers to its front ends: the command line, the
// page in the browser, scripts and tests all do what they do through it.
//
// Errors of these methods carry a Code wherever a caller may want to tell them apart.
type Client interface {
	Status(ctx context.Context) (Status, error)

	// Join takes the invite of a network, where the node has none yet.
	Join(ctx context.Context, invite string) error

	// Register makes an account and signs this device in. Login signs in a
	// device of an account that exists. Both return once the certificate is on disk.
	Register(ctx context.Context, c Credentials) error
	Login(ctx context.Context, c Credentials) error
	// Logout withdraws the device record and forgets the account on this device.
	Logout(ctx context.Context) error

	// Examine looks for what keeps this node from working. It takes some seconds.
	Examine(ctx context.Context) ([]Finding, error)

	// Volunteer says whether this machine may serve others as a supernode while the
	// network needs it, and the machine has room for that. Status tells how it stands.
	Volunteer(ctx context.Context, on bool) error

	// VolunteerRelay says whether this machine may relay calls of others, too, while it
	// serves as a supernode, and how much.
	VolunteerRelay(ctx context.Context, c RelayConsent) error

	// Lookup asks the directory for a user's devices.
	Lookup(ctx context.Context, user UserName) (Listing, error)

	// Card is the own card of the white pages. PublishCard puts one there, and
	// WithdrawCard takes it away: both are kept on disk and done again until the
	// network knows, and return when it does, or with the state so far.
	Card(ctx context.Context) (CardStatus, error)
	PublishCard(ctx context.Context, c Card) (CardStatus, error)
	WithdrawCard(ctx context.Context) (CardStatus, error)
	// Search finds the users whose names or cards have all these words, or words
	// that begin so: 50 a page, the first of which is 1. Of each page the
	// supernodes count one search, of 30 an hour.
	Search(ctx context.Context, words string, page int) (SearchPage, error)

	// Ping measures the way to a device of a user who is online; it begins to look for
	// a better one, as a call does, and does not ring. It takes a moment to answer.
	Ping(ctx context.Context, user UserName) (Pong, error)

	// Contacts lists who is one, asks to be one, was asked or is blocked.
	Contacts(ctx context.Context) ([]Contact, error)
	// AddContact puts somebody on the list, under c.Name, and asks them with c.Message
	// to do the same; it is a yes to somebody who asks. It returns when that is on
	// disk: they get it as soon as they, or their mailbox, can be reached.
	AddContact(ctx context.Context, c Contact) error
	// AnswerContact says yes or no to somebody who asks.
	AnswerContact(ctx context.Context, user UserName, yes bool) error
	// BlockContact has nothing of somebody noticed any more, or ends that.
	BlockContact(ctx context.Context, user UserName, on bool) error
	// RemoveContact takes somebody off the list, and tells them.
	RemoveContact(ctx context.Context, user UserName) error

	// Presence is what the user says of himself on this device; SetPresence changes it.
	Presence(ctx context.Context) (Mine, error)
	SetPresence(ctx context.Context, m Mine) error

	// Conversations lists whom the user writes with, the newest line first.
	Conversations(ctx context.Context) ([]Conversation, error)
	// Messages are the last lines with somebody before one of them, or the last of
	// all if that is none; in their order, the oldest first.
	Messages(ctx context.Context, user UserName, before MessageID, limit int) ([]Message, error)
	// SendMessage says something to somebody, perhaps as a reply. It returns when that
	// is on disk: the node brings it there, and Events tell how far it has come.
	SendMessage(ctx context.Context, user UserName, text string, replyTo MessageID) (MessageID, error)
	// EditMessage and DeleteMessage change the user's own, for both sides; what was
	// read or kept in another way they cannot take back.
	EditMessage(ctx context.Context, id MessageID, text string) error
	DeleteMessage(ctx context.Context, id MessageID) error
	// React answers a message with an emoji, instead of the one before; an empty one
	// takes it away.
	React(ctx context.Context, id MessageID, emoji string) error
	// MarkRead says that the user has read what somebody wrote up to a message, or all
	// if that is none. Contacts get to know.
	MarkRead(ctx context.Context, user UserName, upTo MessageID) error
	// Typing tells somebody, if that costs nothing, that the user writes to them, or
	// has stopped. It is good for ten seconds.
	Typing(ctx context.Context, user UserName, on bool) error
	// SearchMessages finds the messages with all these words, or words that begin so,
	// the newest first.
	SearchMessages(ctx context.Context, words string, limit int) ([]Message, error)

	// Call rings all devices of a user and returns at once; Events tell the rest.
	Call(ctx context.Context, user UserName, m CallMedia) (CallID, error)
	// Answer takes a ringing call.
	Answer(ctx context.Context, id CallID, m CallMedia) error
	// HangUp ends a call: it cancels one that rings there and rejects one that rings here.
	HangUp(ctx context.Context, id CallID) error
	Hold(ctx context.Context, id CallID, on bool) error
	// Video shows what the camera or the screen of the page gives from now on, or
	// nothing any more. The other side sees it in a call that both take part in.
	Video(ctx context.Context, id CallID, v Video) error
	Tone(ctx context.Context, id CallID, tone string) error
	// Transfer offers the other end of an answered call to call somebody else instead:
	// a user, or the other end of another answered call, who is then put through at
	// once. The call is held meanwhile; Events tell how it goes.
	Transfer(ctx context.Context, id CallID, to TransferTo) error
	// AnswerTransfer says whether this user wants to be handed over as the other end
	// of a call offers, and gives the new call.
	AnswerTransfer(ctx context.Context, id CallID, yes bool, m CallMedia) (CallID, error)
	// LeaveVoicemail leaves what an Ogg/Opus file says with a contact who did not answer
	// a call; the call may be zero. It returns when a majority of those who keep the
	// contact's mailbox have it on disk, which takes some seconds.
	// UploadVoicemail does the same with what is read.
	LeaveVoicemail(ctx context.Context, to UserName, about CallID, file string) (Voicemail, error)
	UploadVoicemail(ctx context.Context, to UserName, about CallID, sound io.Reader) (Voicemail, error)
	// Voicemails lists what others left here, and the user elsewhere, the newest first.
	Voicemails(ctx context.Context, limit int) ([]Voicemail, error)
	// VoicemailSound is what somebody said, as an Ogg/Opus file.
	VoicemailSound(ctx context.Context, id VoicemailID) ([]byte, error)
	// HeardVoicemail notes that it was heard, and tells whoever left it.
	HeardVoicemail(ctx context.Context, id VoicemailID) error
	DeleteVoicemail(ctx context.Context, id VoicemailID) error
	// CallSettings are how this device takes calls.
	CallSettings(ctx context.Context) (CallSettings, error)
	SetCallSettings(ctx context.Context, s CallSettings) error
	// Page connects the page of a browser on this machine as microphone and
	// loudspeaker: it takes the page's WebRTC offer and gives the answer (both SDP).
	// The page before it, if there is one, is disconnected; calls go on.
	Page(ctx context.Context, offer string) (answer string, err error)
	// History lists past calls, the newest first.
	History(ctx context.Context, limit int) ([]CallRecord, error)

	// Files lists the files that were offered to others and by others, the newest first.
	Files(ctx context.Context) ([]File, error)
	// SendFile offers a file of this machine to a contact, and returns when the offer
	// is on disk. The file has to stay where it is and as it is until it is done.
	// UploadFile does the same with size bytes that are read, which are kept until then.
	SendFile(ctx context.Context, user UserName, path string) (FileID, error)
	UploadFile(ctx context.Context, user UserName, name string, size int64, r io.Reader) (FileID, error)
	// AnswerFile says yes or no to a file that is offered.
	AnswerFile(ctx context.Context, id FileID, yes bool) error
	// PauseFile stops a file for a while, or lets it go on, also after trouble.
	PauseFile(ctx context.Context, id FileID, on bool) error
	// CancelFile ends a file; what has come of it is deleted.
	CancelFile(ctx context.Context, id FileID) error
	// OpenFile gives the content of a file that came.
	OpenFile(ctx context.Context, id FileID) (*OpenFile, error)

	// Events tells what happens from now on, until ctx ends or the listener
	// falls behind; then the channel is closed.
	Events(ctx context.Context) (<-chan Event, error)
}

// Credentials prove who somebody is to the login servers.
type Credentials struct {
	User     UserName `json:"user"`
	Password string   `json:"password"`
	Device   string   `json:"device,omitempty"` // what to call this device; default: the host's name
	Token    []byte   `json:"token,omitempty"`  // of the invite, where the network wants one
}

// CallMedia is what is sent and kept of a call: what is said at the page, a file,
// or nothing.
type CallMedia struct {
	Page   bool   `json:"page,omitempty"`   // spoken and heard at the page that is connected
	Play   string `json:"play,omitempty"`   // Ogg/Opus file to send; none sends silence
	Record string `json:"record,omitempty"` // Ogg/Opus file to write what is heard to
	Video  Video  `json:"video,omitempty"`  // shown at the page from the answer on
	// IVF/VP8 files to show, and to write what is seen to.
	PlayVideo   string `json:"play_video,omitempty"`
	RecordVideo string `json:"record_video,omitempty"`
	// Seconds after the answer the call is hung up; 0: at the end of Play, or of PlayVideo
	// without Play, or never without both.
	Seconds float64 `json:"seconds,omitempty"`
	Stay    bool    `json:"stay,omitempty"` // do not hang up at the end of Play or PlayVideo
}

// Status is what `linnet status` shows.
type Status struct {
	Version     string        `json:"version"`
	Network     string        `json:"network,omitempty"`
	NetworkID   NetworkID     `json:"network_id"`
	Suite       string        `json:"suite,omitempty"`
	User        UserName      `json:"user,omitempty"` // none: nobody is signed in
	Device      string        `json:"device,omitempty"`
	Node        NodeID        `json:"node"`
	Role        string        `json:"role"`
	Addr        string        `json:"addr"`             // UDP and TCP
	Public      string        `json:"public,omitempty"` // as others see it
	Online      bool          `json:"online"`           // attached to a supernode
	Trouble     string        `json:"trouble,omitempty"`
	Supernodes  []Attachment  `json:"supernodes"`
	NAT         *NAT          `json:"nat,omitempty"`       // none: nobody is signed in
	Volunteer   *Volunteering `json:"volunteer,omitempty"` // none: the network takes none
	Known       int           `json:"known_supernodes"`
	Slot        int           `json:"slot"`
	Block       int           `json:"block"`
	Clients     int           `json:"clients"` // attached to this node
	Records     int           `json:"records"` // kept by this node for others
	Certificate time.Time     `json:"certificate_expires,omitzero"`
	Unread      int           `json:"unread"` // messages
	Calls       []CallInfo    `json:"calls"`
	Home        string        `json:"home"`
}

// A Pong is a device's answer to Ping.
type Pong struct {
	User  UserName `json:"user"`
	Node  NodeID   `json:"node"`
	Path  PathKind `json:"path"`
	Via   string   `json:"via,omitempty"`  // the relay, when there is one
	Addr  string   `json:"addr,omitempty"` // the device's, where it is direct
	RTTMS float64  `json:"rtt_ms"`
}

// A Finding is what one look at a node gave.
type Finding struct {
	About string  `json:"about"`
	State Verdict `json:"state"`
	Text  string  `json:"text"`
	Do    string  `json:"do,omitempty"` // where something is wrong
}

// A Verdict says how bad a Finding is.
type Verdict string

// The verdicts.
const (
	VerdictGood    Verdict = "good"
	VerdictWarning Verdict = "warning" // it works, but worse than it could, or not for long
	VerdictBad     Verdict = "bad"
	VerdictUnknown Verdict = "unknown" // it could not be looked at
)

// NAT is what a node found out about the way between itself and the rest of the
// network. What it does not know is null: no version guesses.
type NAT struct {
	UDP         *bool            `json:"udp"`
	Mapping     *string          `json:"mapping"`   // in the terms of RFC 4787, as in Filtering
	Filtering   *string          `json:"filtering"` // whose packets are let in
	Hairpin     *bool            `json:"hairpin"`   // hosts behind it meet at its public address
	IPv6        *bool            `json:"ipv6"`
	PortMapping []string         `json:"port_mapping"` // protocols by which it gives a port away
	TCP         TCPReach         `json:"tcp"`
	Public      []netip.AddrPort `json:"public"`              // as supernodes see the UDP socket
	Ports       []uint16         `json:"ports,omitempty"`     // first and last of the block that a dependent mapping draws from
	PortStep    int              `json:"port_step,omitempty"` // between the ports of a dependent mapping that hands them out in order
	Lifetime    *MappingLifetime `json:"mapping_lifetime"`    // of a UDP socket that nothing is sent by; takes 3 minutes to know
	Name        string           `json:"nat_name"`            // none, firewall, full cone, restricted cone, port-restricted cone, cone, symmetric, unknown, or this machine: all supernodes are on it
}

// MappingLifetime is between two pauses that were tried.
type MappingLifetime struct {
	AtLeastS int `json:"at_least_s"`
	BelowS   int `json:"below_s,omitempty"` // 0: it outlasted all of them
}

// TCPReach says by which ports of supernodes streams get through.
type TCPReach struct {
	Own   *bool `json:"own"`
	HTTP  *bool `json:"80"`
	HTTPS *bool `json:"443"`
}

// Volunteering is how a user's machine stands that may serve as a supernode.
type Volunteering struct {
	Agreed      bool   `json:"agreed"` // by its owner
	Serving     bool   `json:"serving"`
	Why         string `json:"why"`       // it serves, or does not
	Reachable   bool   `json:"reachable"` // by strangers, as two supernodes tried
	UpstreamBPS int    `json:"upstream_bps"`
	CPU         int    `json:"cpu_percent"`
	Battery     bool   `json:"battery"`
	Metered     bool   `json:"metered"`

	Relay VolunteerRelaying `json:"relay"`
}

// RelayConsent is what the owner of a machine gives for relaying calls of others.
type RelayConsent struct {
	On         bool  `json:"on"`
	BitRate    int   `json:"bit_rate,omitempty"`    // of all calls together; 0 means a megabit a second, and never more than half the line
	DailyBytes int64 `json:"daily_bytes,omitempty"` // passed on in a day of UTC, each of which comes in and goes out; 0 means a gigabyte
}

// VolunteerRelaying is how that stands.
type VolunteerRelaying struct {
	RelayConsent        // with what zeros stand for
	Serving      bool   `json:"serving"`
	Why          string `json:"why"`          // it does, or does not
	Reservations int    `json:"reservations"` // calls that may come by here
	Calls        int    `json:"calls"`        // of them, those that did
	BPS          int    `json:"bps"`          // passed on in the last second
	Today        int64  `json:"today_bytes"`
}

// Attachment is a supernode that this node is attached to.
type Attachment struct {
	Node  NodeID         `json:"node"`
	Addr  netip.AddrPort `json:"addr"`
	By    Rung           `json:"by"`
	RTTMS float64        `json:"rtt_ms"`
}

// Listing is what the directory says of a user.
type Listing struct {
	User    UserName `json:"user"`
	Online  bool     `json:"online"`
	Devices []Device `json:"devices"`
	// Confirmed by how many supernodes the answer is, when nobody was found.
	Confirmed int     `json:"confirmed,omitempty"`
	TookMS    float64 `json:"took_ms"`
}

// Device is one machine of a user.
type Device struct {
	Node       NodeID    `json:"node"`
	Name       string    `json:"name"`
	Online     bool      `json:"online"`
	Seen       time.Time `json:"seen"`
	Supernodes []NodeID  `json:"supernodes"`
}

// Event is something that happened.
type Event struct {
	Time      time.Time     `json:"time"`
	Kind      EventKind     `json:"kind"`
	Call      *CallInfo     `json:"call,omitempty"`
	Voicemail *Voicemail    `json:"voicemail,omitempty"`
	Record    *CallRecord   `json:"record,omitempty"`  // with EventCallEnded
	Contact   *Contact      `json:"contact,omitempty"` // with EventPresence and EventContact...
	Mine      *Mine         `json:"mine,omitempty"`    // with EventMine
	Message   *Message      `json:"message,omitempty"` // with EventMessage and EventMessageChanged
	Typing    *Typing       `json:"typing,omitempty"`  // with EventTyping
	Unread    *Conversation `json:"unread,omitempty"`  // with EventUnread, without Last
	File      *File         `json:"file,omitempty"`    // with EventFile...
	Was       *CallID       `json:"was,omitempty"`     // with EventCallMerged
	Text      string        `json:"text,omitempty"`
	Code      Code          `json:"code,omitempty"` // with EventWarning about a Call: what it is as an error
}

// EventKind says what an Event is about.
type EventKind string

// The kinds.
const (
	EventOnline          EventKind = "online"       // attached to a supernode
	EventOffline         EventKind = "offline"      // no supernode left; Text says why
	EventCallRings       EventKind = "call-rings"   // an incoming call
	EventCallChanged     EventKind = "call-changed" // its state or path
	EventCallHeard       EventKind = "call-heard"   // the first sound of the other side
	EventCallMerged      EventKind = "call-merged"  // both had dialled: Was goes on as Call
	EventCallEnded       EventKind = "call-ended"
	EventTone            EventKind = "tone"
	EventVoicemail       EventKind = "voicemail"        // one came; with Own, one was left, or the other side heard it
	EventPresence        EventKind = "presence"         // of a contact
	EventMine            EventKind = "mine"             // what the user says of himself on this device changed
	EventContactAsks     EventKind = "contact-asks"     // somebody wants to be one; Contact.Message is what they say
	EventContactAccepted EventKind = "contact-accepted" // both want it now
	EventContactDeclined EventKind = "contact-declined" // they said no
	EventContactChanged  EventKind = "contact-changed"  // its state, in another way
	EventMessage         EventKind = "message"          // a new one, of either side
	EventMessageChanged  EventKind = "message-changed"  // its state, text or reactions
	EventTyping          EventKind = "typing"
	EventUnread          EventKind = "unread"        // there are more or fewer unread messages of somebody
	EventFileOffered     EventKind = "file-offered"  // somebody offers a file
	EventFileChanged     EventKind = "file-changed"  // its state
	EventFileProgress    EventKind = "file-progress" // twice a second at most
	EventRole            EventKind = "role"          // what this machine does for others changed; Text is for people
	EventWarning         EventKind = "warning"       // Text is for people
)
