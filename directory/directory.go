// Package directory is what the slots of the overlay hold, as state machines:
// where each device of a user can be reached (Client, Supernode), cards of the
// white pages (CardClient, Supernode), and mail for those who are away
// (MailClient, Mailbox).
//
// It opens no socket, starts no goroutine and reads no clock, and it does not
// know which supernodes there are: package overlay tells it. Like a
// overlay.Machine, a machine here is told what happened and says what to do
// about it; Send, Request and Respond are those of package overlay.
//
//	device ──Client──▶ own supernode ──Supernode──▶ members of the user's slot
//	        StoreRecord               StoreRecord{Member}   (all of them; "stored" is a majority)
//	        Search                    Search{Member}        (one, then more if it has no good answer)
//	        StoreCard, SearchCards    the same, with Member (in the slots of the card's words)
//
// # Trust
//
// A Record is signed by its device, whose key the authority certified, so a
// supernode can withhold or delay one but never make or change one. Therefore
// whoever asks believes the highest sequence; and "there is none" only when
// members of the slot signed an Absence, whose seats are plausible, and not one
// supernode's word.
//
// # Bytes
//
// The messages are those of wire/message/directory.go, card.go and mailbox.go;
// Record, Absence, Card, Item and MailOrder say what they are made of.
package directory

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/wire/message"
)

// The life of a record; how long it is kept is the policy's, overlay.Trust.Records.
const (
	RefreshEvery = 10 * time.Minute // while its device is online
	FreshFor     = 12 * time.Minute // older ones count as "not online"

	maxSkew = 10 * time.Minute // of two clocks
)

// An Effect is something for the endpoint to do: one of the structs below, or
// Send, Request or Respond of package overlay.
//
// Effects are carried out in order. Before anything after a Persist is sent, it
// is on disk: several of them may share a transaction.
type Effect = overlay.Effect

// Persist puts a device's record on disk, in place of an older one.
type Persist struct {
	Node   linnet.NodeID
	Record []byte
}

// Forget removes a device's record from disk.
type Forget struct{ Node linnet.NodeID }

// ReadRecords wants the records of devices from disk; Supernode.Read is to be
// told. They are there, unless the disk failed: it comes after their Persist.
type ReadRecords struct {
	Token uint64
	Nodes []linnet.NodeID
}

// Unanswered says that a node did not answer: a reason for overlay.Machine.Doubt.
type Unanswered struct{ Node linnet.NodeID }

// machine is what both machines have: effects, alarms, and requests that end
// once, by an answer or without.
type machine struct {
	out     []Effect
	alarms  alarm.Queue[ring]
	token   overlay.Token
	pending map[overlay.Token]pending
}

// A ring is what an alarm is for: something to do, or the end of waiting for an answer.
type ring struct {
	do    func(now time.Time)
	token overlay.Token
}

type pending struct {
	to   linnet.NodeID
	done func(now time.Time, reply message.Message) // nil: none came
}

// Deadline is when Tick wants to be called next; zero means never.
func (m *machine) Deadline() time.Time {
	m.alarms.Skip(m.answered)
	return m.alarms.Next()
}

// answered says that an alarm has nobody to ring for any more.
func (m *machine) answered(r ring) bool {
	if r.token == 0 {
		return false
	}
	_, waiting := m.pending[r.token]
	return !waiting
}

// Tick does what is due.
func (m *machine) Tick(now time.Time) {
	for {
		r, ok := m.alarms.Pop(now)
		switch {
		case !ok:
			return
		case r.token != 0:
			m.Failed(now, r.token)
		default:
			r.do(now)
		}
	}
}

// Take gives what is to be done, in this order, and forgets it.
func (m *machine) Take() []Effect {
	out := m.out
	m.out = nil
	return out
}

// Replied takes the answer to a Request.
func (m *machine) Replied(now time.Time, t overlay.Token, from linnet.NodeID, msg message.Message) {
	if p, ok := m.pending[t]; ok && p.to == from && msg != nil {
		m.ended(t)
		p.done(now, msg)
	}
}

// ended forgets a request, and the table with the last of them.
func (m *machine) ended(t overlay.Token) {
	if delete(m.pending, t); len(m.pending) == 0 {
		m.pending = nil
	}
}

// Failed says that no answer to a Request will come. It may be left out.
func (m *machine) Failed(now time.Time, t overlay.Token) {
	if p, ok := m.pending[t]; ok {
		m.ended(t)
		m.emit(Unanswered{p.to})
		p.done(now, nil)
	}
}

func (m *machine) emit(e Effect) { m.out = append(m.out, e) }

func (m *machine) after(now time.Time, d time.Duration, do func(now time.Time)) {
	m.alarms.Set(now.Add(d), ring{do: do})
}

func (m *machine) request(now time.Time, to linnet.NodeID, msg message.Message, wait time.Duration, done func(time.Time, message.Message)) {
	if m.pending == nil {
		m.pending = make(map[overlay.Token]pending)
	}
	m.token++
	t := m.token
	m.pending[t] = pending{to, done}
	m.emit(overlay.Request{To: to, Message: msg, Token: t, Wait: wait})
	m.alarms.Set(now.Add(wait), ring{token: t})
}

func (m *machine) refuse(to linnet.NodeID, id uint16, code uint32, text string) {
	m.emit(overlay.Respond{To: to, ID: id, Message: &message.Failure{Code: code, Text: text}})
}

// exactUser is the user that a search asks for by name, the only kind there is so far.
func exactUser(s *message.Search) (linnet.UserName, bool) {
	if len(s.Terms) != 1 || s.Terms[0].Field != message.FieldUser || s.Terms[0].Operator != message.OpEqual {
		return "", false
	}
	name := linnet.UserName(s.Terms[0].Text)
	if name.IsNode() {
		return "", false
	}
	name, err := linnet.ParseUserName(string(name))
	return name, err == nil
}

// searchFor is the search for one user.
func searchFor(user linnet.UserName) *message.Search {
	return &message.Search{
		Terms:  []message.Term{{Text: string(user), Operator: message.OpEqual, Field: message.FieldUser}},
		Wanted: []uint32{message.FieldUser, message.FieldRecord},
	}
}
