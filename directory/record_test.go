package directory_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

func testRecord(w *overlaytest.World, id overlay.Identity, sequence uint64) directory.Record {
	return directory.Record{
		Certificate: id.Certificate, Location: message.Location{Node: id.Node, Supernodes: []linnet.NodeID{{1}, {2}}},
		NAT: 2, Capabilities: 5, Online: true, Sequence: sequence, Time: w.Now,
	}
}

func TestRecord(t *testing.T) {
	w := overlaytest.New(t, 1)
	id, other := w.Identity("bob", "laptop"), w.Identity("bob", "phone")
	r := testRecord(w, id, 7)
	b, err := r.Sign(id.Keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a record has %d bytes", len(b))
	got, err := directory.OpenRecord(w.Trust, b, w.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got.User != "bob" || got.Device != "laptop" || got.Node() != id.Node || got.Sequence != 7 || got.NAT != 2 || got.Capabilities != 5 ||
		!got.Online || !got.Time.Equal(w.Now) || len(got.Location.Supernodes) != 2 || !bytes.Equal(got.Agreement, id.Keys.Public().Agreement) {
		t.Errorf("opened %+v", got)
	}

	t.Run("every bit counts", func(t *testing.T) {
		for i := range b {
			x := bytes.Clone(b)
			x[i] ^= 0x10
			if _, err := directory.OpenRecord(w.Trust, x, w.Now); err == nil {
				t.Fatalf("opened with byte %d changed", i)
			}
		}
	})
	for name, change := range map[string]func(*directory.Record){
		"another device's certificate": func(r *directory.Record) { r.Certificate = other.Certificate },
		"another device's location":    func(r *directory.Record) { r.Location.Node = other.Node },
		"from the future":              func(r *directory.Record) { r.Time = w.Now.Add(time.Hour) },
		"long forgotten":               func(r *directory.Record) { r.Time = w.Now.Add(-overlay.KeepRecords - time.Hour) },
		"too long":                     func(r *directory.Record) { r.Certificate = make([]byte, directory.MaxRecord) },
	} {
		t.Run(name, func(t *testing.T) {
			bad := testRecord(w, id, 7)
			change(&bad)
			b, err := bad.Sign(id.Keys)
			if err != nil {
				return
			}
			if _, err := directory.OpenRecord(w.Trust, b, w.Now); err == nil {
				t.Error("opened")
			}
		})
	}
	t.Run("a node's", func(t *testing.T) {
		sn := w.Identity("node:s1", "device")
		r := testRecord(w, sn, 1)
		b, _ := r.Sign(sn.Keys)
		if _, err := directory.OpenRecord(w.Trust, b, w.Now); err == nil {
			t.Error("opened a record of an operator's machine")
		}
	})
	t.Run("reachable", func(t *testing.T) {
		offline, nowhere := *got, *got
		offline.Online, nowhere.Location.Supernodes = false, nil
		if !got.Reachable(w.Now.Add(directory.FreshFor)) || got.Reachable(w.Now.Add(directory.FreshFor+time.Second)) ||
			offline.Reachable(w.Now) || nowhere.Reachable(w.Now) {
			t.Error("wrong")
		}
	})
}

func TestAbsence(t *testing.T) {
	w := overlaytest.New(t, 2)
	sn := w.Supernodes(1)[0]
	slot := overlay.SlotOf("bob")
	sign := func(a directory.Absence, id overlay.Identity) []byte {
		b, err := a.Sign(id.Keys)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	honest := directory.Absence{User: "bob", Slot: slot, Time: w.Now, Entry: sn.Machine.Entry()}
	b := sign(honest, sn.Identity)
	t.Logf("an absence has %d bytes", len(b))
	a, err := directory.OpenAbsence(w.Trust, b, w.Now)
	if err != nil || a.User != "bob" || a.Slot != slot || a.Node != sn.ID() || !a.Time.Equal(w.Now) {
		t.Fatalf("opened %+v, %v", a, err)
	}
	for i := range b {
		x := bytes.Clone(b)
		x[i] ^= 0x10
		if _, err := directory.OpenAbsence(w.Trust, x, w.Now); err == nil {
			t.Fatalf("opened with byte %d changed", i)
		}
	}
	// A user's machine may sign that it is a supernode; the network's policy decides.
	mallory := w.Identity("mallory", "device")
	posing := overlay.Entry{Certificate: mallory.Certificate, Addrs: testAddrs(sn), Roles: linnet.Supernode | linnet.Relay, Incarnation: 1}
	entry, err := posing.Sign(mallory.Keys)
	if err != nil {
		t.Fatal(err)
	}
	forged := honest
	forged.Entry = entry
	hosted := w.Trust
	hosted.Admit = overlay.Hosted
	if _, err := directory.OpenAbsence(hosted, sign(forged, mallory), w.Now); err == nil {
		t.Error("a user's machine may say who is absent")
	}
	if _, err := directory.OpenAbsence(hosted, b, w.Now); err != nil {
		t.Error(err)
	}
	if _, err := directory.OpenAbsence(w.Trust, b, w.Now.Add(6*time.Minute)); err == nil {
		t.Error("opened six minutes later")
	}
	if _, err := directory.OpenAbsence(w.Trust, sign(honest, w.Identity("mallory", "device")), w.Now); err == nil {
		t.Error("opened although somebody else signed it")
	}
	noSlot := honest
	noSlot.Slot = overlay.SlotCount
	if _, err := directory.OpenAbsence(w.Trust, sign(noSlot, sn.Identity), w.Now); err == nil {
		t.Error("opened for a slot that there is not")
	}
	retired := overlay.Entry{Certificate: sn.Identity.Certificate, Addrs: testAddrs(sn), Incarnation: 1}
	noSeat := honest
	noSeat.Entry, _ = retired.Sign(sn.Identity.Keys)
	if _, err := directory.OpenAbsence(w.Trust, sign(noSeat, sn.Identity), w.Now); err == nil {
		t.Error("opened although its signer serves no longer")
	}
}

// classicDevice is a device of a classic network.
func classicDevice(t testing.TB, now time.Time) (overlay.Identity, overlay.Trust) {
	t.Helper()
	a, err := suite.CreateAuthority("Museum", now, suite.AuthorityOptions{Suite: suite.ClassicName})
	if err != nil {
		t.Fatal(err)
	}
	k, err := suite.Classic().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	b, c, err := a.IssueCertificate("alice", "laptop", k.Public(), 1, now)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := overlay.TrustIn(&a.Descriptor)
	if err != nil {
		t.Fatal(err)
	}
	return overlay.Identity{Node: c.NodeID(), Certificate: b, Keys: k}, trust
}

// On a classic network a record is the old network's directory blob (W5.2).
func TestClassicRecord(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	id, trust := classicDevice(t, now)
	for _, online := range []bool{true, false} {
		want := directory.Record{
			Certificate: id.Certificate, Location: message.Location{Node: id.Node, Supernodes: []linnet.NodeID{{1}, {2}}},
			NAT: 2, Capabilities: 5, Online: online, Sequence: 7, Time: now,
		}
		b, err := want.Sign(id.Keys)
		if err != nil {
			t.Fatal(err)
		}
		if n := binary.BigEndian.Uint32(b); !bytes.Equal(b[4:4+n], id.Certificate) {
			t.Errorf("begins with %x", b[:4+n])
		}
		got, err := directory.OpenRecord(trust, b, now)
		if err != nil {
			t.Fatal(err)
		}
		if got.User != "alice" || !bytes.Equal(got.Certificate, id.Certificate) || got.Node() != id.Node || len(got.Location.Supernodes) != 2 ||
			got.NAT != 2 || got.Capabilities != 5 || got.Online != online || got.Sequence != 7 || !got.Time.Equal(now) {
			t.Errorf("opened %+v", got)
		}
		for _, wrong := range [][]byte{nil, b[:3], b[:len(b)-1], append(bytes.Clone(b), 0), append([]byte{255, 255, 255, 255}, b[4:]...)} {
			if _, err := directory.OpenRecord(trust, wrong, now); err == nil {
				t.Errorf("opened %x", wrong)
			}
		}
	}
}

func FuzzOpenRecord(f *testing.F) {
	w := overlaytest.New(f, 1)
	id := w.Identity("bob", "laptop")
	r := testRecord(w, id, 7)
	b, _ := r.Sign(id.Keys)
	f.Add(b)
	signed, _ := suite.ParseSigned(b)
	f.Add(signed.Body)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := directory.OpenRecord(w.Trust, b, w.Now); err == nil && (r.Node() != id.Node || r.Sequence != 7) {
			t.Errorf("forged: %+v", r)
		}
	})
}

func FuzzOpenAbsence(f *testing.F) {
	w := overlaytest.New(f, 2)
	sn := w.Supernodes(1)[0]
	a := directory.Absence{User: "bob", Slot: overlay.SlotOf("bob"), Time: w.Now, Entry: sn.Machine.Entry()}
	b, _ := a.Sign(sn.Identity.Keys)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := directory.OpenAbsence(w.Trust, b, w.Now); err == nil && (a.Node != sn.ID() || a.User != "bob") {
			t.Errorf("forged: %+v", a)
		}
	})
}

// Vectors for other implementations, made of those of packages suite and overlay.
func TestVectors(t *testing.T) {
	alice, trust := overlaytest.Alice(t)
	now := overlaytest.VectorTime
	r := directory.Record{
		Certificate: alice.Certificate, Location: message.Location{Node: alice.Node, Supernodes: []linnet.NodeID{{1}, {2}}},
		Online: true, Sequence: 7, Time: now,
	}
	got, err := r.Sign(alice.Keys)
	want := "4102" + "0400a302" +
		"4107" + "0400cb01" + hex.EncodeToString(alice.Certificate) +
		"040132" + "01" + alice.Node.String() + "02" + "01000000000000000000000000000000" + "02000000000000000000000000000000" +
		"000200" + "000300" + "000401" + "01050000000000000007" + "01060000019ca9457f30" +
		"040140b97b5d82654c8e6266e8a76802a9d43b89ae3817564111aad3241097757fb8ebfa762ae9a3bd9fde4d0b390be954c12aed765b0f717603308ef7fcefc12d5d09"
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("the record is %x, %v\nwant %s", got, err, want)
	}
	if opened, err := directory.OpenRecord(trust, got, now); err != nil || opened.User != "alice" || opened.Sequence != 7 {
		t.Errorf("OpenRecord = %+v, %v", opened, err)
	}

	e := overlay.Entry{
		Certificate: alice.Certificate, Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:33033")},
		Roles: linnet.Supernode | linnet.Relay, Incarnation: uint64(now.UnixMilli()),
	}
	entry, err := e.Sign(alice.Keys)
	if err != nil {
		t.Fatal(err)
	}
	a := directory.Absence{User: "nobody", Slot: overlay.SlotOf("nobody"), Time: now, Entry: entry}
	got, err = a.Sign(alice.Keys)
	want = "4102" + "0400cc02" +
		"4104" + "03006e6f626f647900" + "0001b705" + "01020000019ca9457f30" + "0403af02" + hex.EncodeToString(entry) +
		"0401407a24e25d0409ec8bae6151111f42c21950290c7d0e74c761933d3a57b30465fc4730d28044fd30fd863ab7492b292d88e109d9d1b90fb232fa36e45019731609"
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("the absence is %x, %v\nwant %s", got, err, want)
	}
	if opened, err := directory.OpenAbsence(trust, got, now); err != nil || opened.Node != alice.Node || opened.Slot != 695 {
		t.Errorf("OpenAbsence = %+v, %v", opened, err)
	}
}
