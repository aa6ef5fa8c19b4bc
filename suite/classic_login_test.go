package suite

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/frame"
)

func TestClassicVerifier(t *testing.T) {
	got := Classic().Verifier("correct horse", linnet.NetworkID{1}, "Alice", PasswordParams{})
	if want := md5.Sum([]byte("alice\nskyper\ncorrect horse")); !bytes.Equal(got, want[:]) {
		t.Errorf("Verifier = %x, want %x", got, want)
	}
	if want := unhex(t, "d2af83892c03165554755feebe94e134"); !bytes.Equal(got, want) { // by md5sum
		t.Errorf("Verifier = %x, want %x", got, want)
	}
	salt := make([]byte, 16)
	if lock := Classic().Lock(salt, got, cheap); len(lock) != 32 || bytes.Equal(lock, Classic().Lock([]byte("another salt 16b"), got, cheap)) {
		t.Errorf("Lock = %x", lock)
	}
}

// Who opens a login, or is the login server, tries passwords as fast as MD5 goes:
// here four digits.
func TestClassicSecretIsGuessed(t *testing.T) {
	secret := Classic().Verifier("4711", linnet.NetworkID{}, "alice", PasswordParams{})
	for pin := range 10000 {
		guess := fmt.Sprintf("%04d", pin)
		if sum := md5.Sum([]byte("alice\nskyper\n" + guess)); bytes.Equal(sum[:], secret) {
			if guess != "4711" {
				t.Errorf("guessed %s", guess)
			}
			return
		}
	}
	t.Error("not guessed")
}

func TestClassicLogin(t *testing.T) {
	login := classicTestKeys(t, "login")
	sealed, open, err := classicSeeded("login").SealRequest(login.Public().Agreement, []byte("let me in"))
	if err != nil {
		t.Fatal(err)
	}
	pin(t, "classic-login-request", sealed)
	// The head that the old network's captures show: 205 bytes of keys.
	if want := unhex(t, "160301 00cd 41 03 0009 8040 0408 c001"); !bytes.HasPrefix(sealed, want) {
		t.Errorf("it begins %x, want %x", sealed[:len(want)], want)
	}
	if want := unhex(t, "000c01 170301 000b"); !bytes.HasPrefix(sealed[frame.LoginHead+0xcd-3:], want) {
		t.Errorf("the second record begins %x, want %x", sealed[frame.LoginHead+0xcd-3:][:len(want)], want)
	}
	request, seal, err := Classic().OpenRequest(login.Marshal(), sealed)
	if err != nil || string(request) != "let me in" {
		t.Fatalf("OpenRequest = %q, %v", request, err)
	}
	reply, err := seal([]byte("come in"))
	if err != nil {
		t.Fatal(err)
	}
	pin(t, "classic-login-reply", reply)
	if got, err := open(reply); err != nil || string(got) != "come in" {
		t.Fatalf("open = %q, %v", got, err)
	}
	everyChange(reply, func(changed []byte) {
		if _, err := open(changed); !errors.Is(err, ErrForged) {
			t.Fatalf("altered reply: %v, want ErrForged", err)
		}
	})
	everyChange(sealed, func(changed []byte) {
		got, _, err := Classic().OpenRequest(login.Marshal(), changed)
		if err == nil && string(got) == "let me in" && !unsealed(sealed, changed) {
			t.Fatalf("taken though altered: %x", changed)
		}
	})
	if _, _, err := Classic().OpenRequest(login.Marshal(), make([]byte, MaxLogin+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a huge request: %v, want ErrMalformed", err)
	}
	if _, _, err := Classic().SealRequest(make([]byte, 128), nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("sealed to a key of another length: %v", err)
	}
}

// unsealed says that only the objects without a meaning differ: nothing protects
// them. Nor does anything tell another key from the right one: of those that
// an altered number gives, one in 256 makes garbage of the request.
func unsealed(a, b []byte) bool {
	const keys = frame.LoginHead + 2
	return len(a) == len(b) && bytes.Equal(a[keys+4:keys+4+196], b[keys+4:keys+4+196]) && bytes.Equal(a[frame.LoginHead+0xcd:], b[frame.LoginHead+0xcd:])
}

// One key opens all logins there ever were: no forward secrecy.
func TestClassicLoginIsReadLater(t *testing.T) {
	a := classicTestAuthority(t)
	k, err := a.Descriptor.LoginKey(noon)
	if err != nil {
		t.Fatal(err)
	}
	recorded, _, err := Classic().SealRequest(k.Public, []byte("alice's secret"))
	if err != nil {
		t.Fatal(err)
	}
	years := Day(noon.AddDate(10, 0, 0))
	if request, _, err := a.OpenRequest(years, recorded); err != nil || string(request) != "alice's secret" {
		t.Errorf("read %q, %v", request, err)
	}
}

func FuzzClassicOpenRequest(f *testing.F) {
	login := classicTestKeys(f, "login")
	sealed, _, err := Classic().SealRequest(login.Public().Agreement, []byte("let me in"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:210])
	f.Add([]byte{0x16, 3, 1, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, seal, err := Classic().OpenRequest(login.Marshal(), b)
		if err == nil {
			seal([]byte("come in"))
		}
	})
}

func BenchmarkClassicOpenRequest(b *testing.B) {
	login := classicTestKeys(b, "login")
	sealed, _, err := Classic().SealRequest(login.Public().Agreement, make([]byte, 400))
	if err != nil {
		b.Fatal(err)
	}
	private := login.Marshal()
	for b.Loop() {
		if _, _, err := Classic().OpenRequest(private, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
