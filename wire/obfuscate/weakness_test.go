package obfuscate

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// These tests are documentation: what anybody on the way reads without a key.

// RC4 begins twice with the same seed, and ten of the first fourteen bytes are
// known: what they hide is the keystream under the first ten bytes of the stream
// itself. Whatever makes the key does not matter, so it works on streams of the
// old network, whose key schedule nobody here knows. These are the first bytes of
// both sides of one in a public capture of 2006 (SkypeIRC.cap, 192.168.1.2:1312).
func TestKeystreamIsUsedTwice(t *testing.T) {
	for _, tt := range []struct {
		name    string
		opening string
		stream  string // the first ten bytes after it
		length  int    // of what was sent with them
		word    uint16
		plain   string
	}{
		// A record of 24 bytes: packet 1606, a command of 19 bytes, number 30 ("take
		// me as a client"), request 1605, a packed list.
		{"client", "0790c7dd 5df5e39e3c0c55414144", "6de2e58dce0c4344030c", 25, 0x0001, "30 1606 13 f201 1605 42 4b"},
		// A record of 58 bytes: padding.
		{"supernode", "aec28951 546f1f172ea92edb062d", "202273fa144b1692e0b1", 59, 0x014e, "75 03 6ced3ae3 3849e69f"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := append(binary.BigEndian.AppendUint16(nil, tt.word), 0, 0, 0, 1, 0, 0, 0, 3)
			plain := unhex(t, tt.stream)
			for i, hidden := range unhex(t, tt.opening)[4:] {
				plain[i] ^= hidden ^ known[i]
			}
			if !bytes.Equal(plain, unhex(t, tt.plain)) {
				t.Errorf("it says %x, want %s", plain, tt.plain)
			}
			// The length that comes out is that of the segment: the guess was right.
			if body := int(plain[0] >> 1); 1+body != tt.length {
				t.Errorf("the first record has %d bytes, the segment %d", 1+body, tt.length)
			}
		})
	}
}

// The key of a datagram is made of what stands in it and of the addresses on its
// outside. These were captured between two nodes of this network; the exchange
// is the first of docs/protocol.md, section 16.
const (
	firstProbeHex = "7a02 02 1a7ad6b9 f43b46e0 1a70a35a651f69"
	againHex      = "7a02 02 14df02f4 f43b46e0 adc36c653dd2dd"
	resendHex     = "7a02 23 01 b911a8c7 c0000221 f43b46e0 0f22da601a1481"
	acceptedHex   = "7a02 02 7fc5d666 d74e1085 84464e18e3d30a"
	nextProbeHex  = "7a04 02 615996db f7bf928e 6893473b7f8c2f"
)

func TestObserverReadsDatagrams(t *testing.T) {
	alice, bob := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("192.0.2.33")
	for _, tt := range []struct {
		name     string
		src, dst netip.Addr
		wire     string
		plain    string
	}{
		{"probe of who does not know his address", netip.Addr{}, bob, firstProbeHex, "04da017a014100"},
		{"its answer", bob, alice, acceptedHex, "04e3017a014100"},
		{"probe of who knows it", alice, bob, nextProbeHex, "04da017a034100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.wire)
			id, iv, crc, body := binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[3:]), binary.BigEndian.Uint32(b[7:]), b[11:]
			XOR(body, SeedOf(tt.src, tt.dst, id, iv))
			if !bytes.Equal(body, unhex(t, tt.plain)) || CRC(body) != crc {
				t.Errorf("it says %x", body)
			}
		})
	}
	t.Run("resend, without any address", func(t *testing.T) {
		b := unhex(t, resendHex)
		body := b[16:]
		XOR(body, ResendSeed(binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint16(b)))
		if !bytes.Equal(body, unhex(t, "04da017a014100")) || CRC(body) != binary.BigEndian.Uint32(b[12:]) {
			t.Errorf("it says %x", body)
		}
	})
}

// The CRC is that of the plain bytes: whoever guesses them sees that he is
// right, and everybody sees which datagrams say the same.
func TestCRCTellsThePlainBytes(t *testing.T) {
	first, again := unhex(t, firstProbeHex), unhex(t, againHex)
	if !bytes.Equal(first[7:11], again[7:11]) || bytes.Equal(first[3:7], again[3:7]) || bytes.Equal(first[11:], again[11:]) {
		t.Errorf("%x and %x do not show it", first, again)
	}
	if guess := CRC(unhex(t, "04da017a014100")); guess != binary.BigEndian.Uint32(first[7:]) {
		t.Errorf("the guess has %08x", guess)
	}
}

// Who sends may choose the seed, by the IV that makes it come out (SN79): one
// key for all datagrams.
func TestSenderChoosesTheSeed(t *testing.T) {
	const wanted = 0x01020304
	src, dst := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("192.0.2.33")
	for id := range uint16(100) {
		iv := SeedOf(src, dst, id, 0) ^ wanted
		if got := SeedOf(src, dst, id, iv); got != wanted {
			t.Fatalf("seed %08x", got)
		}
	}
}
