package main

import (
	"strings"
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
