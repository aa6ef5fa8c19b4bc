package obfuscate

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"
)

// The plain ten bytes of an opening are public (SC); what hides them is ours.
func TestOpening(t *testing.T) {
	const seed = 0xdeadbeef
	for _, tt := range []struct {
		word  uint16
		plain string
	}{
		{0x0001, "0001 00000001 00000003"},
		{0x82a0, "82a0 00000001 00000003"},
	} {
		opening := AppendOpening(nil, seed, tt.word)
		if len(opening) != OpeningSize || !bytes.Equal(opening[:4], unhex(t, "deadbeef")) {
			t.Fatalf("AppendOpening = %x", opening)
		}
		plain := bytes.Clone(opening[4:])
		XOR(plain, seed)
		if !bytes.Equal(plain, unhex(t, tt.plain)) {
			t.Errorf("the opening hides %x, want %s", plain, tt.plain)
		}
		gotSeed, word, err := ParseOpening([OpeningSize]byte(opening))
		if gotSeed != seed || word != tt.word || err != nil {
			t.Errorf("ParseOpening = %08x, %04x, %v", gotSeed, word, err)
		}
	}
}

func TestParseOpening(t *testing.T) {
	const seed = 0xdeadbeef
	for _, tt := range []struct {
		plain string
		err   error
	}{
		{"0001 00000001 00000001", nil},        // the first clients
		{"ffff 00000001 00000003", nil},        // any word
		{"0001 00000001 0000000f", ErrOpening}, // 5.5 and its unknown key exchange
		{"0001 00000002 00000003", ErrOpening},
		{"0001 01000001 00000003", ErrOpening},
	} {
		b := unhex(t, tt.plain)
		XOR(b, seed)
		opening := [OpeningSize]byte(append(unhex(t, "deadbeef"), b...))
		if _, _, err := ParseOpening(opening); !errors.Is(err, tt.err) {
			t.Errorf("ParseOpening of %s: %v, want %v", tt.plain, err, tt.err)
		}
	}
	if _, _, err := ParseOpening([OpeningSize]byte([]byte("GET / HTTP/1.1"))); !errors.Is(err, ErrOpening) {
		t.Errorf("ParseOpening of HTTP: %v", err)
	}
}

func TestGoodSeed(t *testing.T) {
	for seed, want := range map[uint32]bool{
		0x47455420: false, // "GET "
		0x00000000: false,
		0x7f7f7f7f: false,
		0x80460103: false, // an SSLv2 hello
		0x81460103: true,
		0x00000080: true,
		0xffffffff: true,
	} {
		if got := GoodSeed(seed); got != want {
			t.Errorf("GoodSeed(%08x) = %v", seed, got)
		}
	}
	draws := []uint32{0x47455420, 0x80000000, 0xdeadbeef, 1}
	if got := DrawSeed(func() uint32 { s := draws[0]; draws = draws[1:]; return s }); got != 0xdeadbeef {
		t.Errorf("DrawSeed = %08x, want the first good one", got)
	}
}

// A direction is one run of RC4 that begins where the one of the opening did,
// however it is cut into writes.
func TestStream(t *testing.T) {
	const seed = 0xdeadbeef
	plain := make([]byte, 1000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range plain {
		plain[i] = byte(rng.Uint32())
	}
	want := bytes.Clone(plain)
	XOR(want, seed)

	for range 20 {
		got := bytes.Clone(plain)
		s := NewStream(seed)
		for rest := got; len(rest) > 0; {
			n := min(len(rest), rng.IntN(50))
			s.XOR(rest[:n])
			rest = rest[n:]
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("cut into pieces: %s...", hex.EncodeToString(got[:16]))
		}
	}
}

func FuzzParseOpening(f *testing.F) {
	f.Add(AppendOpening(nil, 0xdeadbeef, 1))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < OpeningSize {
			return
		}
		opening := [OpeningSize]byte(b)
		seed, word, err := ParseOpening(opening)
		if err != nil {
			return
		}
		// The last word may be that of the first clients, which is not written again.
		if again := AppendOpening(nil, seed, word); !bytes.Equal(again[:13], opening[:13]) {
			t.Fatalf("%x became %x", opening, again)
		}
	})
}
