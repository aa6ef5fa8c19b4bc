package chat_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/post/posttest"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A world is devices of some users whose conversations are looked at.
type world struct {
	*posttest.World
	suite     suite.SealSuite
	devices   []*device
	strangers bool // nobody is a contact
}

// A device is one machine of a user, with its disk.
type device struct {
	*posttest.Device
	w      *world
	public []byte
	secret []byte
	m      *chat.Machine // nil: it does not run
	disk   disk
	full   bool // the disk
	left   map[message.MailID]bool
	passes map[linnet.UserName][]byte
	events []linnet.Event
	hints  []chat.Hint
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{World: posttest.New(t, seed), suite: suite.Modern()}
}

func (w *world) device(user linnet.UserName, name string) *device {
	public, secret, err := w.suite.NewPrekey()
	if err != nil {
		w.T.Fatal(err)
	}
	d := &device{w: w, public: public, secret: secret, disk: newDisk(user), passes: make(map[linnet.UserName][]byte)}
	d.Device = w.Add(user, name, d)
	w.devices = append(w.devices, d)
	return d
}

// online makes a device of somebody that runs.
func (w *world) online(user linnet.UserName) *device {
	d := w.device(user, "device")
	d.start()
	w.Run(2 * time.Second)
	return d
}

func (d *device) start() {
	d.m = chat.New(d.w.Now, chat.Options{
		Self: d.ID, User: d.User, Suite: d.w.suite, Rand: rand.New(rand.NewPCG(d.w.Rand.Uint64(), 1)),
		State: func(linnet.UserName) linnet.ContactState {
			if d.w.strangers {
				return linnet.NoContact
			}
			return linnet.Approved
		},
		Pass: d.pass,
	}, d.disk.kept())
	d.left = make(map[message.MailID]bool)
	d.Start(d.m)
	d.Later(time.Second, func() {
		d.m.Attached(d.w.Now, true)
		for _, x := range d.w.devices {
			if x.User != d.User {
				x.Later(d.w.Delay(), func() { x.m.There(d.w.Now, d.User) })
			}
		}
	})
	for _, at := range []time.Duration{2 * time.Second, 3 * time.Minute} {
		d.Later(at, d.checkMail)
	}
	d.everySixHours()
}

func (d *device) everySixHours() {
	d.Later(6*time.Hour, func() { d.checkMail(); d.everySixHours() })
}

// pass is what a contact gave.
func (d *device) pass(user linnet.UserName) []byte {
	for _, x := range d.w.devices {
		if x.User != user || d.w.strangers {
			continue
		}
		if d.passes[user] == nil {
			pass, err := directory.MailPass(x.ID, d.User)
			if err != nil {
				d.w.T.Fatal(err)
			}
			d.passes[user] = pass
		}
		return d.passes[user]
	}
	return nil
}

// kill is kill -9.
func (d *device) kill() {
	d.m = nil
	d.End()
}

func (d *device) send(to linnet.UserName, text string) linnet.MessageID {
	d.w.T.Helper()
	id := linnet.NewMessageID()
	if err := d.Act("says "+text, func(now time.Time) error { return d.m.Send(now, to, chat.Draft{ID: id, Text: text}) }); err != nil {
		d.w.T.Fatal(err)
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
	d.Act("reads", func(now time.Time) error { d.m.Read(now, from, ids); return nil })
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

// Save implements posttest.Host.
func (d *device) Save(e any) (func(), bool) {
	s, is := e.(chat.Save)
	return func() {
		if !d.full {
			d.events = append(d.events, d.disk.save(s).Events(d.w.Now)...)
			return
		}
		d.m.NotSaved(s)
		for _, e := range d.Drop() {
			if s, ok := e.(chat.Save); ok {
				d.m.NotSaved(s)
			}
		}
	}, is
}

// Effect implements posttest.Host.
func (d *device) Effect(e any) {
	switch e := e.(type) {
	case chat.Tell:
		d.events = append(d.events, e.Event)
	case chat.Hint:
		d.hints = append(d.hints, e)
		for _, to := range d.w.devices {
			if to.ID.Node == e.To {
				to.Later(d.w.Delay(), func() { to.m.Typed(d.w.Now, d.User, e.On) })
			}
		}
	case post.LeaveMail:
		delete(d.left, e.ID)
	default:
		d.w.T.Fatalf("%T", e)
	}
}

// Listed implements posttest.Host.
func (d *device) Listed() (known, reachable bool) { return true, d.m != nil }

// Prekey implements posttest.Host.
func (d *device) Prekey() *directory.Prekey {
	return &directory.Prekey{Public: d.public, Time: d.w.IDs.Now, User: d.User, Node: d.ID.Node}
}

func (d *device) checkMail() {
	d.LookForMail(func(id message.MailID) bool { return !d.left[id] }, func(items []*directory.Item) {
		for _, i := range items {
			d.left[i.ID] = true
			d.m.Arrived(d.w.Now, post.Arrival{Letter: d.open(i.Box), Mail: i.ID})
		}
	})
}

func (d *device) open(box []byte) *directory.Letter {
	l, err := directory.OpenLetter(d.w.suite, d.w.IDs.Trust, d.User, box, func(id suite.PrekeyID) []byte {
		if id == suite.PrekeyIDOf(d.public) {
			return d.secret
		}
		return nil
	}, d.w.Now)
	if err != nil {
		d.w.T.Fatalf("%v opens a letter: %v", d, err)
	}
	return l
}

// Arrives implements posttest.Host.
func (d *device) Arrives(from linnet.NodeID, inner uint32, body []byte) {
	switch inner {
	case message.InnerLetter:
		l := d.open(body)
		if l.Sender != from {
			d.w.T.Fatalf("%v has a letter of %v", d, l.Sender)
		}
		d.m.Arrived(d.w.Now, post.Arrival{Letter: l})
	case message.InnerTaken:
		d.m.Taken(d.w.Now, from, directory.LetterID(body))
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
