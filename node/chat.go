package node

import (
	"context"
	mathrand "math/rand/v2"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// talks is a station's part in conversations; an operator's machine has none.
type talks struct {
	machine *chat.Machine // nil: none
	effects ordered[chat.Effect]
}

func (s *station) startChat(ctx context.Context, now time.Time, crypto suite.SealSuite, random *mathrand.Rand) error {
	if s.people.machine == nil {
		return nil
	}
	kept, err := s.node.store.Chat(ctx, s.self.User)
	if err != nil {
		return err
	}
	s.talks.machine = chat.New(now, chat.Options{
		Self: s.identity, User: s.self.User, Suite: crypto, Rand: random, State: s.contactState, Pass: s.people.machine.Pass,
	}, kept)
	return nil
}

// arrived hands a letter to the part of this device that it is for. What nobody takes
// stays in the mailbox.
func (s *station) arrived(now time.Time, a post.Arrival) {
	switch a.Letter.Kind {
	case directory.LetterChat:
		s.talks.machine.Arrived(now, a)
	case directory.LetterCall:
		s.word(now, a)
	}
}

// chatEffects carries out what the machine wants.
func (s *station) chatEffects(now time.Time, effects []chat.Effect) {
	s.talks.effects.run(s, now, effects, func(e chat.Effect) func(context.Context) error {
		save, ok := e.(chat.Save)
		if !ok {
			return nil
		}
		return func(ctx context.Context) error {
			changes, err := s.node.store.SaveChat(ctx, s.self.User, save)
			for _, e := range changes.Events(time.Now()) {
				s.node.hub.tell(e)
			}
			return err
		}
	}, s.chatEffect, func(_ time.Time, dropped []chat.Effect, err error) {
		s.node.warn("messages cannot be kept: %v", err)
		for _, e := range dropped {
			switch e := e.(type) {
			case chat.Save:
				s.talks.machine.NotSaved(e)
			case saved:
				e.done <- err
			case post.RemoveMail: // it is found again
				for _, id := range e.IDs {
					s.people.machine.Left(id)
				}
			}
		}
	})
}

func (s *station) chatEffect(now time.Time, e chat.Effect) {
	switch e := e.(type) {
	case saved:
		e.done <- nil // has room for one
	case chat.Tell:
		s.node.hub.tell(e.Event)
	case chat.Hint:
		hint := &message.ChatTyping{}
		if e.On {
			hint.On = 1
		}
		s.say(now, e.To, hint)
	default:
		s.postEffect(now, s.talks.machine, e)
	}
}

// say says something to another user's device in a session, through the supernodes of
// both if there is none. It may get lost.
func (s *station) say(now time.Time, to linnet.NodeID, m message.Message) {
	err := session.ErrNoSession
	if cert := s.certificates[to]; cert != nil {
		peer := session.Peer{Node: to, Agreement: cert.Agreement, Certificate: cert}
		err = s.sessions.Dial(now, peer, session.Path{Kind: linnet.Forwarded}, m)
	} else if s.sessions.Up(to) {
		err = s.sessions.Send(now, to, m)
	}
	if err != nil {
		s.log.Debug("say", "to", to.Short(), "err", err)
	}
}

// chatReceived takes what another user's device says of conversations in a session.
func (s *station) chatReceived(now time.Time, from linnet.NodeID, user linnet.UserName, m message.Message) bool {
	switch m := m.(type) {
	case *message.Letter:
		s.people.machine.Straight(now, from, m.Box)
	case *message.ChatTyping:
		s.talks.machine.Typed(now, user, m.On != 0)
	default:
		return false
	}
	return true
}

// inChat runs f in the loop with the machine of whoever is signed in, and waits until
// all that follows from it is on disk.
func (n *Node) inChat(ctx context.Context, f func(now time.Time, m *chat.Machine) error) error {
	return n.untilSaved(ctx, func(now time.Time, s *station, done saved) error {
		if s.talks.machine == nil {
			return errNoChat
		}
		if err := f(now, s.talks.machine); err != nil {
			return err
		}
		s.chatEffects(now, append(s.talks.machine.Take(), done))
		return nil
	})
}

var errNoChat = linnet.Errorf(linnet.CodeUsage, "only people write messages")

// chatUser is who is signed in, if it is a person.
func (n *Node) chatUser(ctx context.Context) (user linnet.UserName, err error) {
	return user, n.inStation(ctx, func(_ time.Time, s *station) error {
		if user = s.self.User; user.IsNode() {
			return errNoChat
		}
		return nil
	})
}

// Conversations implements linnet.Client.
func (n *Node) Conversations(ctx context.Context) ([]linnet.Conversation, error) {
	user, err := n.chatUser(ctx)
	if err != nil {
		return nil, err
	}
	return some(n.store.Conversations(ctx, user))
}

// some is a list that is never null in JSON.
func some[T any](list []T, err error) ([]T, error) {
	if list == nil {
		list = []T{}
	}
	return list, err
}

// maxPage bounds what is read at once.
const maxPage = 1000

// Messages implements linnet.Client.
func (n *Node) Messages(ctx context.Context, with linnet.UserName, before linnet.MessageID, limit int) ([]linnet.Message, error) {
	user, err := n.chatUser(ctx)
	if err != nil {
		return nil, err
	}
	return some(n.store.Messages(ctx, user, with, before, min(limit, maxPage)))
}

// SearchMessages implements linnet.Client.
func (n *Node) SearchMessages(ctx context.Context, words string, limit int) ([]linnet.Message, error) {
	user, err := n.chatUser(ctx)
	if err != nil {
		return nil, err
	}
	return some(n.store.SearchMessages(ctx, user, words, min(limit, maxPage)))
}

// SendMessage implements linnet.Client.
func (n *Node) SendMessage(ctx context.Context, to linnet.UserName, text string, replyTo linnet.MessageID) (linnet.MessageID, error) {
	id := linnet.NewMessageID()
	return id, n.inChat(ctx, func(now time.Time, m *chat.Machine) error {
		n.station.people.machine.Check(now, to)
		return m.Send(now, to, chat.Draft{ID: id, Text: text, ReplyTo: replyTo})
	})
}

// onMessage runs f in the loop with a message as it is on disk.
func (n *Node) onMessage(ctx context.Context, id linnet.MessageID, f func(now time.Time, m *chat.Machine, x linnet.Message) error) error {
	user, err := n.chatUser(ctx)
	if err != nil {
		return err
	}
	x, err := n.store.Message(ctx, user, id)
	if err != nil {
		return err
	}
	if x == nil {
		return &linnet.Error{Code: linnet.CodeNotFound, Text: "there is no such message", Hint: "`linnet chat USER --json` lists them"}
	}
	return n.inChat(ctx, func(now time.Time, m *chat.Machine) error { return f(now, m, *x) })
}

// EditMessage implements linnet.Client.
func (n *Node) EditMessage(ctx context.Context, id linnet.MessageID, text string) error {
	return n.onMessage(ctx, id, func(now time.Time, m *chat.Machine, x linnet.Message) error { return m.Edit(now, x, text) })
}

// DeleteMessage implements linnet.Client.
func (n *Node) DeleteMessage(ctx context.Context, id linnet.MessageID) error {
	return n.onMessage(ctx, id, func(now time.Time, m *chat.Machine, x linnet.Message) error { return m.Delete(now, x) })
}

// React implements linnet.Client.
func (n *Node) React(ctx context.Context, id linnet.MessageID, emoji string) error {
	return n.onMessage(ctx, id, func(now time.Time, m *chat.Machine, x linnet.Message) error { return m.React(now, x, emoji) })
}

// MarkRead implements linnet.Client.
func (n *Node) MarkRead(ctx context.Context, with linnet.UserName, upTo linnet.MessageID) error {
	user, err := n.chatUser(ctx)
	if err != nil {
		return err
	}
	list, err := n.store.UnreadMessages(ctx, user, with, upTo)
	if err != nil {
		return err
	}
	ids := make([]linnet.MessageID, 0, len(list))
	for _, x := range list {
		ids = append(ids, x.ID)
	}
	return n.inChat(ctx, func(now time.Time, m *chat.Machine) error {
		m.Read(now, with, ids)
		return nil
	})
}

// Typing implements linnet.Client.
func (n *Node) Typing(ctx context.Context, user linnet.UserName, on bool) error {
	return n.inChat(ctx, func(now time.Time, m *chat.Machine) error {
		if m.Typing(now, user, on); on {
			n.station.people.machine.Check(now, user)
		}
		return nil
	})
}
