package presence_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/post/posttest"
	"github.com/linnet-p2p/linnet/presence"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A world is devices of some users who want to know how the others are.
type world struct {
	*posttest.World
	devices []*device
}

// A device is one machine of a user, with its disk.
type device struct {
	*posttest.Device
	w       *world
	m       *presence.Machine // nil: it does not run
	accept  bool
	kept    presence.Kept
	visible bool // in the directory
	prekey  *directory.Prekey
	events  []linnet.Event
	looks   int // into the mailbox
}

func newWorld(t testing.TB, seed uint64) *world { return &world{World: posttest.New(t, seed)} }

func (w *world) device(user linnet.UserName, name string) *device {
	d := &device{w: w}
	d.Device = w.Add(user, name, d)
	w.devices = append(w.devices, d)
	return d
}

// online makes a device of somebody that runs.
func (w *world) online(user linnet.UserName) *device {
	d := w.device(user, "device")
	d.start()
	return d
}

func (d *device) start() {
	d.w.T.Helper()
	var err error
	d.m, err = presence.New(d.w.Now, presence.Options{
		Self: d.ID, User: d.User, Suite: suite.Modern(), Trust: d.w.IDs.Trust, Rand: rand.New(rand.NewPCG(d.w.Rand.Uint64(), 1)), Accept: d.accept,
	}, d.kept)
	if err != nil {
		d.w.T.Fatal(err)
	}
	d.Start(d.m)
	d.Later(time.Second, func() { d.m.Attached(d.w.Now, true); d.publish() })
}

// publish puts the device into the directory, if it wants to be there.
func (d *device) publish() {
	if d.m.Mine().Presence == linnet.Invisible {
		return
	}
	d.Later(300*time.Millisecond, func() {
		if d.m.Mine().Presence != linnet.Invisible {
			d.visible = true
			d.m.Published(d.w.Now)
		}
	})
}

// kill is kill -9: the directory believes for a while that the device is there.
func (d *device) kill() {
	d.m = nil
	d.End()
	life := d.Life
	d.w.After(directory.FreshFor, func() {
		if d.Life == life {
			d.visible = false
		}
	})
}

func (d *device) stop() {
	d.m.Leave(d.w.Now)
	d.Pump()
	d.m, d.visible = nil, false
	d.End()
}

// act is something that the user does.
func (d *device) act(what string, do func(now time.Time) error) {
	d.w.T.Helper()
	if err := d.Act(what, do); err != nil {
		d.w.T.Fatalf("%v: %s: %v\n%s", d, what, err, d.w.Story())
	}
}

func (d *device) ask(user linnet.UserName, text string) {
	d.w.T.Helper()
	d.act("asks "+string(user), func(now time.Time) error { return d.m.Ask(now, user, "", text) })
}

func (d *device) answer(user linnet.UserName, yes bool) {
	d.w.T.Helper()
	d.act(fmt.Sprintf("says %v to %s", yes, user), func(now time.Time) error { return d.m.Answer(now, user, yes) })
}

func (d *device) block(user linnet.UserName, on bool) {
	d.w.T.Helper()
	d.act(fmt.Sprintf("blocks %s: %v", user, on), func(now time.Time) error { return d.m.Block(now, user, on) })
}

func (d *device) remove(user linnet.UserName) {
	d.w.T.Helper()
	d.act("removes "+string(user), func(now time.Time) error { return d.m.Remove(now, user) })
}

func (d *device) say(p linnet.Presence, mood string) {
	d.w.T.Helper()
	d.act(fmt.Sprintf("is %v %q", p, mood), func(now time.Time) error { return d.m.Say(now, p, mood) })
}

func (d *device) contact(user linnet.UserName) linnet.Contact {
	for _, c := range d.m.Contacts() {
		if c.User == user {
			return c
		}
	}
	return linnet.Contact{}
}

func (d *device) state(user linnet.UserName) linnet.ContactState { return d.contact(user).State }

// sees says how a contact is, as the device's front ends show it.
func (d *device) sees(user linnet.UserName) linnet.Presence { return d.contact(user).Presence }

func (d *device) told(kind linnet.EventKind) (n int) {
	for _, e := range d.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// applied is a disk after a Save.
func applied(k presence.Kept, s presence.Save) presence.Kept {
	if s.Self != nil {
		k.Self = s.Self
	}
	people := make(map[linnet.UserName]presence.KeptPerson)
	for _, p := range append(slices.Clone(k.People), s.People...) {
		people[p.User] = p
	}
	for _, user := range s.Forget {
		delete(people, user)
	}
	k.People = nil
	for _, user := range slices.Sorted(maps.Keys(people)) {
		k.People = append(k.People, people[user])
	}
	k.Prekeys = slices.DeleteFunc(slices.Clone(k.Prekeys), func(p presence.Prekey) bool {
		return s.Prekey != nil && slices.Equal(p.Public, s.Prekey.Public) ||
			slices.ContainsFunc(s.Erase, func(b []byte) bool { return slices.Equal(b, p.Public) })
	})
	if s.Prekey != nil {
		k.Prekeys = append(k.Prekeys, *s.Prekey)
	}
	return k
}

// Save implements posttest.Host.
func (d *device) Save(e any) (func(), bool) {
	s, is := e.(presence.Save)
	return func() { d.kept = applied(d.kept, s) }, is
}

// Effect implements posttest.Host.
func (d *device) Effect(e any) {
	w := d.w
	switch e := e.(type) {
	case presence.Tell:
		if c := e.Event.Contact; c != nil {
			w.Note("%v is told %s: %s is %v, %v", d, e.Event.Kind, c.User, c.State, c.Presence)
		}
		d.events = append(d.events, e.Event)
	case presence.Changed:
		if e.Mine.Presence == linnet.Invisible {
			d.visible = false
		} else {
			d.publish()
		}
	case presence.Watch:
		var gone []linnet.NodeID
		for _, node := range e.Nodes {
			if x := w.ByNode(node); x == nil || !x.Runs() {
				gone = append(gone, node)
			}
		}
		if len(gone) > 0 {
			d.Later(w.Delay(), func() { d.m.Gone(w.Now, gone) })
		}
	case presence.PublishPrekey:
		d.Later(w.Delay(), func() {
			d.prekey = &directory.Prekey{Public: e.Public, Time: e.Made, User: d.User, Node: d.ID.Node}
			d.m.PrekeyPublished(w.Now, e.Public, nil)
		})
	case presence.CheckMail:
		d.looks++
		d.LookForMail(d.m.Wants, func(items []*directory.Item) { d.m.Mail(w.Now, items, false) })
	default:
		w.T.Fatalf("%T", e)
	}
}

// Listed implements posttest.Host.
func (d *device) Listed() (known, reachable bool) { return d.Life > 0, d.visible }

// Prekey implements posttest.Host.
func (d *device) Prekey() *directory.Prekey { return d.prekey }

// Arrives implements posttest.Host.
func (d *device) Arrives(from linnet.NodeID, inner uint32, body []byte) {
	switch inner {
	case message.InnerNotice:
		d.m.Noticed(d.w.Now, from, body)
	case message.InnerLetter:
		d.m.Straight(d.w.Now, from, body)
	case message.InnerTaken:
		if len(body) == len(presence.LetterID{}) {
			d.m.Taken(d.w.Now, from, presence.LetterID(body))
		}
	case message.InnerMail:
		d.m.MailWaits(d.w.Now)
	}
}

// befriend makes people contacts of one another.
func (w *world) befriend(a, b *device) {
	w.T.Helper()
	a.ask(b.User, "")
	w.Until("the request is there", func() bool { return b.state(a.User) == linnet.Asking })
	b.answer(a.User, true)
	w.Until("both are online to each other", func() bool {
		return a.sees(b.User) == linnet.Online && b.sees(a.User) == linnet.Online
	})
}
