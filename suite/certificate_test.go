package suite

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
	"pgregory.net/rapid"
)

func issue(t testing.TB, a *Authority) ([]byte, *Certificate) {
	t.Helper()
	b, c, err := a.IssueCertificate("alice", "laptop", testKeys(t, "alice").Public(), 42, noon)
	if err != nil {
		t.Fatal(err)
	}
	return b, c
}

func TestCertificateVector(t *testing.T) {
	a := testAuthority(t, "network")
	b, c := issue(t, a)
	pin(t, "certificate", b)
	id := c.NodeID()
	pin(t, "certificate-node", id[:])

	got, err := a.Descriptor.OpenCertificate(b, noon)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("OpenCertificate = %+v, want %+v", got, c)
	}
	if want := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC); !got.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", got.Expires, want)
	}
}

func TestCertificateExpires(t *testing.T) {
	a := testAuthority(t, "network")
	b, c := issue(t, a)
	for _, tt := range []struct {
		now  time.Time
		want error
	}{
		{c.Expires.Add(-time.Second), nil},
		{c.Expires, ErrExpired},
		{c.Expires.AddDate(10, 0, 0), ErrExpired},
		{c.Issued.AddDate(-1, 0, 0), nil}, // a clock that is slow
	} {
		got, err := a.Descriptor.OpenCertificate(b, tt.now)
		if !errors.Is(err, tt.want) || (got == nil) != (tt.want != nil) {
			t.Errorf("at %v: %v, %v, want %v", tt.now, got, err, tt.want)
		}
	}
}

func TestCertificateForged(t *testing.T) {
	a := testAuthority(t, "network")
	b, c := issue(t, a)
	d := &a.Descriptor
	other := testAuthority(t, "another network")

	everyChange(b, func(changed []byte) {
		_, err := d.OpenCertificate(changed, noon)
		refused(t, "altered certificate", err)
	})
	_, err := other.Descriptor.OpenCertificate(b, noon)
	refused(t, "certificate of another network", err)

	forged, err := Issue(testKeys(t, "mallory"), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.OpenCertificate(forged, noon)
	refused(t, "signed by a stranger", err)

	body := certificateBody{c.User, c.Device, c.Signing, c.Agreement, toMinutes(c.Issued), toMinutes(c.Expires), c.Serial, c.Salt}
	forged, err = SignBody(a.Login, ForHead, &body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.OpenCertificate(forged, noon)
	refused(t, "signed for another purpose", err)

	signed, err := ParseSigned(b)
	if err != nil {
		t.Fatal(err)
	}
	body.User = "bob"
	_, err = d.OpenCertificate(message.Marshal(&Signed{message.Marshal(&body), signed.Signature}), noon)
	refused(t, "signature of another body", err)

	// One certificate has one form: what is not signed cannot be padded.
	loose := append([]byte{b[0], b[1] | 0x80, 0}, b[2:]...)
	_, err = d.OpenCertificate(loose, noon)
	refused(t, "a longer form", err)
}

// Bounds hold even for what the login key signed, and nothing else is issued.
func TestCertificateBounds(t *testing.T) {
	a := testAuthority(t, "network")
	good := certificateBody{"alice", "laptop", make([]byte, 32), make([]byte, 32), 1, 2, 3, make([]byte, SaltSize)}
	tests := []struct {
		name   string
		change func(*certificateBody)
		ok     bool
	}{
		{"good", func(*certificateBody) {}, true},
		{"operator's node", func(c *certificateBody) { c.User = "node:sn-1.example.org" }, true},
		{"device in any script", func(c *certificateBody) { c.Device = "Ноутбук 2" }, true},
		{"name in capitals", func(c *certificateBody) { c.User = "Alice" }, false},
		{"short name", func(c *certificateBody) { c.User = "al" }, false},
		{"long name", func(c *certificateBody) { c.User = linnet.UserName(strings.Repeat("a", 33)) }, false},
		{"name with a space", func(c *certificateBody) { c.User = "alice b" }, false},
		{"node without name", func(c *certificateBody) { c.User = "node:" }, false},
		{"node with a slash", func(c *certificateBody) { c.User = "node:a/b" }, false},
		{"node with long name", func(c *certificateBody) { c.User = linnet.NodeName(strings.Repeat("a", 65)) }, false},
		{"no device", func(c *certificateBody) { c.Device = "" }, false},
		{"device in two lines", func(c *certificateBody) { c.Device = "a\nb" }, false},
		{"device written backwards", func(c *certificateBody) { c.Device = "a\u202eb" }, false},
		{"long device", func(c *certificateBody) { c.Device = strings.Repeat("a", MaxDeviceName+1) }, false},
		{"short key", func(c *certificateBody) { c.Signing = make([]byte, 31) }, false},
		{"huge key", func(c *certificateBody) { c.Agreement = make([]byte, maxKey+1) }, false},
		{"no salt", func(c *certificateBody) { c.Salt = nil }, false},
		{"long salt", func(c *certificateBody) { c.Salt = make([]byte, SaltSize+1) }, false},
		{"expires at once", func(c *certificateBody) { c.Expires = c.Issued }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := good
			tt.change(&body)
			b, err := SignBody(a.Login, ForCertificate, &body)
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Descriptor.OpenCertificate(b, fromMinutes(1))
			if (err == nil) != tt.ok {
				t.Errorf("OpenCertificate: %v", err)
			}
			c := &Certificate{body.User, body.Device, body.Signing, body.Agreement, fromMinutes(body.Issued), fromMinutes(body.Expires), body.Serial, body.Salt}
			if _, err = Issue(a.Login, c); (err == nil) != tt.ok {
				t.Errorf("Issue: %v", err)
			}
			if err := CheckDeviceName(body.Device); strings.Contains(tt.name, "device") && (err == nil) != tt.ok {
				t.Errorf("CheckDeviceName: %v", err)
			}
		})
	}
}

func TestCertificateRoundTrip(t *testing.T) {
	a := testAuthority(t, "network")
	key := rapid.SliceOfN(rapid.Byte(), 32, 32)
	rapid.Check(t, func(t *rapid.T) {
		user := linnet.UserName(rapid.StringMatching(`(node:)?[a-z][a-z0-9._-]{2,31}`).Draw(t, "user"))
		device := rapid.StringMatching(`[ -~äЖ字]{1,20}`).Draw(t, "device")
		keys := PublicKeys{key.Draw(t, "signing"), key.Draw(t, "agreement")}
		b, c, err := a.IssueCertificate(user, device, keys, rapid.Uint64().Draw(t, "serial"), noon)
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Descriptor.OpenCertificate(b, noon)
		if err != nil || !reflect.DeepEqual(got, c) || got.NodeID() != c.NodeID() {
			t.Fatalf("OpenCertificate = %+v, %v, want %+v", got, err, c)
		}
	})
}

// Two names that run together are still two, and with another key a device is
// another node: nobody can look for a key whose NodeID he likes.
func TestSaltDependsOnAll(t *testing.T) {
	a, other := testAuthority(t, "network"), testAuthority(t, "another network")
	keys := [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}
	salts := map[string]string{}
	for what, salt := range map[string][]byte{
		"first":           a.Salt("alice", "laptop", keys[0]),
		"another user":    a.Salt("alicf", "laptop", keys[0]),
		"another device":  a.Salt("alice", "laptoq", keys[0]),
		"another border":  a.Salt("alicel", "aptop", keys[0]),
		"another key":     a.Salt("alice", "laptop", keys[1]),
		"another network": other.Salt("alice", "laptop", keys[0]),
	} {
		if len(salt) != SaltSize {
			t.Errorf("%s: %d bytes", what, len(salt))
		}
		if twin := salts[string(salt)]; twin != "" {
			t.Errorf("%s and %s have one salt", what, twin)
		}
		salts[string(salt)] = what
	}
	if !bytes.Equal(a.Salt("alice", "laptop", keys[0]), a.Salt("alice", "laptop", keys[0])) {
		t.Error("a renewed certificate changes the NodeID")
	}
}

func FuzzOpenCertificate(f *testing.F) {
	a := testAuthority(f, "network")
	b, _ := issue(f, a)
	signed, err := ParseSigned(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(signed.Body)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := a.Descriptor.OpenCertificate(in, noon); err == nil && !bytes.Equal(in, b) {
			t.Errorf("opened %x, which the login key did not sign", in)
		}
		// The same bytes as a body with a good signature: the code behind it.
		sig, err := a.Login.Sign(ForCertificate, in)
		if err != nil {
			t.Fatal(err)
		}
		c, err := a.Descriptor.OpenCertificate(message.Marshal(&Signed{in, sig}), noon)
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

func BenchmarkIssueCertificate(b *testing.B) {
	a, keys := testAuthority(b, "network"), testKeys(b, "alice").Public()
	for b.Loop() {
		if _, _, err := a.IssueCertificate("alice", "laptop", keys, 42, noon); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenCertificate(b *testing.B) {
	a := testAuthority(b, "network")
	cert, _ := issue(b, a)
	for b.Loop() {
		if _, err := a.Descriptor.OpenCertificate(cert, noon); err != nil {
			b.Fatal(err)
		}
	}
}
