package linnet

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Presence is whether somebody can be talked to. What a user says of himself goes
// to his contacts only; everybody else can learn whether he can be reached.
type Presence uint8

// The states. A user with several devices is what the one that says the most
// inviting of Online, Away, DoNotDisturb and Offline says. Nobody ever learns of
// Invisible: to others it is Offline.
const (
	Offline      Presence = iota // nothing is known of a device that can be reached
	Online                       //
	Away                         // may not notice a call
	DoNotDisturb                 // calls are refused as busy, without a ring
	Invisible                    // no record is published: nobody can call
)

var presenceNames = [...]string{"offline", "online", "away", "dnd", "invisible"}

// String is the name in JSON and on the command line.
func (p Presence) String() string { return nameOf(presenceNames[:], p, "presence") }

// MarshalText is the text of String.
func (p Presence) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (p *Presence) UnmarshalText(b []byte) error {
	return parseName(p, presenceNames[:], b, "presence")
}

// MaxMood and MaxRequest bound, in bytes, the mood and the message of a contact
// request.
const (
	MaxMood    = 200
	MaxRequest = 400
)

// CheckText says whether a mood or a message can be sent.
func CheckText(what, s string, most int) error {
	if len(s) > most || !utf8.ValidString(s) {
		return Errorf(CodeUsage, "a %s is text of at most %d bytes", what, most)
	}
	return nil
}

// Line is what somebody else wrote as one line that does to a terminal nothing but
// to be read: characters that move the cursor or turn the text around are spaces.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

// Mine is what a user says of himself, on this device.
type Mine struct {
	Presence Presence  `json:"presence"`
	Mood     string    `json:"mood"`
	Since    time.Time `json:"since,omitzero"`
}

// Check says whether it can be said.
func (m Mine) Check() error {
	if m.Presence < Online || m.Presence > Invisible {
		return Errorf(CodeUsage, "one can be online, away, dnd or invisible, not %v", m.Presence)
	}
	return CheckText("mood", m.Mood, MaxMood)
}

// ContactState is how this user and another one stand.
type ContactState uint8

// The states. The names of the first four are kept on disk.
const (
	NoContact ContactState = iota
	Asked                  // this user asked; they have not answered yet
	Asking                 // they ask this user
	Approved               // both want it
	Blocked                // nothing of theirs is noticed here
	Declined               // they said no to this user
)

var contactStateNames = [...]string{"none", "asked", "asking", "approved", "blocked", "declined"}

// String is the name in JSON and in the database.
func (s ContactState) String() string { return nameOf(contactStateNames[:], s, "contact state") }

// MarshalText is the text of String.
func (s ContactState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *ContactState) UnmarshalText(b []byte) error {
	return parseName(s, contactStateNames[:], b, "contact state")
}

// OnList says that they are on this user's own list: they may learn the device's
// addresses, when there is a call, and their calls ring a round trip earlier.
func (s ContactState) OnList() bool { return s == Asked || s == Approved }

// Contact is somebody whom the user knows, or who wants to be known.
type Contact struct {
	User     UserName     `json:"user"`
	Name     string       `json:"name,omitempty"` // how the user calls them
	Added    time.Time    `json:"added,omitzero"`
	State    ContactState `json:"state"`
	Message  string       `json:"message,omitempty"` // of AddContact: to go with the request; of Contacts: what came with theirs
	Presence Presence     `json:"presence"`          // of approved ones
	Mood     string       `json:"mood,omitempty"`
	Since    time.Time    `json:"since,omitzero"` // of Presence, by their clock
}
