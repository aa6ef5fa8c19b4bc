package chat

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An outbox is what somebody's devices are to be told yet about a conversation, in the
// order in which it came up.
type outbox struct {
	key     post.Key
	peer    linnet.UserName
	entries []*entry
	known   map[Entry]*entry // the same: somebody may have written very much
	packed  []packed         // what is on its way
	content []byte
	waiting bool // a little, for more
}

// entry is an Entry with what it says now.
type entry struct {
	Entry
	version  int // rises when it says something else
	message  linnet.Message
	reaction linnet.Reaction
}

type packed struct {
	entry   *entry
	version int
}

const (
	// A letter holds so many bytes of messages, or what fits into the mailbox of
	// somebody who gave no pass.
	letterBytes   = 40 << 10
	strangerBytes = linnet.MaxStrangerMessage + 150
	partBytes     = 64 // of a part, besides text and data
	receiptWait   = 2 * time.Second
)

// keyOf tells outboxes apart: one for each person, and one of the own devices for
// each conversation.
func (m *Machine) keyOf(e Entry) post.Key {
	if e.To == m.o.User {
		return post.Key{To: e.To, About: e.Peer}
	}
	return post.Key{To: e.To}
}

// load begins with what was on disk.
func (m *Machine) load(now time.Time, k Kept) {
	type place struct {
		peer linnet.UserName
		id   linnet.MessageID
	}
	messages := make(map[place]linnet.Message, len(k.Messages))
	for _, x := range k.Messages {
		messages[place{x.User, x.ID}] = x
	}
	for _, e := range k.Outbox {
		message, there := messages[place{e.Peer, e.Message}]
		x := &entry{Entry: e, message: message}
		switch {
		case e.What == TellMessage && !there:
			continue // it cannot be
		case e.What == TellReaction:
			x.reaction = linnet.Reaction{User: m.o.User, Time: now} // none any more, unless there is one
			for _, r := range x.message.Reactions {
				if r.User == m.o.User {
					x.reaction = r
				}
			}
		}
		m.put(now, x)
	}
}

// put has an entry told to the other side, or to the user's own other devices.
func (m *Machine) put(now time.Time, e *entry) {
	key := m.keyOf(e.Entry)
	b := m.boxes[key]
	if b == nil {
		b = &outbox{key: key, peer: e.Peer, known: make(map[Entry]*entry)}
		m.boxes[key] = b
	}
	if old := b.known[e.Entry]; old != nil {
		old.version++
		old.message, old.reaction = e.message, e.reaction
	} else {
		b.entries = append(b.entries, e)
		b.known[e.Entry] = e
	}
	switch {
	case e.What == TellMessage || e.What == TellReaction:
		m.courier.Urge(now, key, 0)
	case !b.waiting: // receipts come in numbers
		b.waiting = true
		m.agenda.After(now, receiptWait, func(now time.Time) {
			b.waiting = false
			m.urge(now, b)
		})
	}
}

// drop takes out what need not be told any more, and what is not known.
func (b *outbox) drop(done []Entry) {
	for _, e := range done {
		delete(b.known, e)
	}
	b.entries = slices.DeleteFunc(b.entries, func(e *entry) bool { return b.known[e.Entry] != e })
}

func (m *Machine) urge(now time.Time, b *outbox) {
	if len(b.entries) > 0 && m.boxes[b.key] == b {
		m.courier.Urge(now, b.key, 0)
	}
}

// pending is the newest of a message that is in an outbox.
func (m *Machine) pending(x linnet.Message) linnet.Message {
	if b := m.boxes[post.Key{To: x.User}]; b != nil {
		for _, e := range b.entries {
			if e.What == TellMessage && e.Message == x.ID {
				x, _ = Merge(x, e.message)
			}
		}
	}
	return x
}

// pack takes what goes into one letter.
func (m *Machine) pack(_ time.Time, k post.Key) {
	b := m.boxes[k]
	if b == nil {
		return
	}
	room := letterBytes
	if k.To != m.o.User && m.o.Pass(k.To) == nil {
		room = strangerBytes
	}
	var c content
	if k.To == m.o.User {
		c.Peer = string(b.peer)
	}
	var receipts [receiptRead + 1][]linnet.MessageID
	b.packed = nil
	for _, e := range b.entries {
		size := partBytes
		if e.What == TellMessage {
			size += len(e.message.Text) + len(e.message.Data)
		}
		if room -= size; room < 0 && b.packed != nil || len(b.packed) == maxParts {
			break
		}
		b.packed = append(b.packed, packed{e, e.version})
		switch e.What {
		case TellMessage:
			c.Messages = append(c.Messages, partOf(&e.message))
		case TellReaction:
			c.Reactions = append(c.Reactions, reactionPart{e.Message, e.reaction.Emoji, ms(e.reaction.Time)})
		case TellDelivered:
			receipts[receiptDelivered] = append(receipts[receiptDelivered], e.Message)
		case TellRead:
			receipts[receiptRead] = append(receipts[receiptRead], e.Message)
		}
	}
	for state, ids := range receipts {
		if ids != nil {
			c.Receipts = append(c.Receipts, receiptPart{uint32(state), ids})
		}
	}
	b.content = message.Marshal(&c)
}

// letter writes what was packed.
func (m *Machine) letter(now time.Time, k post.Key, to ...*directory.Prekey) *post.Letter {
	b := m.boxes[k]
	if b == nil || len(b.packed) == 0 {
		return nil
	}
	return post.Write(m.o.Suite, m.o.Self, now, directory.LetterChat, k.To, b.content, to...)
}

// taken is when a device has what was packed.
func (m *Machine) taken(now time.Time, k post.Key, node linnet.NodeID) {
	if k.To == m.o.User {
		return
	}
	m.talk(k.To).hear(now, node)
	if b := m.boxes[k]; b != nil {
		if marks := b.marks(linnet.MessageDelivered); marks != nil {
			m.agenda.Do(Save{Marks: marks})
		}
	}
}

// marks says how far the messages have come that were packed.
func (b *outbox) marks(state linnet.MessageState) (marks []Mark) {
	for _, p := range b.packed {
		if p.entry.What == TellMessage {
			marks = append(marks, Mark{Peer: b.peer, Message: p.entry.Message, State: state})
		}
	}
	return marks
}

// brought is when all devices have what was packed, or there is mail for them.
func (m *Machine) brought(now time.Time, k post.Key, _ uint64, taken []linnet.NodeID) {
	b := m.boxes[k]
	if b == nil {
		return
	}
	var s Save
	if k.To != m.o.User && taken == nil {
		s.Marks = b.marks(linnet.MessageStored)
	}
	for _, p := range b.packed {
		if p.version == p.entry.version {
			s.Done = append(s.Done, p.entry.Entry)
		}
	}
	b.drop(s.Done)
	b.packed, b.content = nil, nil
	if s.Done != nil || s.Marks != nil {
		m.agenda.Do(s)
	}
	if len(b.entries) == 0 && !b.waiting {
		delete(m.boxes, k)
		return
	}
	m.urge(now, b)
}

// NotSaved is told that a Save, and what followed it, came to nothing: what was to be
// told is not, and who wanted that hears of it. What was dequeued is told again after
// a restart.
func (m *Machine) NotSaved(s Save) {
	for _, e := range s.Queue {
		if b := m.boxes[m.keyOf(e)]; b != nil {
			delete(b.known, e)
		}
	}
	for _, e := range s.Queue {
		b := m.boxes[m.keyOf(e)]
		if b == nil || len(b.known) == len(b.entries) {
			continue
		}
		b.drop(nil)
		b.packed = nil // it was not sent
		if len(b.entries) == 0 && !b.waiting {
			m.courier.Drop(b.key)
			delete(m.boxes, b.key)
		}
	}
}
