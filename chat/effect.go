package chat

import "github.com/linnet-p2p/linnet"

// Kept is what a machine has on disk.
type Kept struct {
	Positions map[linnet.UserName]uint64 // the highest of each conversation
	Outbox    []Entry
	// Of the entries about messages and reactions, as they are now.
	Messages []linnet.Message
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
