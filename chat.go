package linnet

import (
	"crypto/rand"
	"strings"
	"time"
	"unicode"
)

// A MessageID is one line of a conversation, on all devices of both people. It is
// drawn by the device that writes it; of a call it is the CallID.
type MessageID [16]byte

// NewMessageID draws a MessageID.
func NewMessageID() (id MessageID) {
	rand.Read(id[:])
	return id
}

// String is the form in which people and programs pass a message around.
func (id MessageID) String() string { return idText.EncodeToString(id[:]) }

// IsZero says that the id names no message.
func (id MessageID) IsZero() bool { return id == MessageID{} }

// ParseMessageID is the inverse of MessageID.String.
func ParseMessageID(s string) (id MessageID, err error) {
	b, err := parseID(s, "message", "linnet chat --json")
	return MessageID(b), err
}

// MarshalText is the text of String.
func (id MessageID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *MessageID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseMessageID(string(b))
	return err
}

// MessageKind is what a line of a conversation is.
type MessageKind uint8

// The kinds.
const (
	TextMessage MessageKind = iota
	FileMessage
	CallMessage // a call that took place, or did not
	VoiceMessage
	NoticeMessage // something that is to be known about the conversation
)

var messageKindNames = [...]string{"text", "file", "call", "voicemail", "notice"}

// String is the name in JSON and in the database.
func (k MessageKind) String() string { return nameOf(messageKindNames[:], k, "message kind") }

// MarshalText is the text of String.
func (k MessageKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (k *MessageKind) UnmarshalText(b []byte) error {
	return parseName(k, messageKindNames[:], b, "message kind")
}

// MessageState is how far a message has come. Of each it only rises.
//
//	the user's own:   Sending ──▶ Stored ──▶ Delivered ──▶ Read
//	somebody else's:  Received ──▶ Read
type MessageState uint8

// The states, in this order.
const (
	MessageSending   MessageState = iota // on this device's disk
	MessageStored                        // in their mailbox, at a majority of those who keep it
	MessageDelivered                     // on a device of theirs
	MessageReceived                      // on this device, and not read yet
	MessageRead
)

var messageStateNames = [...]string{"sending", "stored", "delivered", "received", "read"}

// String is the name in JSON and in the database.
func (s MessageState) String() string { return nameOf(messageStateNames[:], s, "message state") }

// MarshalText is the text of String.
func (s MessageState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *MessageState) UnmarshalText(b []byte) error {
	return parseName(s, messageStateNames[:], b, "message state")
}

// A Message is one line of a conversation. Lines stand in the order of (Position,
// ID), which is the same on all devices; Sent is by its author's clock, and only shown.
type Message struct {
	ID        MessageID    `json:"message"`
	User      UserName     `json:"user"` // whom the conversation is with
	Author    UserName     `json:"author"`
	Device    NodeID       `json:"-"` // the author's
	Sent      time.Time    `json:"sent"`
	Position  uint64       `json:"position"`
	Kind      MessageKind  `json:"kind"`
	Text      string       `json:"text"` // as last edited; none once deleted
	Data      []byte       `json:"-"`    // of kinds other than text; what is in it the package of the kind knows
	ReplyTo   MessageID    `json:"reply_to,omitzero"`
	State     MessageState `json:"state"`
	Edited    time.Time    `json:"edited,omitzero"` // the last time
	Deleted   time.Time    `json:"deleted,omitzero"`
	Reactions []Reaction   `json:"reactions,omitempty"`
}

// Own says that the user of this device wrote it.
func (m *Message) Own() bool { return m.Author != m.User }

// A Reaction is what somebody answered to a message with one emoji.
type Reaction struct {
	User  UserName  `json:"user"`
	Emoji string    `json:"emoji"`
	Time  time.Time `json:"time"`
}

// Bounds, in bytes.
const (
	MaxMessage         = 16 << 10
	MaxStrangerMessage = 1000 // to or from somebody who is no contact
	MaxEmoji           = 32
)

// CheckMessage says whether somebody can be sent this.
func CheckMessage(text string, most int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return Errorf(CodeUsage, "there is nothing to send")
	case strings.ContainsRune(text, 0):
		return Errorf(CodeUsage, "a message is text")
	}
	return CheckText("message", text, most)
}

// MaxMillis, in milliseconds since 1970, bounds times that others name: JSON, in which
// front ends are told of them, has none after the year 9999, in whatever zone.
const MaxMillis = 253_402_214_400_000

// CheckEmoji says whether one can react with this; the empty one takes a reaction
// away.
func CheckEmoji(s string) error {
	if strings.ContainsFunc(s, unicode.IsSpace) || Line(s) != s {
		return Errorf(CodeUsage, "one reacts with one emoji")
	}
	return CheckText("reaction", s, MaxEmoji)
}

// Lines is what somebody else wrote as lines that do to a terminal nothing but to
// be read: as of Line, with the ends of lines left.
func Lines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = Line(l)
	}
	return strings.Join(lines, "\n")
}

// A Conversation is all that was said with one person.
type Conversation struct {
	User   UserName `json:"user"`
	Unread int      `json:"unread"`         // of theirs
	Last   *Message `json:"last,omitempty"` // the newest line
}

// Typing is that somebody writes a message just now, or has stopped. It is good for
// ten seconds.
type Typing struct {
	User UserName `json:"user"`
	On   bool     `json:"on"`
}
