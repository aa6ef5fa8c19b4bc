package chat_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A world is devices of some users on virtual time, with what stands between
// them: a directory, mailboxes, prekeys, and supernodes that forward.
type world struct {
	t       testing.TB
	ids     *overlaytest.World
	suite   suite.SealSuite
	now     time.Time
	rand    *rand.Rand
	events  alarm.Queue[func()]
	devices []*device
	mail    []mailed
	asked   int // of directory and mailboxes

	loss, twice float64 // of what is forwarded
	deaf        bool    // mailboxes and directory do not answer
	strangers   bool    // nobody is a contact
	log         []string
}

type mailed struct {
	id  message.MailID
	put post.PutMail
	by  linnet.UserName
}

// A device is one machine of a user, with its disk.
type device struct {
	w      *world
	user   linnet.UserName
	id     overlay.Identity
	public []byte
	secret []byte
	m      *chat.Machine // nil: it does not run
	life   int
	disk   disk
	queue  []any
	saving bool
	full   bool // the disk
	wake   time.Time
	left   map[message.MailID]bool
	events []linnet.Event
	hints  []chat.Hint
}

const diskTime = 5 * time.Millisecond

func newWorld(t testing.TB, seed uint64) *world {
	ids := overlaytest.New(t, 1)
	return &world{t: t, ids: ids, suite: suite.Modern(), now: ids.Now, rand: rand.New(rand.NewPCG(seed, 2))}
}

func (w *world) device(user linnet.UserName, name string) *device {
	public, secret, err := w.suite.NewPrekey()
	if err != nil {
		w.t.Fatal(err)
	}
	d := &device{w: w, user: user, id: w.ids.Identity(user, name), public: public, secret: secret, disk: newDisk(user)}
	w.devices = append(w.devices, d)
	return d
}

// online makes a device of somebody that runs.
func (w *world) online(user linnet.UserName) *device {
	d := w.device(user, "device")
	d.start()
	w.run(2 * time.Second)
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
		w.run(10 * time.Millisecond)
	}
	return w.now.Sub(begin)
}

func (w *world) story() string { return strings.Join(w.log[max(0, len(w.log)-60):], "\n") }

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, w.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (w *world) delay() time.Duration {
	return 20*time.Millisecond + time.Duration(w.rand.Int64N(int64(100*time.Millisecond)))
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
	d.m = chat.New(d.w.now, chat.Options{
		Self: d.id, User: d.user, Suite: d.w.suite, Rand: rand.New(rand.NewPCG(d.w.rand.Uint64(), 1)),
		State: func(linnet.UserName) linnet.ContactState {
			if d.w.strangers {
				return linnet.NoContact
			}
			return linnet.Approved
		},
		Pass: func(linnet.UserName) []byte {
			if d.w.strangers {
				return nil
			}
			return []byte("pass")
		},
	}, d.disk.kept())
	d.w.note("%v starts", d)
	d.life++
	d.queue, d.saving, d.wake, d.left = nil, false, time.Time{}, make(map[message.MailID]bool)
	d.pump()
	d.later(time.Second, func() {
		d.m.Attached(d.w.now, true)
		for _, x := range d.w.devices {
			if x.user != d.user {
				x.later(d.w.delay(), func() { x.m.There(d.w.now, d.user) })
			}
		}
	})
	for _, at := range []time.Duration{2 * time.Second, 3 * time.Minute} {
		d.later(at, d.checkMail)
	}
	d.everySixHours()
}

func (d *device) everySixHours() {
	d.later(6*time.Hour, func() { d.checkMail(); d.everySixHours() })
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

// kill is kill -9: what was not on disk is lost.
func (d *device) kill() {
	d.w.note("%v is killed", d)
	d.m, d.queue = nil, nil
}

// act is something that the user does.
func (d *device) act(what string, do func(now time.Time) error) error {
	d.w.note("%v: %s", d, what)
	err := do(d.w.now)
	d.pump()
	return err
}

func (d *device) send(to linnet.UserName, text string) linnet.MessageID {
	d.w.t.Helper()
	id := linnet.NewMessageID()
	if err := d.act("says "+text, func(now time.Time) error { return d.m.Send(now, to, chat.Draft{ID: id, Text: text}) }); err != nil {
		d.w.t.Fatal(err)
	}
	return id
}

func (d *device) readAll(from linnet.UserName) {
	var ids []linnet.MessageID
	for _, x := range d.disk.list(from) {
		if x.State == linnet.MessageReceived {
			ids = append(ids, x.ID)
		}
	}
	d.act("reads", func(now time.Time) error { d.m.Read(now, from, ids); return nil })
}

func (d *device) find(with linnet.UserName, id linnet.MessageID) linnet.Message {
	return d.disk.messages[at{with, id}]
}

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
	for _, e := range d.m.Take() {
		d.queue = append(d.queue, e)
	}
	for len(d.queue) > 0 && !d.saving {
		e := d.queue[0]
		d.queue = d.queue[1:]
		if s, ok := e.(chat.Save); ok {
			d.saving = true
			d.later(diskTime, func() {
				d.saving = false
				if d.full {
					d.m.NotSaved(s)
					for _, e := range d.queue {
						if s, ok := e.(chat.Save); ok {
							d.m.NotSaved(s)
						}
					}
					d.queue = nil
					return
				}
				d.events = append(d.events, d.disk.save(s).Events(d.w.now)...)
			})
			continue
		}
		d.effect(e)
		for _, e := range d.m.Take() {
			d.queue = append(d.queue, e)
		}
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

func (d *device) effect(e any) {
	w := d.w
	answer := func(do func(), instead func()) {
		w.asked++
		d.later(w.delay(), func() {
			if w.deaf {
				instead()
			} else {
				do()
			}
		})
	}
	switch e := e.(type) {
	case post.Forward:
		w.forward(d, e)
	case chat.Tell:
		d.events = append(d.events, e.Event)
	case chat.Hint:
		d.hints = append(d.hints, e)
		if to := w.byNode(e.To); to != nil {
			to.later(w.delay(), func() { to.m.Typed(w.now, d.user, e.On) })
		}
	case post.LookUp:
		answer(func() {
			var list []post.Device
			for _, x := range w.devices {
				if x.user == e.User {
					list = append(list, post.Device{Node: x.id.Node, Reachable: x.m != nil})
				}
			}
			d.m.Found(w.now, e.User, list, nil)
		}, func() { d.m.Found(w.now, e.User, nil, directory.ErrNoAnswer) })
	case post.AskPrekeys:
		answer(func() {
			var list []*directory.Prekey
			for _, x := range w.devices {
				if x.user == e.User {
					list = append(list, &directory.Prekey{Public: x.public, Time: w.ids.Now, User: x.user, Node: x.id.Node})
				}
			}
			d.m.Prekeys(w.now, e.User, list, nil)
		}, func() { d.m.Prekeys(w.now, e.User, nil, directory.ErrNoAnswer) })
	case post.PutMail:
		w.put(d, e)
	case post.RemoveMail:
		w.mail = slices.DeleteFunc(slices.Clone(w.mail), func(x mailed) bool { return slices.Contains(e.IDs, x.id) })
	case post.LeaveMail:
		delete(d.left, e.ID)
	default:
		w.t.Fatalf("%T", e)
	}
}

// put is what a mailbox does: many items of contacts, one small one of strangers.
func (w *world) put(d *device, e post.PutMail) {
	w.note("%v leaves mail for %s (%s), %d bytes", d, e.To, e.Device.Short(), len(e.Box))
	var err error
	stored := w.delay()
	w.after(stored, func() {
		switch {
		case w.deaf:
			err = directory.ErrNoAnswer
		case len(e.Box) > directory.MaxItem, e.Pass == nil && e.To != d.user && len(e.Box) > directory.RequestRoom(d.id.Certificate):
			err = directory.ErrItemSize
		case e.Pass == nil && slices.ContainsFunc(w.mail, func(x mailed) bool { return x.put.To == e.To && x.by == d.user && x.put.Pass == nil }):
			err = directory.ErrMailFull
		default:
			w.mail = append(w.mail, mailed{message.MailID(linnet.NewMessageID()), e, d.user})
		}
	})
	d.later(stored+w.delay(), func() { d.m.MailPut(w.now, e.Ticket, err) })
}

func (d *device) checkMail() {
	w := d.w
	d.later(w.delay(), func() {
		for _, x := range slices.Clone(w.mail) {
			if w.deaf || x.put.To != d.user || !x.put.Device.IsZero() && x.put.Device != d.id.Node || d.left[x.id] {
				continue
			}
			l, err := d.open(x.put.Box)
			if err != nil {
				w.t.Fatalf("%v opens mail: %v", d, err)
			}
			d.left[x.id] = true
			w.note("%v has mail of %s", d, l.From)
			d.m.Arrived(w.now, post.Arrival{Letter: l, Mail: x.id})
		}
	})
}

func (d *device) open(box []byte) (*directory.Letter, error) {
	return directory.OpenLetter(d.w.suite, d.w.ids.Trust, d.user, box, func(id suite.PrekeyID) []byte {
		if id == suite.PrekeyIDOf(d.public) {
			return d.secret
		}
		return nil
	}, d.w.now)
}

func (w *world) forward(d *device, e post.Forward) {
	to := w.byNode(e.To)
	if to == nil || to.m == nil {
		d.later(w.delay(), func() { d.m.Unreachable(w.now, e.To) })
		return
	}
	w.note("%v sends %v %x", d, to, e.Inner)
	times := 1
	if w.rand.Float64() < w.twice {
		times = 2
	}
	for range times {
		if w.rand.Float64() < w.loss {
			continue
		}
		to.later(w.delay(), func() {
			switch e.Inner {
			case message.InnerLetter:
				if l, err := to.open(e.Body); err != nil || l.Sender != d.id.Node {
					w.t.Fatalf("%v opens a letter of %v: %v", to, d, err)
				} else {
					to.m.Arrived(w.now, post.Arrival{Letter: l})
				}
			case message.InnerTaken:
				to.m.Taken(w.now, d.id.Node, directory.LetterID(e.Body))
			}
		})
	}
}

// disk is what package store does, in memory.
type disk struct {
	owner     linnet.UserName
	messages  map[at]linnet.Message
	reactions map[reactionAt]linnet.Reaction
	outbox    []chat.Entry
}

type at struct {
	peer linnet.UserName
	id   linnet.MessageID
}

type reactionAt struct {
	at
	user linnet.UserName
}

func newDisk(owner linnet.UserName) disk {
	return disk{owner: owner, messages: make(map[at]linnet.Message), reactions: make(map[reactionAt]linnet.Reaction)}
}

func (d *disk) save(s chat.Save) (saved chat.Saved) {
	changed := func(m linnet.Message, fresh bool) {
		d.messages[at{m.User, m.ID}] = m
		saved.Messages = append(saved.Messages, chat.Changed{New: fresh, Message: m})
	}
	for _, m := range s.Messages {
		old, found := d.messages[at{m.User, m.ID}]
		if !found {
			changed(m, true)
		} else if m, is := chat.Merge(old, m); is {
			changed(m, false)
		}
	}
	for _, r := range s.Reactions {
		k := reactionAt{at{r.Peer, r.Message}, r.User}
		d.reactions[k] = chat.MergeReaction(d.reactions[k], r.Reaction)
	}
	for _, k := range s.Marks {
		m, found := d.messages[at{k.Peer, k.Message}]
		if found && m.Own() != k.Theirs && m.State < k.State {
			m.State = k.State
			changed(m, false)
		}
	}
	for _, e := range s.Queue {
		if !slices.Contains(d.outbox, e) {
			d.outbox = append(d.outbox, e)
		}
	}
	d.outbox = slices.DeleteFunc(d.outbox, func(e chat.Entry) bool { return slices.Contains(s.Done, e) })
	return saved
}

func (d *disk) kept() chat.Kept {
	k := chat.Kept{Talks: make(map[linnet.UserName]chat.Position), Outbox: slices.Clone(d.outbox)}
	for _, m := range d.messages {
		p := k.Talks[m.User]
		p.Highest = max(p.Highest, m.Position)
		if m.Own() {
			p.Own++
		} else {
			p.Theirs++
		}
		k.Talks[m.User] = p
	}
	for _, peer := range slices.Sorted(maps.Keys(k.Talks)) {
		k.Messages = append(k.Messages, d.list(peer)...)
	}
	return k
}

// list is a conversation in its order, with the reactions.
func (d *disk) list(peer linnet.UserName) (list []linnet.Message) {
	for k, m := range d.messages {
		if k.peer != peer {
			continue
		}
		for _, user := range []linnet.UserName{d.owner, peer} {
			if r := d.reactions[reactionAt{k, user}]; r.Emoji != "" {
				m.Reactions = append(m.Reactions, r)
			}
		}
		slices.SortFunc(m.Reactions, func(a, b linnet.Reaction) int { return strings.Compare(string(a.User), string(b.User)) })
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b linnet.Message) int {
		if a.Position != b.Position {
			return int(int64(a.Position) - int64(b.Position))
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	return list
}
