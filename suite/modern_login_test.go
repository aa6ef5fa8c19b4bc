package suite

import (
	"bytes"
	"errors"
	"testing"

	"github.com/linnet-p2p/linnet"
)

var cheap = PasswordParams{Time: 1, Memory: 64, Threads: 1}

func TestVerifier(t *testing.T) {
	network := linnet.NetworkID{1, 2, 3}
	v := Modern().Verifier("correct horse", network, "alice", cheap)
	pin(t, "verifier", v)
	for name, other := range map[string][]byte{
		"password": Modern().Verifier("correct hors", network, "alice", cheap),
		"network":  Modern().Verifier("correct horse", linnet.NetworkID{1, 2, 4}, "alice", cheap),
		"user":     Modern().Verifier("correct horse", network, "alicf", cheap),
		"cost":     Modern().Verifier("correct horse", network, "alice", PasswordParams{Time: 2, Memory: 64, Threads: 1}),
	} {
		if bytes.Equal(v, other) {
			t.Errorf("the same verifier for another %s", name)
		}
	}
	if !bytes.Equal(v, Modern().Verifier("correct horse", network, "Alice", cheap)) {
		t.Error("the case of the name matters")
	}
}

// loginKey is the key pair of the vectors.
func loginKey(t testing.TB) (public, private []byte) {
	t.Helper()
	public, private, err := seeded("day").NewLoginKey()
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

// A request that was sealed once; sealing it is random.
func TestOpenRequestVector(t *testing.T) {
	public, private := loginKey(t)
	pin(t, "login-key-private", private)
	pin(t, "login-key-public", public)
	request, _, err := Modern().OpenRequest(private, vector(t, "login-request-sealed"))
	if err != nil {
		t.Fatal(err)
	}
	if string(request) != "let me in" {
		t.Errorf("request is %q", request)
	}
}

func TestLoginExchange(t *testing.T) {
	s := Modern()
	public, private := loginKey(t)
	sealed, open, err := s.SealRequest(public, []byte("let me in"))
	if err != nil {
		t.Fatal(err)
	}
	request, seal, err := s.OpenRequest(private, sealed)
	if err != nil || string(request) != "let me in" {
		t.Fatalf("OpenRequest = %q, %v", request, err)
	}
	sealedReply, err := seal([]byte("come in"))
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := open(sealedReply); err != nil || string(reply) != "come in" {
		t.Fatalf("open = %q, %v", reply, err)
	}

	everyChange(sealedReply, func(changed []byte) {
		if _, err := open(changed); !errors.Is(err, ErrForged) {
			t.Fatalf("altered reply: %v, want ErrForged", err)
		}
	})
}

func TestOpenRequestAltered(t *testing.T) {
	s := Modern()
	public, private := loginKey(t)
	sealed, _, err := s.SealRequest(public, []byte("let me in"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1 << (i % 8)
		if _, _, err := s.OpenRequest(private, changed); err == nil {
			t.Fatalf("opened with byte %d altered", i)
		}
	}
	for _, n := range []int{0, 1, requestPrefix - 1, requestPrefix, len(sealed) - 1} {
		if _, _, err := s.OpenRequest(private, sealed[:n]); err == nil {
			t.Fatalf("opened the first %d bytes", n)
		}
	}
	if _, _, err := s.OpenRequest(private, make([]byte, MaxLogin+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a huge request: %v, want ErrMalformed", err)
	}
	_, other, err := s.NewLoginKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.OpenRequest(other, sealed); !errors.Is(err, ErrForged) {
		t.Errorf("opened with another day's key: %v, want ErrForged", err)
	}
}

func TestReplyUnderWrongSecret(t *testing.T) {
	s := Modern()
	public, private := loginKey(t)
	mine, open, err := s.SealRequest(public, []byte("mine"))
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := s.SealRequest(public, []byte("mine"))
	if err != nil {
		t.Fatal(err)
	}
	_, seal, err := s.OpenRequest(private, other)
	if err != nil {
		t.Fatal(err)
	}
	stray, err := seal([]byte("a reply to somebody else"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(stray); !errors.Is(err, ErrForged) {
		t.Errorf("took the reply to another request: %v, want ErrForged", err)
	}

	// A request that comes twice gives the same secret twice; two replies under
	// one nonce would give the plaintext away.
	var replies [][]byte
	for range 2 {
		_, seal, err := s.OpenRequest(private, mine)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := seal([]byte("come in"))
		if err != nil {
			t.Fatal(err)
		}
		replies = append(replies, reply)
	}
	if bytes.Equal(replies[0][:nonceSize], replies[1][:nonceSize]) {
		t.Error("two replies with one nonce")
	}
}

func TestSealRequestRefusesKey(t *testing.T) {
	for _, public := range [][]byte{nil, make([]byte, 31), make([]byte, 1215)} {
		if _, _, err := Modern().SealRequest(public, nil); err == nil {
			t.Errorf("sealed to a key of %d bytes", len(public))
		}
	}
}

func FuzzOpenRequest(f *testing.F) {
	public, private := loginKey(f)
	sealed, _, err := Modern().SealRequest(public, []byte("let me in"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:requestPrefix])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		request, _, err := Modern().OpenRequest(private, b)
		if err == nil && string(request) != "let me in" {
			t.Errorf("opened %x as %q, which nobody sealed", b, request)
		}
	})
}

func BenchmarkOpenRequest(b *testing.B) {
	public, private := loginKey(b)
	sealed, _, err := Modern().SealRequest(public, make([]byte, 400))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := Modern().OpenRequest(private, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealRequest(b *testing.B) {
	public, _ := loginKey(b)
	request := make([]byte, 400)
	for b.Loop() {
		if _, _, err := Modern().SealRequest(public, request); err != nil {
			b.Fatal(err)
		}
	}
}
