package store

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

func line(n byte, author linnet.UserName, text string) linnet.Message {
	m := linnet.Message{
		ID: linnet.MessageID{n}, User: "bob", Author: author, Device: node(n), Sent: at(int(n)), Position: uint64(n), Text: text,
	}
	if author == "bob" {
		m.State = linnet.MessageReceived
	}
	return m
}

func ids(list []linnet.Message) (ids []byte) {
	for _, m := range list {
		ids = append(ids, m.ID[0])
	}
	return ids
}

func TestChat(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	ctx := t.Context()
	save := func(x chat.Save) chat.Saved {
		t.Helper()
		return must(s.SaveChat(ctx, "alice", x))(t)
	}
	first := line(1, "alice", "Grüße aus Zürich")
	first.Data, first.ReplyTo = []byte{1, 2}, linnet.MessageID{9}
	entry := chat.Entry{To: "bob", Peer: "bob", What: chat.TellMessage, Message: first.ID}
	saved := save(chat.Save{Messages: []linnet.Message{first, line(2, "bob", "hello"), line(3, "bob", "hello?")}, Queue: []chat.Entry{entry, entry}})
	if len(saved.Messages) != 3 || !saved.Messages[0].New || !reflect.DeepEqual(saved.Messages[0].Message, first) {
		t.Errorf("saved %+v", saved)
	}
	if want := []linnet.Conversation{{User: "bob", Unread: 2}}; !reflect.DeepEqual(saved.Unread, want) {
		t.Errorf("unread %+v", saved.Unread)
	}
	// The same again changes nothing; another conversation may have the same ids.
	if saved := save(chat.Save{Messages: []linnet.Message{first, line(2, "bob", "another text")}}); len(saved.Messages)+len(saved.Unread) != 0 {
		t.Errorf("saved twice: %+v", saved)
	}
	eve := line(1, "eve", "mine")
	eve.User, eve.State = "eve", linnet.MessageReceived
	if saved := save(chat.Save{Messages: []linnet.Message{eve}}); len(saved.Messages) != 1 {
		t.Errorf("saved of eve: %+v", saved)
	}
	must(s.SaveChat(ctx, "carol", chat.Save{Messages: []linnet.Message{line(4, "carol", "not alice's")}}))(t)

	s = reopen(t, s, home)
	kept := must(s.Chat(ctx, "alice"))(t)
	if want := (chat.Kept{Talks: map[linnet.UserName]chat.Position{"bob": {Highest: 3, Own: 1, Theirs: 2}, "eve": {Highest: 1, Theirs: 1}}, Outbox: []chat.Entry{entry}, Messages: []linnet.Message{first}}); !reflect.DeepEqual(kept, want) {
		t.Errorf("kept\n%+v, want\n%+v", kept, want)
	}
	for _, tt := range []struct {
		before byte
		limit  int
		want   []byte
	}{{0, 9, []byte{1, 2, 3}}, {0, 2, []byte{2, 3}}, {3, 1, []byte{2}}, {1, 5, nil}, {99, 5, nil}} {
		var before linnet.MessageID
		before[0] = tt.before
		if got := ids(must(s.Messages(ctx, "alice", "bob", before, tt.limit))(t)); !slices.Equal(got, tt.want) {
			t.Errorf("%d before %d: %v, want %v", tt.limit, tt.before, got, tt.want)
		}
	}
	if m := must(s.Message(ctx, "alice", first.ID))(t); m == nil || m.User != "bob" {
		t.Errorf("message %+v, want the own one of two", m)
	}
	if m := must(s.Message(ctx, "bob", first.ID))(t); m != nil {
		t.Errorf("bob finds %+v", m)
	}

	// What comes early waits for its message; a mark is only for the author's own.
	up := linnet.Reaction{User: "bob", Emoji: "👍", Time: at(5)}
	save(chat.Save{
		Reactions: []chat.Reaction{{Peer: "bob", Message: linnet.MessageID{7}, Reaction: up}, {Peer: "bob", Message: first.ID, Reaction: up}},
		Marks: []chat.Mark{
			{Peer: "bob", Message: first.ID, State: linnet.MessageDelivered}, {Peer: "bob", Message: linnet.MessageID{2}, State: linnet.MessageDelivered},
			{Peer: "bob", Message: linnet.MessageID{66}, State: linnet.MessageRead},
		},
		Done: []chat.Entry{entry},
	})
	save(chat.Save{
		Messages:  []linnet.Message{line(7, "alice", "late")},
		Reactions: []chat.Reaction{{Peer: "bob", Message: first.ID, Reaction: linnet.Reaction{User: "bob", Emoji: "older", Time: at(4)}}},
	})
	list := must(s.Messages(ctx, "alice", "bob", linnet.MessageID{}, 9))(t)
	if list[0].State != linnet.MessageDelivered || list[1].State != linnet.MessageReceived || !reflect.DeepEqual(list[0].Reactions, []linnet.Reaction{up}) ||
		!reflect.DeepEqual(list[3].Reactions, []linnet.Reaction{up}) {
		t.Errorf("messages %+v", list)
	}
	if kept := must(s.Chat(ctx, "alice"))(t); len(kept.Outbox) != 0 || len(kept.Messages) != 0 {
		t.Errorf("kept %+v", kept)
	}

	// Reading.
	unread := must(s.UnreadMessages(ctx, "alice", "bob", linnet.MessageID{2}))(t)
	if got := ids(unread); !slices.Equal(got, []byte{2}) {
		t.Errorf("unread up to 2: %v", got)
	}
	saved = save(chat.Save{Marks: []chat.Mark{{Peer: "bob", Message: linnet.MessageID{2}, Theirs: true, State: linnet.MessageRead}}})
	if want := []linnet.Conversation{{User: "bob", Unread: 1}}; !reflect.DeepEqual(saved.Unread, want) {
		t.Errorf("unread %+v", saved.Unread)
	}
	if n := must(s.Unread(ctx, "alice"))(t); n != 2 {
		t.Errorf("%d unread, want one of bob and one of eve", n)
	}
	conversations := must(s.Conversations(ctx, "alice"))(t)
	if len(conversations) != 2 || conversations[0].User != "bob" || conversations[0].Unread != 1 || conversations[0].Last.ID[0] != 7 {
		t.Errorf("conversations %+v", conversations)
	}
}

// TestWhatIsToBeToldIsFound: however many messages there are, a node that starts looks at
// those of its outbox alone.
func TestWhatIsToBeToldIsFound(t *testing.T) {
	s := openTest(t, t.TempDir())
	plan := must(sqlite.All(t.Context(), s.db, func(row sqlite.Row) (step string, err error) {
		var id, parent, unused int
		err = row.Scan(&id, &parent, &unused, &step)
		return step, err
	}, "EXPLAIN QUERY PLAN "+selectMessage+" WHERE "+toBeTold+" ORDER BY messages.row", "alice"))(t)
	for _, table := range []string{"messages", "m"} {
		if !slices.ContainsFunc(plan, func(step string) bool {
			return strings.HasPrefix(step, "SEARCH "+table+" USING ") && strings.HasSuffix(step, "id=?)") // by its key
		}) {
			t.Errorf("%s is searched otherwise than by its key:\n%s", table, strings.Join(plan, "\n"))
		}
	}
}

func TestSearchMessages(t *testing.T) {
	s := openTest(t, t.TempDir())
	ctx := t.Context()
	found := func(words string, want ...byte) {
		t.Helper()
		if got := ids(must(s.SearchMessages(ctx, "alice", words, 9))(t)); !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", words, got, want)
		}
	}
	edited, deleted := line(2, "alice", "see you on Monday"), line(3, "alice", "secret")
	must(s.SaveChat(ctx, "alice", chat.Save{Messages: []linnet.Message{line(1, "bob", "Grüße aus Zürich, \"Monday\" OR never"), edited, deleted}}))(t)
	must(s.SaveChat(ctx, "carol", chat.Save{Messages: []linnet.Message{line(4, "carol", "Monday")}}))(t)
	found("monday", 2, 1)
	found("zur GRUSS") // ß is no ss
	found("zur grü", 1)
	found(`"monday" OR`, 1)
	found(`monday AND NOT (`)
	found("*")
	found("")
	edited.Text, edited.Edited = "see you on Tuesday", at(9)
	deleted.Deleted = at(9)
	must(s.SaveChat(ctx, "alice", chat.Save{Messages: []linnet.Message{edited, deleted}}))(t)
	found("monday", 1)
	found("tuesday", 2)
	found("secret")
}
