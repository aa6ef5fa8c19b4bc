package chat

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/post"
)

// What others may have kept here.
const (
	maxStrangers     = 64 // that wrote and were not answered
	strangerMessages = 8  // of each of them
	messageCost      = 256
	receiptCost      = 16
	allowedRate      = 512     // bytes a second, of one person
	allowedBurst     = 4 << 20 // and at once
)

// An allowance is how much of somebody's is kept: each message costs its bytes and
// some more.
type allowance struct {
	used float64
	at   time.Time
}

func (a *allowance) take(now time.Time, bytes int) bool {
	if d := now.Sub(a.at); d > 0 {
		a.used = max(0, a.used-allowedRate*d.Seconds())
		a.at = now
	}
	if a.used+float64(bytes) > allowedBurst {
		return false
	}
	a.used += float64(bytes)
	return true
}

// Arrived takes a letter of kind LetterChat. What cannot be taken now stays in the
// mailbox.
func (m *Machine) Arrived(now time.Time, a post.Arrival) {
	l := a.Letter
	c, ok := openContent(l.Content)
	own := l.From == m.o.User
	peer := l.From
	if own {
		peer = linnet.UserName(c.Peer)
	}
	if !ok || own != (c.Peer != "") || peer == m.o.User || l.Sender == m.o.Self.Node || !own && m.far(peer, &c) {
		m.agenda.Do(a.Taken()) // it will never make sense
		return
	}
	if !own && !m.admits(now, peer, &c) {
		switch {
		case a.Straight():
		case m.o.State(peer).OnList(): // later there is room for it
			m.agenda.Do(post.LeaveMail{ID: a.Mail})
		default: // what strangers left there may not keep others out
			m.agenda.Do(a.Taken())
		}
		return
	}
	t := m.talk(peer)
	if a.Straight() && !own {
		t.hear(now, l.Sender)
	}
	var s Save
	var receipts []*entry
	for i := range c.Messages {
		x := c.Messages[i].message(now)
		x.User, x.Author, x.Device, x.State = peer, l.From, l.Sender, linnet.MessageReceived
		if own {
			x.State = linnet.MessageStored // by the device that wrote it, or soon
		}
		t.Highest = max(t.Highest, x.Position)
		if own {
			t.Own++
		} else {
			t.Theirs++
		}
		s.Messages = append(s.Messages, x)
		if !own && !a.Straight() && m.o.State(peer) == linnet.Approved {
			e := Entry{To: peer, Peer: peer, What: TellDelivered, Message: x.ID}
			s.Queue = append(s.Queue, e)
			receipts = append(receipts, &entry{Entry: e})
		}
	}
	for _, r := range c.Reactions {
		s.Reactions = append(s.Reactions, Reaction{peer, r.Message, linnet.Reaction{User: l.From, Emoji: r.Emoji, Time: fromMS(r.Time)}})
	}
	for _, r := range c.Receipts {
		state := linnet.MessageDelivered
		if r.State == receiptRead {
			state = linnet.MessageRead
		}
		for _, id := range r.IDs {
			s.Marks = append(s.Marks, Mark{Peer: peer, Message: id, Theirs: own, State: state})
		}
	}
	m.agenda.Do(s)
	m.agenda.Do(a.Taken())
	for _, e := range receipts {
		m.put(now, e)
	}
}

// maxGap is far more than what somebody can have written that has not come here yet.
const maxGap = 1 << 24

// far says that somebody puts a message where nothing could follow: positions have an end.
func (m *Machine) far(peer linnet.UserName, c *content) bool {
	var highest uint64
	if t := m.talks[peer]; t != nil {
		highest = t.Highest
	}
	for _, x := range c.Messages {
		if x.Position > highest+maxGap {
			return true
		}
	}
	return false
}

// admits says whether what somebody wrote may be kept.
func (m *Machine) admits(now time.Time, peer linnet.UserName, c *content) bool {
	state := m.o.State(peer)
	if state == linnet.Blocked {
		return false
	}
	if !state.OnList() && !m.admitsStranger(m.talks[peer], c) {
		return false
	}
	cost := messageCost * (len(c.Messages) + len(c.Reactions))
	for _, x := range c.Messages {
		cost += len(x.Text) + len(x.Data)
	}
	for _, r := range c.Receipts {
		cost += receiptCost * len(r.IDs)
	}
	return m.talk(peer).allowance.take(now, cost)
}

// admitsStranger is for who is not on the list: who was not written to may say a few
// lines of text.
func (m *Machine) admitsStranger(t *talk, c *content) bool {
	if t == nil {
		t = &talk{}
	}
	if t.Own > 0 {
		return true
	}
	if len(c.Messages) == 0 {
		return false // the user told them nothing that they could have read
	}
	for _, x := range c.Messages {
		if linnet.MessageKind(x.Kind) != linnet.TextMessage || len(x.Text) > linnet.MaxStrangerMessage {
			return false
		}
	}
	if len(c.Reactions)+len(c.Receipts) > 0 || t.Theirs+len(c.Messages) > strangerMessages {
		return false
	}
	if t.Theirs > 0 {
		return true
	}
	strangers := 0
	for user, x := range m.talks {
		if x.Own == 0 && x.Theirs > 0 && !m.o.State(user).OnList() {
			strangers++
		}
	}
	return strangers < maxStrangers
}

const (
	hintEvery = 3 * time.Second
	hintRate  = 1 // a second that are noticed
	hintBurst = 5
	maxHeard  = post.MaxDevices
)

// hear notes that a device of somebody is there.
func (t *talk) hear(now time.Time, node linnet.NodeID) {
	for n, at := range t.heard {
		if now.Sub(at) > remember {
			delete(t.heard, n)
		}
	}
	if _, known := t.heard[node]; known || len(t.heard) < maxHeard {
		t.heard[node] = now
	}
}

// Typing tells the devices of a contact that are there that the user writes to them.
func (m *Machine) Typing(now time.Time, user linnet.UserName, on bool) {
	t := m.talks[user]
	if t == nil || m.o.State(user) != linnet.Approved || on && now.Sub(t.hinted) < hintEvery {
		return
	}
	if t.hinted = now; !on {
		t.hinted = time.Time{}
	}
	for _, node := range sortedNodes(t.heard) {
		if now.Sub(t.heard[node]) <= remember {
			m.agenda.Do(Hint{node, on})
		}
	}
}

// Typed is told such a hint.
func (m *Machine) Typed(now time.Time, user linnet.UserName, on bool) {
	t := m.talks[user]
	if t == nil || m.o.State(user) != linnet.Approved || !t.typing.Take(now, hintRate, hintBurst) {
		return
	}
	m.agenda.Do(Tell{linnet.Event{Kind: linnet.EventTyping, Typing: &linnet.Typing{User: user, On: on}}})
}
