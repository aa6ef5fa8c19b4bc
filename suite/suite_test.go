package suite

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// noon is the time at which tests happen.
var noon = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

// seeded is the modern suite with ChaCha8 of a seed in place of randomness.
func seeded(seed string) modern {
	var key [32]byte
	copy(key[:], seed)
	return modern{rand.NewChaCha8(key)}
}

// testAuthority is the same network for the same seed, with a cheap password.
func testAuthority(t testing.TB, seed string) *Authority {
	t.Helper()
	s := seeded(seed)
	a, err := createAuthority("Test network", noon, AuthorityOptions{
		Policy:       Policy{Registration: RegistrationOpen, Password: PasswordParams{Time: 1, Memory: 64, Threads: 1}},
		LoginServers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:33033")},
		Supernodes: []Bootstrap{
			{netip.MustParseAddrPort("192.0.2.2:33033"), linnet.NodeID{1, 2, 3}, bytes.Repeat([]byte{7}, 32)},
			{netip.MustParseAddrPort("[2001:db8::3]:33033"), linnet.NodeID{4, 5, 6}, bytes.Repeat([]byte{8}, 32)},
		},
	}, s, s.rand)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// testKeys is the same device for the same seed.
func testKeys(t testing.TB, seed string) Keys {
	t.Helper()
	k, err := seeded(seed).NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// vector is a line of testdata/vectors.txt.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if k, v, _ := strings.Cut(lines.Text(), " "); k == name {
			return unhex(t, v)
		}
	}
	t.Fatalf("testdata/vectors.txt has no %s", name)
	return nil
}

// pin compares with a vector.
func pin(t testing.TB, name string, got []byte) {
	t.Helper()
	if want := vector(t, name); !bytes.Equal(got, want) {
		t.Errorf("%s is not the vector:\n%x\nwant:\n%x", name, got, want)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everyChange calls f with b after each change that a noisy or hostile path
// could make to it: every byte altered in a low, a middle and a high bit, the
// end cut off anywhere, a byte more.
func everyChange(b []byte, f func(changed []byte)) {
	for i := range b {
		for _, bit := range []byte{0x01, 0x10, 0x80} {
			changed := bytes.Clone(b)
			changed[i] ^= bit
			f(changed)
		}
		f(bytes.Clone(b[:i]))
	}
	f(append(bytes.Clone(b), 0))
}

// refused wants err to say why bytes from others were not taken.
func refused(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrForged) && !errors.Is(err, ErrSuite) {
		t.Fatalf("%s: %v, want ErrMalformed, ErrForged or ErrSuite", what, err)
	}
}
