package suite

import (
	"bytes"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/wire/message"
)

func signHead(t testing.TB, a *Authority) ([]byte, *Head) {
	t.Helper()
	h := &Head{Time: noon.Truncate(time.Minute), Serial: 7, Revoked: DigestRevoked([]uint64{3, 1, 2}), Descriptor: 5}
	b, err := a.SignHead(h)
	if err != nil {
		t.Fatal(err)
	}
	return b, h
}

func TestHeadVector(t *testing.T) {
	a := testAuthority(t, "network")
	b, h := signHead(t, a)
	pin(t, "head", b)
	got, err := a.Descriptor.OpenHead(b)
	if err != nil {
		t.Fatal(err)
	}
	if *got != *h {
		t.Errorf("OpenHead = %+v, want %+v", got, h)
	}
}

func TestHeadForged(t *testing.T) {
	a := testAuthority(t, "network")
	b, h := signHead(t, a)
	everyChange(b, func(changed []byte) {
		_, err := a.Descriptor.OpenHead(changed)
		refused(t, "altered head", err)
	})
	_, err := testAuthority(t, "another network").Descriptor.OpenHead(b)
	refused(t, "head of another network", err)
	forged, err := h.sign(a.Root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Descriptor.OpenHead(forged)
	refused(t, "head of the root key", err)
	cert, _ := issue(t, a)
	_, err = a.Descriptor.OpenHead(cert)
	refused(t, "certificate as a head", err)
}

func TestHeadStale(t *testing.T) {
	h := Head{Time: noon}
	for _, tt := range []struct {
		age  time.Duration
		want bool
	}{{-time.Hour, false}, {0, false}, {48 * time.Hour, false}, {48*time.Hour + time.Second, true}} {
		if got := h.Stale(noon.Add(tt.age)); got != tt.want {
			t.Errorf("Stale after %v = %v", tt.age, got)
		}
	}
}

func TestDigestRevoked(t *testing.T) {
	digest := DigestRevoked([]uint64{3, 1, 2})
	// printf '0000000000000001 0000000000000002 0000000000000003' | xxd -r -p | sha256sum
	if want := unhex(t, "ca73761ddabfffcbe51170be0b07f67bafcdbed202545c60707573d36dc935b4"); !bytes.Equal(digest[:], want) {
		t.Errorf("digest is %x, want %x", digest, want)
	}
	serials := []uint64{2, 3, 3, 1, 2}
	if DigestRevoked(serials) != digest {
		t.Error("order or repetition matters")
	}
	if serials[0] != 2 {
		t.Error("the caller's list was sorted")
	}
	if DigestRevoked([]uint64{1, 2}) == digest {
		t.Error("a missing serial does not matter")
	}
}

func FuzzOpenHead(f *testing.F) {
	a := testAuthority(f, "network")
	b, _ := signHead(f, a)
	signed, err := ParseSigned(b)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(signed.Body)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := a.Descriptor.OpenHead(in); err == nil && !bytes.Equal(in, b) {
			t.Errorf("opened %x, which the login key did not sign", in)
		}
		sig, err := a.Login.Sign(ForHead, in)
		if err != nil {
			t.Fatal(err)
		}
		h, err := a.Descriptor.OpenHead(message.Marshal(&Signed{in, sig}))
		if err != nil {
			return
		}
		again, err := a.SignHead(h)
		if err != nil {
			t.Fatal(err)
		}
		if h2, err := a.Descriptor.OpenHead(again); err != nil || *h2 != *h {
			t.Errorf("%+v, %v, want %+v", h2, err, h)
		}
	})
}
