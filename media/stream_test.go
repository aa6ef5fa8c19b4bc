package media

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/wire/message"
)

// seal and derive are AEAD_AES_256_GCM once more, by the letter of the RFCs: the
// vectors of RFC 7714 begin with session keys, which pion/srtp does not take.
// TestReference holds them against the vectors, TestPacketOnTheWire the packets
// against them.

// seal protects an RTP packet (RFC 7714, section 8).
func seal(t testing.TB, key, salt []byte, roc uint32, header, payload []byte) []byte {
	t.Helper()
	iv := make([]byte, 12)
	copy(iv[2:6], header[8:12])
	binary.BigEndian.PutUint32(iv[6:], roc)
	copy(iv[10:], header[2:4])
	for i := range iv {
		iv[i] ^= salt[i]
	}
	return gcm(t, key).Seal(bytes.Clone(header), iv, payload, header)
}

func gcm(t testing.TB, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// derive is the key derivation of RFC 3711, section 4.3, with AES-256 (RFC 6188)
// and a salt padded with zeros (RFC 7714, section 11).
func derive(t testing.TB, master, salt []byte, label byte, n int) []byte {
	t.Helper()
	block, err := aes.NewCipher(master)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]byte, 16)
	copy(x, salt)
	x[7] ^= label
	out := make([]byte, n)
	cipher.NewCTR(block, x).XORKeyStream(out, out)
	return out
}

func TestReference(t *testing.T) {
	t.Run("RFC 7714, section 16.2.1", func(t *testing.T) {
		key := unhex(t, "000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f")
		salt := unhex(t, "51756964 2070726f 2071756f")
		header := unhex(t, "8040f17b 8041f8d3 5501a0b2")
		want := unhex(t, `8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
			9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13`)
		if got := seal(t, key, salt, 0, header, []byte("Gallia est omnis divisa in partes tres")); !bytes.Equal(got, want) {
			t.Errorf("seal = %x, want %x", got, want)
		}
	})
	t.Run("RFC 6188, section 7.4", func(t *testing.T) {
		master := unhex(t, "f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6")
		salt := unhex(t, "3b04803de51ee7c96423ab5b78d2")
		for _, tt := range []struct {
			label byte
			want  string
		}{
			{0, "5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4"},
			{2, "fa31791685ca444a9e07c6c64e93"},
			{1, "fd9c32d39ed5fbb5a9dc96b30818454d 1313dc05"},
		} {
			if got, want := derive(t, master, salt, tt.label, len(unhex(t, tt.want))), unhex(t, tt.want); !bytes.Equal(got, want) {
				t.Errorf("label %d: %x, want %x", tt.label, got, want)
			}
		}
	})
}

func TestPacketOnTheWire(t *testing.T) {
	s := newStream(t, 1)
	s.SSRC, s.Sequence, s.ROC = 0x5501a0b2, 0xffff, 7
	x := newSender(t, s)
	key, salt := derive(t, s.Key[:], s.Salt[:], 0, 32), derive(t, s.Key[:], s.Salt[:], 2, 12)
	data := [][]byte{unhex(t, "08 a1a2a3"), unhex(t, "08 b1b2"), unhex(t, "08 c1")}
	for i, tt := range []struct {
		name            string
		roc             uint32
		header, payload string
	}{
		{"alone, with the marker", 7, "80 ef ffff 00000000 5501a0b2", "08a1a2a3"},
		{"repeats one; the sequence rolled over", 8, "80 3f 0000 000003c0 5501a0b2", "ef 0f0004 6f 08a1a2a3 08b1b2"},
		{"repeats one", 8, "80 3f 0001 00000780 5501a0b2", "ef 0f0003 6f 08b1b2 08c1"},
	} {
		got, err := x.Packet(epoch, Frame{Timestamp: uint32(960 * i), Samples: 960, Data: data[i]})
		if err != nil {
			t.Fatal(err)
		}
		if want := seal(t, key, salt, tt.roc, unhex(t, tt.header), unhex(t, tt.payload)); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", tt.name, got, want)
		}
	}
	if now := x.Stream(); now.ROC != 8 || now.Sequence != 2 {
		t.Errorf("who joins now is told %v, want 8<<16|2", now)
	}
}

func TestStreamMessage(t *testing.T) {
	want := newStream(t, 2)
	want.ROC = 3
	got, err := ParseStream(want.Message(), GCM)
	if err != nil {
		t.Fatal(err)
	}
	if got.Key != want.Key || got.Salt != want.Salt || got.String() != want.String() ||
		got.PayloadType != 111 || got.Redundancy != 63 {
		t.Errorf("ParseStream(Message) = %v, want %v", got, want)
	}
	for _, tt := range []struct {
		name   string
		change func(*message.MediaStream)
	}{
		{"short key", func(m *message.MediaStream) { m.Key = m.Key[:31] }},
		{"long key", func(m *message.MediaStream) { m.Key = append(bytes.Clone(m.Key), 0) }},
		{"no salt", func(m *message.MediaStream) { m.Salt = nil }},
		{"long sequence", func(m *message.MediaStream) { m.Sequence = 1 << 16 }},
		{"payload type like RTCP", func(m *message.MediaStream) { m.PayloadType = 72 }},
		{"payload type of 8 bits", func(m *message.MediaStream) { m.PayloadType = 128 }},
		{"redundancy like the frames", func(m *message.MediaStream) { m.Redundancy = m.PayloadType }},
		{"codec", func(m *message.MediaStream) { m.Codec = "mp3" }},
	} {
		m := want.Message()
		tt.change(&m)
		if _, err := ParseStream(m, GCM); !errors.Is(err, ErrStream) {
			t.Errorf("%s: %v, want ErrStream", tt.name, err)
		}
	}
}

func TestNewStreamIsFresh(t *testing.T) {
	random := chacha(3)
	a, errA := NewStream(Opus(), GCM, random)
	b, errB := NewStream(Opus(), GCM, random)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a.Key == b.Key || a.Salt == b.Salt || a.SSRC == b.SSRC {
		t.Error("two streams share secrets")
	}
	if a.Sequence >= 1<<15 || b.Sequence >= 1<<15 {
		t.Error("a stream begins in the upper half of the sequence")
	}
}

func TestStreamKeepsItsSecrets(t *testing.T) {
	s := newStream(t, 4)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, s); strings.Contains(got, fmt.Sprintf("%x", s.Key[:4])) || strings.Contains(got, fmt.Sprint(s.Key[:4])) || len(got) > 60 {
			t.Errorf("%s prints %s", format, got)
		}
	}
}
