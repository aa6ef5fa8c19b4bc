package presence_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/presence"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A world is devices of some users on virtual time, with what stands between
// them: a directory, mailboxes, prekeys, and supernodes that forward.
type world struct {
	t       testing.TB
	ids     *overlaytest.World
	now     time.Time
	rand    *rand.Rand
	events  alarm.Queue[func()]
	devices []*device
	mail    []directory.Item
	prekeys map[linnet.NodeID]*directory.Prekey

	loss    float64 // of what is forwarded
	twice   float64
	deaf    bool // mailboxes and directory do not answer
	log     []string
	carried []carried // everything that was forwarded
}

type carried struct {
	from, to *device
	forward  post.Forward
}

// A device is one machine of a user, with its disk.
type device struct {
	w        *world
	user     linnet.UserName
	id       overlay.Identity
	m        *presence.Machine // nil: it does not run
	life     int
	accept   bool
	kept     presence.Kept
	queue    []presence.Effect
	saving   bool
	wake     time.Time
	visible  bool // in the directory
	events   []linnet.Event
	watching int
	lookUps  int
}

const diskTime = 5 * time.Millisecond

func newWorld(t testing.TB, seed uint64) *world {
	ids := overlaytest.New(t, 1)
	return &world{t: t, ids: ids, now: ids.Now, rand: rand.New(rand.NewPCG(seed, 2)), prekeys: make(map[linnet.NodeID]*directory.Prekey)}
}

func (w *world) device(user linnet.UserName, name string) *device {
	d := &device{w: w, user: user, id: w.ids.Identity(user, name)}
	w.devices = append(w.devices, d)
	return d
}

// online makes a device of somebody that runs.
func (w *world) online(user linnet.UserName) *device {
	d := w.device(user, "device")
	d.start()
	return d
}

func (w *world) after(d time.Duration, do func()) { w.events.Set(w.now.Add(d), do) }

func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for {
		next := w.events.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		w.now = next
		do, _ := w.events.Pop(w.now)
		do()
	}
	w.now = end
}

// until runs until something is so.
func (w *world) until(what string, so func() bool) time.Duration {
	w.t.Helper()
	begin := w.now
	for !so() {
		if w.now.Sub(begin) > 30*time.Minute {
			w.t.Fatalf("in vain for half an hour: %s\n%s", what, w.story())
		}
		w.run(100 * time.Millisecond)
	}
	return w.now.Sub(begin)
}

func (w *world) story() string { return strings.Join(w.log[max(0, len(w.log)-60):], "\n") }

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, w.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (w *world) delay() time.Duration {
	return 20*time.Millisecond + time.Duration(w.rand.Int64N(int64(200*time.Millisecond)))
}

func (w *world) byNode(node linnet.NodeID) *device {
	for _, d := range w.devices {
		if d.id.Node == node {
			return d
		}
	}
	return nil
}

func (d *device) String() string { return fmt.Sprintf("%s/%s", d.user, d.id.Node.Short()) }

func (d *device) start() {
	d.w.t.Helper()
	m, err := presence.New(d.w.now, presence.Options{
		Self: d.id, User: d.user, Suite: suite.Modern(), Trust: d.w.ids.Trust, Rand: rand.New(rand.NewPCG(d.w.rand.Uint64(), 1)), Accept: d.accept,
	}, d.kept)
	if err != nil {
		d.w.t.Fatal(err)
	}
	d.w.note("%v starts", d)
	d.life++
	d.m, d.queue, d.saving, d.wake = m, nil, false, time.Time{}
	d.pump()
	d.later(time.Second, func() { d.m.Attached(d.w.now, true); d.publish() })
}

// publish puts the device into the directory, if it wants to be there.
func (d *device) publish() {
	if d.m.Mine().Presence == linnet.Invisible {
		return
	}
	d.later(300*time.Millisecond, func() {
		if d.m.Mine().Presence != linnet.Invisible {
			d.visible = true
			d.m.Published(d.w.now)
		}
	})
}

// later does something on a device that still runs then.
func (d *device) later(wait time.Duration, do func()) {
	life := d.life
	d.w.after(wait, func() {
		if d.m != nil && d.life == life {
			do()
			d.pump()
		}
	})
}

// kill is kill -9: what was not on disk is lost, and the directory believes for a
// while that it is there.
func (d *device) kill() {
	d.w.note("%v is killed", d)
	d.m, d.queue = nil, nil
	node, life := d.id.Node, d.life
	d.w.after(directory.FreshFor, func() {
		if d.life == life {
			d.w.byNode(node).visible = false
		}
	})
}

func (d *device) stop() {
	d.m.Leave(d.w.now)
	d.pump()
	d.visible = false
	d.w.note("%v stops", d)
	d.m, d.queue = nil, nil
}

// act is something that the user does.
func (d *device) act(what string, do func(now time.Time) error) {
	d.w.t.Helper()
	d.w.note("%v: %s", d, what)
	if err := do(d.w.now); err != nil {
		d.w.t.Fatalf("%v: %s: %v\n%s", d, what, err, d.w.story())
	}
	d.pump()
}

func (d *device) ask(user linnet.UserName, text string) {
	d.w.t.Helper()
	d.act("asks "+string(user), func(now time.Time) error { return d.m.Ask(now, user, "", text) })
}

func (d *device) answer(user linnet.UserName, yes bool) {
	d.w.t.Helper()
	d.act(fmt.Sprintf("says %v to %s", yes, user), func(now time.Time) error { return d.m.Answer(now, user, yes) })
}

func (d *device) block(user linnet.UserName, on bool) {
	d.w.t.Helper()
	d.act(fmt.Sprintf("blocks %s: %v", user, on), func(now time.Time) error { return d.m.Block(now, user, on) })
}

func (d *device) remove(user linnet.UserName) {
	d.w.t.Helper()
	d.act("removes "+string(user), func(now time.Time) error { return d.m.Remove(now, user) })
}

func (d *device) say(p linnet.Presence, mood string) {
	d.w.t.Helper()
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

// pump does what the machine wants, in order; what follows a Save waits for the disk.
func (d *device) pump() {
	if d.m == nil {
		return
	}
	d.queue = append(d.queue, d.m.Take()...)
	for len(d.queue) > 0 && !d.saving {
		e := d.queue[0]
		d.queue = d.queue[1:]
		if s, ok := e.(presence.Save); ok {
			d.saving = true
			d.later(diskTime, func() {
				d.saving = false
				d.kept = applied(d.kept, s)
			})
			continue
		}
		d.effect(e)
		d.queue = append(d.queue, d.m.Take()...)
	}
	if at := d.m.Deadline(); !at.IsZero() && (d.wake.IsZero() || at.Before(d.wake)) {
		d.wake = at
		d.later(max(at.Sub(d.w.now), 0), func() {
			if d.wake.Equal(at) {
				d.wake = time.Time{}
				d.m.Tick(d.w.now)
			}
		})
	}
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

func (d *device) effect(e presence.Effect) {
	w := d.w
	switch e := e.(type) {
	case post.Forward:
		w.forward(d, e)
	case presence.Tell:
		if c := e.Event.Contact; c != nil {
			w.note("%v is told %s: %s is %v, %v", d, e.Event.Kind, c.User, c.State, c.Presence)
		}
		d.events = append(d.events, e.Event)
	case presence.Changed:
		if e.Mine.Presence == linnet.Invisible {
			d.visible = false
		} else {
			d.publish()
		}
	case post.LookUp:
		d.lookUps++
		d.later(w.delay(), func() {
			if w.deaf {
				d.m.Found(w.now, e.User, nil, directory.ErrNoAnswer)
				return
			}
			var list []post.Device
			for _, x := range w.devices {
				if x.user == e.User && x.life > 0 {
					list = append(list, post.Device{Node: x.id.Node, Reachable: x.visible})
				}
			}
			d.m.Found(w.now, e.User, list, nil)
		})
	case presence.Watch:
		d.watching += len(e.Nodes)
		var gone []linnet.NodeID
		for _, node := range e.Nodes {
			if x := w.byNode(node); x == nil || x.m == nil {
				gone = append(gone, node)
			}
		}
		if len(gone) > 0 {
			d.later(w.delay(), func() { d.m.Gone(w.now, gone) })
		}
	case post.AskPrekeys:
		d.later(w.delay(), func() {
			if w.deaf {
				d.m.Prekeys(w.now, e.User, nil, directory.ErrNoAnswer)
				return
			}
			var list []*directory.Prekey
			for _, x := range w.devices {
				if p := w.prekeys[x.id.Node]; p != nil && x.user == e.User {
					list = append(list, p)
				}
			}
			d.m.Prekeys(w.now, e.User, list, nil)
		})
	case presence.PublishPrekey:
		d.later(w.delay(), func() {
			w.prekeys[d.id.Node] = &directory.Prekey{Public: e.Public, Time: e.Made, User: d.user, Node: d.id.Node}
			d.m.PrekeyPublished(w.now, e.Public, nil)
		})
	case post.PutMail:
		w.put(d, e)
	case presence.CheckMail:
		d.later(w.delay(), func() {
			if w.deaf {
				return
			}
			var items []*directory.Item
			for i := range w.mail {
				if x := &w.mail[i]; x.Owner == d.user && (x.Device.IsZero() || x.Device == d.id.Node) && d.m.Wants(x.ID) {
					items = append(items, x)
				}
			}
			d.m.Mail(w.now, items, false)
		})
	case post.RemoveMail:
		w.mail = slices.DeleteFunc(slices.Clone(w.mail), func(x directory.Item) bool { return slices.Contains(e.IDs, x.ID) })
	default:
		w.t.Fatalf("%T", e)
	}
}

// put is what a mailbox does: many items of contacts, one small one of strangers.
func (w *world) put(d *device, e post.PutMail) {
	i := directory.Item{Certificate: d.id.Certificate, Owner: e.To, Device: e.Device, Time: w.now, Box: e.Box, Pass: e.Pass}
	var err error
	b, signErr := i.Sign(d.id.Keys)
	if signErr != nil {
		w.t.Errorf("%v leaves what no mailbox takes: %v", d, signErr)
		err = directory.ErrMailRefused
	} else if opened, openErr := directory.OpenItem(w.ids.Trust, b, w.now); openErr != nil {
		err = directory.ErrMailRefused
	} else {
		i = *opened
	}
	from := func(x directory.Item) bool { return x.Owner == e.To && x.From == d.user && !x.Contact }
	w.note("%v leaves mail for %s (%s), %v", d, e.To, e.Device.Short(), err)
	stored := w.delay()
	w.after(stored, func() {
		switch {
		case err != nil:
		case w.deaf:
			err = directory.ErrNoAnswer
		case !i.Contact && slices.ContainsFunc(w.mail, from):
			err = directory.ErrMailFull
		case slices.ContainsFunc(w.mail, func(x directory.Item) bool { return x.ID == i.ID }):
		default:
			w.mail = append(w.mail, i)
		}
	})
	d.later(stored+w.delay(), func() { d.m.MailPut(w.now, e.Ticket, err) })
}

func (w *world) forward(d *device, e post.Forward) {
	to := w.byNode(e.To)
	w.carried = append(w.carried, carried{d, to, e})
	if to == nil || to.m == nil {
		d.later(w.delay(), func() { d.m.Unreachable(w.now, e.To) })
		return
	}
	if e.Inner != message.InnerNotice {
		w.note("%v sends %v %x", d, to, e.Inner)
	}
	times := 1
	if w.rand.Float64() < w.twice {
		times = 2
	}
	for range times {
		if w.rand.Float64() >= w.loss {
			to.later(w.delay(), func() { to.arrives(d.id.Node, e.Inner, e.Body) })
		}
	}
}

// arrives is what comes through supernodes, which vouch for its sender.
func (d *device) arrives(from linnet.NodeID, inner uint32, body []byte) {
	switch inner {
	case message.InnerNotice:
		d.m.Noticed(d.w.now, from, body)
	case message.InnerLetter:
		d.m.Straight(d.w.now, from, body)
	case message.InnerTaken:
		if len(body) == len(presence.LetterID{}) {
			d.m.Taken(d.w.now, from, presence.LetterID(body))
		}
	}
}

// befriend makes people contacts of one another.
func (w *world) befriend(a, b *device) {
	w.t.Helper()
	a.ask(b.user, "")
	w.until("the request is there", func() bool { return b.state(a.user) == linnet.Asking })
	b.answer(a.user, true)
	w.until("both are online to each other", func() bool {
		return a.sees(b.user) == linnet.Online && b.sees(a.user) == linnet.Online
	})
}
