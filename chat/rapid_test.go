package chat_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
)

// TestBothSidesAgree lets two people write, edit, delete, react and read at any time,
// on a network that loses, doubles and reorders, with devices that are killed, and then
// looks whether all devices hold the same conversation.
func TestBothSidesAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rapid.Uint64().Draw(rt, "seed"))
		w.Loss = rapid.Float64Range(0, 0.5).Draw(rt, "loss")
		w.Twice = rapid.Float64Range(0, 0.3).Draw(rt, "twice")
		w.device("alice", "device")
		w.device("bob", "device")
		if rapid.Bool().Draw(rt, "three devices") {
			w.device("bob", "phone")
		}
		for _, d := range w.devices {
			d.start()
		}
		other := map[linnet.UserName]linnet.UserName{"alice": "bob", "bob": "alice"}
		kinds := []string{"send", "send", "send", "edit", "delete", "react", "read", "kill", "start", "deaf", "wait"}
		n := 0
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			d := w.devices[rapid.IntRange(0, len(w.devices)-1).Draw(rt, "who")]
			peer := other[d.User]
			what := rapid.SampledFrom(kinds).Draw(rt, "what")
			n++
			text := fmt.Sprint(what, n)
			list := d.disk.list(peer)
			var m linnet.Message
			if len(list) > 0 {
				m = list[rapid.IntRange(0, len(list)-1).Draw(rt, "which")]
			}
			switch {
			case what == "deaf":
				w.Deaf = !w.Deaf
			case what == "wait":
				w.Run(time.Duration(rapid.IntRange(0, 600).Draw(rt, "seconds")) * time.Second)
			case what == "start" && d.m == nil:
				d.start()
			case d.m == nil:
			case what == "kill":
				d.kill()
			case what == "send":
				d.send(peer, text)
			case what == "read":
				d.readAll(peer)
			case len(list) == 0:
			case what == "react":
				d.Act(text, func(now time.Time) error { return d.m.React(now, m, []string{"", "👍", "👎"}[n%3]) })
			case what == "edit":
				d.Act(text, func(now time.Time) error { return d.m.Edit(now, m, text) })
			case what == "delete":
				d.Act(text, func(now time.Time) error { return d.m.Delete(now, m) })
			}
			w.Run(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
		}
		w.Deaf, w.Loss = false, 0
		for _, d := range w.devices {
			if d.m == nil {
				d.start()
			}
		}
		w.Run(24 * time.Hour)
		fail := func(format string, args ...any) {
			rt.Fatalf("%s\n%s", fmt.Sprintf(format, args...), w.Story())
		}
		first := plain(w.devices[0], "bob")
		for _, d := range w.devices {
			if got := plain(d, other[d.User]); !reflect.DeepEqual(got, first) {
				fail("%v has\n%+v\nalice has\n%+v", d, got, first)
			}
			if len(d.disk.outbox) > 0 {
				fail("%v has yet to tell %+v", d, d.disk.outbox)
			}
			for _, m := range d.disk.list(other[d.User]) {
				if m.Own() && m.Device == d.ID.Node && m.State < linnet.MessageDelivered {
					fail("%v has %q as %v", d, m.Text, m.State)
				}
			}
		}
		if len(w.Mail) > 0 {
			fail("%d letters are left in mailboxes", len(w.Mail))
		}
	})
}

// plain is a conversation without what is each side's own.
func plain(d *device, peer linnet.UserName) []linnet.Message {
	list := d.disk.list(peer)
	for i := range list {
		m := &list[i]
		m.User, m.Device, m.State = "", linnet.NodeID{}, 0 // it may be another device that told of it first
		m.Sent, m.Edited, m.Deleted = m.Sent.UTC(), m.Edited.UTC(), m.Deleted.UTC()
		for j := range m.Reactions {
			m.Reactions[j].Time = m.Reactions[j].Time.UTC()
		}
	}
	return list
}

// Copies of the same letters in any order make the same conversation, and each line
// is told as new once.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		id := linnet.MessageID{1}
		first := linnet.Message{ID: id, User: "bob", Author: "bob", Text: "a", Position: 1}
		edit, gone := first, first
		edit.Text, edit.Edited = "b", time.UnixMilli(5)
		gone.Deleted, gone.Text = time.UnixMilli(6), ""
		up := chat.Reaction{Peer: "bob", Message: id, Reaction: linnet.Reaction{User: "bob", Emoji: "👍", Time: time.UnixMilli(1)}}
		down := up
		down.Emoji, down.Time = "", time.UnixMilli(2)
		saves := []chat.Save{{Messages: []linnet.Message{first}}, {Messages: []linnet.Message{edit}}, {Reactions: []chat.Reaction{up}}, {Reactions: []chat.Reaction{down}}}
		if rapid.Bool().Draw(rt, "deleted") {
			saves = append(saves, chat.Save{Messages: []linnet.Message{gone}})
		}
		a, b := newDisk("alice"), newDisk("alice")
		fresh := 0
		for _, s := range saves {
			a.save(s)
		}
		for _, s := range append(rapid.Permutation(saves).Draw(rt, "order"), rapid.Permutation(saves).Draw(rt, "again")...) {
			fresh += len(slices.DeleteFunc(b.save(s).Messages, func(c chat.Changed) bool { return !c.New }))
		}
		if x, y := a.list("bob"), b.list("bob"); !reflect.DeepEqual(x, y) || fresh != 1 {
			rt.Fatalf("%d new ones\n%+v\n%+v", fresh, x, y)
		}
	})
}
