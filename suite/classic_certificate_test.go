package suite

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/objlist"
	"pgregory.net/rapid"
)

func issueClassic(t testing.TB, a *Authority) ([]byte, *Certificate) {
	t.Helper()
	b, c, err := a.IssueCertificate("alice", "laptop", classicTestKeys(t, "alice").Public(), 42, noon)
	if err != nil {
		t.Fatal(err)
	}
	return b, c
}

func TestClassicCertificate(t *testing.T) {
	a := classicTestAuthority(t)
	b, c := issueClassic(t, a)
	pin(t, "classic-certificate", b)
	got, err := a.Descriptor.OpenCertificate(b, noon)
	if err != nil || !reflect.DeepEqual(got, c) {
		t.Fatalf("OpenCertificate = %+v, %v, want %+v", got, err, c)
	}
	if days := got.Expires.Sub(got.Issued).Hours() / 24; days != 30 {
		t.Errorf("good for %v days", days)
	}
	// It begins as the old network's did.
	block, err := rsaPublic(a.Descriptor.Login, b[4:4+192])
	if err != nil {
		t.Fatal(err)
	}
	message, err := openISO(block, b[4+192:])
	if err != nil {
		t.Fatal(err)
	}
	list, err := objlist.Parse(message)
	if err != nil {
		t.Fatal(err)
	}
	old := objlist.List{
		objlist.String(0, "alice"), objlist.Number(3, 0), objlist.Blob(1, c.Signing), objlist.Number(4, toMinutes(c.Expires)),
	}
	if !bytes.HasPrefix(b, []byte{0, 0, 0, 1}) || list[:4].String() != old.String() {
		t.Errorf("key %x, %v, want it to begin with %v", b[:4], list, old)
	}
}

func TestClassicCertificateForged(t *testing.T) {
	a := classicTestAuthority(t)
	b, c := issueClassic(t, a)
	everyChange(b, func(changed []byte) {
		_, err := a.Descriptor.OpenCertificate(changed, noon)
		refused(t, "altered certificate", err)
	})
	for signer, k := range map[string]Keys{"root": a.Root, "another device": classicTestKeys(t, "carol")} {
		forged, err := Issue(k, c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Descriptor.OpenCertificate(forged, noon)
		refused(t, "signed by "+signer, err)
	}
	modern, _ := issue(t, testAuthority(t, "network"))
	_, err := a.Descriptor.OpenCertificate(modern, noon)
	refused(t, "a modern certificate", err)
	_, err = testAuthority(t, "network").Descriptor.OpenCertificate(b, noon)
	refused(t, "on a modern network", err)

	two := *c
	two.Agreement = classicTestKeys(t, "bob").Public().Agreement
	if _, err := Issue(a.Login, &two); err == nil {
		t.Error("certified a device with two keys")
	}
}

func TestClassicCertificateRoundTrip(t *testing.T) {
	a := classicTestAuthority(t)
	keys := classicTestKeys(t, "alice").Public()
	longest := 0
	rapid.Check(t, func(t *rapid.T) {
		user := linnet.UserName(rapid.StringMatching(`(node:)?[a-z][a-z0-9._-]{2,31}`).Draw(t, "user"))
		device := rapid.StringMatching(`[ -~äЖ字]{1,20}`).Draw(t, "device")
		b, c, err := a.IssueCertificate(user, device, keys, rapid.Uint64().Draw(t, "serial"), noon)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, len(b))
		if got, err := a.Descriptor.OpenCertificate(b, noon); err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("OpenCertificate = %+v, %v, want %+v", got, err, c)
		}
	})
	b, _, err := a.IssueCertificate(linnet.NodeName(strings.Repeat("a", maxNodeName)), strings.Repeat("b", MaxDeviceName), keys, 1<<63, noon)
	if err != nil || len(b) > 360 {
		t.Errorf("the longest certificate has %d bytes, %v; package overlay counts on 360", len(b), err)
	}
}

func FuzzClassicOpenCertificate(f *testing.F) {
	a := classicTestAuthority(f)
	b, _ := issueClassic(f, a)
	f.Add(b, []byte("no list"))
	f.Add(b[:100], objlist.List{objlist.String(0, "alice")}.Append(nil))
	f.Fuzz(func(t *testing.T, in, message []byte) {
		if _, err := a.Descriptor.OpenCertificate(in, noon); err == nil && !bytes.Equal(in, b) {
			t.Errorf("opened %x, which the login key did not sign", in)
		}
		// A message with a good signature: the code behind it.
		k := a.Login.(*classicKeys)
		block, rest := isoBlock(k.rsa.size(), message)
		signed, err := k.rsa.private(block)
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Descriptor.OpenCertificate(append(append([]byte{0, 0, 0, 1}, signed...), rest...), noon)
		if err != nil {
			return
		}
		again, err := Issue(a.Login, c)
		if err != nil {
			t.Fatalf("cannot issue what was opened: %v", err)
		}
		if c2, err := a.Descriptor.OpenCertificate(again, noon); err != nil || !reflect.DeepEqual(c, c2) {
			t.Errorf("%+v, %v, want %+v", c2, err, c)
		}
	})
}
