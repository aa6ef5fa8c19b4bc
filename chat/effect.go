package chat

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
)

// An Effect is something for whoever runs the machine to do: one of the structs
// below, or of package post. They are carried out in order, and what follows a Save
// only when that is on disk: nothing is acknowledged or sent that a crash would take back.
type Effect = any

// Kept is what a machine has on disk.
type Kept struct {
	Talks  map[linnet.UserName]Position
	Outbox []Entry
	// Of the entries about messages and reactions, as they are now.
	Messages []linnet.Message
}

// A Position is how far a conversation has come.
type Position struct {
	Highest     uint64 // of all messages
	Own, Theirs int    // messages of the user, and of the other one
}

// Tell tells the front ends.
type Tell struct{ Event linnet.Event }

// Hint tells a device in a session, if that is easily done, that the user writes just
// now, or has stopped.
type Hint struct {
	To linnet.NodeID
	On bool
}

// An Entry is something that somebody's devices are to be told yet: the message as
// it is now, the user's reaction to it, or how far it has come here.
type Entry struct {
	To      linnet.UserName // the user: his own other devices
	Peer    linnet.UserName // whose conversation it belongs to
	What    What
	Message linnet.MessageID
}

// What an Entry is about.
type What string

// The kinds of entries. They are kept on disk.
const (
	TellMessage   What = "message"
	TellReaction  What = "reaction"
	TellDelivered What = "delivered"
	TellRead      What = "read"
)

// Save puts all of it on disk in one step. What came of it is to be told.
type Save struct {
	Messages  []linnet.Message // to be merged with what is there
	Reactions []Reaction       // likewise
	Marks     []Mark
	Queue     []Entry
	Done      []Entry
}

// A Reaction is one in the conversation with somebody, whose own it need not be.
type Reaction struct {
	Peer    linnet.UserName
	Message linnet.MessageID
	linnet.Reaction
}

// A Mark raises the state of a message that is there: of one that Peer wrote, to
// MessageRead, or else of one of the user's own.
type Mark struct {
	Peer    linnet.UserName
	Message linnet.MessageID
	Theirs  bool
	State   linnet.MessageState
}

// Saved is what a Save changed.
type Saved struct {
	Messages []Changed
	Unread   []linnet.Conversation // of whose messages more or fewer are unread, without Last
}

// Changed is a message that is another now.
type Changed struct {
	New     bool
	Message linnet.Message
}

// Events are what the front ends are told of it.
func (s Saved) Events(now time.Time) (list []linnet.Event) {
	for i := range s.Messages {
		kind := linnet.EventMessageChanged
		if s.Messages[i].New {
			kind = linnet.EventMessage
		}
		list = append(list, linnet.Event{Time: now, Kind: kind, Message: &s.Messages[i].Message})
	}
	for i := range s.Unread {
		list = append(list, linnet.Event{Time: now, Kind: linnet.EventUnread, Unread: &s.Unread[i]})
	}
	return list
}

func sortedNodes[V any](m map[linnet.NodeID]V) []linnet.NodeID {
	return slices.SortedFunc(maps.Keys(m), func(a, b linnet.NodeID) int { return bytes.Compare(a[:], b[:]) })
}
