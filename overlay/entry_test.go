package overlay_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/suite"
)

func testEntry(w *overlaytest.World, id overlay.Identity) overlay.Entry {
	return overlay.Entry{
		Certificate: id.Certificate, Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:33033")},
		Roles: linnet.Supernode | linnet.Relay, Incarnation: uint64(w.Now.UnixMilli()),
	}
}

func TestEntry(t *testing.T) {
	w := overlaytest.New(t, 1)
	id := w.Identity("node:one", "device")
	e := testEntry(w, id)
	e.Addrs = append(e.Addrs, netip.MustParseAddrPort("[2001:db8::1]:33033"))
	b, err := e.Sign(id.Keys)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Trust.OpenEntry(b, w.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Node != id.Node || got.User != "node:one" || !slices.Equal(got.Addrs, e.Addrs) || got.Roles != e.Roles || got.Incarnation != e.Incarnation || !got.Serves() {
		t.Errorf("opened %+v", got)
	}
	if h := got.Host(); h.Node != id.Node || !bytes.Equal(h.Agreement, id.Keys.Public().Agreement) {
		t.Errorf("host %+v", h)
	}
	t.Logf("an entry of two addresses has %d bytes", len(b))

	t.Run("every bit counts", func(t *testing.T) {
		for i := range b {
			x := bytes.Clone(b)
			x[i] ^= 0x10
			if _, err := w.Trust.OpenEntry(x, w.Now); err == nil {
				t.Fatalf("opened with byte %d changed", i)
			}
		}
	})
	t.Run("expired", func(t *testing.T) {
		if _, err := w.Trust.OpenEntry(b, w.Now.AddDate(0, 0, 31)); err == nil {
			t.Error("opened although its certificate has expired")
		}
	})
	t.Run("another's certificate", func(t *testing.T) {
		stolen := testEntry(w, w.Identity("node:two", "device"))
		b, _ := stolen.Sign(id.Keys)
		if _, err := w.Trust.OpenEntry(b, w.Now); err == nil {
			t.Error("opened although another key signed it")
		}
	})
	t.Run("another purpose", func(t *testing.T) {
		signed, _ := suite.ParseSigned(b)
		sig, _ := id.Keys.Sign(suite.ForRecord, signed.Body)
		x := bytes.Replace(b, signed.Signature, sig, 1)
		if _, err := w.Trust.OpenEntry(x, w.Now); err == nil {
			t.Error("opened although it was signed for another purpose")
		}
	})
	t.Run("from the future", func(t *testing.T) {
		if _, err := w.Trust.OpenEntry(b, w.Now.Add(-time.Hour)); err == nil {
			t.Error("opened an hour before it was made")
		}
	})
	for name, addrs := range map[string][]netip.AddrPort{
		"no address":   nil,
		"five":         slices.Repeat([]netip.AddrPort{e.Addrs[0]}, 5),
		"no port":      {netip.MustParseAddrPort("192.0.2.7:0")},
		"multicast":    {netip.MustParseAddrPort("224.0.0.1:5")},
		"unspecified":  {netip.MustParseAddrPort("0.0.0.0:5")},
		"link's scope": {netip.MustParseAddrPort("[fe80::1%eth0]:5")},
	} {
		t.Run(name, func(t *testing.T) {
			bad := e
			bad.Addrs = addrs
			if _, err := bad.Sign(id.Keys); err == nil {
				t.Error("signed")
			}
		})
	}
	t.Run("longest", func(t *testing.T) {
		long := w.Identity(linnet.UserName("u"+strings.Repeat("x", 31)), strings.Repeat("d", suite.MaxDeviceName))
		e := testEntry(w, long)
		e.Addrs = slices.Repeat([]netip.AddrPort{netip.MustParseAddrPort("[2001:db8:1:2:3:4:5:6]:33033")}, overlay.MaxAddrs)
		b, err := e.Sign(long.Keys)
		if err != nil || len(b) > overlay.MaxEntry {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		t.Logf("%d bytes", len(b))
	})
}

func FuzzOpenEntry(f *testing.F) {
	w := overlaytest.New(f, 1)
	id := w.Identity("node:one", "device")
	e := testEntry(w, id)
	b, err := e.Sign(id.Keys)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(id.Certificate)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := w.Trust.OpenEntry(b, w.Now)
		if err == nil && (e.Node != id.Node || len(e.Addrs) == 0 || len(e.Addrs) > overlay.MaxAddrs) {
			t.Errorf("forged: %+v", e)
		}
	})
}

// A vector for other implementations, made of those of package suite: Ed25519
// signs the same bytes the same way every time.
func TestEntryVector(t *testing.T) {
	alice, trust := overlaytest.Alice(t)
	e := overlay.Entry{
		Certificate: alice.Certificate, Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:33033")},
		Roles: linnet.Supernode | linnet.Relay, Incarnation: uint64(overlaytest.VectorTime.UnixMilli()),
	}
	got, err := e.Sign(alice.Keys)
	if err != nil {
		t.Fatal(err)
	}
	want := "4102" + "0400e601" +
		"4104" + "0400cb01" + hex.EncodeToString(alice.Certificate) +
		"0201c00002078109" + "000203" + "01030000019ca9457f30" +
		"040140d83f25de7c81023dab08947e56613dc7f840fe54695e9c364d31ec9ee175eb4aea200e61d72625d9cdf324733fdc7069476f4b05e64728561ae577e16b499c0b"
	if hex.EncodeToString(got) != want {
		t.Errorf("Sign = %x\nwant   %s", got, want)
	}
	opened, err := trust.OpenEntry(got, overlaytest.VectorTime)
	if err != nil || opened.Node != alice.Node || opened.User != "alice" || opened.Roles != e.Roles {
		t.Errorf("OpenEntry = %+v, %v", opened, err)
	}
}

func TestTrustInReadsThePolicy(t *testing.T) {
	for hours, want := range map[uint32]time.Duration{0: overlay.KeepRecords, 5: 5 * time.Hour} {
		trust, err := overlay.TrustIn(&suite.Descriptor{Suite: suite.ModernName, Policy: suite.Policy{Records: hours}})
		if err != nil || trust.Keep() != want {
			t.Errorf("%d hours: %v, %v", hours, trust.Keep(), err)
		}
	}
}

// Where a supernode listens on ports of the web: the same entry with `0004 03` and a name.
func TestEntryWithWebPorts(t *testing.T) {
	alice, trust := overlaytest.Alice(t)
	e := overlay.Entry{
		Certificate: alice.Certificate, Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:33033")},
		Roles: linnet.Supernode | linnet.Relay, Incarnation: uint64(overlaytest.VectorTime.UnixMilli()),
		Web: linnet.RungsOf(linnet.RungPort80, linnet.RungPort443), WebName: "sn.example.org",
	}
	got, err := e.Sign(alice.Keys)
	if err != nil {
		t.Fatal(err)
	}
	body := "4106" + "0400cb01" + hex.EncodeToString(alice.Certificate) +
		"0201c00002078109" + "000203" + "01030000019ca9457f30" + "000403" + "0305" + hex.EncodeToString([]byte("sn.example.org")) + "00"
	if !strings.Contains(hex.EncodeToString(got), body) {
		t.Errorf("Sign = %x\nwant in it %s", got, body)
	}
	opened, err := trust.OpenEntry(got, overlaytest.VectorTime)
	if err != nil || opened.Web != e.Web || opened.WebName != e.WebName {
		t.Fatalf("OpenEntry = %+v, %v", opened, err)
	}
	host := opened.Host()
	if all := linnet.RungsOf(linnet.RungUDP, linnet.RungTCP, linnet.RungPort80, linnet.RungPort443); host.Rungs != all || host.Name != e.WebName {
		t.Errorf("Host = %+v", host)
	}
	for _, bad := range []string{strings.Repeat("a", overlay.MaxWebName+1), "a b", "A.example", "a\n"} {
		e.WebName = bad
		if _, err := e.Sign(alice.Keys); err == nil {
			t.Errorf("signed with the name %q", bad)
		}
	}
}
