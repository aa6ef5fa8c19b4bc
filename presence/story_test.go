package presence_test

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/presence"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Somebody who is away finds the request when he comes.
func TestRequestToSomebodyAway(t *testing.T) {
	w := newWorld(t, 1)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Minute)
	bob.stop()
	alice.ask("bob", "It is Alice, from the choir.")
	w.Until("it is in his mailbox", func() bool { return len(w.Mail) == 1 })
	w.Run(time.Hour)
	if len(w.Mail) != 1 {
		t.Errorf("%d requests in the mailbox", len(w.Mail))
	}
	alice.stop()
	bob.start()
	w.Until("he sees it", func() bool { return bob.state("alice") == linnet.Asking })
	if c := bob.contact("alice"); c.Message != "It is Alice, from the choir." {
		t.Errorf("he reads %q", c.Message)
	}
	bob.answer("alice", true)
	w.Run(time.Minute)
	bob.stop()
	alice.start()
	w.Until("she hears his answer", func() bool { return alice.state("bob") == linnet.Approved })
	bob.start()
	w.Until("they see each other", func() bool { return alice.sees("bob") == linnet.Online && bob.sees("alice") == linnet.Online })
	w.Run(time.Hour)
	if len(w.Mail) != 0 {
		t.Errorf("%d things are left in mailboxes", len(w.Mail))
	}
	for d, want := range map[*device][3]int{alice: {0, 1, 0}, bob: {1, 1, 0}} {
		got := [3]int{d.told(linnet.EventContactAsks), d.told(linnet.EventContactAccepted), d.told(linnet.EventContactDeclined)}
		if got != want {
			t.Errorf("%v was told %v of requests, yes and no, want %v", d, got, want)
		}
	}
}

// Two who sign up together ask each other before they can: nothing can be sealed to
// bob yet.
func TestRequestBeforeThePrekey(t *testing.T) {
	w := newWorld(t, 1)
	alice := w.online("alice")
	w.Run(time.Minute)
	alice.ask("bob", "")
	w.Run(20 * time.Second)
	bob := w.online("bob")
	if d := w.Until("he is asked", func() bool { return bob.state("alice") == linnet.Asking }); d > 30*time.Second {
		t.Errorf("that takes %v", d)
	}
}

// A device that is there and took no letter is told of its mail, which it would look
// for hours later; however often it is told, it asks seldom.
func TestMailWaits(t *testing.T) {
	w := newWorld(t, 1)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Hour)
	w.Loss = 1
	alice.ask("bob", "")
	w.Until("it is in his mailbox", func() bool { return len(w.Mail) == 1 })
	w.Loss = 0
	if d := w.Until("he is asked", func() bool { return bob.state("alice") == linnet.Asking }); d > 15*time.Second {
		t.Errorf("that takes %v", d)
	}
	before := bob.looks
	for range 600 {
		bob.m.MailWaits(w.Now)
		bob.Pump()
		w.Run(100 * time.Millisecond)
	}
	if n := bob.looks - before; n < 3 || n > 5 {
		t.Errorf("he looked for mail %d times in a minute", n)
	}
	bob.say(linnet.Invisible, "")
	w.Run(time.Minute)
	before = bob.looks
	bob.m.MailWaits(w.Now)
	bob.Pump()
	if w.Run(time.Second); bob.looks != before {
		t.Error("he is seen to look though he is invisible")
	}
}

func TestStates(t *testing.T) {
	w := newWorld(t, 2)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Minute)
	w.befriend(alice, bob)
	for _, p := range []linnet.Presence{linnet.Away, linnet.DoNotDisturb, linnet.Online} {
		alice.say(p, "singing")
		took := w.Until("he sees it", func() bool { return bob.contact("alice").Presence == p })
		if c := bob.contact("alice"); took > time.Second || c.Mood != "singing" || c.Since.IsZero() {
			t.Errorf("after %v: %+v", took, c)
		}
	}
	alice.say(linnet.Invisible, "")
	w.Until("she is offline to him", func() bool { return bob.sees("alice") == linnet.Offline })
	bob.say(linnet.Away, "")
	w.Run(time.Minute)
	alice.stop()
	w.Run(time.Minute)
	before := len(w.Carried)
	alice.start() // and is invisible still
	w.Run(time.Hour)
	for _, c := range w.Carried[before:] {
		if c.From == alice.Device {
			t.Fatalf("somebody invisible sends %x", c.Inner)
		}
	}
	if alice.sees("bob") == linnet.Offline || bob.sees("alice") != linnet.Offline || alice.visible {
		t.Errorf("she sees him %v, he her %v; in the directory: %v", alice.sees("bob"), bob.sees("alice"), alice.visible)
	}
	alice.say(linnet.Online, "back")
	w.Until("she is back", func() bool { return bob.contact("alice").Mood == "back" && alice.sees("bob") == linnet.Away })
	alice.stop()
	if took := w.Until("she is gone", func() bool { return bob.sees("alice") == linnet.Offline }); took > time.Second {
		t.Errorf("her good-bye took %v", took)
	}
}

// A device that says no good-bye is noticed within a quarter of an hour, without
// anybody asking for it in particular.
func TestCrash(t *testing.T) {
	w := newWorld(t, 3)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Minute)
	w.befriend(alice, bob)
	w.Run(time.Hour)
	before, asked := len(w.Carried), w.Asked
	w.Run(6 * time.Hour)
	if n := len(w.Carried) - before + w.Asked - asked; n != 0 {
		t.Errorf("two idle contacts sent or asked for %d things in six hours", n)
	}
	bob.kill()
	took := w.Until("he is gone", func() bool { return alice.sees("bob") == linnet.Offline })
	t.Logf("noticed after %v", took)
	if took > 15*time.Minute {
		t.Errorf("noticed after %v", took)
	}
	bob.start()
	back := func() bool { return alice.sees("bob") == linnet.Online && bob.sees("alice") == linnet.Online }
	w.Until("he is back", back)

	// Whoever turns to somebody knows sooner, and asks once a minute at the most.
	turn := func() {
		alice.m.Check(w.Now, "bob")
		alice.m.Check(w.Now, "carol") // is no contact
		alice.Pump()
	}
	w.Run(time.Hour)
	before = len(w.Carried)
	for range 50 {
		turn()
		w.Run(time.Second)
	}
	if n := len(w.Carried) - before; n != 2 || !back() {
		t.Errorf("%d notices when nothing is wrong, want a question and its answer", n)
	}
	bob.kill()
	w.Run(time.Minute)
	turn()
	if took := w.Until("he is gone", func() bool { return alice.sees("bob") == linnet.Offline }); took > 40*time.Second {
		t.Errorf("noticed %v after she turned to him", took)
	}
}

// Who cannot be reached for a moment, because the supernodes change, is looked for again.
func TestNoWayForAMoment(t *testing.T) {
	w := newWorld(t, 6)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Minute)
	w.befriend(alice, bob)
	w.Run(time.Hour)
	for range 2 { // the second one after a look-up
		alice.m.Unreachable(w.Now, bob.ID.Node)
		alice.Pump()
		w.Run(2 * time.Second)
	}
	if p := alice.sees("bob"); p != linnet.Offline {
		t.Fatalf("he is %v", p)
	}
	if took := w.Until("she sees him again", func() bool { return alice.sees("bob") == linnet.Online }); took > time.Minute {
		t.Errorf("after %v", took)
	}
}

func TestDeclineAndAskAgain(t *testing.T) {
	w := newWorld(t, 4)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Minute)
	alice.ask("bob", "please")
	w.Until("it is there", func() bool { return bob.state("alice") == linnet.Asking })
	bob.answer("alice", false)
	w.Until("she knows", func() bool { return alice.state("bob") == linnet.Declined })
	if bob.state("alice") != linnet.NoContact {
		t.Errorf("he has her as %v", bob.state("alice"))
	}
	w.Run(time.Hour)
	if n := alice.told(linnet.EventContactDeclined); n != 1 {
		t.Errorf("she was told %d times", n)
	}
	alice.ask("bob", "pretty please")
	w.Until("it is there again", func() bool { return bob.state("alice") == linnet.Asking })
	if alice.state("bob") != linnet.Asked || bob.contact("alice").Message != "pretty please" {
		t.Errorf("she has him as %v, he reads %q", alice.state("bob"), bob.contact("alice").Message)
	}
	bob.answer("alice", true)
	w.Until("they are contacts", func() bool { return alice.state("bob") == linnet.Approved && bob.sees("alice") == linnet.Online })
}

// Requests that cross are answers to each other.
func TestRequestsCross(t *testing.T) {
	w := newWorld(t, 5)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Minute)
	alice.ask("bob", "")
	bob.ask("alice", "")
	w.Until("they are contacts", func() bool { return alice.sees("bob") == linnet.Online && bob.sees("alice") == linnet.Online })
	w.Run(time.Hour)
	letters := 0
	for _, c := range w.Carried {
		if c.Inner == message.InnerLetter {
			letters++
		}
	}
	if letters > 4 {
		t.Errorf("%d letters", letters)
	}
}

func TestRemove(t *testing.T) {
	w := newWorld(t, 6)
	alice, bob, carol := w.online("alice"), w.online("bob"), w.online("carol")
	w.Run(time.Minute)
	w.befriend(alice, bob)
	w.befriend(alice, carol)
	alice.remove("bob")
	w.Until("he knows", func() bool { return bob.state("alice") == linnet.Asked })
	w.Run(time.Minute)
	if bob.sees("alice") != linnet.Offline || alice.state("bob") != linnet.NoContact {
		t.Errorf("he sees her %v, she has him as %v", bob.sees("alice"), alice.state("bob"))
	}
	before := len(w.Carried)
	alice.say(linnet.Away, "")
	w.Until("others still see her", func() bool { return carol.sees("alice") == linnet.Away })
	for _, c := range w.Carried[before:] {
		if c.From == alice.Device && c.Inner == message.InnerNotice {
			if was := bob.sees("alice"); was != linnet.Offline {
				t.Fatal(was)
			}
			bob.m.Noticed(w.Now, alice.ID.Node, c.Body) // even if he gets hold of it
			if bob.Pump(); bob.sees("alice") != linnet.Offline {
				t.Error("who was removed reads a notice to others")
			}
		}
	}
	bob.ask("alice", "why?")
	w.Until("he may ask again", func() bool { return alice.state("bob") == linnet.Asking })
}

// Nothing of somebody blocked is noticed, and he notices nothing but that nobody is there.
func TestBlock(t *testing.T) {
	w := newWorld(t, 7)
	alice, bob, carol := w.online("alice"), w.online("bob"), w.online("carol")
	w.Run(time.Minute)
	w.befriend(alice, bob)
	w.befriend(bob, carol)
	bob.block("alice", true)
	w.Until("he is offline to her", func() bool { return alice.sees("bob") == linnet.Offline })
	events, before := len(bob.events), len(w.Carried)
	alice.say(linnet.Away, "look!")
	alice.ask("bob", "what did I do?")
	w.Run(time.Hour)
	alice.stop()
	alice.start()
	w.Run(time.Hour)
	if len(bob.events) != events {
		t.Errorf("he is told %+v", bob.events[events:])
	}
	for _, c := range w.Carried[before:] {
		if c.From == bob.Device && c.To == alice.Device {
			t.Errorf("he sends her %x", c.Inner)
		}
	}
	if alice.state("bob") != linnet.Approved || alice.sees("bob") != linnet.Offline || bob.state("alice") != linnet.Blocked {
		t.Errorf("she has him as %v and %v, he her as %v", alice.state("bob"), alice.sees("bob"), bob.state("alice"))
	}
	bob.say(linnet.DoNotDisturb, "")
	w.Until("others see him", func() bool { return carol.sees("bob") == linnet.DoNotDisturb })

	// Letters to somebody who blocked their sender go to the mailbox, and away unread.
	alice.ask("dave", "") // nothing
	bob.stop()
	alice.remove("bob")
	w.Run(time.Minute)
	alice.ask("bob", "once more")
	w.Run(time.Minute)
	if len(w.Mail) == 0 {
		t.Error("no letter in the mailbox: what is tested?")
	}
	bob.start()
	w.Run(10 * time.Minute)
	for _, i := range w.Mail {
		if i.Owner == "bob" {
			t.Error("a blocked one's letter fills the mailbox")
		}
	}
	if bob.state("alice") != linnet.Blocked || len(bob.m.Contacts()) != 2 {
		t.Errorf("%+v", bob.m.Contacts())
	}
	bob.block("alice", false)
	w.Run(time.Minute)
	alice.ask("bob", "thank you")
	w.Until("he hears her again", func() bool { return bob.state("alice") == linnet.Asking })
}

// What is decided on one device counts on all of the user's, and their state is
// that of the most inviting one.
func TestTwoDevices(t *testing.T) {
	w := newWorld(t, 8)
	alice, phone := w.online("alice"), w.device("alice", "phone")
	bob, tablet := w.online("bob"), w.device("bob", "tablet")
	phone.start()
	tablet.start()
	w.Run(time.Minute)
	tablet.stop()
	alice.ask("bob", "")
	w.Until("it is there", func() bool { return bob.state("alice") == linnet.Asking })
	w.Until("the phone has it, too", func() bool { return phone.state("bob") == linnet.Asked })
	bob.answer("alice", true)
	all := func(state linnet.ContactState, devices ...*device) func() bool {
		return func() bool {
			for _, d := range devices {
				other := linnet.UserName("bob")
				if d.User == "bob" {
					other = "alice"
				}
				if d.m != nil && d.state(other) != state {
					return false
				}
			}
			return true
		}
	}
	w.Until("all that are there know", all(linnet.Approved, alice, phone, bob))
	tablet.start()
	w.Until("the tablet learns it", all(linnet.Approved, tablet))
	w.Until("and sees her", func() bool { return tablet.sees("alice") == linnet.Online })

	for _, tt := range []struct{ laptop, phone, want linnet.Presence }{
		{linnet.Away, linnet.Online, linnet.Online},
		{linnet.Away, linnet.DoNotDisturb, linnet.Away},
		{linnet.Invisible, linnet.DoNotDisturb, linnet.DoNotDisturb},
		{linnet.Online, linnet.DoNotDisturb, linnet.Online},
	} {
		alice.say(tt.laptop, "")
		phone.say(tt.phone, "")
		w.Run(5 * time.Second)
		for _, d := range []*device{bob, tablet} {
			if d.sees("alice") != tt.want {
				t.Errorf("a laptop that is %v and a phone that is %v are %v, want %v", tt.laptop, tt.phone, d.sees("alice"), tt.want)
			}
		}
	}
	tablet.block("alice", true)
	w.Until("he blocks on all devices", all(linnet.Blocked, bob, tablet))
	w.Until("he is gone", func() bool { return alice.sees("bob") == linnet.Offline && phone.sees("bob") == linnet.Offline })
}

// A device that is signed in anew is another one: it has new keys, and what it
// kept is told again.
func TestSignedInAnew(t *testing.T) {
	w := newWorld(t, 9)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Minute)
	w.befriend(alice, bob)
	alice.stop()
	again := w.device("alice", "again")
	again.kept = alice.kept
	again.start()
	w.Until("he sees her", func() bool { return bob.sees("alice") == linnet.Online && again.sees("bob") == linnet.Online })
}

// Old notices are no news, whoever repeats them, and a device that was restarted
// takes none that is older than ten minutes.
func TestReplays(t *testing.T) {
	w := newWorld(t, 10)
	alice, bob := w.online("alice"), w.online("bob")
	w.Run(time.Minute)
	w.befriend(alice, bob)
	begin := len(w.Carried)
	alice.say(linnet.Away, "")
	w.Run(time.Minute)
	alice.say(linnet.Online, "")
	w.Run(time.Minute)
	alice.stop()
	w.Run(time.Minute)
	replay := func() {
		for _, c := range w.Carried[begin:] {
			if c.From == alice.Device && c.To == bob.Device {
				bob.Arrives(alice.ID.Node, c.Inner, c.Body)
				bob.Pump()
				if bob.sees("alice") != linnet.Offline {
					t.Fatalf("a replay made her %v", bob.sees("alice"))
				}
			}
		}
	}
	replay()
	bob.stop()
	bob.start()
	w.Run(11 * time.Minute)
	replay()
	eve := w.online("eve")
	w.Run(time.Minute)
	for _, c := range w.Carried[begin:] {
		if c.To == bob.Device {
			bob.Arrives(eve.ID.Node, c.Inner, c.Body)
			bob.Pump()
		}
	}
	if bob.sees("alice") != linnet.Offline || bob.state("eve") != linnet.NoContact {
		t.Error("somebody else's copies count")
	}
}

// Contacts from before there were requests are asked when the device comes.
func TestContactsOfBefore(t *testing.T) {
	w := newWorld(t, 11)
	alice, bob := w.device("alice", "device"), w.device("bob", "device")
	for d, other := range map[*device]linnet.UserName{alice: "bob", bob: "alice"} {
		d.kept.People = []presence.KeptPerson{{User: other, Name: "friend", Added: w.Now.Add(-time.Hour), State: linnet.Asked}}
	}
	alice.start()
	w.Run(time.Hour)
	if alice.state("bob") != linnet.Asked {
		t.Errorf("she has him as %v", alice.state("bob"))
	}
	bob.start()
	w.Run(3 * time.Hour) // his prekey was not there when she asked
	if a, b := alice.contact("bob"), bob.contact("alice"); a.State != linnet.Approved || b.State != linnet.Approved || a.Name != "friend" {
		t.Errorf("%+v, %+v", a, b)
	}
}

// Prekeys are replaced every week, and old ones erased.
func TestPrekeysRotate(t *testing.T) {
	w := newWorld(t, 12)
	w.IDs.Trust.Certificate = nil // not looked at here
	alice := w.online("alice")
	most := 0
	for range 60 {
		w.Run(24 * time.Hour)
		most = max(most, len(alice.kept.Prekeys))
		oldest := w.Now
		for _, p := range alice.kept.Prekeys {
			if p.Made.Before(oldest) {
				oldest = p.Made
			}
		}
		if age := w.Now.Sub(oldest); age > directory.PrekeyFor+24*time.Hour {
			t.Fatalf("a private half is %v old", age)
		}
		if p := alice.prekey; w.Now.Sub(p.Time) > directory.PrekeyEvery+24*time.Hour {
			t.Fatalf("the published one is %v old", w.Now.Sub(p.Time))
		}
	}
	if most < 4 || most > 6 {
		t.Errorf("%d prekeys at the most", most)
	}
}

// echo123 says yes to everybody, and a list has an end.
func TestAcceptAll(t *testing.T) {
	w := newWorld(t, 13)
	echo := w.device("echo123", "device")
	echo.accept = true
	echo.start()
	alice := w.online("alice")
	w.Run(time.Minute)
	alice.ask("echo123", "")
	w.Until("it answers", func() bool { return alice.sees("echo123") == linnet.Online })
}

func TestMistakes(t *testing.T) {
	w := newWorld(t, 14)
	alice := w.online("alice")
	w.Run(time.Second)
	long := string(make([]byte, 1000))
	for name, err := range map[string]error{
		"oneself":           alice.m.Ask(w.Now, "alice", "", ""),
		"a long message":    alice.m.Ask(w.Now, "bob", "", long),
		"a long mood":       alice.m.Say(w.Now, linnet.Online, long),
		"no text":           alice.m.Say(w.Now, linnet.Online, "\xff"),
		"offline":           alice.m.Say(w.Now, linnet.Offline, ""),
		"answering nobody":  alice.m.Answer(w.Now, "bob", true),
		"blocking oneself":  alice.m.Block(w.Now, "alice", true),
		"a name of a novel": alice.m.Ask(w.Now, "bob", long, ""),
	} {
		if err == nil || linnet.CodeOf(err) == linnet.CodeFailed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := alice.m.Block(w.Now, "bob", true); err != nil {
		t.Fatal(err)
	}
	if err := alice.m.Ask(w.Now, "bob", "", ""); linnet.CodeOf(err) != linnet.CodeUsage {
		t.Errorf("asking somebody blocked: %v", err)
	}
}
