package chat_test

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// Two people write while both are there, and while one is away.
func TestStory(t *testing.T) {
	w := newWorld(t, 1)
	alice, bob := w.online("alice"), w.online("bob")
	first := alice.send("bob", "hello")
	w.Until("it is there", func() bool { return bob.find("alice", first).Text == "hello" })
	w.Until("she knows", func() bool { return alice.find("bob", first).State == linnet.MessageDelivered })
	w.Run(5 * time.Second) // she has no other device
	asked := w.Asked
	second := alice.send("bob", "again")
	if took := w.Until("the next one is there", func() bool { return bob.find("alice", second).Text != "" }); took > time.Second {
		t.Errorf("the next one took %v", took)
	}
	w.Run(time.Second)
	if w.Asked != asked {
		t.Errorf("%d questions for what is remembered", w.Asked-asked)
	}
	bob.readAll("alice")
	w.Until("it is read", func() bool { return alice.find("bob", second).State == linnet.MessageRead })
	alice.Act("types", func(now time.Time) error { alice.m.Typing(now, "bob", true); return nil })
	w.Run(time.Second)
	if len(alice.hints) != 1 || bob.told(linnet.EventTyping) != 1 || bob.told(linnet.EventMessage) != 2 {
		t.Errorf("hints %v, events %+v", alice.hints, bob.events)
	}
	bob.kill()
	away := alice.send("bob", "are you there?")
	w.Until("it is stored", func() bool { return alice.find("bob", away).State == linnet.MessageStored })
	bob.start()
	w.Until("he has it", func() bool { return bob.find("alice", away).Text != "" })
	w.Until("she knows", func() bool { return alice.find("bob", away).State == linnet.MessageDelivered })

	bob.full = true // the disk: nothing is acknowledged
	lost := alice.send("bob", "much")
	w.Run(time.Minute)
	if s := alice.find("bob", lost).State; s >= linnet.MessageDelivered {
		t.Errorf("what is on no disk is %v", s)
	}
	bob.full = false
	bob.kill()
	bob.start()
	w.Until("he has it", func() bool { return bob.find("alice", lost).Text != "" })
}
