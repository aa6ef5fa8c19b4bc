// Package post brings letters (directory.Letter) to somebody's devices: the part of
// a state machine that presence and chat have in common. It opens no socket, starts no
// goroutine and reads no clock, and knows nothing of what letters say.
//
//	Bring ──▶ prekeys, look-up ──▶ straight to devices that are there ──▶ taken
//	                           └─▶ the mailbox, for those that are not ──▶ stored ──▶ Done
//
// Who was there, and did not take it, is told that there is mail.
//
// An errand is begun again until all of the devices have what it brings, or it is in
// their mailbox; over restarts, too, if whoever has it Bring again.
package post

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// LookUp wants a user looked up, not from a cache; Found is to be told.
type LookUp struct{ User linnet.UserName }

// Forward sends something to a device through the supernodes of both, or in a
// session.
type Forward struct {
	To    linnet.NodeID
	Inner uint32 // message.InnerNotice, InnerLetter, InnerTaken or InnerMail
	Body  []byte
}

// AskPrekeys wants the prekeys of a user; Prekeys is to be told.
type AskPrekeys struct{ User linnet.UserName }

// PutMail leaves a letter in a mailbox; MailPut is to be told.
type PutMail struct {
	Ticket uint64
	To     linnet.UserName
	Device linnet.NodeID // zero: any
	Box    []byte
	Pass   []byte
}

// RemoveMail removes items from the own mailbox.
type RemoveMail struct{ IDs []message.MailID }

// LeaveMail says that an item stays in the mailbox, to be fetched again later.
type LeaveMail struct{ ID message.MailID }

// A Device is one of a user's, as the directory has it.
type Device struct {
	Node      linnet.NodeID
	Reachable bool
}

// An Arrival is a letter that came, straight or by the mailbox.
type Arrival struct {
	Letter *directory.Letter
	Mail   message.MailID // zero: it came straight
}

// Straight says that it did not lie in the mailbox.
func (a Arrival) Straight() bool { return a.Mail == message.MailID{} }

// Taken is the effect that follows once what the letter says is on disk.
func (a Arrival) Taken() any {
	if a.Straight() {
		return Forward{a.Letter.Sender, message.InnerTaken, a.Letter.ID[:]}
	}
	return RemoveMail{[]message.MailID{a.Mail}}
}

// A Letter is written and sealed.
type Letter struct {
	ID  directory.LetterID
	Box []byte
}

// Write signs a letter and seals it for devices; nil: it cannot be.
func Write(s suite.SealSuite, self overlay.Identity, now time.Time, kind directory.LetterKind, to linnet.UserName, content []byte, prekeys ...*directory.Prekey) *Letter {
	l := directory.Letter{To: to, ID: directory.NewLetterID(), Kind: kind, Time: now, Content: content}
	var publics [][]byte
	for _, p := range prekeys {
		publics = append(publics, p.Public)
	}
	box, err := l.Seal(s, self, publics...)
	if err != nil {
		return nil
	}
	return &Letter{l.ID, box}
}
