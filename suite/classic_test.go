package suite

import (
	"bytes"
	"errors"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// classicSeeded is the classic suite with ChaCha8 of a seed in place of
// randomness, but for keys.
func classicSeeded(seed string) classic {
	var key [32]byte
	copy(key[:], seed)
	return classic{rand.NewChaCha8(key)}
}

// classicTestKeys are keys of the vectors: alice's, bob's, carol's, root's, login's.
func classicTestKeys(t testing.TB, name string) Keys {
	t.Helper()
	k, err := Classic().ParseKeys(vector(t, "classic-keys-"+name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// classicTestAuthority is a classic network with keys of the vectors.
func classicTestAuthority(t testing.TB) *Authority {
	t.Helper()
	a, err := createAuthority("Museum", noon, AuthorityOptions{
		Policy:       Policy{Registration: RegistrationOpen, Password: PasswordParams{Time: 1, Memory: 64, Threads: 1}},
		LoginServers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:33033")},
	}, fixedAuthority{Classic(), classicTestKeys(t, "root"), classicTestKeys(t, "login")}, classicSeeded("authority").rand)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

type fixedAuthority struct {
	Suite
	root, login Keys
}

func (f fixedAuthority) NewAuthorityKeys() (root, login Keys, err error) { return f.root, f.login, nil }

func TestClassicSignature(t *testing.T) {
	for _, tt := range []struct {
		signer  string
		purpose Purpose
		size    int
	}{{"alice", ForRecord, 128}, {"login", ForHead, 192}, {"root", ForDescriptor, 256}} {
		keys := classicTestKeys(t, tt.signer)
		for _, msg := range [][]byte{nil, []byte("short"), make([]byte, 1000)} {
			sig, err := keys.Sign(tt.purpose, msg)
			if err != nil || len(sig) != tt.size {
				t.Fatalf("Sign = %x, %v", sig, err)
			}
			if err := Classic().Verify(keys.Public().Signing, tt.purpose, msg, sig); err != nil {
				t.Error(err)
			}
		}
	}
	sig, err := classicTestKeys(t, "alice").Sign(ForLogin, []byte("a login request"))
	if err != nil {
		t.Fatal(err)
	}
	pin(t, "classic-signature", sig)
}

func TestClassicVerifyRefuses(t *testing.T) {
	keys := classicTestKeys(t, "alice")
	public, msg := keys.Public().Signing, []byte("a record")
	sig, err := keys.Sign(ForRecord, msg)
	if err != nil {
		t.Fatal(err)
	}
	beyond := new(big.Int).Add(new(big.Int).SetBytes(sig), new(big.Int).SetBytes(public)).Bytes() // the same modulo n
	byLogin, err := classicTestKeys(t, "login").Sign(ForRecord, msg)
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
		{"another key", classicTestKeys(t, "bob").Public().Signing, ForRecord, msg, sig, ErrForged},
		{"beyond the modulus", public, ForRecord, msg, beyond, ErrForged},
		{"no signature", public, ForRecord, msg, nil, ErrForged},
		{"the number one", public, ForRecord, msg, append(make([]byte, 127), 1), ErrForged},
		{"no key", nil, ForRecord, msg, sig, ErrMalformed},
		{"even key", append(bytes.Clone(public[:127]), 0), ForRecord, msg, sig, ErrMalformed},
		{"modern key", testKeys(t, "alice").Public().Signing, ForRecord, msg, sig, ErrMalformed},
		{"key of another rank", classicTestKeys(t, "login").Public().Signing, ForRecord, msg, byLogin, ErrMalformed},
	}
	for _, tt := range tests {
		if err := Classic().Verify(tt.public, tt.purpose, tt.message, tt.sig); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	everyChange(sig, func(changed []byte) {
		if err := Classic().Verify(public, ForRecord, msg, changed); !errors.Is(err, ErrForged) {
			t.Fatalf("altered signature: %v", err)
		}
	})
}

func TestClassicKeys(t *testing.T) {
	keys, err := Classic().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	if err := Classic().CheckKeys(keys.Public()); err != nil {
		t.Error(err)
	}
	again, err := Classic().ParseKeys(keys.Marshal())
	if err != nil || !bytes.Equal(again.Public().Signing, keys.Public().Signing) {
		t.Errorf("after Marshal and ParseKeys: %v", err)
	}
	composite := classicTestKeys(t, "alice").Marshal() // what becomes of a new p may be prime, once in 180 times
	composite[60] ^= 2
	twice := keys.Marshal()
	copy(twice[1:65], twice[65:])
	future := keys.Marshal()
	future[0]++
	for name, b := range map[string][]byte{
		"empty": nil, "short": keys.Marshal()[:64], "of a future version": future, "a p that is no prime": composite,
		"one prime twice": twice, "zeros": append([]byte{classicKeysVersion}, make([]byte, 128)...), "modern": testKeys(t, "alice").Marshal(),
	} {
		if _, err := Classic().ParseKeys(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	for name, k := range map[string]PublicKeys{
		"two keys":    {keys.Public().Signing, classicTestKeys(t, "bob").Public().Signing},
		"login key":   classicTestKeys(t, "login").Public(),
		"modern keys": testKeys(t, "alice").Public(),
		"none":        {},
	} {
		if err := Classic().CheckKeys(k); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

// What the public half does the private half undoes, and the other way round.
func TestRawRSA(t *testing.T) {
	k := classicTestKeys(t, "alice").(*classicKeys).rsa
	rapid.Check(t, func(t *rapid.T) {
		m := append([]byte{rapid.ByteMax(0x7f).Draw(t, "top")}, rapid.SliceOfN(rapid.Byte(), 127, 127).Draw(t, "rest")...)
		c, err := rsaPublic(k.modulus(), m)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := k.private(c); err != nil || !bytes.Equal(back, m) {
			t.Fatalf("decrypted %x, %v", back, err)
		}
		s, err := k.private(m)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := rsaPublic(k.modulus(), s); err != nil || !bytes.Equal(back, m) {
			t.Fatalf("recovered %x, %v", back, err)
		}
	})
}

// A classic network as a whole: its descriptor, its authority's file.
func TestClassicAuthority(t *testing.T) {
	a := classicTestAuthority(t)
	signed, err := a.SignDescriptor(noon)
	if err != nil {
		t.Fatal(err)
	}
	pin(t, "classic-descriptor", signed)
	d, err := OpenDescriptor(signed, a.Descriptor.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	if d.Suite != ClassicName || len(d.Root) != 256 || len(d.Login) != 192 || len(d.LoginKeys) != 0 {
		t.Errorf("suite %q, root key %d bytes, login key %d, %d keys of days", d.Suite, len(d.Root), len(d.Login), len(d.LoginKeys))
	}
	everyChange(signed, func(changed []byte) {
		_, err := OpenDescriptor(changed, a.Descriptor.Fingerprint())
		refused(t, "altered descriptor", err)
	})
	again, err := ParseAuthority(a.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	head, err := again.SignHead(&Head{Time: noon, Serial: 7})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := d.OpenHead(head); err != nil || h.Serial != 7 {
		t.Errorf("OpenHead = %+v, %v", h, err)
	}
	if changed, err := again.Rotate(noon.AddDate(1, 0, 0), DefaultAhead); changed || err != nil {
		t.Errorf("Rotate = %v, %v: there are no keys of the day", changed, err)
	}
	if k, err := d.LoginKey(noon); err != nil || !bytes.Equal(k.Public, d.Login) {
		t.Errorf("LoginKey = %+v, %v", k, err)
	}
}

func TestClassicCreateAuthority(t *testing.T) {
	a, err := CreateAuthority("Museum", noon, AuthorityOptions{Suite: ClassicName})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Root.Public().Signing) != classicRoot || len(a.Login.Public().Signing) != classicLogin {
		t.Errorf("keys of %d and %d bytes", len(a.Root.Public().Signing), len(a.Login.Public().Signing))
	}
}
