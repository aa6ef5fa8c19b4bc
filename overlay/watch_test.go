package overlay_test

import (
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

func goneAt(n *overlaytest.Node) (nodes []linnet.NodeID) {
	for _, e := range effects[overlay.Gone](n) {
		nodes = append(nodes, e.Nodes...)
	}
	return nodes
}

// A device that crashed is told to who watches it, and nobody else is.
func TestWatch(t *testing.T) {
	w := overlaytest.New(t, 1)
	w.Supernodes(12)
	w.Run(20 * time.Second)
	alice := w.User("alice")
	var others []*overlaytest.Node
	for _, name := range []linnet.UserName{"bob", "carol", "dave", "erin"} {
		others = append(others, w.User(name))
	}
	w.Run(30 * time.Second)
	var places []message.Location
	for _, n := range others {
		places = append(places, n.Machine.Location())
	}
	nowhere := message.Location{Node: linnet.NodeID{9}, Supernodes: []linnet.NodeID{{8}}}

	alice.Machine.Watch(w.Now, places)
	w.Run(2 * time.Minute)
	if gone := goneAt(alice); len(gone) != 0 {
		t.Errorf("gone are %v, and all are there", gone)
	}
	bob := others[0]
	bobID := bob.ID()
	bob.Kill()
	w.Run(3 * time.Minute) // until he is forgotten
	alice.Machine.Watch(w.Now, append(places, nowhere))
	w.Run(2 * time.Minute)
	gone := goneAt(alice)
	slices.SortFunc(gone, func(a, b linnet.NodeID) int { return slices.Compare(a[:], b[:]) })
	want := []linnet.NodeID{bobID, nowhere.Node}
	slices.SortFunc(want, func(a, b linnet.NodeID) int { return slices.Compare(a[:], b[:]) })
	if !slices.Equal(gone, want) {
		t.Errorf("gone are %v, want bob and the one who never was, %v", gone, want)
	}
	for _, n := range others[1:] {
		if len(goneAt(n)) != 0 {
			t.Error("somebody who watches nobody is told")
		}
	}
}

// Only supernodes are answered, and only what one's own supernodes say counts.
func TestWatchOfStrangers(t *testing.T) {
	w := overlaytest.New(t, 2)
	s := w.Supernodes(2)
	w.Run(20 * time.Second)
	alice, mallory := w.User("alice"), w.User("mallory")
	w.Run(30 * time.Second)
	alice.Machine.Take()
	alice.Machine.Received(w.Now, mallory.ID(), 0, &message.Gone{Nodes: []linnet.NodeID{s[0].ID()}})
	alice.Machine.Received(w.Now, mallory.ID(), 0, &message.Watch{Nodes: []linnet.NodeID{{1}}, Asker: mallory.ID()})
	if out := alice.Machine.Take(); len(out) != 0 {
		t.Errorf("an ordinary node does %v", out)
	}
	for _, msg := range []message.Message{
		&message.Gone{Nodes: []linnet.NodeID{{1}}, Asker: alice.ID()},
		&message.Watch{Nodes: []linnet.NodeID{{1}}, Asker: alice.ID()},
	} {
		s[0].Machine.Take()
		s[0].Machine.Received(w.Now, mallory.ID(), 0, msg)
		if out := s[0].Machine.Take(); len(out) != 0 {
			t.Errorf("a supernode does %v for a client", out)
		}
	}
}

// A volunteer with many contacts at one supernode hears of all of them.
func TestWatchOfMany(t *testing.T) {
	w := overlaytest.New(t, 3)
	s := w.Supernodes(2)
	w.Run(20 * time.Second)
	var places []message.Location
	for i := range 50 {
		places = append(places, message.Location{Node: linnet.NodeID{9, byte(i)}, Supernodes: []linnet.NodeID{s[1].ID()}})
	}
	s[0].Machine.Watch(w.Now, places)
	w.Run(5 * time.Second)
	if n := len(goneAt(s[0])); n != len(places) {
		t.Errorf("%d of %d are gone", n, len(places))
	}
}
