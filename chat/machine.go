// Package chat is conversations of two people as a state machine: it brings what is
// written to the devices of the other side and to the user's own other ones, and says how
// far it has come.
//
// It opens no socket, starts no goroutine and reads no clock: an event goes in with
// the time it happened, effects come out. It has in memory what is not told yet, and of
// each conversation how far it has come; messages lie on disk alone, where they are
// merged (see Merge).
//
//	Send ──Save──▶ outbox ──▶ post.Courier ──▶ straight to a device ──▶ taken ──Save──▶ delivered
//	                                       └─▶ the mailbox ──▶ stored ──Save──▶ stored
//	Arrived ──Save──▶ taken, or removed from the mailbox; a receipt says delivered, and read later
//
// A letter holds what is to be told to its receiver now, each message with all that
// there is to say of it: what comes late, twice or in another order changes nothing.
//
// # Bytes
//
// See content, and docs/protocol.md, section 12.
package chat

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

// Options configures a Machine. All of it is needed.
type Options struct {
	Self  overlay.Identity
	User  linnet.UserName
	Suite suite.SealSuite
	Rand  *rand.Rand // not for secrets

	State func(user linnet.UserName) linnet.ContactState // how the user and another one stand
	Pass  func(user linnet.UserName) []byte              // for their mailbox; nil: there is none
}

// A Machine is the conversations of one device. It belongs to one goroutine.
type Machine struct {
	post.Desk
	o       Options
	agenda  alarm.Agenda // ready: there is a supernode
	courier *post.Courier

	talks map[linnet.UserName]*talk
	boxes map[post.Key]*outbox
}

// A talk is what the machine knows of a conversation.
type talk struct {
	Position
	allowance allowance
	heard     map[linnet.NodeID]time.Time // devices of theirs that are there
	hinted    time.Time                   // the last hint that was sent
	typing    overlay.Bucket              // hints that came
}

// New makes a machine with what it had on disk.
func New(now time.Time, o Options, k Kept) *Machine {
	m := &Machine{o: o, agenda: alarm.Agenda{Rand: o.Rand}, talks: make(map[linnet.UserName]*talk), boxes: make(map[post.Key]*outbox)}
	m.courier = post.NewCourier(post.Options{
		Self: o.Self.Node, User: o.User, Agenda: &m.agenda, Pass: o.Pass,
		Begin: m.pack, Letter: m.letter, Taken: m.taken, Done: m.brought,
		Room:     func() int { return directory.RequestRoom(m.o.Self.Certificate) },
		Remember: remember,
	})
	m.Desk = post.NewDesk(&m.agenda, m.courier)
	for peer, p := range k.Talks {
		m.talk(peer).Position = p
	}
	m.load(now, k)
	return m
}

// remember where somebody is for so long.
const remember = 10 * time.Minute

// talk finds what is known of a conversation, or begins with it.
func (m *Machine) talk(peer linnet.UserName) *talk {
	t := m.talks[peer]
	if t == nil {
		t = &talk{heard: make(map[linnet.NodeID]time.Time)}
		m.talks[peer] = t
	}
	return t
}

// Attached says whether there is a supernode.
func (m *Machine) Attached(now time.Time, on bool) {
	if m.agenda.SetReady(on) && on {
		m.courier.Begin(now)
	}
}

// Renew is told when the device has a new certificate.
func (m *Machine) Renew(self overlay.Identity) { m.o.Self = self }
