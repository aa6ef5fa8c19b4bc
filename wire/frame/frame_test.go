package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var vectors = []struct {
	name  string
	frame Frame
	wire  string
}{
	// Whole datagrams of public captures; docs/protocol.md names the sources.
	{"SN41: command", Frame{ID: 0x7f4e, Type: Command, IV: 0x118ac037, CRC: 0xfc95755e, Body: unhex("5eb9817a8efa81")},
		"7f4e 02 118ac037 fc95755e 5eb9817a8efa81"},
	{"SN43: nack", Frame{ID: 0x7f4e, Type: Nack, Noise: 0x70, IP: netip.MustParseAddr("82.124.72.51"), Challenge: 0x83b08656},
		"7f4e 77 527c4833 83b08656"},
	{"SN59: resend", Frame{ID: 0x7f48, Type: Resend, Noise: 0x60, Challenge: 0x83b08656,
		IP: netip.MustParseAddr("130.161.44.117"), CRC: 0xf102f088, Body: unhex("fe65132ce197ac")},
		"7f48 63 01 83b08656 82a12c75 f102f088 fe65132ce197ac"},
	{"SC: nack", Frame{ID: 0x6d2c, Type: Nack, Noise: 0x40, IP: netip.MustParseAddr("78.36.112.176"), Challenge: 0xa98b0587},
		"6d2c 47 4e2470b0 a98b0587"},
	{"SC: resend", Frame{ID: 0x6d2c, Type: Resend, Noise: 0x10, Challenge: 0xa98b0587,
		IP: netip.MustParseAddr("83.71.32.91"), CRC: 0x4adf5dd8, Body: unhex("4f7b05c7e53d0c")},
		"6d2c 13 01 a98b0587 5347205b 4adf5dd8 4f7b05c7e53d0c"},
	// Ours.
	{"resend, IPv6", Frame{ID: 1, Type: Resend, Challenge: 2, IP: netip.MustParseAddr("2001:db8::1"), CRC: 3, Body: []byte{4}},
		"0001 03 02 00000002 20010db8000000000000000000000001 00000003 04"},
	{"confirm", Frame{ID: 1, Type: Confirm, Noise: 0x20, IP: netip.MustParseAddr("192.0.2.1"), Challenge: 2},
		"0001 25 c0000201 00000002"},
	{"confirm, IPv6", Frame{ID: 1, Type: Confirm, IP: netip.MustParseAddr("2001:db8::1"), Challenge: 2},
		"0001 05 20010db8000000000000000000000001 00000002"},
	{"nack, IPv6", Frame{ID: 1, Type: Nack, IP: netip.MustParseAddr("2001:db8::1"), Challenge: 2},
		"0001 07 20010db8000000000000000000000001 00000002"},
	{"session", Frame{ID: 1, Type: Session, Noise: 0x50, Tag: 0xdeadbeee, Body: []byte{1, 2}}, "0001 5d deadbeee 0102"},
	{"session, empty body", Frame{ID: 1, Type: Session, Tag: 0xdeadbeee, Body: []byte{}}, "0001 0d deadbeee"},
	{"keep-alive", Frame{ID: 1, Type: Session, Noise: 0x10, KeepAlive: true}, "0001 1d"},
	{"fragment 3", Frame{ID: 1, Type: Fragment, Noise: 0x30, Group: 0x0203, Part: 3, IV: 4, CRC: 5, Body: []byte{6}},
		"0001 3f 0203 03 02 00000004 00000005 06"},
	{"fragment 127, the last", Frame{ID: 1, Type: Fragment, Group: 1, Part: 127, Last: true, IV: 4, CRC: 5, Body: []byte{6}},
		"0001 0f 0001 ff 02 00000004 00000005 06"},
}

func TestVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(tt.wire)
			if got := tt.frame.Append([]byte{0xaa}); !bytes.Equal(got[1:], wire) || got[0] != 0xaa {
				t.Errorf("Append = %x\nwant   aa%x", got, wire)
			}
			if got, err := Parse(wire); err != nil || !reflect.DeepEqual(got, tt.frame) {
				t.Errorf("Parse = %+v, %v\nwant    %+v", got, err, tt.frame)
			}
		})
	}
}

// An empty probe makes 18 bytes, and sending it again makes 5 more: both known
// from traffic analysis of the old network.
func TestSizes(t *testing.T) {
	probe := unhex("04da017f454215")
	ip4, ip6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		frame Frame
		size  int
	}{
		{Frame{Type: Command, Body: probe}, 18},
		{Frame{Type: Command, Body: probe}, CommandSize + len(probe)},
		{Frame{Type: Resend, IP: ip4, Body: probe}, 18 + 5},
		{Frame{Type: Resend, IP: ip4, Body: probe}, ResendSize + len(probe)},
		{Frame{Type: Resend, IP: ip6, Body: probe}, ResendSize + IPv6Extra + len(probe)},
		{Frame{Type: Confirm, IP: ip4}, 11},
		{Frame{Type: Confirm, IP: ip4}, ConfirmSize},
		{Frame{Type: Nack, IP: ip4}, 11},
		{Frame{Type: Nack, IP: ip4}, NackSize},
		{Frame{Type: Nack, IP: ip6}, 23},
		{Frame{Type: Nack, IP: ip6}, NackSize + IPv6Extra},
		{Frame{Type: Session, Body: probe}, SessionSize + len(probe)},
		{Frame{Type: Session, KeepAlive: true}, KeepAliveSize},
		{Frame{Type: Fragment, Body: probe}, FragmentSize + len(probe)},
	} {
		if got := len(tt.frame.Append(nil)); got != tt.size {
			t.Errorf("%v: %d bytes, want %d", tt.frame.Type, got, tt.size)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name string
		wire string
		err  error
	}{
		{"nothing", "", ErrTruncated},
		{"no type", "0001", ErrTruncated},
		{"type 0", "0001 00 00000000", ErrType},
		{"type 1", "0001 01 00000000", ErrType},
		{"type e", "0001 7e 00000000", ErrType},
		{"bit 7", "7f4e 82 118ac037 fc95755e 5eb9817a8efa81", ErrType},
		{"command without a body", "7f4e 02 118ac037 fc95755e", ErrTruncated},
		{"resend of family 0", "7f48 63 00 83b08656 82a12c75 f102f088 fe65132ce197ac", ErrFamily},
		{"resend of family 3", "7f48 63 03 83b08656 82a12c75 f102f088 fe65132ce197ac", ErrFamily},
		{"resend without a body", "7f48 63 01 83b08656 82a12c75 f102f088", ErrTruncated},
		{"resend, IPv6 cut", "7f48 63 02 83b08656 82a12c75 f102f088 fe65132ce197ac", ErrTruncated},
		{"nack of 10 bytes", "7f4e 77 527c4833 83b086", ErrTruncated},
		{"nack of 12 bytes", "7f4e 77 527c4833 83b08656 00", ErrTruncated},
		{"nack of 24 bytes", "0001 07 20010db8000000000000000000000001 00000002 00", ErrTooLong},
		{"confirm of 24 bytes", "0001 05 20010db8000000000000000000000001 00000002 00", ErrTooLong},
		{"session with half a tag", "0001 0d dead", ErrTruncated},
		{"fragment of a resend", "0001 0f 0203 03 03 00000004 00000005 06", ErrType},
		{"fragment without a body", "0001 0f 0203 03 02 00000004 00000005", ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if f, err := Parse(unhex(tt.wire)); !errors.Is(err, tt.err) || !reflect.DeepEqual(f, Frame{}) {
				t.Errorf("Parse = %+v, %v, want %v", f, err, tt.err)
			}
		})
	}
}

func TestCommandIsNeverNoisy(t *testing.T) {
	f := Frame{ID: 1, Type: Command, Noise: 0x70, Body: []byte{1}}
	if got := f.Append(nil); got[2] != 0x02 {
		t.Errorf("type byte %02x, want 02", got[2])
	}
	if got, err := Parse(unhex("7f4e 52 118ac037 fc95755e 5e")); err != nil || got.Type != Command {
		t.Errorf("Parse of a noisy one: %+v, %v", got, err) // receivers mask
	}
}

func TestTag(t *testing.T) {
	b := unhex("0001 5d deadbeee 0102")
	if tag, ok := TagOf(b); !ok || tag != 0xdeadbeee {
		t.Errorf("TagOf = %08x, %v", tag, ok)
	}
	SetTag(b, 0x01020304)
	if !bytes.Equal(b, unhex("0001 5d 01020304 0102")) {
		t.Errorf("SetTag made %x", b)
	}
	for _, wire := range []string{"", "0001 5d", "0001 5d deadbe", "0001 02 deadbeee 0102", "0001 dd deadbeee 0102"} {
		if tag, ok := TagOf(unhex(wire)); ok {
			t.Errorf("TagOf(%s) = %08x", wire, tag)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	for _, tt := range vectors {
		wire := unhex(tt.wire)
		buf := make([]byte, 0, 100)
		if n := testing.AllocsPerRun(100, func() {
			f, err := Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			buf = f.Append(buf[:0])
		}); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Frame{
			ID:    rapid.Uint16().Draw(t, "id"),
			Type:  rapid.SampledFrom([]Type{Command, Resend, Confirm, Nack, Session, Fragment}).Draw(t, "type"),
			Noise: rapid.Byte().Draw(t, "noise") & noiseMask,
		}
		ip := rapid.SampledFrom([]netip.Addr{
			netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("2001:db8::1"),
		}).Draw(t, "ip")
		word := rapid.Uint32()
		body := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "body")
		switch f.Type {
		case Command:
			f.Noise, f.IV, f.CRC, f.Body = 0, word.Draw(t, "iv"), word.Draw(t, "crc"), body
		case Resend:
			f.Challenge, f.IP, f.CRC, f.Body = word.Draw(t, "challenge"), ip, word.Draw(t, "crc"), body
		case Confirm, Nack:
			f.IP, f.Challenge = ip, word.Draw(t, "challenge")
		case Session:
			f.Tag, f.Body = word.Draw(t, "tag"), body
		case Fragment:
			f.Group, f.Part, f.Last = rapid.Uint16().Draw(t, "group"), rapid.Uint8Max(MaxParts-1).Draw(t, "part"), rapid.Bool().Draw(t, "last")
			f.IV, f.CRC, f.Body = word.Draw(t, "iv"), word.Draw(t, "crc"), body
		}
		if got, err := Parse(f.Append(nil)); err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, f)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, tt := range vectors {
		f.Add(unhex(tt.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Parse(b)
		tag, ok := TagOf(b)
		if hasTag := err == nil && got.Type == Session && !got.KeepAlive; ok != hasTag || tag != got.Tag {
			t.Fatalf("TagOf = %08x, %v; Parse = %+v, %v", tag, ok, got, err)
		}
		if err != nil {
			return
		}
		if got.Type == Command {
			got.Noise = 0
		}
		again := got.Append(nil)
		if len(again) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(again))
		}
		if f2, err := Parse(again); err != nil || !reflect.DeepEqual(f2, got) {
			t.Fatalf("%+v became %+v, %v", got, f2, err)
		}
	})
}

// unhex reads hexadecimal digits with a space between fields.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}
