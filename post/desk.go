package post

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay/alarm"
)

// A Desk is where a machine that has a Courier is told what came of its letters, and
// hands over what it wants done. A machine has it embedded.
type Desk struct {
	agenda  *alarm.Agenda
	courier *Courier
}

// NewDesk makes the Desk of a machine.
func NewDesk(a *alarm.Agenda, c *Courier) Desk { return Desk{a, c} }

// Take gives what is to be done, in this order, and forgets it.
func (d Desk) Take() []any { return d.agenda.Take() }

// Deadline is when Tick wants to be called next; zero means never.
func (d Desk) Deadline() time.Time { return d.agenda.Deadline() }

// Tick does what is due.
func (d Desk) Tick(now time.Time) { d.agenda.Tick(now) }

// There is told that somebody can be reached now, or left mail.
func (d Desk) There(now time.Time, user linnet.UserName) { d.courier.Hurry(now, user) }

// Found is told what came of a LookUp.
func (d Desk) Found(now time.Time, user linnet.UserName, devices []Device, err error) {
	d.courier.Found(now, user, devices, err)
}

// Prekeys is told what came of an AskPrekeys.
func (d Desk) Prekeys(now time.Time, user linnet.UserName, list []*directory.Prekey, err error) {
	d.courier.Prekeys(now, user, list, err)
}

// MailPut is told what came of a PutMail.
func (d Desk) MailPut(now time.Time, ticket uint64, err error) { d.courier.MailPut(now, ticket, err) }

// Taken is told that a device says to have a letter.
func (d Desk) Taken(now time.Time, from linnet.NodeID, id directory.LetterID) {
	d.courier.Taken(now, from, id)
}

// Unreachable is told that what was sent to a device found no way.
func (d Desk) Unreachable(now time.Time, node linnet.NodeID) { d.courier.Unreachable(now, node) }
