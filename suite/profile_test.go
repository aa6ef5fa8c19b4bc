package suite

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/wire/message"
)

type testProfile struct {
	Name   string `obj:"3/14"`
	Online uint32 `obj:"0/89"`
	About  string `obj:"3/48,opt"`
}

func openTestProfile(a *Authority, b []byte) (testProfile, []byte, *Certificate, error) {
	var p testProfile
	certificate, c, err := OpenProfile(b, func(b []byte) (*Certificate, error) { return a.Descriptor.OpenCertificate(b, noon) }, &p)
	return p, certificate, c, err
}

// The blob of W5.2 (FS), read here with nothing of this package but keys.
func TestProfile(t *testing.T) {
	a := classicTestAuthority(t)
	certificate, _ := issueClassic(t, a)
	k := classicTestKeys(t, "alice")
	for name, about := range map[string]string{"classic-profile-short": "", "classic-profile-long": strings.Repeat("a bird ", 20)} {
		want := testProfile{Name: "Alice", Online: 2, About: about}
		b, err := SignProfile(k, certificate, &want)
		if err != nil {
			t.Fatal(err)
		}
		pin(t, name, b)

		n := binary.BigEndian.Uint32(b)
		block := new(big.Int).SetBytes(b[4+n : 4+n+128])
		block.Exp(block, big.NewInt(65537), new(big.Int).SetBytes(k.Public().Signing))
		plain := block.FillBytes(make([]byte, 128))
		hash := sha1.Sum(certificate)
		signed := append(hash[:], message.Marshal(&want)...)
		whole := sha1.Sum(signed)
		marks := [2]byte{0x4b, 0xbb}
		inside := append(append([]byte{0xba}, signed...), whole[:]...)
		if about != "" {
			marks = [2]byte{0x6a, signed[0]}
			inside = append(bytes.Clone(signed[:0x6a]), whole[:]...)
			if !bytes.Equal(b[4+n+128:], signed[0x6a:]) {
				t.Errorf("%s: %x follows the block, want the rest of the message", name, b[4+n+128:])
			}
		}
		if !bytes.Equal(b[4:4+n], certificate) || !bytes.Equal(plain[:2], marks[:]) || !bytes.HasSuffix(plain, append(inside, 0xbc)) {
			t.Errorf("%s: certificate %x, block %x", name, b[4:4+n], plain)
		}

		got, raw, c, err := openTestProfile(a, b)
		if err != nil || got != want || !bytes.Equal(raw, certificate) || c.User != "alice" {
			t.Errorf("OpenProfile = %+v, %x, %+v, %v", got, raw, c, err)
		}
		everyChange(b, func(changed []byte) {
			_, _, _, err := openTestProfile(a, changed)
			refused(t, "altered profile", err)
		})
	}
}

func TestProfileForged(t *testing.T) {
	a := classicTestAuthority(t)
	certificate, _ := issueClassic(t, a)
	alice := classicTestKeys(t, "alice")
	forged := func(what string, b []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, err = openTestProfile(a, b)
		refused(t, what, err)
	}
	b, err := SignProfile(classicTestKeys(t, "carol"), certificate, &testProfile{Name: "Alice"})
	forged("signed by another device", b, err)

	renewed, _, err := a.IssueCertificate("alice", "laptop", alice.Public(), 43, noon)
	if err != nil {
		t.Fatal(err)
	}
	b, err = SignProfile(alice, certificate, &testProfile{Name: "Alice"})
	swapped := append(binary.BigEndian.AppendUint32(nil, uint32(len(renewed))), renewed...)
	forged("under another certificate of the device", append(swapped, b[4+len(certificate):]...), err)

	// What a device signs for a purpose is no profile.
	head := append(binary.BigEndian.AppendUint32(nil, uint32(len(certificate))), certificate...)
	msg := []byte("anything at all that is long enough")
	sig, err := alice.Sign(ForMail, msg)
	forged("a signature for a purpose", append(head, sig...), err)

	if _, err := SignProfile(testKeys(t, "alice"), certificate, &testProfile{}); err == nil {
		t.Error("keys of the modern suite made a profile")
	}
}

func FuzzOpenProfile(f *testing.F) {
	a := classicTestAuthority(f)
	for _, name := range []string{"classic-profile-short", "classic-profile-long"} {
		f.Add(vector(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, certificate, _, err := openTestProfile(a, b)
		if err != nil {
			return
		}
		again, err := SignProfile(classicTestKeys(t, "alice"), certificate, &p)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("opened %x, which is not what alice signs", b)
		}
	})
}
