package files

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
)

func TestRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    Request
		wire string
	}{
		{"tree", Request{Want: WantTree, File: linnet.FileID{1, 15: 2}}, "01 01000000000000000000000000000002 0000000000000000"},
		{"bytes from the ninth piece on", Request{Want: WantBytes, File: linnet.FileID{1, 15: 2}, From: 2 << 20}, "02 01000000000000000000000000000002 0000000000200000"},
	} {
		wire, err := hex.DecodeString(strings.ReplaceAll(tt.wire, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.r.Append(nil); !bytes.Equal(got, wire) {
			t.Errorf("%s: Append = %x, want %x", tt.name, got, wire)
		}
		if got, err := ParseRequest(wire); err != nil || got != tt.r {
			t.Errorf("%s: Parse = %+v, %v", tt.name, got, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(Request{Want: WantBytes, From: PieceSize}.Append(nil))
	f.Add(Request{Want: WantTree}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			return
		}
		if r.From < 0 || r.From > linnet.MaxFile || !bytes.Equal(r.Append(nil), b) {
			t.Errorf("%x is %+v", b, r)
		}
	})
}
