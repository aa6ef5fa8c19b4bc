package frame

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A test array in unix42.c of SO: the one session packet whose plain bytes are public.
const userPacketHex = "d6a903 6d 41 04 0001 b8c18c8c09 0003 00 0404 32 " +
	"410400010d030223786f745f69616d2f24786f7465675f69616d3b3136323064313131623465643239323000001c01001d01 0007 05 a0c2"

func TestUserPacket(t *testing.T) {
	wire := unhex(userPacketHex)
	got, err := ParseUserPacket(wire)
	if err != nil || got.ID != 54486 || got.Command != 0x6d {
		t.Fatalf("ParseUserPacket = %+v, %v", got, err)
	}
	list, err := objlist.Parse(got.List)
	const want = "{0/1=2441289912, 0/3=0, 4/4=x410400010d030223786f745f69616d2f24786f7465675f69616d" +
		"3b3136323064313131623465643239323000001c01001d01, 0/7=5}"
	if err != nil || list.String() != want {
		t.Errorf("its list is %v, %v, want %s", list, err, want)
	}
	if again := got.Append([]byte{0xaa}); !bytes.Equal(again[1:], wire) {
		t.Errorf("Append = %x\nwant   aa%x", again, wire)
	}
	if crc := CRC16([]byte("123456789")); crc != 0x31c3 { // the check value of CRC-16/XMODEM
		t.Errorf("CRC16 of 123456789 = %04x", crc)
	}
	for name, tt := range map[string]struct {
		wire []byte
		err  error
	}{
		"nothing":         {nil, ErrUserPacket},
		"a byte changed":  {append([]byte{0xd7}, wire[1:]...), ErrCRC16},
		"only a CRC":      {unhex("0000"), ErrUserPacket},
		"no command":      {withCRC16("d6a903"), ErrUserPacket},
		"33 bits of id":   {withCRC16("ffffffff1f 6d 4100"), ErrUserPacket},
		"half a command":  {withCRC16("01 ed"), ErrUserPacket},
		"endless command": {withCRC16("01 8080808080"), ErrUserPacket},
	} {
		if got, err := ParseUserPacket(tt.wire); !errors.Is(err, tt.err) || !reflect.DeepEqual(got, UserPacket{}) {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, tt.err)
		}
	}
}

func withCRC16(s string) []byte {
	b := unhex(s)
	crc := CRC16(b)
	return append(b, byte(crc>>8), byte(crc))
}

func FuzzUserPacket(f *testing.F) {
	f.Add(unhex(userPacketHex))
	f.Add(withCRC16("80 6d 4100"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseUserPacket(b)
		if err != nil {
			return
		}
		if again, err := ParseUserPacket(p.Append(nil)); err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v became %+v, %v", p, again, err)
		}
	})
}
