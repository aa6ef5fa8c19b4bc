package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Chat returns what package chat keeps for a user.
func (s *Store) Chat(ctx context.Context, owner linnet.UserName) (k chat.Kept, err error) {
	k.Talks = make(map[linnet.UserName]chat.Position)
	_, err = sqlite.All(ctx, s.db, func(row sqlite.Row) (peer linnet.UserName, err error) {
		var p chat.Position
		err = row.Scan(&peer, &p.Highest, &p.Own, &p.Theirs)
		k.Talks[peer] = p
		return peer, err
	}, `SELECT peer, MAX(position), SUM(author = owner), SUM(author = peer) FROM conversations
		JOIN messages ON conversation = conversations.id WHERE owner = $1 GROUP BY peer`, string(owner))
	if err == nil {
		k.Outbox, err = sqlite.All(ctx, s.db, func(row sqlite.Row) (e chat.Entry, err error) {
			var id []byte
			err = row.Scan(&e.To, &e.Peer, &e.What, &id)
			copy(e.Message[:], id)
			return e, err
		}, "SELECT recipient, peer, what, message FROM outbox WHERE owner = $1 ORDER BY rowid", string(owner))
	}
	if err == nil {
		k.Messages, err = s.messages(ctx, toBeTold+" ORDER BY messages.row", string(owner))
	}
	if err != nil {
		return k, fmt.Errorf("store: chat: %w", err)
	}
	return k, nil
}

// toBeTold are the messages of the outbox, found from there: the other way round each
// of many messages looks through all of it, and a node that has much to tell takes minutes to start.
const toBeTold = `messages.row IN (SELECT m.row FROM outbox o
	JOIN conversations c ON c.owner = o.owner AND c.peer = o.peer JOIN messages m ON m.id = o.message AND m.conversation = c.id
	WHERE o.owner = $1 AND what IN ('message', 'reaction'))`

// SaveChat makes all changes of a Save, or none of them, and says what is another now.
func (s *Store) SaveChat(ctx context.Context, owner linnet.UserName, save chat.Save) (saved chat.Saved, err error) {
	err = s.write(ctx, "chat", func(tx *sqlite.Tx) error {
		c := chatWrite{tx: tx, owner: owner}
		for _, m := range save.Messages {
			c.message(m)
		}
		for _, r := range save.Reactions {
			c.reaction(r)
		}
		for _, m := range save.Marks {
			c.mark(m)
		}
		for _, e := range save.Queue {
			c.exec(`INSERT INTO outbox (owner, recipient, peer, what, message) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (owner, recipient, peer, what, message) DO NOTHING`, string(owner), string(e.To), string(e.Peer), string(e.What), e.Message[:])
		}
		for _, e := range save.Done {
			c.exec("DELETE FROM outbox WHERE owner = $1 AND recipient = $2 AND peer = $3 AND what = $4 AND message = $5",
				string(owner), string(e.To), string(e.Peer), string(e.What), e.Message[:])
		}
		c.complete()
		saved = c.saved
		return c.err
	})
	return saved, err
}

// chatWrite is one SaveChat. The first error ends it.
type chatWrite struct {
	tx    *sqlite.Tx
	owner linnet.UserName
	saved chat.Saved
	err   error
}

func (c *chatWrite) exec(query string, args ...any) {
	if c.err == nil {
		_, c.err = c.tx.Exec(query, args...)
	}
}

// conversation is the id of the one with somebody.
func (c *chatWrite) conversation(peer linnet.UserName) (id int64) {
	if c.err != nil {
		return 0
	}
	const find = "SELECT id FROM conversations WHERE owner = $1 AND kind = 'pair' AND peer = $2"
	c.err = c.tx.One(find, string(c.owner), string(peer)).Scan(&id)
	if errors.Is(c.err, sql.ErrNoRows) {
		c.err = nil
		c.exec("INSERT INTO conversations (owner, kind, peer) VALUES ($1, 'pair', $2)", string(c.owner), string(peer))
		if c.err == nil {
			c.err = c.tx.One(find, string(c.owner), string(peer)).Scan(&id)
		}
	}
	return id
}

// find reads a message; there need not be one.
func (c *chatWrite) find(conversation int64, id linnet.MessageID) (m linnet.Message, found bool) {
	if c.err != nil {
		return m, false
	}
	m, err := scanMessage(c.tx.One(selectMessage+" WHERE conversation = $1 AND messages.id = $2", conversation, id[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return m, false
	}
	c.err = err
	return m, err == nil
}

func (c *chatWrite) message(m linnet.Message) {
	conversation := c.conversation(m.User)
	old, found := c.find(conversation, m.ID)
	if !found {
		c.exec(`INSERT INTO messages (conversation, id, author, device, sent, position, kind, body, data, reply_to, state, edited, deleted)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			conversation, m.ID[:], string(m.Author), m.Device[:], millis(m.Sent), int64(m.Position), m.Kind.String(), m.Text, m.Data,
			optional(m.ReplyTo), m.State.String(), millis(m.Edited), millis(m.Deleted))
		c.words(conversation, m, false)
		c.changed(m, true)
		return
	}
	if m, changed := chat.Merge(old, m); changed {
		c.update(conversation, m, m.Text != old.Text)
	}
}

func (c *chatWrite) update(conversation int64, m linnet.Message, words bool) {
	c.exec("UPDATE messages SET body = $1, data = $2, state = $3, edited = $4, deleted = $5 WHERE conversation = $6 AND id = $7",
		m.Text, m.Data, m.State.String(), millis(m.Edited), millis(m.Deleted), conversation, m.ID[:])
	if words {
		c.words(conversation, m, true)
	}
	c.changed(m, false)
}

// words keeps what a message is found by.
func (c *chatWrite) words(conversation int64, m linnet.Message, again bool) {
	const row = "(SELECT row FROM messages WHERE conversation = $1 AND id = $2)"
	if again {
		c.exec("DELETE FROM message_words WHERE rowid = "+row, conversation, m.ID[:])
	}
	if m.Text != "" {
		c.exec("INSERT INTO message_words (rowid, body) VALUES ("+row+", $3)", conversation, m.ID[:], m.Text)
	}
}

func (c *chatWrite) reaction(r chat.Reaction) {
	conversation := c.conversation(r.Peer)
	if c.err != nil {
		return
	}
	var at int64
	old := linnet.Reaction{User: r.User}
	c.err = c.tx.One("SELECT emoji, time FROM reactions WHERE conversation = $1 AND message = $2 AND user_name = $3",
		conversation, r.Message[:], string(r.User)).Scan(&old.Emoji, &at)
	if errors.Is(c.err, sql.ErrNoRows) {
		c.err = nil
	}
	old.Time = fromMillis(at)
	if chat.MergeReaction(old, r.Reaction) == old {
		return
	}
	c.exec(`INSERT INTO reactions (conversation, message, user_name, emoji, time) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (conversation, message, user_name) DO UPDATE SET emoji = excluded.emoji, time = excluded.time`,
		conversation, r.Message[:], string(r.User), r.Emoji, millis(r.Time))
	if m, found := c.find(conversation, r.Message); found {
		c.changed(m, false)
	}
}

func (c *chatWrite) mark(k chat.Mark) {
	conversation := c.conversation(k.Peer)
	m, found := c.find(conversation, k.Message)
	if !found || m.Own() == k.Theirs || m.State >= k.State {
		return
	}
	m.State = k.State
	c.update(conversation, m, false)
}

func (c *chatWrite) changed(m linnet.Message, fresh bool) {
	i := slices.IndexFunc(c.saved.Messages, func(x chat.Changed) bool { return x.Message.ID == m.ID && x.Message.User == m.User })
	if i < 0 {
		c.saved.Messages = append(c.saved.Messages, chat.Changed{New: fresh, Message: m})
	} else {
		c.saved.Messages[i].Message = m
	}
}

// complete adds what front ends want to know besides.
func (c *chatWrite) complete() {
	for i := range c.saved.Messages {
		m := &c.saved.Messages[i].Message
		conversation := c.conversation(m.User)
		*m, _ = c.find(conversation, m.ID)
		known := func(u linnet.Conversation) bool { return u.User == m.User }
		if c.err != nil || m.Own() || slices.ContainsFunc(c.saved.Unread, known) {
			continue
		}
		u := linnet.Conversation{User: m.User}
		c.err = c.tx.One("SELECT COUNT(*) FROM messages WHERE conversation = $1 AND state = 'received'", conversation).Scan(&u.Unread)
		c.saved.Unread = append(c.saved.Unread, u)
	}
}

// Conversations lists whom a user writes with, the newest line first.
func (s *Store) Conversations(ctx context.Context, owner linnet.UserName) ([]linnet.Conversation, error) {
	list, err := sqlite.All(ctx, s.db, func(row sqlite.Row) (c linnet.Conversation, err error) { return c, row.Scan(&c.User, &c.Unread) },
		`SELECT peer, (SELECT COUNT(*) FROM messages WHERE conversation = conversations.id AND state = 'received')
		FROM conversations WHERE owner = $1 AND kind = 'pair'`, string(owner))
	for i := range list {
		if err != nil {
			break
		}
		var last []linnet.Message
		if last, err = s.Messages(ctx, owner, list[i].User, linnet.MessageID{}, 1); len(last) > 0 {
			list[i].Last = &last[0]
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store: conversations: %w", err)
	}
	list = slices.DeleteFunc(list, func(c linnet.Conversation) bool { return c.Last == nil })
	slices.SortFunc(list, func(a, b linnet.Conversation) int { return b.Last.Sent.Compare(a.Last.Sent) })
	return list, nil
}

// Messages are the last lines of a conversation before one of them, or of all, the
// oldest first.
func (s *Store) Messages(ctx context.Context, owner, peer linnet.UserName, before linnet.MessageID, limit int) ([]linnet.Message, error) {
	where, args := "owner = $1 AND peer = $2", []any{string(owner), string(peer), limit}
	if !before.IsZero() {
		where += ` AND (position, messages.id) < (SELECT m.position, m.id FROM messages AS m WHERE m.conversation = conversations.id AND m.id = $4)`
		args = append(args, before[:])
	}
	list, err := s.messages(ctx, where+" ORDER BY position DESC, messages.id DESC LIMIT $3", args...)
	slices.Reverse(list)
	return list, err
}

// Message finds one by its id, or nil; of several that of the user's own.
func (s *Store) Message(ctx context.Context, owner linnet.UserName, id linnet.MessageID) (*linnet.Message, error) {
	list, err := s.messages(ctx, "owner = $1 AND messages.id = $2 ORDER BY author = owner DESC LIMIT 1", string(owner), id[:])
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// UnreadMessages are those that somebody wrote up to one of them, or all.
func (s *Store) UnreadMessages(ctx context.Context, owner, peer linnet.UserName, upTo linnet.MessageID) ([]linnet.Message, error) {
	where, args := "owner = $1 AND peer = $2 AND state = 'received'", []any{string(owner), string(peer)}
	if !upTo.IsZero() {
		where += ` AND (position, messages.id) <= (SELECT m.position, m.id FROM messages AS m WHERE m.conversation = conversations.id AND m.id = $3)`
		args = append(args, upTo[:])
	}
	return s.messages(ctx, where+" ORDER BY position, messages.id", args...)
}

// Unread is how many messages a user has not read.
func (s *Store) Unread(ctx context.Context, owner linnet.UserName) (n int, err error) {
	n, err = sqlite.One(ctx, s.db, sqlite.Column[int],
		"SELECT COUNT(*) FROM conversations JOIN messages ON conversation = conversations.id AND state = 'received' WHERE owner = $1", string(owner))
	if err != nil {
		return 0, fmt.Errorf("store: unread: %w", err)
	}
	return n, nil
}

// SearchMessages finds those with all these words, or words that begin so, the
// newest first.
func (s *Store) SearchMessages(ctx context.Context, owner linnet.UserName, words string, limit int) ([]linnet.Message, error) {
	var match []string
	for _, w := range strings.Fields(words) {
		match = append(match, `"`+strings.ReplaceAll(w, `"`, `""`)+`"*`)
	}
	if match == nil {
		return nil, nil
	}
	return s.messages(ctx, "owner = $1 AND row IN (SELECT rowid FROM message_words WHERE message_words MATCH $2) ORDER BY sent DESC, row DESC LIMIT $3",
		string(owner), strings.Join(match, " "), limit)
}

// messages reads those that a condition names.
func (s *Store) messages(ctx context.Context, where string, args ...any) ([]linnet.Message, error) {
	list, err := sqlite.All(ctx, s.db, scanMessage, selectMessage+" WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("store: messages: %w", err)
	}
	return list, nil
}

const selectMessage = `SELECT peer, messages.id, author, device, sent, position, messages.kind, body, data, reply_to, state, edited, deleted,
	(SELECT json_group_array(json_object('user', user_name, 'emoji', emoji, 'ms', time)) FROM reactions
		WHERE reactions.conversation = messages.conversation AND message = messages.id AND emoji <> '')
	FROM messages JOIN conversations ON conversations.id = conversation`

func scanMessage(row sqlite.Row) (m linnet.Message, err error) {
	var id, device, reply, kind, state, reactions []byte
	var sent, position, edited, deleted int64
	if err := row.Scan(&m.User, &id, &m.Author, &device, &sent, &position, &kind, &m.Text, &m.Data, &reply, &state, &edited, &deleted, &reactions); err != nil {
		return m, err
	}
	copy(m.ID[:], id)
	copy(m.Device[:], device)
	copy(m.ReplyTo[:], reply)
	m.Sent, m.Edited, m.Deleted, m.Position = fromMillis(sent), fromMillis(edited), fromMillis(deleted), uint64(position)
	var list []struct {
		User  linnet.UserName
		Emoji string
		MS    int64
	}
	if err := json.Unmarshal(reactions, &list); err != nil {
		return m, err
	}
	for _, r := range list {
		m.Reactions = append(m.Reactions, linnet.Reaction{User: r.User, Emoji: r.Emoji, Time: fromMillis(r.MS)})
	}
	slices.SortFunc(m.Reactions, func(a, b linnet.Reaction) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.User, b.User)) })
	return m, errors.Join(m.Kind.UnmarshalText(kind), m.State.UnmarshalText(state))
}

// optional is an id, or NULL for none.
func optional(id linnet.MessageID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}
