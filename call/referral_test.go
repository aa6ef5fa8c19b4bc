package call

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
)

func TestReferral(t *testing.T) {
	w := overlaytest.New(t, 61)
	alice := w.Identity("alice", "device")
	r := Referral{Transferee: "bob", Target: "carol", Time: w.Now.Truncate(time.Millisecond), Replaces: linnet.CallID{1}}
	b, err := r.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a referral has %d bytes", len(b))
	r.By, r.Node = "alice", alice.Node
	got, err := OpenReferral(w.Trust, b, w.Now)
	if err != nil || got.Time.UnixMilli() != r.Time.UnixMilli() {
		t.Fatalf("%+v, %v", got, err)
	}
	got.Time = r.Time
	if *got != r {
		t.Errorf("%+v, want %+v", *got, r)
	}
	for _, now := range []time.Time{w.Now.Add(6 * time.Minute), w.Now.Add(-6 * time.Minute)} {
		if _, err := OpenReferral(w.Trust, b, now); err == nil {
			t.Errorf("good at %v", now.Sub(w.Now))
		}
	}
	forged, _ := r.Sign(overlay.Identity{Certificate: alice.Certificate, Keys: w.Identity("eve", "device").Keys})
	if _, err := OpenReferral(w.Trust, forged, w.Now); err == nil {
		t.Error("signed by somebody else")
	}
	node, _ := r.Sign(w.Identity(linnet.NodeName("sn"), "sn"))
	if _, err := OpenReferral(w.Trust, node, w.Now); err == nil {
		t.Error("of an operator's machine")
	}
}

// The vector of docs/protocol.md, from the machine of alice in the tests' network.
func TestReferralBytes(t *testing.T) {
	w := overlaytest.New(t, 62)
	alice := w.Identity("alice", "device")
	r := Referral{Transferee: "bob", Target: "carol", Time: time.UnixMilli(1772000000000), Replaces: linnet.CallID{1, 15: 2}}
	b, err := r.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	n := len(alice.Certificate)
	want, err := hex.DecodeString(strings.ReplaceAll("41 05 0400 "+hex.EncodeToString([]byte{byte(n&0x7f | 0x80), byte(n >> 7)})+hex.EncodeToString(alice.Certificate)+
		" 0301 626f6200 0302 6361726f6c00 0103 0000019c936e3800 0404 10 01000000000000000000000000000002", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, want) {
		t.Errorf("%x\nlacks\n%x", b, want)
	}
}

func FuzzOpenReferral(f *testing.F) {
	w := overlaytest.New(f, 63)
	r := Referral{Transferee: "bob", Target: "carol", Time: w.Now}
	b, _ := r.Sign(w.Identity("alice", "device"))
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) { OpenReferral(w.Trust, b, w.Now) })
}
