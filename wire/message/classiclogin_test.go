package message_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/objlist"
	"pgregory.net/rapid"
)

func TestClassicLogin(t *testing.T) {
	m := &message.ClassicLogin{
		Code: message.ClassicSignIn, User: "alice", Secret: bytes.Repeat([]byte{0x5e}, 16),
		Modulus: bytes.Repeat([]byte{0xab}, 128), Device: "laptop", Time: 0x1122, Nonce: bytes.Repeat([]byte{7}, 16),
	}
	want := strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(`
		41 04 0000 9927 0002 01 0304 616c69636500 0405 10` + strings.Repeat("5e", 16) + `
		41 0a 0421 8001` + strings.Repeat("ab", 128) + ` 0131 0000000000000000 0336 656e00 0633 05 0000000000
		030d 302f312e302e302e302f2f00 000e 00
		03 808001 6c6170746f7000 01 818001 0000000000001122 04 828001 10` + strings.Repeat("07", 16) + ` 04 858001 8001`)
	if got := hex.EncodeToString(m.Unsigned()); got != want {
		t.Errorf("Unsigned = %s, want %s", got, want)
	}
	signature := bytes.Repeat([]byte{0x51}, message.ClassicSignatureSize)
	got, unsigned, signed, err := message.ParseClassicLogin(append(m.Unsigned(), signature...))
	if err != nil || !reflect.DeepEqual(got, m) || !bytes.Equal(unsigned, m.Unsigned()) || !bytes.Equal(signed, signature) {
		t.Errorf("ParseClassicLogin = %+v, %x, %x, %v", got, unsigned, signed, err)
	}
}

// The second list begins as that of a login which skypeopensource's request
// builder prints: these objects, in this order.
func TestClassicLoginBeginsAsTheOldOne(t *testing.T) {
	b := (&message.ClassicLogin{Modulus: make([]byte, 128)}).Unsigned()
	var who objlist.Decoder
	_, rest, err := who.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	list, err := objlist.Parse(append(rest, make([]byte, message.ClassicSignatureSize)...))
	if err != nil {
		t.Fatal(err)
	}
	var heads []string
	for _, o := range list[:6] {
		heads = append(heads, fmt.Sprintf("%d/%X", o.Kind, o.ID))
	}
	if got := strings.Join(heads, " "); got != "4/21 1/31 3/36 6/33 3/D 0/E" {
		t.Errorf("it begins with %s", got)
	}
}

func TestClassicLoginRoundTrip(t *testing.T) {
	blob := rapid.SliceOfN(rapid.Byte(), 1, 300)
	rapid.Check(t, func(t *rapid.T) {
		m := &message.ClassicLogin{
			Code: rapid.Uint32().Draw(t, "code"), User: linnet.UserName(rapid.StringMatching(`[a-z]{3,32}`).Draw(t, "user")),
			Modulus: blob.Draw(t, "modulus"), Device: rapid.StringMatching(`[ -~]{1,64}`).Draw(t, "device"),
			Time: rapid.Uint64().Draw(t, "time"), Nonce: blob.Draw(t, "nonce"),
		}
		for _, optional := range []*[]byte{&m.Secret, &m.Token, &m.Expiring} {
			if rapid.Bool().Draw(t, "there") {
				*optional = blob.Draw(t, "optional")
			}
		}
		signature := rapid.SliceOfN(rapid.Byte(), 128, 128).Draw(t, "signature")
		got, unsigned, signed, err := message.ParseClassicLogin(append(m.Unsigned(), signature...))
		if err != nil || !reflect.DeepEqual(got, m) || !bytes.Equal(unsigned, m.Unsigned()) || !bytes.Equal(signed, signature) {
			t.Fatalf("ParseClassicLogin = %+v, %v, want %+v", got, err, m)
		}
	})
}

func FuzzParseClassicLogin(f *testing.F) {
	m := &message.ClassicLogin{User: "alice", Modulus: make([]byte, 128), Device: "laptop", Nonce: make([]byte, 16)}
	good := append(m.Unsigned(), make([]byte, 128)...)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add([]byte{0x41, 0, 0x41, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, unsigned, signature, err := message.ParseClassicLogin(b)
		if err != nil {
			return
		}
		if !bytes.Equal(append(bytes.Clone(unsigned), signature...), b) {
			t.Errorf("%x is cut into %x and %x", b, unsigned, signature)
		}
		again, _, _, err := message.ParseClassicLogin(append(m.Unsigned(), signature...))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v is read again as %+v, %v", m, again, err)
		}
	})
}
