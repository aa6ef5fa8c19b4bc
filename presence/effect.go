package presence

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/wire/message"
)

type mailID = message.MailID

// An Effect is something for whoever runs the machine to do: one of the structs
// below, or of package post. They are carried out in order, and what follows a Save only when that is
// on disk: nothing is acknowledged or promised that a crash would take back.
type Effect = any

// Kept is what a machine has on disk. What is in it only this package knows.
type Kept struct {
	Self    []byte // nil: nothing yet
	People  []KeptPerson
	Prekeys []Prekey
}

// A KeptPerson is one that the user has to do with.
type KeptPerson struct {
	User  linnet.UserName
	Name  string // how the user calls them
	Added time.Time
	State linnet.ContactState
	// Relation is the rest; nil: the contact was added before there were requests.
	Relation []byte
}

// A Prekey is one of this device's own, with its private half.
type Prekey struct {
	Public, Private []byte
	Made            time.Time
	Published       time.Time // the last time that the network had it; zero: never
}

// Save puts all of it on disk in one step: this device's own state if it is not
// nil, people instead of what was kept of them, prekeys likewise by their public
// half, and what is to be forgotten.
type Save struct {
	Self   []byte
	People []KeptPerson
	Forget []linnet.UserName
	Prekey *Prekey
	Erase  [][]byte // public halves of prekeys
}

// Changed says that what the user says of himself is another now: whether a
// record is published and whether calls ring follows from it.
type Changed struct{ Mine linnet.Mine }

// Watch wants overlay.Machine.Watch for these devices.
type Watch struct{ Nodes []linnet.NodeID }

// PublishPrekey wants a prekey published; Machine.PrekeyPublished is to be told.
type PublishPrekey struct {
	Public []byte
	Made   time.Time
}

// CheckMail wants what is in the own mailbox; Machine.Mail is to be told.
type CheckMail struct{}

// Arrived hands over a letter for another part of this device, of somebody who is not
// blocked. Arrival.Taken follows when what it says is on disk; what is not taken is
// found in the mailbox again after Left.
type Arrived struct{ post.Arrival }

// Tell tells the front ends.
type Tell struct{ Event linnet.Event }
