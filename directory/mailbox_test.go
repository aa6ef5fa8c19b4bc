package directory_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

// flush is how long a disk takes: what was not there yet when its node is killed is lost.
const flush = 15 * time.Millisecond

// keeper is a Mailbox as part of a node, with its disk.
type keeper struct {
	*directory.Mailbox
	w     *mailNetwork
	n     *overlaytest.Node
	queue []flushing
}

type flushing struct {
	at time.Time
	do func(now time.Time)
}

func (k *keeper) Deadline() time.Time {
	d := k.Mailbox.Deadline()
	if len(k.queue) > 0 && (d.IsZero() || k.queue[0].at.Before(d)) {
		return k.queue[0].at
	}
	return d
}

func (k *keeper) Tick(now time.Time) {
	for len(k.queue) > 0 && !now.Before(k.queue[0].at) {
		do := k.queue[0].do
		k.queue = k.queue[1:]
		do(now)
	}
	k.Mailbox.Tick(now)
}

func (k *keeper) Effect(now time.Time, e overlay.Effect) {
	later := func(do func(now time.Time)) { k.queue = append(k.queue, flushing{now.Add(flush), do}) }
	disk := k.n.Disk
	switch e := e.(type) {
	case directory.KeepMail:
		later(func(now time.Time) {
			if k.w.full[k.n] {
				k.Kept(now, e.ID, errors.New("disk full"))
				return
			}
			disk["head "+hex.EncodeToString(e.ID[:])], disk["mail "+hex.EncodeToString(e.ID[:])] = e.Head, e.Bytes
			k.Kept(now, e.ID, nil)
		})
	case directory.ForgetMail:
		later(func(time.Time) {
			for _, id := range e.IDs {
				delete(disk, "head "+hex.EncodeToString(id[:]))
				delete(disk, "mail "+hex.EncodeToString(id[:]))
			}
		})
	case directory.ReadMail:
		later(func(now time.Time) {
			var items [][]byte
			for _, id := range e.IDs {
				if b := disk["mail "+hex.EncodeToString(id[:])]; b != nil {
					items = append(items, b)
				}
			}
			k.Read(now, e.Token, items)
		})
	case directory.Unanswered:
		k.n.Machine.Doubt(now, e.Node)
	case overlay.MembersChanged:
		k.MembersChanged(now)
	}
}

// mailer is a MailClient as part of a node.
type mailer struct {
	*directory.MailClient
	n *overlaytest.Node
}

func (mailer) Received(time.Time, linnet.NodeID, uint16, message.Message) bool { return false }

func (m mailer) Effect(now time.Time, e overlay.Effect) {
	if e, ok := e.(directory.Unanswered); ok {
		m.n.Machine.Doubt(now, e.Node)
	}
}

// mailNetwork is a World whose nodes have their part of the mail.
type mailNetwork struct {
	*overlaytest.World
	keepers map[*overlaytest.Node]*keeper
	seats   map[*overlaytest.Node]*seats
	mailers map[*overlaytest.Node]mailer
	full    map[*overlaytest.Node]bool
}

func newMailNetwork(t testing.TB, seed uint64, supernodes int) *mailNetwork {
	w := &mailNetwork{
		overlaytest.New(t, seed), make(map[*overlaytest.Node]*keeper), make(map[*overlaytest.Node]*seats), make(map[*overlaytest.Node]mailer),
		make(map[*overlaytest.Node]bool),
	}
	for range supernodes {
		n := w.Add(linnet.NodeName(fmt.Sprintf("s%d", len(w.Nodes))), linnet.Supernode)
		n.Parts = func(n *overlaytest.Node) []overlaytest.Part {
			w.seats[n] = &seats{Machine: n.Machine}
			k := &keeper{Mailbox: directory.NewMailbox(directory.MailboxOptions{Self: n.Identity, Trust: w.Trust, Seats: w.seats[n]}), w: w, n: n}
			w.keepers[n] = k
			return []overlaytest.Part{k}
		}
		w.start(n)
	}
	w.Run(30 * time.Second)
	return w
}

func (w *mailNetwork) start(n *overlaytest.Node) {
	n.Start()
	var heads [][]byte
	for _, key := range slices.Sorted(maps.Keys(n.Disk)) {
		if strings.HasPrefix(key, "head ") {
			heads = append(heads, n.Disk[key])
		}
	}
	w.keepers[n].Start(w.Now, heads)
	n.Pump()
}

func (w *mailNetwork) user(name linnet.UserName) *overlaytest.Node {
	n := w.Add(name, linnet.Ordinary)
	n.Parts = func(n *overlaytest.Node) []overlaytest.Part {
		m := mailer{directory.NewMailClient(directory.MailClientOptions{Self: n.Identity, Overlay: n.Machine, Trust: w.Trust}), n}
		w.mailers[n] = m
		return []overlaytest.Part{m}
	}
	n.Start()
	w.Until(20*time.Second, string(name)+" is attached", func() bool {
		return len(n.Machine.Attachments()) == min(2, len(w.keepers))
	})
	return n
}

// ask does something with a node's mail client, and waits for what comes of it.
func (w *mailNetwork) ask(n *overlaytest.Node, do func(m mailer) directory.MailTicket) directory.MailDone {
	w.T.Helper()
	ticket := do(w.mailers[n])
	n.Pump()
	var done *directory.MailDone
	w.Until(time.Minute, "an answer about mail", func() bool {
		for _, d := range effects[directory.MailDone](n) {
			if d.Ticket == ticket {
				done = &d
			}
		}
		return done != nil
	})
	return *done
}

func (w *mailNetwork) put(from *overlaytest.Node, to linnet.UserName, box string, pass []byte) directory.MailDone {
	w.T.Helper()
	return w.ask(from, func(m mailer) directory.MailTicket { return m.Put(w.Now, to, linnet.NodeID{}, []byte(box), pass) })
}

func (w *mailNetwork) list(n *overlaytest.Node) directory.MailDone {
	w.T.Helper()
	return w.ask(n, func(m mailer) directory.MailTicket { return m.List(w.Now) })
}

func (w *mailNetwork) fetch(n *overlaytest.Node, ids ...message.MailID) directory.MailDone {
	w.T.Helper()
	return w.ask(n, func(m mailer) directory.MailTicket { return m.Fetch(w.Now, ids) })
}

func (w *mailNetwork) remove(n *overlaytest.Node, ids ...message.MailID) directory.MailDone {
	w.T.Helper()
	return w.ask(n, func(m mailer) directory.MailTicket { return m.Remove(w.Now, ids) })
}

// boxes are what a user finds in his mailbox.
func (w *mailNetwork) boxes(n *overlaytest.Node) (boxes []string) {
	w.T.Helper()
	listed := w.list(n)
	if listed.Err != nil {
		w.T.Fatalf("list: %v", listed.Err)
	}
	var ids []message.MailID
	for _, e := range listed.Entries {
		ids = append(ids, e.Mail)
	}
	for part := range slices.Chunk(ids, directory.MaxMailIDs) {
		d := w.fetch(n, part...)
		if d.Err != nil {
			w.T.Fatalf("fetch: %v", d.Err)
		}
		for _, i := range d.Items {
			boxes = append(boxes, string(i.Box))
		}
	}
	slices.Sort(boxes)
	return boxes
}

func (w *mailNetwork) pass(owner *overlaytest.Node, friend linnet.UserName) []byte {
	b, err := directory.MailPass(owner.Identity, friend)
	if err != nil {
		w.T.Fatal(err)
	}
	return b
}

func TestMail(t *testing.T) {
	for _, size := range []int{1, 2, 3, 12} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := newMailNetwork(t, uint64(size), size)
			alice, bob := w.user("alice"), w.user("bob")
			pass := w.pass(bob, "alice")
			big := strings.Repeat("x", 50_000)
			var ids []message.MailID
			for _, box := range []string{"one", big, "two", big + "2"} {
				d := w.put(alice, "bob", box, pass)
				if d.Err != nil || d.Copies <= min(size, overlay.SlotSize)/2 {
					t.Fatalf("put: %v, %d copies", d.Err, d.Copies)
				}
				ids = append(ids, d.ID)
				w.Run(time.Second)
			}
			if got, want := w.boxes(bob), []string{"one", "two", big, big + "2"}; !slices.Equal(got, want) {
				t.Errorf("%d boxes", len(got))
			}
			d := w.list(bob)
			for i, e := range d.Entries {
				if e.Mail != ids[i] || e.From != "alice" || e.Size < 400 {
					t.Errorf("entry %d: %+v", i, e)
				}
			}
			if d := w.remove(bob, ids[:2]...); d.Err != nil {
				t.Fatal(d.Err)
			}
			w.Run(time.Second)
			if got := w.boxes(bob); !slices.Equal(got, []string{"two", big + "2"}) {
				t.Errorf("%d boxes after two were removed", len(got))
			}
			for n := range w.keepers {
				if n.Disk["mail "+hex.EncodeToString(ids[0][:])] != nil {
					t.Errorf("%s still has it on disk", n.Name)
				}
			}
			w.Run(time.Hour) // members compare what they have: nothing comes back
			if got := w.boxes(bob); len(got) != 2 {
				t.Errorf("%d boxes an hour later", len(got))
			}
		})
	}
}

func TestMailExpires(t *testing.T) {
	w := newMailNetwork(t, 3, 1)
	alice, bob := w.user("alice"), w.user("bob")
	d := w.put(alice, "bob", "old", nil)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	k := slices.Collect(maps.Values(w.keepers))[0]
	for _, step := range []struct {
		after time.Duration
		left  int
	}{{directory.MailKeepFor - time.Hour, 1}, {directory.MailKeepFor + time.Minute, 0}} {
		// Not by running the world for a month: a Mailbox of the same disk, later.
		m := directory.NewMailbox(directory.MailboxOptions{Self: k.n.Identity, Trust: w.Trust, Seats: k.n.Machine})
		m.Start(w.Now.Add(step.after), [][]byte{k.n.Disk["head "+hex.EncodeToString(d.ID[:])]})
		if m.Items() != step.left {
			t.Errorf("%d items after %v, want %d", m.Items(), step.after, step.left)
		}
	}
	if len(w.boxes(bob)) != 1 {
		t.Error("it was never there")
	}
}

// Only the owner, and only the device that an item is for, sees and removes it.
func TestMailIsItsOwners(t *testing.T) {
	w := newMailNetwork(t, 4, 3)
	alice, bob, eve := w.user("alice"), w.user("bob"), w.user("eve")
	mine := w.put(alice, "bob", "for bob", nil)
	other := w.ask(bob, func(m mailer) directory.MailTicket {
		return m.Put(w.Now, "bob", linnet.NodeID{9}, []byte("for another device of his"), nil)
	})
	if mine.Err != nil || other.Err != nil {
		t.Fatal(mine.Err, other.Err)
	}
	for _, n := range []*overlaytest.Node{alice, eve} {
		if d := w.list(n); len(d.Entries) != 0 {
			t.Errorf("%s lists %+v", n.Name, d.Entries)
		}
		if d := w.fetch(n, mine.ID); len(d.Items) != 0 {
			t.Errorf("%s fetched it", n.Name)
		}
		w.remove(n, mine.ID) // stored, and without effect
	}
	w.remove(bob, other.ID)
	w.Run(time.Minute)
	if got := w.boxes(bob); !slices.Equal(got, []string{"for bob"}) {
		t.Errorf("bob has %q", got)
	}
	for _, k := range w.keepers {
		if k.n.Disk["mail "+hex.EncodeToString(other.ID[:])] == nil {
			t.Error("a device removed what is for another one")
		}
	}
}

func TestMailQuotas(t *testing.T) {
	w := newMailNetwork(t, 5, 1)
	bob := w.user("bob")
	alice := w.user("alice")
	if d := w.put(alice, "bob", "hello?", nil); d.Err != nil {
		t.Fatal(d.Err)
	}
	if d := w.put(alice, "bob", "hello??", nil); !errors.Is(d.Err, directory.ErrMailFull) {
		t.Errorf("a second request: %v", d.Err)
	}
	if d := w.put(alice, "bob", strings.Repeat("x", 5000), nil); !errors.Is(d.Err, directory.ErrItemSize) {
		t.Errorf("a large request: %v", d.Err)
	}
	if d := w.put(alice, "bob", "friend of eve", w.pass(bob, "eve")); !errors.Is(d.Err, directory.ErrMailRefused) {
		t.Errorf("with somebody else's pass: %v", d.Err)
	}
	if d := w.put(alice, "bob", "own pass", w.pass(alice, "alice")); !errors.Is(d.Err, directory.ErrMailRefused) {
		t.Errorf("with a pass of the own making: %v", d.Err)
	}
	pass := w.pass(bob, "alice")
	sent := 0
	for ; sent < 50; sent++ { // 2 MiB of 60,000 bytes
		if w.put(alice, "bob", fmt.Sprintf("%060000d", sent), pass).Err != nil {
			break
		}
		w.Run(time.Second)
	}
	if sent != 34 {
		t.Errorf("%d large items of one contact", sent)
	}
	if d := w.put(bob, "bob", "note to myself", nil); d.Err != nil {
		t.Errorf("the owner himself: %v", d.Err)
	}
	strangers := 1 // alice
	for i := range 40 {
		n := w.user(linnet.UserName(fmt.Sprintf("stranger%d", i)))
		if w.put(n, "bob", "hello?", nil).Err == nil {
			strangers++
		}
	}
	if strangers != 32 {
		t.Errorf("%d strangers have a request there", strangers)
	}
}

// What is not on disk was not stored, whatever is in memory.
func TestMailOfAFullDisk(t *testing.T) {
	w := newMailNetwork(t, 6, 3)
	alice, bob := w.user("alice"), w.user("bob")
	pass := w.pass(bob, "alice")
	for n := range w.keepers {
		w.full[n] = true
	}
	if d := w.put(alice, "bob", "lost", pass); d.Err == nil {
		t.Errorf("stored with %d copies", d.Copies)
	}
	for _, k := range w.keepers {
		if k.Items() != 0 {
			t.Errorf("%s believes to have %d", k.n.Name, k.Items())
		}
	}
	clear(w.full)
	w.Run(time.Minute)
	if d := w.put(alice, "bob", "kept", pass); d.Err != nil {
		t.Error(d.Err)
	}
	w.Run(time.Minute)
	if got := w.boxes(bob); !slices.Contains(got, "kept") {
		t.Errorf("%q", got)
	}
}

// A supernode that makes up entries, changes items and hides what there is.
func TestMailLiar(t *testing.T) {
	for name, lie := range map[string]func(message.Message) message.Message{
		"hides": func(msg message.Message) message.Message {
			if _, ok := msg.(*message.MailBatch); ok {
				return new(message.MailBatch)
			}
			return msg
		},
		"invents": func(msg message.Message) message.Message {
			if b, ok := msg.(*message.MailBatch); ok {
				made := &message.MailBatch{Items: [][]byte{[]byte("nonsense")}}
				for i := range 300 {
					made.Entries = append(made.Entries, message.MailEntry{Mail: message.MailID{1, byte(i >> 8), byte(i)}, From: "alice"})
				}
				for _, item := range b.Items {
					item = bytes.Clone(item)
					item[len(item)-1] ^= 1
					made.Items = append(made.Items, item)
				}
				return made
			}
			return msg
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newMailNetwork(t, 7, 5)
			alice, bob := w.user("alice"), w.user("bob")
			d := w.put(alice, "bob", "hello?", nil)
			if d.Err != nil {
				t.Fatal(d.Err)
			}
			w.Run(time.Minute)
			for _, id := range bob.Machine.Attachments() {
				who := w.ByID(id)
				w.Intercept = func(from, _ *overlaytest.Node, msg message.Message) message.Message {
					if from == who {
						return lie(msg)
					}
					return msg
				}
				found := slices.ContainsFunc(w.list(bob).Entries, func(e message.MailEntry) bool { return e.Mail == d.ID })
				if f := w.fetch(bob, d.ID); !found || f.Err != nil || len(f.Items) != 1 || string(f.Items[0].Box) != "hello?" {
					t.Errorf("listed %v, fetched %+v", found, f)
				}
			}
		})
	}
}

// What a majority called stored is found after any minority of the members
// crashed, again and again, and by members that were not there.
func TestMailOutlivesAMinority(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const noticed = 40 * time.Second
		w := newMailNetwork(t, rapid.Uint64().Draw(rt, "seed"), rapid.IntRange(3, 14).Draw(rt, "supernodes"))
		w.Loss = float64(rapid.IntRange(0, 1).Draw(rt, "loss")) / 10
		alice, bob := w.user("alice"), w.user("bob")
		pass := w.pass(bob, "alice")
		members := func() []linnet.NodeID {
			for n := range w.keepers {
				if n.Running() {
					return slices.Clone(n.Machine.Members(overlay.SlotOf("bob")))
				}
			}
			return nil
		}
		minority := func(label string) []linnet.NodeID {
			all := members()
			slices.SortFunc(all, func(a, b linnet.NodeID) int { return bytes.Compare(a[:], b[:]) })
			return rapid.Permutation(all).Draw(rt, label)[:rapid.IntRange(0, (len(all)-1)/2).Draw(rt, label+" size")]
		}
		var stored []string
		var removed []message.MailID
		down := minority("down") // while some of it is written
		for i := range 4 {
			if i == 2 {
				for _, id := range down {
					w.ByID(id).Kill()
				}
			}
			d := w.put(alice, "bob", fmt.Sprint("box", i), pass)
			switch {
			case d.Err == nil && i == 0:
				if w.remove(bob, d.ID).Err == nil {
					removed = append(removed, d.ID)
				}
			case d.Err == nil:
				stored = append(stored, fmt.Sprint("box", i))
			}
		}
		find := func(when string) {
			w.Until(2*time.Minute, "the mailbox can be read "+when, func() bool { return w.list(bob).Err == nil })
			got := w.boxes(bob)
			for _, box := range stored {
				if !slices.Contains(got, box) {
					rt.Fatalf("%s: %s is lost, there are %q", when, box, got)
				}
			}
		}
		w.Run(noticed)
		find("after the first deaths")
		for _, id := range down {
			w.start(w.ByID(id))
		}
		w.Run(noticed)
		w.Run(5 * time.Minute)
		for _, id := range minority("more") {
			w.ByID(id).Kill()
		}
		w.Run(noticed)
		find("after others died")
		w.Run(25 * time.Minute) // all have compared
		for _, k := range w.keepers {
			for _, id := range removed {
				if k.n.Running() && k.n.Disk["mail "+hex.EncodeToString(id[:])] != nil {
					rt.Fatalf("%s has an item that was removed", k.n.Name)
				}
			}
		}
	})
}

// New members get all of a slot's mail, and nobody is left with a copy too few.
func TestMailIsRepaired(t *testing.T) {
	w := newMailNetwork(t, 8, 14)
	alice, bob := w.user("alice"), w.user("bob")
	d := w.put(alice, "bob", "hello?", nil)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	w.Run(time.Second)
	slot := overlay.SlotOf("bob")
	for range 3 { // twelve of fourteen, one after the other, with new disks
		for _, id := range bob.Machine.Attachments() {
			w.ByID(id).Kill()
			clear(w.ByID(id).Disk)
			w.Run(time.Minute)
			w.start(w.ByID(id))
			w.Run(time.Minute)
		}
	}
	w.Run(15 * time.Minute)
	for k := range w.keepers {
		for _, id := range k.Machine.Members(slot) {
			if w.ByID(id).Disk["mail "+hex.EncodeToString(d.ID[:])] == nil {
				t.Errorf("%s has no copy", w.ByID(id).Name)
			}
		}
		break
	}
}

// Members that leave hand over: the next ones have the mail within seconds, not
// only when somebody looks what is missing.
func TestMailIsHandedOver(t *testing.T) {
	w := newMailNetwork(t, 9, 14)
	alice, bob := w.user("alice"), w.user("bob")
	d := w.put(alice, "bob", "hello?", nil)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	slot, left := overlay.SlotOf("bob"), w.ByID(bob.Machine.Attachments()[0])
	for range 8 { // of the ten that got it
		for _, id := range left.Machine.Members(slot) {
			if n := w.ByID(id); n != left {
				n.Machine.Leave(w.Now)
				n.Pump()
				w.Run(time.Second)
				n.Kill() // its disk does not come back
				break
			}
		}
		w.Run(9 * time.Second)
		members := left.Machine.Members(slot)
		for _, id := range members {
			if n := w.ByID(id); n.Disk["mail "+hex.EncodeToString(d.ID[:])] == nil {
				t.Errorf("%s, one of %d members, has no copy", n.Name, len(members))
			}
		}
	}
	if got := w.boxes(bob); !slices.Equal(got, []string{"hello?"}) {
		t.Errorf("bob has %q", got)
	}
}

// Who is given mail of a slot that others hold tells them: a newcomer took it for a member.
func TestStrayMailIsPassedOn(t *testing.T) {
	w := newMailNetwork(t, 10, 40)
	alice, bob := w.user("alice"), w.user("bob")
	members := slices.Clone(w.ByID(bob.Machine.Attachments()[0]).Machine.Members(overlay.SlotOf("bob")))
	for _, id := range alice.Machine.Attachments() {
		w.seats[w.ByID(id)].narrow(members)
	}
	pass := w.pass(bob, "alice")
	d := w.put(alice, "bob", "hello?", pass)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	has := func(id linnet.NodeID) bool { return w.ByID(id).Disk["mail "+hex.EncodeToString(d.ID[:])] != nil }
	if slices.ContainsFunc(members, has) {
		t.Fatal("a member has it already")
	}
	w.Run(10 * time.Second)
	for _, id := range members {
		if !has(id) {
			t.Errorf("%s has no copy", w.ByID(id).Name)
		}
	}
	w.Intercept = func(_, _ *overlaytest.Node, msg message.Message) message.Message {
		if offer, ok := msg.(*message.OfferMail); ok && len(offer.Mail) != 1 {
			t.Errorf("offers %d items, and one is new", len(offer.Mail))
		}
		return msg
	}
	if d := w.put(alice, "bob", "still there?", pass); d.Err != nil {
		t.Fatal(d.Err)
	}
	w.Run(10 * time.Second)
	for _, id := range bob.Machine.Attachments() {
		w.seats[w.ByID(id)].known = nil
	}
	if got := w.boxes(bob); !slices.Equal(got, []string{"hello?", "still there?"}) {
		t.Errorf("bob has %q", got)
	}
}
