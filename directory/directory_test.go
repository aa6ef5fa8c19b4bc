package directory_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

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

// All members of a slot die, and later many newcomers come, to whom nobody can give its
// records: they do not say either that there is nobody of that name.
func TestNewcomersDenyNobody(t *testing.T) {
	w := newNetwork(t, 12)
	nodes := w.supernodes(40)
	alice := w.online("alice")
	members := func(user linnet.UserName) []linnet.NodeID { return nodes[0].Machine.Members(overlay.SlotOf(user)) }
	kept := func(nodes ...*overlaytest.Node) (list []linnet.NodeID) {
		for _, n := range nodes {
			list = append(list, n.Machine.Attachments()...)
		}
		return list
	}
	user := linnet.UserName("bobby0")
	for i := 1; slices.ContainsFunc(kept(alice, w.online(user)), func(n linnet.NodeID) bool { return slices.Contains(members(user), n) }); i++ {
		user = linnet.UserName(fmt.Sprintf("bobby%d", i))
	}
	w.Run(13 * time.Minute)
	for _, id := range slices.Clone(members(user)) {
		w.ByID(id).Kill()
	}
	w.Intercept = func(_, _ *overlaytest.Node, msg message.Message) message.Message {
		if _, ok := msg.(*message.StoreRecord); ok {
			return nil // nor by its device
		}
		return msg
	}
	w.Run(time.Minute) // who comes later does not hear of the dead
	w.supernodes(40)
	for range 20 {
		if f, _ := w.lookupWithin(10*time.Second, alice, user, true); errors.Is(f.Err, directory.ErrNotFound) {
			t.Fatalf("%s was said not to exist", user)
		}
		w.Run(10 * time.Second)
	}
}

// A newcomer that was given nothing answers by what its elders have, keeps that,
// and denies only whom they deny.
func TestNewcomerAsksItsElders(t *testing.T) {
	w := newNetwork(t, 13)
	nodes := w.supernodes(5)
	w.online("bob")
	w.Run(13 * time.Minute)
	var answer *message.SearchResult
	var newcomer *overlaytest.Node
	w.Intercept = func(from, to *overlaytest.Node, msg message.Message) message.Message {
		switch msg := msg.(type) {
		case *message.StoreRecord:
			if msg.Member {
				return nil
			}
		case *message.SearchResult:
			if from == newcomer {
				answer = msg
			}
		}
		return msg
	}
	newcomer = w.supernodes(1)[0]
	ask := func(user linnet.UserName, elder bool) *message.SearchResult {
		t.Helper()
		answer = nil
		search := directory.SearchFor(user)
		search.Member, search.Elder = true, elder
		w.shelves[newcomer].Received(w.Now, nodes[0].ID(), 1, search)
		newcomer.Pump()
		w.Until(5*time.Second, "an answer", func() bool { return answer != nil })
		return answer
	}
	if r := ask("bob", true); len(r.Hits)+len(r.Absent) != 0 {
		t.Errorf("asked as an elder, it said %+v of bob", r)
	}
	if r := ask("bob", false); len(r.Hits) != 1 {
		t.Errorf("it said %+v of bob", r)
	}
	if w.shelves[newcomer].Records() != 1 {
		t.Error("it did not keep what its elders had")
	}
	if r := ask("nobody", false); len(r.Absent) != 1 {
		t.Errorf("it said %+v of nobody", r)
	}
	for _, n := range nodes[1:4] { // the newcomer believes in them for some seconds
		n.Kill()
	}
	if r := ask("somebody", false); len(r.Hits)+len(r.Absent) != 0 {
		t.Errorf("by one elder, it said %+v of somebody", r)
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
