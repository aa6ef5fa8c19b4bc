package directory

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

var t0 = time.Unix(1_900_000_000, 0)

func shelfRecord(user linnet.UserName, device int, sequence uint64, at time.Time) *Record {
	return &Record{
		Location: message.Location{Node: linnet.NodeID{byte(device >> 8), byte(device), 1}, Supernodes: []linnet.NodeID{{1}}},
		Online:   true, Sequence: sequence, Time: at, User: user, Expires: at.AddDate(0, 0, 30),
	}
}

func TestNewestSequenceWins(t *testing.T) {
	s := newStore(10, overlay.KeepRecords)
	for i, tt := range []struct {
		sequence uint64
		want     verdict
		held     uint64
	}{{5, stored, 5}, {5, known, 5}, {4, known, 5}, {6, stored, 6}, {1 << 63, stored, 1 << 63}, {7, known, 1 << 63}} {
		if v, _ := s.put(t0, shelfRecord("bob", 1, tt.sequence, t0), 3); v != tt.want || s.users["bob"].sequence != tt.held {
			t.Errorf("step %d: verdict %d, sequence %d", i, v, s.users["bob"].sequence)
		}
	}
}

func TestDeviceThatWritesTooOften(t *testing.T) {
	s := newStore(10, overlay.KeepRecords)
	written := 0
	for i := range 100 {
		if v, _ := s.put(t0, shelfRecord("bob", 1, uint64(i+1), t0), 3); v == stored {
			written++
		}
	}
	if written != writeBurst {
		t.Errorf("%d writes at once, want %d", written, writeBurst)
	}
	if v, _ := s.put(t0.Add(time.Minute), shelfRecord("bob", 1, 1000, t0), 3); v != stored {
		t.Error("still refused after a minute")
	}
}

func TestDevicesOfOneUser(t *testing.T) {
	s := newStore(100, overlay.KeepRecords)
	for i := range 20 {
		at := t0.Add(time.Duration(i) * time.Second)
		if v, gone := s.put(at, shelfRecord("bob", i, 1, at), 3); v != stored || (len(gone) == 1) != (i >= maxDevices) {
			t.Errorf("device %d: verdict %d, gone %d", i, v, len(gone))
		}
	}
	if n := len(s.devices("bob")); n != maxDevices || len(s.nodes) != maxDevices {
		t.Errorf("%d devices of the user, %d in all", n, len(s.nodes))
	}
	if v, _ := s.put(t0, shelfRecord("bob", 99, 1, t0.Add(-time.Hour)), 3); v != full {
		t.Error("an older device took the place of a newer one")
	}
}

// Who is online is not pushed out by a crowd; who is not, is.
func TestRoom(t *testing.T) {
	s := newStore(10, overlay.KeepRecords)
	for i := range 10 {
		s.put(t0, shelfRecord(linnet.UserName(fmt.Sprint("user", i)), i, 1, t0), 3)
	}
	if v, _ := s.put(t0, shelfRecord("late", 100, 1, t0), 3); v != full || len(s.nodes) != 10 {
		t.Errorf("verdict %d, %d records", v, len(s.nodes))
	}
	later := t0.Add(FreshFor + time.Minute)
	v, gone := s.put(later, shelfRecord("late", 100, 1, later), 3)
	if v != stored || len(gone) != 1 || len(s.nodes) != 10 || len(slices.Collect(s.all)) != 10 || len(s.slots[3]) != 10 {
		t.Errorf("verdict %d, gone %d, %d records", v, len(gone), len(s.nodes))
	}
}

func TestSweep(t *testing.T) {
	s := newStore(10, overlay.KeepRecords)
	s.put(t0, shelfRecord("old", 1, 1, t0.Add(-overlay.KeepRecords)), 1)
	s.put(t0, shelfRecord("young", 2, 1, t0), 2)
	s.put(t0, shelfRecord("stray", 3, 1, t0), 3)
	s.nodes[linnet.NodeID{0, 3, 1}].strayed = uint32(t0.Unix())
	if gone := s.sweep(t0); len(gone) != 0 {
		t.Errorf("%d gone at once", len(gone))
	}
	s.sweep(t0.Add(time.Second))
	if s.users["old"] != nil || s.slots[1] != nil {
		t.Error("older than three days and still there")
	}
	s.sweep(t0.Add(strayFor + time.Second))
	if s.users["stray"] != nil || s.users["young"] == nil || len(s.slots) != 1 {
		t.Error("a stray record is dropped after ten minutes, and no other one")
	}
}

func TestPlausible(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const slot = overlay.Slot(77)
	node := func() (id linnet.NodeID) {
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		return id
	}
	for _, tt := range []struct{ supernodes, known, outsiders int }{
		{3, 3, 100}, {20, 20, 30}, {20, 5, 100}, {20, 60, 100}, {1000, 200, 4}, {20_000, 200, 4},
	} {
		var slots overlay.Slots
		var all []linnet.NodeID
		for range tt.supernodes {
			id := node()
			all = append(all, id)
			slots.Add(id, netip.AddrFrom4([4]byte{10, byte(len(all) >> 8), byte(len(all)), 1}))
		}
		known := append([]linnet.NodeID(nil), all[:min(tt.known, len(all))]...)
		for len(known) < tt.known {
			known = append(known, node()) // dead ones
		}
		for _, m := range slots.Members(slot) {
			if !plausible(slot, m, known, tt.supernodes) {
				t.Errorf("%+v: a true member is not plausible", tt)
			}
		}
		members, believed := slots.Members(slot), 0
		for _, id := range all {
			if plausible(slot, id, known, tt.supernodes) {
				believed++
			}
		}
		if believed -= len(members); believed*100 > tt.outsiders*tt.supernodes {
			t.Errorf("%+v: %d others would be believed, too", tt, believed)
		}
	}
}
