package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/api/http"
	"github.com/linnet-p2p/linnet/suite"
)

// messages is a conversation as the command line shows it to programs.
func (p *person) messages(with string) (list []linnet.Message) {
	p.t.Helper()
	unmarshal(p.t, p.do("chat", with, "--json", "--limit", "1000").succeeds(), &list)
	return list
}

func (p *person) client() *http.Client {
	return http.Dial((&program{flags: &commands{Home: p.home}}).socket())
}

// becomeContacts asks until both know: a request to somebody whose prekey is not
// published yet waits long.
func becomeContacts(a, b *person) {
	a.t.Helper()
	for begin := time.Now(); a.contact(b.name).State != linnet.Approved || b.contact(a.name).State != linnet.Approved; time.Sleep(2 * time.Second) {
		if time.Since(begin) > 5*time.Minute {
			a.t.Fatalf("%s and %s do not become contacts", a.name, b.name)
		}
		befriend(a, b)
	}
}

// Two people write to each other in their terminals.
func TestChat(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2, suite.RegistrationOpen).run()
	alice, bob := n.person(t, "alice", inProcess), n.person(t, "bob", inProcess)
	alice.finds("bob")
	becomeContacts(alice, bob)
	follows := alice.begin("chat", "bob", "--follow")

	var sent struct{ Message linnet.MessageID }
	unmarshal(t, alice.do("chat", "bob", "--send", "Hello,\nBob!", "--json").succeeds(), &sent)
	eventually(t, "bob has it", func() bool { return len(bob.messages("alice")) == 1 })
	if m := bob.messages("alice")[0]; m.ID != sent.Message || m.Text != "Hello,\nBob!" || m.Author != "alice" || m.State != linnet.MessageReceived {
		t.Errorf("bob has %+v", m)
	}
	if s := bob.status(); s.Unread != 1 {
		t.Errorf("%d unread", s.Unread)
	}
	if words := bob.do("chat").succeeds().stdout.String(); !strings.Contains(words, "1 unread") || !strings.Contains(words, "Hello, Bob!") {
		t.Errorf("bob's conversations:\n%s", words)
	}
	var stdout, stderr screen
	code := run(t.Context(), []string{"chat", "alice", "--home", bob.home}, strings.NewReader("Hi.\n\nHow are you?\n"), &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "alice  Hello,\n"+strings.Repeat(" ", len("2006-01-02 15:04:05  alice  "))+"Bob!\n") {
		t.Errorf("exit code %d, stdout:\n%s\nstderr:\n%s", code, &stdout, &stderr)
	}
	eventually(t, "alice reads both", func() bool { return strings.Contains(follows.stdout.String(), "bob  How are you?") })
	eventually(t, "hers is read", func() bool { return alice.messages("bob")[0].State == linnet.MessageRead })
	eventually(t, "his are read", func() bool {
		list := bob.messages("alice")
		return list[1].State == linnet.MessageRead && list[2].State == linnet.MessageRead
	})
	if s := bob.status(); s.Unread != 0 {
		t.Errorf("%d unread", s.Unread)
	}
	follows.interrupt()
	follows.succeeds()
	alice.do("chat", "alice", "--send", "me").fails(2, "is you")
	alice.do("chat", "bob", "--send", " ").fails(2, "nothing to send")
	alice.do("chat", "x", "--send", "hi").fails(2, "user name")
}

// TestChatIsKilled kills the nodes of two people, again and again, at any moment while
// both write and edit: nothing that was acknowledged is lost, nothing is there twice, and
// both hold the same in the end. LINNET_LONG=1 kills 200 times.
func TestChatIsKilled(t *testing.T) {
	t.Parallel()
	rounds := 3
	if os.Getenv("LINNET_LONG") != "" {
		rounds = 200
	}
	n := newNetwork(t, 2, suite.RegistrationOpen).run()
	people := []*person{n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess)}
	people[0].finds("bob")
	becomeContacts(people[0], people[1])

	writers := make([]*writer, len(people))
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	for i, p := range people {
		w := &writer{client: p.client(), name: p.name, to: linnet.UserName(people[1-i].name), said: make(map[linnet.MessageID][]string)}
		writers[i] = w
		busy.Go(func() { w.run(ctx) })
	}
	for range rounds {
		time.Sleep(time.Duration(rand.Int64N(int64(time.Second))))
		p := people[rand.IntN(len(people))]
		p.up.kill()
		p.start()
	}
	stop()
	busy.Wait()
	for _, p := range people {
		p.online()
	}

	said := make(map[linnet.MessageID][]string)
	for _, w := range writers {
		for id, texts := range w.said {
			said[id] = texts
		}
	}
	// What lies in the mailbox of somebody who came a moment ago is found after 20 s, or 3 min.
	var lists [2][]linnet.Message
	same := func() bool {
		for i, w := range writers {
			lists[i] = w.all(t)
		}
		return slices.EqualFunc(lists[0], lists[1], func(a, b linnet.Message) bool { return a.ID == b.ID && a.Text == b.Text }) &&
			!slices.ContainsFunc(slices.Concat(lists[0], lists[1]), func(m linnet.Message) bool { return m.Own() && m.State < linnet.MessageDelivered })
	}
	for begin := time.Now(); !same(); time.Sleep(time.Second) {
		if time.Since(begin) > 6*time.Minute {
			t.Fatalf("alice has %d messages and bob %d, which are not the same", len(lists[0]), len(lists[1]))
		}
	}
	texts := make(map[string]bool)
	for _, m := range lists[0] {
		first, _, _ := strings.Cut(m.Text, ",")
		if texts[first] {
			t.Errorf("%q is there twice", first)
		}
		texts[first] = true
		if of := said[m.ID]; of != nil && !slices.Contains(of, m.Text) {
			t.Errorf("%q was acknowledged as %q", m.Text, of)
		}
		delete(said, m.ID)
	}
	for id, texts := range said {
		t.Errorf("%v %q was acknowledged, and is lost", id, texts)
	}
	t.Logf("%d kills, %d messages, %d of them acknowledged", rounds, len(lists[0]), len(writers[0].said)+len(writers[1].said))
	if len(lists[0]) < rounds {
		t.Errorf("only %d messages", len(lists[0]))
	}
}

// A writer says one thing after the other, and edits some of it.
type writer struct {
	client *http.Client
	name   string
	to     linnet.UserName
	said   map[linnet.MessageID][]string // acknowledged, by what it may be now
}

func (w *writer) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		text := fmt.Sprintf("%s %d", w.name, n)
		id, err := w.client.SendMessage(ctx, w.to, text, linnet.MessageID{})
		if err != nil { // it is being killed
			time.Sleep(20 * time.Millisecond)
			continue
		}
		w.said[id] = []string{text}
		if n%5 == 0 {
			edited := text + ", edited"
			w.said[id] = append(w.said[id], edited)
			if w.client.EditMessage(ctx, id, edited) == nil {
				w.said[id] = w.said[id][1:]
			}
		}
		time.Sleep(time.Duration(rand.Int64N(int64(50 * time.Millisecond))))
	}
}

// all are the messages of a conversation, in their order.
func (w *writer) all(t *testing.T) (list []linnet.Message) {
	t.Helper()
	var before linnet.MessageID
	for {
		page, err := w.client.Messages(t.Context(), w.to, before, 1000)
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		if len(page) == 0 {
			return list
		}
		list = append(page, list...)
		before = page[0].ID
	}
}
