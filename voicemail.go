package linnet

import (
	"crypto/rand"
	"time"
)

// A VoicemailID is one message that was left, at both ends.
type VoicemailID [16]byte

// NewVoicemailID draws a VoicemailID.
func NewVoicemailID() (id VoicemailID) {
	rand.Read(id[:])
	return id
}

// String is the form in which people and programs pass it around.
func (id VoicemailID) String() string { return idText.EncodeToString(id[:]) }

// ParseVoicemailID is the inverse of VoicemailID.String.
func ParseVoicemailID(s string) (id VoicemailID, err error) {
	b, err := parseID(s, "voice mail", "linnet voicemail")
	return VoicemailID(b), err
}

// MarshalText is the text of String.
func (id VoicemailID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *VoicemailID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseVoicemailID(string(b))
	return err
}

// A Voicemail is what somebody said to a contact who did not answer.
type Voicemail struct {
	ID     VoicemailID `json:"voicemail"`
	Call   CallID      `json:"call"` // that was not answered
	Peer   UserName    `json:"peer"`
	Own    bool        `json:"own,omitempty"` // this user said it; the sound is not kept
	Sent   time.Time   `json:"sent"`
	Length float64     `json:"seconds"`
	Heard  time.Time   `json:"heard,omitzero"` // zero: not yet
}

// Bounds of voice mail.
const (
	MaxVoicemail      = 2 * time.Minute
	MaxVoicemailBytes = 480 << 10 // as Ogg/Opus
)
