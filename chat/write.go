package chat

import (
	"time"

	"github.com/linnet-p2p/linnet"
)

// A Draft is something that the user sends.
type Draft struct {
	ID      linnet.MessageID
	Kind    linnet.MessageKind
	Text    string
	Data    []byte // of kinds other than text
	ReplyTo linnet.MessageID
}

// Send says something to somebody.
func (m *Machine) Send(now time.Time, user linnet.UserName, d Draft) error {
	most := linnet.MaxMessage
	switch state := m.o.State(user); {
	case user == m.o.User:
		return linnet.Errorf(linnet.CodeUsage, "%s is you", user)
	case state == linnet.Blocked:
		return &linnet.Error{Code: linnet.CodeUsage, Text: string(user) + " is blocked", Hint: "`linnet contacts unblock` first"}
	case m.o.Pass(user) == nil:
		most = linnet.MaxStrangerMessage
	}
	if d.Kind == linnet.TextMessage {
		if err := linnet.CheckMessage(d.Text, most); err != nil {
			return err
		}
	}
	if len(d.Data) > maxData || len(d.Text) > linnet.MaxMessage {
		return linnet.Errorf(linnet.CodeUsage, "that is too large for a message")
	}
	t := m.talk(user)
	t.Highest = min(t.Highest+1, maxPosition)
	t.Own++
	m.write(now, linnet.Message{
		ID: d.ID, User: user, Author: m.o.User, Device: m.o.Self.Node, Sent: now.Truncate(time.Millisecond), Position: t.Highest,
		Kind: d.Kind, Text: d.Text, Data: d.Data, ReplyTo: d.ReplyTo,
	})
	return nil
}

// Edit gives a message of the user's, as it is on disk, another text.
func (m *Machine) Edit(now time.Time, x linnet.Message, text string) error {
	most := linnet.MaxMessage
	if m.o.Pass(x.User) == nil {
		most = linnet.MaxStrangerMessage
	}
	if err := linnet.CheckMessage(text, most); err != nil {
		return err
	}
	x, err := m.own(x)
	if err != nil {
		return err
	}
	if x.Kind != linnet.TextMessage {
		return linnet.Errorf(linnet.CodeUsage, "only text can be edited")
	}
	x.Text, x.Edited = text, after(now, x.Edited)
	m.write(now, x)
	return nil
}

// Delete takes a message of the user's back.
func (m *Machine) Delete(now time.Time, x linnet.Message) error {
	x, err := m.own(x)
	if err != nil {
		return err
	}
	x.Deleted = now.Truncate(time.Millisecond)
	x.Text, x.Data, x.Edited = "", nil, time.Time{}
	m.write(now, x)
	return nil
}

// own is the newest of a message that can be changed.
func (m *Machine) own(x linnet.Message) (linnet.Message, error) {
	if x.Author != m.o.User {
		return x, linnet.Errorf(linnet.CodeUsage, "%s wrote that message", x.Author)
	}
	if x = m.pending(x); !x.Deleted.IsZero() {
		return x, linnet.Errorf(linnet.CodeNotFound, "that message was deleted")
	}
	return x, nil
}

// write has a message kept as it is now, and told.
func (m *Machine) write(now time.Time, x linnet.Message) {
	x.Reactions = nil
	m.tell(now, Save{Messages: []linnet.Message{x}}, entry{Entry: Entry{Peer: x.User, What: TellMessage, Message: x.ID}, message: x})
}

// tell keeps something, and has it told to the other side and the own devices.
func (m *Machine) tell(now time.Time, s Save, entries ...entry) {
	var due []*entry
	for _, e := range entries {
		for _, to := range []linnet.UserName{e.Peer, m.o.User} {
			if e.What != TellMessage && to == e.Peer && m.o.State(to) != linnet.Approved {
				continue // only contacts learn what the user reads and likes
			}
			x := e
			x.To = to
			s.Queue = append(s.Queue, x.Entry)
			due = append(due, &x)
		}
	}
	m.agenda.Do(s)
	for _, e := range due {
		m.put(now, e)
	}
}

// React answers a message with an emoji.
func (m *Machine) React(now time.Time, x linnet.Message, emoji string) error {
	if err := linnet.CheckEmoji(emoji); err != nil {
		return err
	}
	r := linnet.Reaction{User: m.o.User, Emoji: emoji, Time: after(now, time.Time{})}
	for _, old := range x.Reactions {
		if old.User == m.o.User {
			r.Time = after(now, old.Time)
		}
	}
	m.tell(now, Save{Reactions: []Reaction{{x.User, x.ID, r}}}, entry{Entry: Entry{Peer: x.User, What: TellReaction, Message: x.ID}, reaction: r})
	return nil
}

// Read says that the user has read messages of somebody.
func (m *Machine) Read(now time.Time, user linnet.UserName, ids []linnet.MessageID) {
	for len(ids) > 0 {
		n := min(len(ids), maxReceipts)
		var s Save
		var entries []entry
		for _, id := range ids[:n] {
			s.Marks = append(s.Marks, Mark{Peer: user, Message: id, Theirs: true, State: linnet.MessageRead})
			entries = append(entries, entry{Entry: Entry{Peer: user, What: TellRead, Message: id}})
		}
		m.tell(now, s, entries...)
		ids = ids[n:]
	}
}

// after is now, or later if that was not after t: clocks go back.
func after(now, t time.Time) time.Time {
	now = now.Truncate(time.Millisecond)
	if !now.After(t) {
		return t.Add(time.Millisecond)
	}
	return now
}
