package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// contact is how somebody stands on a computer's list; the zero value: not on it.
func (m *computer) contact(other *computer) linnet.Contact {
	m.w.t.Helper()
	list, err := m.node.Contacts(m.w.t.Context())
	if err != nil && linnet.CodeOf(err) != linnet.CodeNotSignedIn { // that it is in a moment
		m.w.t.Fatalf("%s: %v", m.name, err)
	}
	for _, c := range list {
		if c.User == other.user() {
			return c
		}
	}
	return linnet.Contact{}
}

// sees waits until a contact is to a computer as said, and says how long that took.
func (m *computer) sees(other *computer, p linnet.Presence) time.Duration {
	m.w.t.Helper()
	begin := time.Now()
	m.within20(other.name+" is "+p.String(), func() bool { return m.contact(other).Presence == p })
	return time.Since(begin)
}

func (m *computer) stands(other *computer, s linnet.ContactState) {
	m.w.t.Helper()
	m.within20(other.name+" is "+s.String(), func() bool { return m.contact(other).State == s })
}

// within20 waits for what takes a mailbox that is looked into, or a device that is missed.
func (m *computer) within20(what string, ok func() bool) {
	m.w.t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > 20*time.Minute {
			m.w.t.Fatalf("%s: waited 20 minutes in vain for: %s", m.name, what)
		}
	}
}

func (m *computer) says(p linnet.Presence, mood string) {
	m.w.t.Helper()
	if err := m.node.SetPresence(m.w.t.Context(), linnet.Mine{Presence: p, Mood: mood}); err != nil {
		m.w.t.Fatalf("%s is %v: %v", m.name, p, err)
	}
}

func (m *computer) ok(err error) {
	m.w.t.Helper()
	if err != nil {
		m.w.t.Fatalf("%s: %v", m.name, err)
	}
}

// TestContactRequest has whole nodes do what contacts do: ask somebody who is
// away, answer, see each other, hide, crash, be killed, block.
func TestContactRequest(t *testing.T) { inBothSuites(t, testContactRequest) }

func testContactRequest(t *testing.T, suiteName string) {
	w := newWorld(t, worldOptions{suite: suiteName})
	alice, bob := w.user("alice", w.atHome()), w.user("bob", netsim.HostOptions{})
	time.Sleep(time.Minute) // his prekey is published
	bob.stop()
	alice.ok(alice.node.AddContact(t.Context(), linnet.Contact{User: "bob", Name: "Bobby", Message: "It is me."}))
	alice.kill() // before and after each step: what was decided is done
	alice.start()
	alice.online()
	time.Sleep(time.Minute)
	alice.stop()
	bob.start()
	bob.stands(alice, linnet.Asking)
	if c := bob.contact(alice); c.Message != "It is me." {
		t.Errorf("bob reads %q", c.Message)
	}
	bob.ok(bob.node.AnswerContact(t.Context(), "alice", true))
	bob.kill()
	bob.start()
	bob.online()
	alice.start()
	alice.stands(bob, linnet.Approved)
	t.Logf("online to each other after %v and %v", alice.sees(bob, linnet.Online), bob.sees(alice, linnet.Online))
	if n := alice.contact(bob).Name; n != "Bobby" {
		t.Errorf("alice calls him %q", n)
	}

	alice.says(linnet.Away, "lunch")
	alice.heard.await("she is told what she says", func(e linnet.Event) bool { return e.Kind == linnet.EventMine && e.Mine.Mood == "lunch" })
	t.Logf("away after %v", bob.sees(alice, linnet.Away))
	if c := bob.contact(alice); c.Mood != "lunch" {
		t.Errorf("bob reads %q", c.Mood)
	}
	alice.says(linnet.DoNotDisturb, "")
	bob.sees(alice, linnet.DoNotDisturb)
	id := bob.call("alice", linnet.CallMedia{})
	if r := bob.ended(id); r.Outcome != linnet.OutcomeBusy {
		t.Errorf("a call to somebody not to be disturbed: %v", r.Outcome)
	}
	alice.ended(id)
	if r := alice.history(id); !r.Missed() {
		t.Errorf("in her history: %+v", r)
	}
	if _, rang := alice.heard.find(isRinging); rang {
		t.Error("it rang")
	}

	alice.says(linnet.Invisible, "")
	bob.sees(alice, linnet.Offline)
	bob.within20("she is in no directory", func() bool {
		l, err := bob.node.Lookup(t.Context(), "alice")
		return err == nil && !l.Online
	})
	if r := bob.ended(bob.call("alice", linnet.CallMedia{})); r.Outcome != linnet.OutcomeOffline {
		t.Errorf("a call to somebody invisible: %v", r.Outcome)
	}
	alice.stop()
	alice.start() // as she was
	alice.sees(bob, linnet.Online)
	time.Sleep(time.Minute)
	if c := bob.contact(alice); c.Presence != linnet.Offline {
		t.Errorf("she is %v to him", c.Presence)
	}
	if mine := must(alice.node.Presence(t.Context())); mine.Presence != linnet.Invisible {
		t.Errorf("she is %v now", mine.Presence)
	}
	alice.says(linnet.Online, "")
	bob.sees(alice, linnet.Online)

	time.Sleep(time.Minute)
	alice.kill()
	took := bob.sees(alice, linnet.Offline)
	t.Logf("her crash was noticed after %v", took)
	if took > 15*time.Minute {
		t.Errorf("her crash was noticed after %v", took)
	}
	alice.start()
	bob.sees(alice, linnet.Online)
	alice.sees(bob, linnet.Online)

	bob.ok(bob.node.BlockContact(t.Context(), "alice", true))
	alice.sees(bob, linnet.Offline)
	time.Sleep(6 * time.Minute) // sessions are over
	before := len(bob.calls())
	id = alice.call("bob", linnet.CallMedia{})
	if r := alice.ended(id); r.Outcome != linnet.OutcomeOffline && r.Outcome != linnet.OutcomeNoAnswer {
		t.Errorf("a call to somebody who blocked the caller: %v", r.Outcome)
	}
	if len(bob.calls()) != before {
		t.Error("it is in his history")
	}
	alice.says(linnet.Away, "")
	time.Sleep(time.Minute)
	if c := bob.contact(alice); c.State != linnet.Blocked || c.Presence != linnet.Offline {
		t.Errorf("he sees %+v", c)
	}
	if c := alice.contact(bob); c.State != linnet.Approved {
		t.Errorf("she sees %+v", c)
	}
}

// TestPresenceIsForContacts looks for what a user says of himself in all that
// passes on cables, that supernodes can read, and that others keep.
func TestPresenceIsForContacts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		var read, passed recording
		w.wiretap(&read)
		time.Sleep(2 * time.Minute)
		alice, bob, eve := w.user("alice", w.atHome()), w.user("bob", w.atHome()), w.user("eve", w.atHome())
		for _, m := range w.computers {
			m.host.Tap(func(p netsim.Packet) {
				if p.Sent {
					passed.add(p.Payload)
				}
			})
		}
		const message, mood = "do you remember Dubrovnik", "in a meeting about the merger"
		alice.ok(alice.node.AddContact(t.Context(), linnet.Contact{User: "bob", Message: message}))
		bob.stands(alice, linnet.Asking)
		bob.ok(bob.node.AnswerContact(t.Context(), "alice", true))
		alice.sees(bob, linnet.Online)
		bob.sees(alice, linnet.Online)
		alice.says(linnet.Away, mood)
		bob.sees(alice, linnet.Away)
		eve.ok(eve.node.AddContact(t.Context(), linnet.Contact{User: "alice"})) // she does not answer
		time.Sleep(time.Minute)
		if c := eve.contact(alice); c.State != linnet.Asked || c.Presence != linnet.Offline || c.Mood != "" {
			t.Errorf("a stranger learns %+v", c)
		}
		for name, secret := range map[string][]byte{"message of the request": []byte(message), "mood": []byte(mood)} {
			if read.has(secret) {
				t.Errorf("a supernode can read the %s", name)
			}
			if passed.has(secret) {
				t.Errorf("the %s passes a cable", name)
			}
			for _, m := range append(w.supernodes, w.login, eve) {
				if file := m.keeps(secret); file != "" {
					t.Errorf("%s keeps the %s in %s", m.name, name, file)
				}
			}
			if alice.keeps(secret) == "" {
				t.Errorf("alice does not keep the %s herself: is this the disk?", name)
			}
		}
		if !read.has([]byte("alice")) {
			t.Error("no supernode read her name: is this the recording?")
		}
	})
}
