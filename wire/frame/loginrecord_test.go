package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestLoginRecord(t *testing.T) {
	for _, tt := range []struct {
		r    LoginRecord
		wire string
	}{
		{LoginRecord{Kind: LoginKey, Body: []byte{}}, "1603010000"}, // what a login of the old network began with (SC)
		{LoginRecord{Kind: LoginData, Body: []byte{}}, "1703010000"},
		{LoginRecord{Kind: LoginData, Body: []byte{0xab, 0xcd}}, "1703010002abcd"},
	} {
		wire, err := hex.DecodeString(tt.wire)
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.r.Append([]byte("x")); !bytes.Equal(got, append([]byte("x"), wire...)) {
			t.Errorf("Append = %x, want %x", got, wire)
		}
		r, n, err := ParseLoginRecord(append(wire, 0x16))
		if err != nil || n != len(wire) || r.Kind != tt.r.Kind || !bytes.Equal(r.Body, tt.r.Body) {
			t.Errorf("ParseLoginRecord(%x) = %v, %d, %v", wire, r, n, err)
		}
		for cut := range wire {
			if _, n, err := ParseLoginRecord(wire[:cut]); err != nil || n <= cut {
				t.Errorf("%x: %d bytes wanted, %v", wire[:cut], n, err)
			}
		}
	}
	for _, wire := range []string{"1503010000", "1603030000", "1602010000", "8046010301"} {
		b, _ := hex.DecodeString(wire)
		if _, _, err := ParseLoginRecord(b); !errors.Is(err, ErrLoginRecord) {
			t.Errorf("%s: %v", wire, err)
		}
	}
}

func FuzzParseLoginRecord(f *testing.F) {
	f.Add([]byte{0x16, 3, 1, 0, 0})
	f.Add([]byte{0x17, 3, 1, 0, 2, 1, 2, 3})
	f.Add([]byte{0x17, 3, 1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := ParseLoginRecord(b)
		if err != nil || n > len(b) {
			return
		}
		if again := r.Append(nil); !bytes.Equal(again, b[:n]) {
			t.Errorf("%x is read as %x", b[:n], again)
		}
	})
}

func TestLoginRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := LoginRecord{
			Kind: rapid.SampledFrom([]LoginRecordKind{LoginKey, LoginData}).Draw(t, "kind"),
			Body: rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "body"),
		}
		r, n, err := ParseLoginRecord(want.Append(nil))
		if err != nil || n != LoginHead+len(want.Body) || r.Kind != want.Kind || !bytes.Equal(r.Body, want.Body) {
			t.Fatalf("read %v, %d, %v, want %v", r, n, err, want)
		}
	})
}
