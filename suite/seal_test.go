package suite

import (
	"bytes"
	"errors"
	"testing"

	"github.com/linnet-p2p/linnet/wire/message"
)

// sealSuites are both, each with the prekey of its vector.
func sealSuites(t testing.TB) []struct {
	s               Suite
	public, private []byte
	vector          string
} {
	t.Helper()
	public, private, err := seeded("prekey").NewPrekey()
	if err != nil {
		t.Fatal(err)
	}
	classicPrekey := classicTestKeys(t, "alice")
	return []struct {
		s               Suite
		public, private []byte
		vector          string
	}{
		{Modern(), public, private, "box"},
		{Classic(), classicPrekey.Public().Agreement, classicPrekey.Marshal(), "classic-box"},
	}
}

// only gives one private half.
func only(public, private []byte) func(PrekeyID) []byte {
	return func(id PrekeyID) []byte {
		if id == PrekeyIDOf(public) {
			return private
		}
		return nil
	}
}

func TestSeal(t *testing.T) {
	for _, tt := range sealSuites(t) {
		t.Run(tt.s.Name(), func(t *testing.T) {
			// Sealed once: sealing is random.
			if plain, err := Unseal(tt.s, ForLetter, vector(t, tt.vector), only(tt.public, tt.private)); err != nil || string(plain) != "how about Sunday?" {
				t.Errorf("the vector says %q, %v", plain, err)
			}
			other, otherPrivate, err := tt.s.NewPrekey()
			if err != nil {
				t.Fatal(err)
			}
			box, err := Seal(tt.s, ForLetter, []byte("for two"), tt.public, other)
			if err != nil {
				t.Fatal(err)
			}
			for name, private := range map[string]func(PrekeyID) []byte{
				"first": only(tt.public, tt.private), "second": only(other, otherPrivate),
			} {
				if plain, err := Unseal(tt.s, ForLetter, box, private); err != nil || string(plain) != "for two" {
					t.Errorf("the %s device reads %q, %v", name, plain, err)
				}
			}
			third, thirdPrivate, _ := tt.s.NewPrekey()
			if _, err := Unseal(tt.s, ForLetter, box, only(third, thirdPrivate)); !errors.Is(err, ErrExpired) {
				t.Errorf("a third device: %v", err)
			}
			plain, err := Unseal(tt.s, ForLetter, box, func(PrekeyID) []byte { return thirdPrivate })
			if string(plain) == "for two" || err == nil && tt.s.Name() != "classic" { // see classicSealed
				t.Errorf("opened by another key: %q, %v", plain, err)
			}
			if _, err := Seal(tt.s, ForLetter, nil); err == nil {
				t.Error("sealed for nobody")
			}
			if _, err := Seal(tt.s, ForLetter, nil, []byte("no key")); err == nil {
				t.Error("sealed to what is no key")
			}
		})
	}
}

// Any change is noticed, but for what classic networks are weak in.
func TestBoxIsTampered(t *testing.T) {
	tt := sealSuites(t)[0]
	whole := vector(t, tt.vector)
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1
		if _, err := Unseal(tt.s, ForLetter, b, only(tt.public, tt.private)); err == nil {
			t.Fatalf("byte %d of %d may be another one", i, len(whole))
		}
	}
	if _, err := Unseal(tt.s, ForMail, whole, only(tt.public, tt.private)); err == nil {
		t.Error("the purpose does not count")
	}
}

// TestClassicBoxIsMalleable shows the attack that docs/security.md names.
func TestClassicBoxIsMalleable(t *testing.T) {
	tt := sealSuites(t)[1]
	var box sealedBox
	if err := message.Unmarshal(vector(t, tt.vector), &box); err != nil {
		t.Fatal(err)
	}
	ciphertext := box.Body[:len(box.Body)-checkSize]
	for i, c := range []byte("Sunday") {
		ciphertext[len("how about ")+i] ^= c ^ "Monday"[i]
	}
	box.Body = append(ciphertext, byte(checkOf(ciphertext, 0)), byte(checkOf(ciphertext, 0)>>8))
	if plain, err := Unseal(tt.s, ForLetter, message.Marshal(&box), only(tt.public, tt.private)); err != nil || string(plain) != "how about Monday?" {
		t.Errorf("%q, %v", plain, err)
	}
}

func FuzzUnseal(f *testing.F) {
	suites := sealSuites(f)
	for _, tt := range suites {
		f.Add(vector(f, tt.vector))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, tt := range suites {
			Unseal(tt.s, ForLetter, b, func(PrekeyID) []byte { return tt.private })
		}
	})
}
