package suite

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// The vector "foo" of RFC 8032, section 7.2: a Purpose is the context.
func TestVerifyRFC8032(t *testing.T) {
	public := unhex(t, "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292")
	msg := unhex(t, "f726936d19c800494e3fdaff20b276a8")
	sig := unhex(t, "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a"+
		"8b36950b95130022907a7fb7c4e9b2d5f6cca685a587b4b21f4b888e4e7edb0d")
	if err := Modern().Verify(public, "foo", msg, sig); err != nil {
		t.Error(err)
	}
	if err := Modern().Verify(public, "bar", msg, sig); !errors.Is(err, ErrForged) {
		t.Errorf("under another purpose: %v, want ErrForged", err)
	}
}

func TestSignVector(t *testing.T) {
	keys := testKeys(t, "alice")
	pin(t, "keys", keys.Marshal())
	sig, err := keys.Sign(ForLogin, []byte("a login request"))
	if err != nil {
		t.Fatal(err)
	}
	pin(t, "signature", sig)
}

func TestVerifyRefuses(t *testing.T) {
	keys := testKeys(t, "alice")
	public := keys.Public().Signing
	msg := []byte("a record")
	sig, err := keys.Sign(ForRecord, msg)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name         string
		public       []byte
		purpose      Purpose
		message, sig []byte
		want         error
	}{
		{"the true one", public, ForRecord, msg, sig, nil},
		{"another purpose", public, ForEntry, msg, sig, ErrForged},
		{"another message", public, ForRecord, []byte("a Record"), sig, ErrForged},
		{"another key", testKeys(t, "bob").Public().Signing, ForRecord, msg, sig, ErrForged},
		{"no signature", public, ForRecord, msg, nil, ErrForged},
		{"half a signature", public, ForRecord, msg, sig[:32], ErrForged},
		{"no key", nil, ForRecord, msg, sig, ErrMalformed},
		{"long key", append(bytes.Clone(public), 0), ForRecord, msg, sig, ErrMalformed},
	}
	for _, tt := range tests {
		if err := Modern().Verify(tt.public, tt.purpose, tt.message, tt.sig); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestVerifyAlteredAnywhere(t *testing.T) {
	keys := testKeys(t, "alice")
	rapid.Check(t, func(t *rapid.T) {
		msg := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "message")
		sig, err := keys.Sign(ForRecord, msg)
		if err != nil {
			t.Fatal(err)
		}
		both := append(bytes.Clone(msg), sig...)
		both[rapid.IntRange(0, len(both)-1).Draw(t, "at")] ^= rapid.ByteMin(1).Draw(t, "mask")
		if Modern().Verify(keys.Public().Signing, ForRecord, both[:len(msg)], both[len(msg):]) == nil {
			t.Error("an altered byte passed")
		}
	})
}

func TestParseKeys(t *testing.T) {
	keys := testKeys(t, "alice")
	again, err := Modern().ParseKeys(keys.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Public().Signing, keys.Public().Signing) || !bytes.Equal(again.Public().Agreement, keys.Public().Agreement) {
		t.Error("keys differ after Marshal and ParseKeys")
	}
	short := keys.Marshal()[:64]
	future := keys.Marshal()
	future[0]++
	for _, b := range [][]byte{nil, short, future} {
		if _, err := Modern().ParseKeys(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("ParseKeys(%x) = %v, want ErrMalformed", b, err)
		}
	}
}

func TestNewKeysDiffer(t *testing.T) {
	a, err := Modern().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Modern().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.Public().Signing, b.Public().Signing) || bytes.Equal(a.Public().Agreement, b.Public().Agreement) {
		t.Error("two devices with one key")
	}
}

func TestNamed(t *testing.T) {
	if s, err := Named(ModernName); err != nil || s.Name() != ModernName {
		t.Errorf("Named(%q) = %v, %v", ModernName, s, err)
	}
	if _, err := Named("rot13"); err == nil {
		t.Error("Named took a suite that nobody has")
	}
}

func BenchmarkSign(b *testing.B) {
	keys, msg := testKeys(b, "alice"), make([]byte, 250)
	for b.Loop() {
		if _, err := keys.Sign(ForRecord, msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	keys, msg := testKeys(b, "alice"), make([]byte, 250)
	sig, err := keys.Sign(ForRecord, msg)
	if err != nil {
		b.Fatal(err)
	}
	public := keys.Public().Signing
	for b.Loop() {
		if err := Modern().Verify(public, ForRecord, msg, sig); err != nil {
			b.Fatal(err)
		}
	}
}
