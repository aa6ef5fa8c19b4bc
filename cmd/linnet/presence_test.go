package main

import (
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
)

// contact is how somebody stands on a person's list; the zero value: not on it.
func (p *person) contact(name string) linnet.Contact {
	p.t.Helper()
	var list []linnet.Contact
	unmarshal(p.t, p.do("contacts", "--json").succeeds(), &list)
	for _, c := range list {
		if string(c.User) == name {
			return c
		}
	}
	return linnet.Contact{}
}

func (p *person) sees(name string, presence linnet.Presence) {
	p.t.Helper()
	eventually(p.t, p.name+" sees "+name+" "+presence.String(), func() bool { return p.contact(name).Presence == presence })
}

func (p *person) has(name string, state linnet.ContactState) {
	p.t.Helper()
	eventually(p.t, p.name+" has "+name+" as "+state.String(), func() bool { return p.contact(name).State == state })
}

// Two people become contacts while one of them is away, see each other, and
// part again; each has a process, which is killed.
func TestContacts(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2, suite.RegistrationOpen).run()
	alice, bob := n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess)
	alice.finds("bob")
	bob.up.end()
	alice.do("contacts", "add", "bob", "--name", "Bobby", "--message", "It is me.").succeeds()
	alice.up.kill()
	alice.start()
	alice.online()
	if c := alice.contact("bob"); c.State != linnet.Asked || c.Name != "Bobby" {
		t.Errorf("alice has %+v", c)
	}
	bob.start()
	bob.online()
	bob.has("alice", linnet.Asking)
	if words := bob.do("contacts").succeeds().stdout.String(); !strings.Contains(words, `asks to be a contact  "It is me."`) {
		t.Errorf("bob reads:\n%s", words)
	}
	bob.do("contacts", "accept", "alice").succeeds()
	bob.up.kill()
	bob.start()
	bob.online()
	alice.sees("bob", linnet.Online)
	bob.sees("alice", linnet.Online)
	bob.do("contacts", "accept", "alice").fails(10, "does not ask")

	alice.do("presence", "away", "--mood", "gone fishing").succeeds()
	bob.sees("alice", linnet.Away)
	if c := bob.contact("alice"); c.Mood != "gone fishing" || c.Since.IsZero() {
		t.Errorf("bob sees %+v", c)
	}
	alice.up.end()
	bob.sees("alice", linnet.Offline)
	alice.start()
	bob.sees("alice", linnet.Away) // she still is
	var mine linnet.Mine
	unmarshal(t, alice.do("presence", "--json").succeeds(), &mine)
	if mine.Presence != linnet.Away || mine.Mood != "gone fishing" {
		t.Errorf("alice says of herself: %+v", mine)
	}
	alice.do("presence", "invisible").succeeds()
	bob.sees("alice", linnet.Offline)
	bob.do("call", "alice").fails(11)
	alice.do("presence", "online", "--mood", "").succeeds()
	bob.sees("alice", linnet.Online)
	alice.do("presence", "asleep").fails(2, "must be one of")
	alice.do("presence", "--mood", strings.Repeat("x", 300)).fails(2, "at most 200 bytes")

	bob.do("contacts", "block", "alice").succeeds()
	alice.sees("bob", linnet.Offline)
	if a, b := alice.contact("bob"), bob.contact("alice"); a.State != linnet.Approved || b.State != linnet.Blocked {
		t.Errorf("alice has bob as %v, bob alice as %v", a.State, b.State)
	}
	bob.do("contacts", "unblock", "alice").succeeds()
	bob.has("alice", linnet.Asking) // she still wants it
	bob.do("contacts", "decline", "alice").succeeds()
	alice.has("bob", linnet.Declined)
	alice.do("contacts", "remove", "bob").succeeds()
	if c := alice.contact("bob"); c.State != linnet.NoContact {
		t.Errorf("alice still has %+v", c)
	}
}
