package directory_test

import (
	"bytes"
	"errors"
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
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

// shelf is a Supernode as part of a node.
type shelf struct {
	*directory.Supernode
	n *overlaytest.Node
}

func (s shelf) Effect(now time.Time, e overlay.Effect) {
	switch e := e.(type) {
	case directory.Persist:
		s.n.Disk["record "+e.Node.String()] = e.Record
	case directory.Forget:
		delete(s.n.Disk, "record "+e.Node.String())
	case directory.PersistCard:
		s.n.Disk["card "+string(e.User)] = e.Card
	case directory.ForgetCard:
		delete(s.n.Disk, "card "+string(e.User))
	case directory.ReadRecords:
		var records [][]byte
		for _, node := range e.Nodes {
			if b, ok := s.n.Disk["record "+node.String()]; ok {
				records = append(records, b)
			}
		}
		s.Read(now, e.Token, records)
	case directory.Unanswered:
		s.n.Machine.Doubt(now, e.Node)
	case overlay.MembersChanged:
		s.MembersChanged(now)
	}
}

// device is a Client as part of a node.
type device struct {
	*directory.Client
	n *overlaytest.Node
}

func (d device) Received(time.Time, linnet.NodeID, uint16, message.Message) bool { return false }

func (d device) Effect(now time.Time, e overlay.Effect) {
	switch e := e.(type) {
	case directory.Unanswered:
		d.n.Machine.Doubt(now, e.Node)
	case overlay.Attached, overlay.Detached:
		d.AttachmentsChanged(now)
	}
}

// network is a World whose nodes have their part of the directory.
type network struct {
	*overlaytest.World
	shelves map[*overlaytest.Node]shelf
	devices map[*overlaytest.Node]device
	pagers  map[*overlaytest.Node]pager
	perSlot int // cards that supernodes list in a slot; 0: as they do
}

func newNetwork(t testing.TB, seed uint64) *network {
	return &network{
		World: overlaytest.New(t, seed), shelves: make(map[*overlaytest.Node]shelf), devices: make(map[*overlaytest.Node]device),
		pagers: make(map[*overlaytest.Node]pager),
	}
}

func (w *network) supernode() *overlaytest.Node {
	n := w.Add(linnet.NodeName(fmt.Sprintf("s%d", len(w.Nodes))), linnet.Supernode)
	n.Parts = func(n *overlaytest.Node) []overlaytest.Part {
		s := shelf{directory.NewSupernode(directory.SupernodeOptions{Self: n.Identity, Trust: w.Trust, Seats: n.Machine, PerSlot: w.perSlot}), n}
		w.shelves[n] = s
		return []overlaytest.Part{s}
	}
	w.start(n)
	return n
}

// start starts a node, and hands a supernode what it had on disk.
func (w *network) start(n *overlaytest.Node) {
	n.Start()
	if s, ok := w.shelves[n]; ok {
		on := make(map[string][][]byte)
		for _, key := range slices.Sorted(maps.Keys(n.Disk)) {
			kind, _, _ := strings.Cut(key, " ")
			on[kind] = append(on[kind], n.Disk[key])
		}
		s.Start(w.Now, on["record"], on["card"])
		n.Pump()
	}
}

func (w *network) supernodes(n int) (nodes []*overlaytest.Node) {
	for range n {
		nodes = append(nodes, w.supernode())
	}
	w.Run(30 * time.Second)
	return nodes
}

func (w *network) user(name linnet.UserName) *overlaytest.Node {
	n := w.Add(name, linnet.Ordinary)
	n.Parts = func(n *overlaytest.Node) []overlaytest.Part {
		d := device{directory.NewClient(directory.ClientOptions{
			Self: n.Identity, Trust: w.Trust, Overlay: n.Machine, Rand: rand.New(rand.NewPCG(w.Rand.Uint64(), 3)),
		}), n}
		w.devices[n] = d
		return []overlaytest.Part{d, w.pager(n)}
	}
	n.Start()
	return n
}

// online starts a user who publishes, and waits until that is stored.
func (w *network) online(name linnet.UserName) *overlaytest.Node {
	n := w.user(name)
	w.devices[n].Publish(w.Now, directory.Status{NAT: 3})
	n.Pump()
	w.Until(10*time.Second, string(name)+" is published", func() bool {
		p := effects[directory.Published](n)
		return len(p) > 0 && len(n.Machine.Attachments()) == min(2, n.Machine.Supernodes())
	})
	w.Run(2 * time.Second) // the second attachment is in the record, too
	return n
}

func (w *network) lookup(n *overlaytest.Node, user linnet.UserName, fresh bool) (directory.Found, time.Duration) {
	w.T.Helper()
	id := w.devices[n].Lookup(w.Now, user, fresh)
	n.Pump()
	var found *directory.Found
	took := w.Until(3*time.Second, "an answer about "+string(user), func() bool {
		for _, f := range effects[directory.Found](n) {
			if f.Lookup == id {
				found = &f
			}
		}
		return found != nil
	})
	return *found, took
}

func (w *network) mustFind(n *overlaytest.Node, user *overlaytest.Node) time.Duration {
	w.T.Helper()
	f, took := w.lookup(n, linnet.UserName(user.Name), true)
	if f.Err != nil || len(f.Records) == 0 || !f.Records[0].Reachable(w.Now) || f.Records[0].Node() != user.ID() {
		w.T.Fatalf("%s looks for %s: %v, %d records", n.Name, user.Name, f.Err, len(f.Records))
	}
	return took
}

func effects[E any](n *overlaytest.Node) (list []E) {
	for _, e := range n.Effects {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

func TestPublishAndFind(t *testing.T) {
	for _, size := range []int{1, 2, 3, 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := newNetwork(t, uint64(size))
			w.supernodes(size)
			alice, bob := w.online("alice"), w.online("bob")
			took := w.mustFind(alice, bob)
			t.Logf("found within %v", took)
			found, _ := w.lookup(alice, "bob", false)
			if got, want := found.Records[0].Location.Supernodes, bob.Machine.Attachments(); !slices.Equal(got, want) {
				t.Errorf("bob is attached to %v, his record says %v", want, got)
			}
			if found.Records[0].NAT != 3 || found.Records[0].User != "bob" {
				t.Errorf("record %+v", found.Records[0])
			}
			if f, took := w.lookup(alice, "nobody", false); !errors.Is(f.Err, directory.ErrNotFound) {
				t.Errorf("nobody: %v after %v", f.Err, took)
			}
			holders := 0
			for _, s := range w.shelves {
				holders += s.Records()
			}
			if want := 2 * min(size, overlay.SlotSize); holders != want {
				t.Errorf("%d copies of two records, want %d", holders, want)
			}
			w.Run(time.Hour)
			w.mustFind(alice, bob)
			if n := len(effects[directory.Published](bob)); n < 6 || n > 9 {
				t.Errorf("published %d times in an hour", n)
			}
		})
	}
}

func TestOfflineAndForgotten(t *testing.T) {
	w := newNetwork(t, 4)
	w.supernodes(1) // three days of more would take long
	alice, bob, carol := w.online("alice"), w.online("bob"), w.online("carol")

	w.devices[bob].Withdraw(w.Now)
	bob.Pump()
	w.Until(3*time.Second, "bob's good-bye is stored", func() bool { return len(effects[directory.Withdrawn](bob)) > 0 })
	if err := effects[directory.Withdrawn](bob)[0].Err; err != nil {
		t.Fatal(err)
	}
	f, _ := w.lookup(alice, "bob", true)
	if f.Err != nil || len(f.Records) != 1 || f.Records[0].Reachable(w.Now) || f.Records[0].Online {
		t.Errorf("bob signed out: %v, %+v", f.Err, f.Records)
	}

	carol.Kill() // without a word
	w.Run(directory.FreshFor + 30*time.Second)
	f, _ = w.lookup(alice, "carol", false)
	if f.Err != nil || len(f.Records) != 1 || f.Records[0].Reachable(w.Now) || !f.Records[0].Online {
		t.Errorf("carol vanished: %v, %+v", f.Err, f.Records)
	}
	w.Run(overlay.KeepRecords)
	for _, user := range []linnet.UserName{"bob", "carol"} {
		if f, _ := w.lookup(alice, user, false); !errors.Is(f.Err, directory.ErrNotFound) {
			t.Errorf("%s after three days: %v, %d records", user, f.Err, len(f.Records))
		}
	}
	for n := range w.shelves {
		for key := range n.Disk {
			if key == "record "+bob.ID().String() {
				t.Errorf("%s still has bob on disk", n.Name)
			}
		}
	}
}

// A network whose policy says so forgets sooner: its members on their disks, and
// its clients whatever a member still holds.
func TestPolicySaysHowLongRecordsAreKept(t *testing.T) {
	const hour = time.Hour
	w := newNetwork(t, 9)
	w.Trust.Records = hour
	w.supernodes(3)
	alice, bob := w.online("alice"), w.online("bob")
	bob.Kill()
	w.Run(hour - 10*time.Minute)
	if f, _ := w.lookup(alice, "bob", false); f.Err != nil || len(f.Records) != 1 {
		t.Errorf("within the hour: %v, %d records", f.Err, len(f.Records))
	}
	w.Run(20 * time.Minute)
	if f, _ := w.lookup(alice, "bob", false); !errors.Is(f.Err, directory.ErrNotFound) {
		t.Errorf("after an hour: %v, %d records", f.Err, len(f.Records))
	}
	for n := range w.shelves {
		if _, kept := n.Disk["record "+bob.ID().String()]; kept {
			t.Errorf("%s still has bob on disk", n.Name)
		}
	}
}

// Both supernodes of alice deny bob and say that there is no third one. She heard of others.
func TestOwnSupernodesCannotDenyAlone(t *testing.T) {
	w := newNetwork(t, 11)
	w.supernodes(12)
	alice, _ := w.online("alice"), w.online("bob")
	own := alice.Machine.Attachments()
	w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
		switch msg := msg.(type) {
		case *message.KeepAliveAck:
			lie := *msg
			lie.Supernodes = 1
			return &lie
		case *message.SearchResult:
			if to != alice {
				return msg
			}
			if !slices.Contains(own, from.ID()) {
				return &message.SearchResult{Done: 1} // neither yes nor no
			}
			a := directory.Absence{User: "bob", Slot: overlay.SlotOf("bob"), Time: w.Now, Entry: from.Machine.Entry()}
			b, err := a.Sign(from.Identity.Keys)
			if err != nil {
				t.Fatal(err)
			}
			return &message.SearchResult{Done: 1, Absent: [][]byte{b}}
		}
		return msg
	}
	w.Run(2 * time.Minute)
	if n := alice.Machine.Supernodes(); n != 1 {
		t.Fatalf("alice was told of %d supernodes", n)
	}
	if f, _ := w.lookup(alice, "bob", true); !errors.Is(f.Err, directory.ErrUnconfirmed) {
		t.Errorf("%v, want %v", f.Err, directory.ErrUnconfirmed)
	}
}

// Nine of the ten members of a slot die at once, and what the tenth gives to
// those that take their seats is late: they do not say that there is nobody of
// that name.
func TestNewMembersDenyNobody(t *testing.T) {
	w := newNetwork(t, 10)
	nodes := w.supernodes(30)
	alice, bob := w.online("alice"), w.online("bob")
	died := w.Now
	kept := 1
	for _, id := range slices.Clone(nodes[0].Machine.Members(overlay.SlotOf("bob"))) {
		if kept > 0 && !slices.Contains(bob.Machine.Attachments(), id) {
			kept--
			continue
		}
		w.ByID(id).Kill()
	}
	w.Intercept = func(_, _ *overlaytest.Node, msg message.Message) message.Message {
		if s, ok := msg.(*message.StoreRecord); ok && s.Member {
			return nil
		}
		return msg
	}
	for w.Now.Sub(died) < 25*time.Second {
		if f, _ := w.lookup(alice, "bob", true); errors.Is(f.Err, directory.ErrNotFound) {
			t.Fatalf("%v after they died, bob was said not to exist", w.Now.Sub(died))
		}
		w.Run(500 * time.Millisecond)
	}
	w.Intercept = nil
	w.Run(time.Minute)
	if f, _ := w.lookup(alice, "nobody", false); !errors.Is(f.Err, directory.ErrNotFound) {
		t.Errorf("a minute later, about a nobody: %v", f.Err)
	}
}

// Lookups go on while a supernode dies, whichever it is.
func TestLookupsDuringKill(t *testing.T) {
	for _, size := range []int{3, 20} {
		for victim := range min(size, 5) {
			t.Run(fmt.Sprintf("%d of %d", victim, size), func(t *testing.T) {
				w := newNetwork(t, uint64(100+victim))
				nodes := w.supernodes(size)
				alice, bob := w.online("alice"), w.online("bob")
				dead := nodes[victim]
				if size == 20 { // one that matters: alice's own, or the first ones of bob's slot
					dead = w.ByID(append(alice.Machine.Attachments(), nodes[0].Machine.Members(overlay.SlotOf("bob"))...)[victim])
				}
				dead.Kill()
				var worst time.Duration
				for range 30 {
					worst = max(worst, w.mustFind(alice, bob)) // fails after 3 s
					w.Run(500 * time.Millisecond)
				}
				t.Logf("slowest lookup %v", worst)
			})
		}
	}
}

func TestKilledSupernodeLosesNothing(t *testing.T) {
	w := newNetwork(t, 5)
	sn := w.supernodes(1)[0]
	bob := w.online("bob")
	bob.Kill()
	sn.Kill()
	w.Run(time.Minute)
	w.start(sn)
	alice := w.online("alice")
	w.mustFind(alice, bob)
}

// All members die and come back one after the other; the records outlive them:
// on their disks when nobody noticed, or else with the other members.
func TestRollingRestart(t *testing.T) {
	for _, tt := range []struct {
		name string
		away time.Duration
		disk bool
	}{
		{"quick", 3 * time.Second, true},
		{"slow, with new disks", 12 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newNetwork(t, 6)
			nodes := w.supernodes(12)
			alice, bob := w.online("alice"), w.online("bob")
			bob.Kill() // he does not publish any more
			for _, n := range nodes {
				n.Kill()
				w.Run(tt.away)
				if !tt.disk {
					clear(n.Disk)
				}
				w.start(n)
				w.Run(20 * time.Second)
			}
			w.mustFind(alice, bob)
			holders := 0
			for n := range w.shelves {
				if n.Disk["record "+bob.ID().String()] != nil {
					holders++
				}
			}
			if want := overlay.SlotSize - 1; holders < want { // who missed it would get it when bob publishes again
				t.Errorf("%d supernodes hold the record, want at least %d", holders, want)
			}
		})
	}
}

// liar makes what a supernode sends something else.
func liar(w *network, who *overlaytest.Node, lie func(msg message.Message) message.Message) {
	w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
		if from == who {
			return lie(msg)
		}
		return msg
	}
}

func TestLiarIsOutvoted(t *testing.T) {
	type setup struct {
		*network
		alice, bob *overlaytest.Node
		old        []byte // bob's record before he moved
	}
	lies := map[string]func(s setup) func(message.Message) message.Message{
		"says nothing": func(setup) func(message.Message) message.Message {
			return func(msg message.Message) message.Message {
				if _, ok := msg.(*message.SearchResult); ok {
					return nil
				}
				return msg
			}
		},
		"says there is nobody": func(setup) func(message.Message) message.Message {
			return func(msg message.Message) message.Message {
				if r, ok := msg.(*message.SearchResult); ok {
					return &message.SearchResult{Done: 1, Absent: r.Absent}
				}
				return msg
			}
		},
		"says that he is offline": func(s setup) func(message.Message) message.Message {
			return func(msg message.Message) message.Message {
				if _, ok := msg.(*message.SearchResult); ok {
					return &message.SearchResult{Done: 1, Hits: []message.Hit{{Record: s.old, User: "bob"}}}
				}
				return msg
			}
		},
		"alters the record": func(setup) func(message.Message) message.Message {
			return func(msg message.Message) message.Message {
				if r, ok := msg.(*message.SearchResult); ok && len(r.Hits) > 0 {
					record := bytes.Clone(r.Hits[0].Record)
					record[len(record)/2] ^= 1
					r.Hits[0].Record = record
				}
				return msg
			}
		},
		"forges a record": func(s setup) func(message.Message) message.Message {
			mallory := s.Identity("mallory", "device")
			r := directory.Record{
				Certificate: mallory.Certificate, Location: message.Location{Node: mallory.Node, Supernodes: s.bob.Machine.Attachments()},
				Online: true, Sequence: 1 << 62, Time: s.Now,
			}
			forged, err := r.Sign(mallory.Keys)
			if err != nil {
				s.T.Fatal(err)
			}
			return func(msg message.Message) message.Message {
				if r, ok := msg.(*message.SearchResult); ok && len(r.Hits) > 0 {
					r.Hits[0].Record = forged
				}
				return msg
			}
		},
	}
	for name, lie := range lies {
		for _, size := range []int{2, 3, 20} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				w := newNetwork(t, uint64(size))
				w.supernodes(size)
				alice, bob := w.online("alice"), w.online("bob")
				w.devices[bob].Withdraw(w.Now)
				bob.Pump()
				w.Run(time.Second)
				var old []byte
				for n := range w.shelves {
					if b := n.Disk["record "+bob.ID().String()]; b != nil {
						old = b
					}
				}
				w.devices[bob].Publish(w.Now, directory.Status{})
				bob.Pump()
				w.Run(time.Second)
				// The worst place for a liar: the supernode that alice asks first.
				liar(w, w.ByID(alice.Machine.Attachments()[0]), lie(setup{w, alice, bob, old}))
				took := w.mustFind(alice, bob)
				t.Logf("found within %v", took)
			})
		}
	}
}

// One supernode's word is no proof that there is nobody.
func TestAbsenceNeedsWitnesses(t *testing.T) {
	w := newNetwork(t, 21)
	w.supernodes(5)
	alice := w.online("alice")
	var two [][]byte // witnesses, the same ones whoever names them
	w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
		if r, ok := msg.(*message.SearchResult); ok && to == alice && len(r.Absent) > 2 {
			if two == nil {
				two = r.Absent[:2]
			}
			r.Absent = [][]byte{two[0], two[0], two[1]}
		}
		return msg
	}
	// Both supernodes together may still name three; ask only one of them.
	for _, node := range alice.Machine.Attachments()[1:] {
		w.ByID(node).Kill()
	}
	if f, _ := w.lookup(alice, "nobody", true); !errors.Is(f.Err, directory.ErrUnconfirmed) {
		t.Errorf("nobody: %v, want %v", f.Err, directory.ErrUnconfirmed)
	}
}

func TestOnlyOwnRecordsOfClients(t *testing.T) {
	w := newNetwork(t, 22)
	sn := w.supernodes(1)[0]
	alice, bob := w.online("alice"), w.online("bob")
	record := sn.Disk["record "+bob.ID().String()]
	if record == nil {
		t.Fatal("bob's record is not on disk")
	}
	stranger := linnet.NodeID{9}
	for _, tt := range []struct {
		name string
		from linnet.NodeID
		msg  message.Message
		code uint32
	}{
		{"another's record", alice.ID(), &message.StoreRecord{Record: record}, message.FailureInvalid},
		{"a stranger's store", stranger, &message.StoreRecord{Record: record}, message.FailureDenied},
		{"a client as member", bob.ID(), &message.StoreRecord{Record: record, Member: true}, message.FailureDenied},
		{"a stranger's search as member", stranger, &message.Search{Terms: []message.Term{{Text: "bob", Field: message.FieldUser}}, Member: true}, message.FailureDenied},
		{"a search for anything", alice.ID(), &message.Search{Terms: []message.Term{{Text: "Paris", Field: 99}}}, message.FailureInvalid},
		{"no record", bob.ID(), &message.StoreRecord{Record: []byte("A")}, message.FailureInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) { w.refuses(t, sn, tt.from, tt.msg, tt.code) })
	}
}

// refuses hands a supernode a command that it has to answer with a failure.
func (w *network) refuses(t *testing.T, sn *overlaytest.Node, from linnet.NodeID, msg message.Message, code uint32) {
	t.Helper()
	s := w.shelves[sn]
	s.Take()
	if !s.Received(w.Now, from, 7, msg) {
		t.Fatal("not a command of this package")
	}
	for _, e := range s.Take() {
		if r, ok := e.(overlay.Respond); ok {
			if f, ok := r.Message.(*message.Failure); !ok || f.Code != code || r.ID != 7 {
				t.Errorf("answer %+v, want failure %d", r.Message, code)
			}
			return
		}
	}
	t.Error("no answer")
}

// An answer is durable before it is given.
func TestPersistComesBeforeStored(t *testing.T) {
	w := newNetwork(t, 23)
	sn := w.supernodes(1)[0]
	bob := w.online("bob")
	r := directory.Record{Certificate: bob.Identity.Certificate, Location: bob.Machine.Location(), Sequence: uint64(w.Now.UnixMilli()) + 1, Time: w.Now}
	b, err := r.Sign(bob.Identity.Keys)
	if err != nil {
		t.Fatal(err)
	}
	s := w.shelves[sn]
	s.Received(w.Now, bob.ID(), 1, &message.StoreRecord{Record: b})
	persisted := false
	for _, e := range s.Take() {
		switch e := e.(type) {
		case directory.Persist:
			persisted = bytes.Equal(e.Record, b)
		case overlay.Respond:
			if _, ok := e.Message.(*message.Stored); !ok || !persisted {
				t.Errorf("answer %+v, persisted before: %v", e.Message, persisted)
			}
			return
		}
	}
	t.Error("no answer")
}

// What the disk did not take is not claimed to be stored when it comes again,
// and what was there before is not lost by it.
func TestUnkept(t *testing.T) {
	w := newNetwork(t, 24)
	sn := w.supernodes(1)[0]
	bob := w.online("bob")
	before := sn.Disk["record "+bob.ID().String()]
	r := directory.Record{Certificate: bob.Identity.Certificate, Location: bob.Machine.Location(), Sequence: uint64(w.Now.UnixMilli()) + 1, Time: w.Now}
	b, err := r.Sign(bob.Identity.Keys)
	if err != nil {
		t.Fatal(err)
	}
	s := w.shelves[sn]
	for range 2 { // tries, of which the disk takes none
		s.Received(w.Now, bob.ID(), 1, &message.StoreRecord{Record: b})
		effects := s.Take()
		if !slices.ContainsFunc(effects, func(e directory.Effect) bool { p, ok := e.(directory.Persist); return ok && bytes.Equal(p.Record, b) }) {
			t.Fatalf("not to be stored: %+v", effects)
		}
		s.Unkept(w.Now, []linnet.NodeID{bob.ID()}, [][]byte{before})
		if effects := s.Take(); len(effects) != 0 || s.Records() != 1 {
			t.Fatalf("%d records, and wants %+v", s.Records(), effects)
		}
	}
	s.Unkept(w.Now, []linnet.NodeID{bob.ID()}, nil)
	if s.Records() != 0 {
		t.Error("claims what is not on disk")
	}
}

// A member that could not be reached for a moment gets the record all the same.
func TestWriteIsTriedAgain(t *testing.T) {
	w := newNetwork(t, 26)
	nodes := w.supernodes(3)
	bob := w.user("bob")
	w.Run(2 * time.Second)
	away := nodes[slices.IndexFunc(nodes, func(n *overlaytest.Node) bool { return !slices.Contains(bob.Machine.Attachments(), n.ID()) })]
	w.Cut = func(a, b *overlaytest.Node) bool { return a == away }
	w.devices[bob].Publish(w.Now, directory.Status{})
	bob.Pump()
	w.Run(3 * time.Second)
	if len(effects[directory.Published](bob)) != 1 {
		t.Fatal("two of three are a majority")
	}
	bob.Kill() // he does not publish any more
	w.Cut = nil
	w.Run(15 * time.Second)
	if away.Disk["record "+bob.ID().String()] == nil {
		t.Error("the member has no record")
	}
}

// Each half of a divided network goes on with members of its own. Once it is one
// again, all members have what either half was told last: they hear of one another
// one by one, and those who gave are no members any more before all know all.
func TestDividedSlotsBecomeOne(t *testing.T) {
	w := newNetwork(t, 28)
	nodes := w.supernodes(32)
	for i := range 40 {
		n := w.user(linnet.UserName(fmt.Sprintf("user%d", i)))
		w.devices[n].Publish(w.Now, directory.Status{})
		n.Pump()
	}
	w.Run(10 * time.Second)
	far := func(n *overlaytest.Node) bool { return slices.Index(w.Nodes, n)%4 == 0 }
	w.Cut = func(a, b *overlaytest.Node) bool { return far(a) != far(b) }
	w.Run(3 * time.Minute)
	w.Cut = nil
	w.Run(90 * time.Second)
	for _, n := range nodes {
		if got := len(n.Machine.Serving()); got != len(nodes) {
			t.Fatalf("%s knows %d supernodes", n.Name, got)
		}
	}
	missing, old := 0, 0
	for n := range w.devices {
		published := effects[directory.Published](n)
		for _, node := range nodes[0].Machine.Members(overlay.SlotOf(linnet.UserName(n.Name))) {
			r, err := directory.OpenRecord(w.Trust, w.ByID(node).Disk["record "+n.ID().String()], w.Now)
			switch {
			case err != nil:
				missing++
			case r.Sequence != published[len(published)-1].Sequence:
				old++
			}
		}
	}
	if missing+old > 0 {
		t.Errorf("of 400 copies %d are missing, %d are old", missing, old)
	}
}

// Four of ten members never got the record. Whoever asks, finds it.
func TestMajorityIsFound(t *testing.T) {
	w := newNetwork(t, 27)
	nodes := w.supernodes(12)
	members := nodes[0].Machine.Members(overlay.SlotOf("bob"))
	for first := 0; first+4 <= len(members); first += 3 {
		w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
			if _, ok := msg.(*message.StoreRecord); ok && slices.Contains(members[first:first+4], to.ID()) {
				return nil
			}
			return msg
		}
		for _, n := range nodes { // as if nobody had heard of him before
			n.Kill()
			clear(n.Disk)
		}
		for _, n := range nodes {
			w.start(n)
		}
		w.Run(time.Minute)
		bob := w.ByID(w.Identity("bob", "device").Node)
		if bob == nil {
			bob = w.user("bob")
		}
		w.Run(time.Minute)
		r := directory.Record{Certificate: bob.Identity.Certificate, Location: bob.Machine.Location(), Online: true, Sequence: 1, Time: w.Now}
		b, err := r.Sign(bob.Identity.Keys)
		if err != nil {
			t.Fatal(err)
		}
		own := w.ByID(bob.Machine.Attachments()[0])
		if slices.Contains(members[first:first+4], own.ID()) {
			own = w.ByID(bob.Machine.Attachments()[1])
		}
		w.shelves[own].Received(w.Now, bob.ID(), 1, &message.StoreRecord{Record: b})
		own.Pump()
		w.Run(30 * time.Second)
		for _, n := range nodes {
			var got *message.SearchResult
			inner := w.Intercept
			w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
				if r, ok := msg.(*message.SearchResult); ok && from == n && to == n {
					got = r
				}
				return inner(from, to, msg)
			}
			w.shelves[n].Received(w.Now, n.ID(), 1, &message.Search{Terms: []message.Term{{Text: "bob", Field: message.FieldUser}}, Fresh: true})
			n.Pump()
			w.Run(3 * time.Second)
			w.Intercept = inner
			if got == nil || len(got.Hits) != 1 {
				t.Errorf("%s finds nothing, while members %d to %d lack the record", n.Name, first, first+3)
			}
		}
	}
}

// A device whose clock went back still replaces its record.
func TestClockWentBack(t *testing.T) {
	w := newNetwork(t, 24)
	w.supernodes(3)
	alice, bob := w.online("alice"), w.online("bob")
	ahead := directory.Record{
		Certificate: bob.Identity.Certificate, Location: bob.Machine.Location(),
		Sequence: uint64(w.Now.Add(48 * time.Hour).UnixMilli()), Time: w.Now,
	}
	b, _ := ahead.Sign(bob.Identity.Keys)
	for _, s := range w.shelves {
		for n := range w.shelves {
			s.Received(w.Now, n.ID(), 1, &message.StoreRecord{Record: b, Member: true})
		}
	}
	w.devices[bob].Publish(w.Now, directory.Status{})
	bob.Pump()
	w.Run(2 * time.Second)
	w.mustFind(alice, bob)
}

func TestRateLimit(t *testing.T) {
	w := newNetwork(t, 25)
	sn := w.supernodes(1)[0]
	alice := w.online("alice")
	s := w.shelves[sn]
	s.Take()
	refused := 0
	for range 500 {
		s.Received(w.Now, alice.ID(), 1, &message.Search{Terms: []message.Term{{Text: "bob", Field: message.FieldUser}}})
		for _, e := range s.Take() {
			if r, ok := e.(overlay.Respond); ok {
				if f, ok := r.Message.(*message.Failure); ok && f.Code == message.FailureTooMany {
					refused++
				}
			}
		}
	}
	if refused < 430 || refused > 450 {
		t.Errorf("%d of 500 searches at once were refused, want all but the burst of 60", refused)
	}
	if f, _ := w.lookup(alice, "bob", true); !errors.Is(f.Err, directory.ErrBusy) {
		t.Errorf("a look-up after them: %v, want that there were too many", f.Err)
	}
}
