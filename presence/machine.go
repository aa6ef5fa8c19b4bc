// Package presence is who this user's contacts are, and which of them can be
// talked to, as a state machine: contact requests and their answers, notices of
// presence, and the prekeys that letters to this device are sealed to.
//
// It opens no socket, starts no goroutine and reads no clock: an event goes in with
// the time it happened, effects come out. It knows no supernode and no path; it
// names devices, and whoever runs it brings things there.
//
// # Contacts
//
// What two people want of each other is two stances, one on each side, and nobody
// holds both: a device knows what its own user decided, and the newest statement of
// each of the other user's devices. How they stand (linnet.ContactState) follows from
// these, see relation. A statement is a letter (directory.Letter) that says all that
// is to be said, with a version, so that letters may come twice, late, or in any
// order: the newest of each device counts. One that was decided is told (post.Courier)
// until it is on the other side's disk, or on disk at a majority of their mailbox. The
// machine opens what comes for the other parts of the device, too: see Arrived.
//
// # Presence
//
// Each device has a contact key, which its user's contacts get in the statements, and
// which is replaced when somebody who had it is removed or blocked. A notice is a
// box under that key, signed inside: the state, the mood, and a time that only
// rises. Notices go straight to the contacts' devices, through supernodes that
// cannot read them, and lie nowhere: when a device comes online it looks each contact
// up once and sends a notice, which is answered by one; after that there is one for
// each change, and one at the end. That a device crashed is found out by watching (see
// overlay.Machine.Watch).
//
// # Bytes
//
// See notice, statement, and docs/protocol.md, section 12.
package presence

import (
	"math/rand/v2"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/suite"
)

// Options configures a Machine. All but Accept is needed.
type Options struct {
	Self  overlay.Identity
	User  linnet.UserName
	Suite suite.SealSuite
	Trust overlay.Trust
	Rand  *rand.Rand // not for secrets

	Accept bool // every request, at once
}

// Bounds.
const (
	MaxContacts = 1000 // that this user decided about
	maxAsking   = 256  // requests that wait for the user
	maxDevices  = post.MaxDevices
)

// A Machine is the contacts of one device. It belongs to one goroutine.
type Machine struct {
	post.Desk
	o      Options
	agenda alarm.Agenda // ready: notices make sense

	self    own
	people  map[linnet.UserName]*person
	prekeys []Prekey // the newest last
	keeping bool     // keepPrekeys will look again
	version uint64   // the highest that was ever given to a statement

	attached  bool // to a supernode
	published bool // others find this device

	keys    map[keyAt]linnet.UserName // contact keys of others
	friends map[linnet.UserName]*friend
	devices map[linnet.NodeID]*device // of friends

	courier  *post.Courier
	letters  overlay.Bucket  // that come straight
	strange  overlay.Bucket  // of them, those of devices that are no contact's
	left     map[mailID]bool // in the mailbox, for others
	mailPlan int             // alarms of older ones are void
	mailNext time.Time       // when it looks, or looked, because somebody said so
	spoke    uint64          // time of the last notice
	leaving  bool
	unsaved  bool // a Save came to nothing
	notices  alarm.Pace
	looks    alarm.Pace
}

// New makes a machine with what it had on disk.
func New(now time.Time, o Options, k Kept) (*Machine, error) {
	m := &Machine{
		o: o, agenda: alarm.Agenda{Rand: o.Rand}, people: make(map[linnet.UserName]*person), keys: make(map[keyAt]linnet.UserName),
		friends: make(map[linnet.UserName]*friend), devices: make(map[linnet.NodeID]*device),
		left: make(map[mailID]bool),
	}
	m.notices = alarm.Pace{Gap: noticeGap, After: m.agenda.After, Jitter: m.agenda.Jitter}
	m.looks = alarm.Pace{Gap: lookGap, After: m.agenda.After, Jitter: m.agenda.Jitter}
	m.courier = m.newCourier()
	m.Desk = post.NewDesk(&m.agenda, m.courier)
	if err := m.load(now, k); err != nil {
		return nil, err
	}
	m.agenda.After(now, 0, m.keepPrekeys)
	return m, nil
}

// Attached says whether there is a supernode.
func (m *Machine) Attached(now time.Time, on bool) {
	if m.attached = on; !on {
		m.published = false
	}
	m.settle(now)
}

// Published says that others find this device now.
func (m *Machine) Published(now time.Time) {
	m.published = true
	m.settle(now)
}

// settle begins or ends what makes sense only on the network. Contacts are looked
// up after they can find this device: of two that come online at once, one finds
// the other.
func (m *Machine) settle(now time.Time) {
	ready := m.attached && (m.published || m.mine().Presence == linnet.Invisible)
	if !m.agenda.SetReady(ready) {
		return
	}
	m.notices.Clear()
	m.looks.Clear()
	if ready {
		m.watchLater(now)
		m.mailNow(now)
		m.keepPrekeys(now)
		m.lookAtAll(now)
		m.courier.Begin(now)
		return
	}
	for _, f := range m.sortedFriends() {
		m.forgetDevices(now, f)
	}
}

// What is sent at most.
const (
	noticeGap = 50 * time.Millisecond
	lookGap   = 500 * time.Millisecond // a supernode takes 5 a second
)

// ms is a time as it travels.
func ms(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

func fromMS(v uint64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(min(v, linnet.MaxMillis)))
}

// A LetterID is one of package directory.
type LetterID = directory.LetterID
