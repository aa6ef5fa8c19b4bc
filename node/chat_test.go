package node

import (
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// writes sends a message.
func (m *computer) writes(to *computer, text string) linnet.MessageID {
	m.w.t.Helper()
	id, err := m.node.SendMessage(m.w.t.Context(), to.user(), text, linnet.MessageID{})
	m.ok(err)
	return id
}

// line is a message of the conversation with somebody; the zero value: it is not there.
func (m *computer) line(with *computer, id linnet.MessageID) linnet.Message {
	m.w.t.Helper()
	list, err := m.node.Messages(m.w.t.Context(), with.user(), linnet.MessageID{}, 1000)
	if err != nil && linnet.CodeOf(err) != linnet.CodeNotSignedIn {
		m.w.t.Fatalf("%s: %v", m.name, err)
	}
	for _, x := range list {
		if x.ID == id {
			return x
		}
	}
	return linnet.Message{}
}

// reads waits until a message is there with this text.
func (m *computer) reads(from *computer, id linnet.MessageID, text string) time.Duration {
	m.w.t.Helper()
	begin := time.Now()
	m.within20("reads "+text[:min(20, len(text))], func() bool { return m.line(from, id).Text == text })
	return time.Since(begin)
}

// knows waits until an own message has come so far.
func (m *computer) knows(to *computer, id linnet.MessageID, state linnet.MessageState) time.Duration {
	m.w.t.Helper()
	begin := time.Now()
	m.within20("its message is "+state.String(), func() bool { return m.line(to, id).State == state })
	return time.Since(begin)
}

// TestChat has whole nodes write to each other: both there, one of them away, both
// killed, edited, deleted and read.
func TestChat(t *testing.T) { inBothSuites(t, testChat) }

func testChat(t *testing.T, suiteName string) {
	w := newWorld(t, worldOptions{suite: suiteName})
	alice, bob := w.user("alice", w.atHome()), w.user("bob", netsim.HostOptions{})
	time.Sleep(time.Minute) // their prekeys are published

	// A stranger's few words.
	id := alice.writes(bob, "Is that you?")
	t.Logf("a stranger's first message is there after %v", bob.reads(alice, id, "Is that you?"))
	if _, err := alice.node.SendMessage(t.Context(), "bob", strings.Repeat("x", linnet.MaxStrangerMessage+1), linnet.MessageID{}); linnet.CodeOf(err) != linnet.CodeUsage {
		t.Errorf("a long message to a stranger: %v", err)
	}
	approved(alice, bob)

	// Both are there.
	id = alice.writes(bob, "Hello, Bob!")
	t.Logf("the first message is there after %v", bob.reads(alice, id, "Hello, Bob!"))
	alice.knows(bob, id, linnet.MessageDelivered)
	second := bob.writes(alice, "Hello\nyourself")
	t.Logf("the next one after %v", alice.reads(bob, second, "Hello\nyourself"))
	long := strings.Repeat("long ", linnet.MaxMessage/5)
	third := alice.writes(bob, long)
	t.Logf("16 KiB after %v", bob.reads(alice, third, long))
	bob.ok(bob.node.MarkRead(t.Context(), "alice", linnet.MessageID{}))
	t.Logf("read is known after %v", alice.knows(bob, third, linnet.MessageRead))
	if n := bob.status().Unread; n != 0 {
		t.Errorf("%d unread", n)
	}
	bob.ok(bob.node.React(t.Context(), id, "👍"))
	alice.within20("the reaction", func() bool { return len(alice.line(bob, id).Reactions) == 1 })
	alice.ok(alice.node.Typing(t.Context(), "bob", true))
	bob.heard.await("typing", func(e linnet.Event) bool {
		return e.Kind == linnet.EventTyping && *e.Typing == linnet.Typing{User: "alice", On: true}
	})
	if linnet.CodeOf(bob.node.EditMessage(t.Context(), id, "forged")) != linnet.CodeUsage {
		t.Error("bob edits alice's message")
	}

	// He is away, and she is gone when he comes: the mailbox has it, once.
	bob.stop()
	away := alice.writes(bob, "Are you there?")
	gone := alice.writes(bob, "A mistake")
	alice.knows(bob, away, linnet.MessageStored)
	alice.ok(alice.node.EditMessage(t.Context(), away, "Are you there, Bob?"))
	alice.ok(alice.node.DeleteMessage(t.Context(), gone))
	alice.kill() // what was acknowledged is on disk
	alice.start()
	alice.online()
	time.Sleep(time.Minute)
	alice.stop()
	bob.start()
	t.Logf("what was edited meanwhile is there after %v", bob.reads(alice, away, "Are you there, Bob?"))
	bob.within20("the deletion", func() bool { return !bob.line(alice, gone).Deleted.IsZero() })
	if x := bob.line(alice, gone); x.Text != "" {
		t.Errorf("deleted, and still there: %q", x.Text)
	}
	bob.ok(bob.node.MarkRead(t.Context(), "alice", linnet.MessageID{}))
	bob.kill()
	bob.start()
	bob.online()
	time.Sleep(time.Minute)
	bob.stop()
	alice.start()
	alice.knows(bob, away, linnet.MessageRead)
	bob.start()
	bob.online()

	// Both hold the same.
	list := func(m, with *computer) (texts []string) {
		for _, x := range must(m.node.Messages(t.Context(), with.user(), linnet.MessageID{}, 1000)) {
			texts = append(texts, x.Text)
		}
		return texts
	}
	if a, b := list(alice, bob), list(bob, alice); !sameJSON(a, b) || len(a) != 6 {
		t.Errorf("alice has %.200q\nbob has %.200q", a, b)
	}
	hits := must(bob.node.SearchMessages(t.Context(), "bob there", 5))
	if len(hits) != 1 || hits[0].ID != away {
		t.Errorf("found %+v", hits)
	}
	conversations := must(bob.node.Conversations(t.Context()))
	if len(conversations) != 1 || conversations[0].User != "alice" || conversations[0].Last == nil {
		t.Errorf("conversations %+v", conversations)
	}

	// Nothing of who is blocked is heard.
	bob.ok(bob.node.BlockContact(t.Context(), "alice", true))
	unheard := alice.writes(bob, "Hey!")
	time.Sleep(10 * time.Minute)
	if x := bob.line(alice, unheard); !x.ID.IsZero() {
		t.Error("he hears of who is blocked")
	}
	if s := alice.line(bob, unheard).State; s > linnet.MessageStored {
		t.Errorf("her message is %v", s)
	}
}
