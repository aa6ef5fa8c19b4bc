package directory_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

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

// Who knows a part of the supernodes takes others for members, and writes to those that are as
// soon as it hears of them: nobody else knows of the record. It may be one itself.
func TestNewcomerWritesToMembersItHearsOf(t *testing.T) {
	for _, c := range []struct {
		what  string
		after time.Duration
		wants []linnet.UserName
	}{
		{"the two latest writes", 0, []linnet.UserName{"alice", "bob"}},
		{"nothing so much later", 61 * time.Second, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newNetwork(t, 26)
			w.busy = 2
			nodes := w.supernodes(40)
			users := []linnet.UserName{"carol", "alice", "bob", "bob"}
			members := make(map[linnet.UserName][]linnet.NodeID)
			var all []linnet.NodeID
			for _, user := range users {
				members[user] = slices.Clone(nodes[0].Machine.Members(overlay.SlotOf(user)))
				all = append(all, members[user]...)
			}
			newcomer := w.ByID(members["bob"][0])
			w.alone(newcomer)
			devices := make(map[linnet.UserName]*overlaytest.Node)
			for _, user := range users[:3] {
				devices[user] = w.user(user)
			}
			w.Run(10 * time.Second)
			w.seats[newcomer].narrow(all)
			for i, user := range users {
				n := devices[user]
				w.devices[n].Publish(w.Now, directory.Status{NAT: uint32(i)})
				n.Pump()
				stored := len(effects[directory.Published](n))
				w.Until(10*time.Second, string(user)+" is published", func() bool { return len(effects[directory.Published](n)) > stored })
			}
			has := func(user linnet.UserName, id linnet.NodeID) bool {
				return w.ByID(id).Disk["record "+devices[user].ID().String()] != nil
			}
			for user, members := range members {
				if slices.ContainsFunc(members, func(id linnet.NodeID) bool { return has(user, id) }) {
					t.Fatalf("a member has %s already", user)
				}
			}
			w.Run(c.after)
			w.widen(newcomer)
			w.Run(5 * time.Second)
			for user, members := range members {
				for _, id := range members {
					want := slices.Contains(c.wants, user)
					if has(user, id) != want {
						t.Errorf("%s has a record of %s: %t, want %t", w.ByID(id).Name, user, !want, want)
					}
					if r, err := directory.OpenRecord(w.Trust, w.ByID(id).Disk["record "+devices[user].ID().String()], w.Now); want && (err != nil || users[r.NAT] != user || user == "bob" && r.NAT != 3) {
						t.Errorf("%s has not the latest record of %s: %+v, %v", w.ByID(id).Name, user, r, err)
					}
				}
			}
		})
	}
}

// A withdrawal is never lost behind the card that it withdraws.
func TestNewcomerWritesWithdrawals(t *testing.T) {
	w := newNetwork(t, 27)
	nodes := w.supernodes(40)
	var strangers []linnet.NodeID
	for _, n := range nodes[12:] {
		strangers = append(strangers, n.ID())
	}
	newcomer := nodes[39]
	w.alone(newcomer)
	alice, bob := w.user("alice"), w.user("bob")
	w.Run(10 * time.Second)
	w.seats[newcomer].narrow(strangers)
	for _, n := range []*overlaytest.Node{alice, bob} {
		w.set(n, &linnet.Card{Name: "a " + n.Name})
	}
	w.set(bob, nil)
	w.widen(newcomer)
	w.Run(20 * time.Second)
	for _, user := range []string{"alice", "bob"} {
		have := 0
		for _, n := range nodes[12:] {
			b, ok := n.Disk["card "+user]
			if !ok {
				continue
			}
			have++
			if c, err := directory.OpenCard(w.Trust, b, w.Now); err != nil || c.Withdrawn != (user == "bob") {
				t.Errorf("%s has a card of %s, withdrawn: %t, %v", n.Name, user, c != nil && c.Withdrawn, err)
			}
		}
		if have < overlay.SlotSize/2 {
			t.Errorf("%d have %s's card", have, user)
		}
	}
}
