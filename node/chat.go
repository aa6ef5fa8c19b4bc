package node

import (
	"context"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
)

// saveChat puts something of the user's on disk, and tells the front ends what is
// another now.
func (n *Node) saveChat(ctx context.Context, owner linnet.UserName, save chat.Save) error {
	done := make(chan error, 1)
	n.note(func(ctx context.Context) error {
		saved, err := n.store.SaveChat(ctx, owner, save)
		for _, c := range saved.Messages {
			kind := linnet.EventMessageChanged
			if c.New {
				kind = linnet.EventMessage
			}
			n.hub.tell(linnet.Event{Kind: kind, Message: &c.Message})
		}
		for _, u := range saved.Unread {
			n.hub.tell(linnet.Event{Kind: linnet.EventUnread, Unread: &u})
		}
		done <- err
		return err
	}, func(time.Time, error) {})
	err, waited := await(ctx, n, done)
	if waited != nil {
		return waited
	}
	return err
}

// chatUser is who is signed in, if it is a person.
func (n *Node) chatUser(ctx context.Context) (user linnet.UserName, err error) {
	return user, n.inStation(ctx, func(_ time.Time, s *station) error {
		if user = s.self.User; user.IsNode() {
			return linnet.Errorf(linnet.CodeUsage, "only people write messages")
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
	if err := linnet.CheckMessage(text, linnet.MaxMessage); err != nil {
		return id, err
	}
	user, err := n.chatUser(ctx)
	if err != nil {
		return id, err
	}
	if to == user {
		return id, linnet.Errorf(linnet.CodeUsage, "%s is you", to)
	}
	kept, err := n.store.Chat(ctx, user)
	if err != nil {
		return id, err
	}
	return id, n.saveChat(ctx, user, chat.Save{Messages: []linnet.Message{{
		ID: id, User: to, Author: user, Sent: time.Now(), Position: kept.Positions[to] + 1, Text: text, ReplyTo: replyTo,
	}}})
}

// ownMessage is one that the user wrote.
func (n *Node) ownMessage(ctx context.Context, id linnet.MessageID) (*linnet.Message, error) {
	m, err := n.message(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case !m.Own():
		return nil, linnet.Errorf(linnet.CodeUsage, "%s wrote that message", m.Author)
	case !m.Deleted.IsZero():
		return nil, linnet.Errorf(linnet.CodeNotFound, "that message was deleted")
	}
	return m, nil
}

func (n *Node) message(ctx context.Context, id linnet.MessageID) (*linnet.Message, error) {
	user, err := n.chatUser(ctx)
	if err != nil {
		return nil, err
	}
	m, err := n.store.Message(ctx, user, id)
	if err == nil && m == nil {
		err = &linnet.Error{Code: linnet.CodeNotFound, Text: "there is no such message", Hint: "`linnet chat USER --json` lists them"}
	}
	return m, err
}

// EditMessage implements linnet.Client.
func (n *Node) EditMessage(ctx context.Context, id linnet.MessageID, text string) error {
	if err := linnet.CheckMessage(text, linnet.MaxMessage); err != nil {
		return err
	}
	m, err := n.ownMessage(ctx, id)
	if err != nil {
		return err
	}
	m.Text, m.Edited = text, time.Now()
	return n.saveChat(ctx, m.Author, chat.Save{Messages: []linnet.Message{*m}})
}

// DeleteMessage implements linnet.Client.
func (n *Node) DeleteMessage(ctx context.Context, id linnet.MessageID) error {
	m, err := n.ownMessage(ctx, id)
	if err != nil {
		return err
	}
	m.Deleted = time.Now()
	return n.saveChat(ctx, m.Author, chat.Save{Messages: []linnet.Message{*m}})
}

// React implements linnet.Client.
func (n *Node) React(ctx context.Context, id linnet.MessageID, emoji string) error {
	if err := linnet.CheckEmoji(emoji); err != nil {
		return err
	}
	m, err := n.message(ctx, id)
	if err != nil {
		return err
	}
	user, err := n.chatUser(ctx)
	if err != nil {
		return err
	}
	return n.saveChat(ctx, user, chat.Save{Reactions: []chat.Reaction{{
		Peer: m.User, Message: id, Reaction: linnet.Reaction{User: user, Emoji: emoji, Time: time.Now()},
	}}})
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
	var save chat.Save
	for _, m := range list {
		save.Marks = append(save.Marks, chat.Mark{Peer: with, Message: m.ID, Theirs: true, State: linnet.MessageRead})
	}
	return n.saveChat(ctx, user, save)
}

// Typing implements linnet.Client. It is a hint for which there is no way yet.
func (n *Node) Typing(ctx context.Context, _ linnet.UserName, _ bool) error {
	_, err := n.chatUser(ctx)
	return err
}
