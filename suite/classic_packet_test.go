package suite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/linnet-p2p/linnet/wire/frame"
	"pgregory.net/rapid"
)

func classicAEADOf(t testing.TB, key [32]byte, salt uint32) *classicAEAD {
	t.Helper()
	aead, err := Classic().AEAD(&key, salt)
	if err != nil {
		t.Fatal(err)
	}
	return aead.(*classicAEAD)
}

func TestClassicPacket(t *testing.T) {
	aead := classicAEADOf(t, [32]byte{1, 2, 3}, 0x11112222)
	packet := SealPacket(nil, aead, 0x10203, []byte("hello"))
	pin(t, "classic-packet", packet)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 1400).Draw(t, "plain")
		counter := rapid.Uint64Range(0, 1<<48-1).Draw(t, "counter")
		dst := append(make([]byte, 0, rapid.IntRange(3, 2000).Draw(t, "room")), "abc"...)
		packet := SealPacket(dst, aead, counter, plain)
		if !bytes.HasPrefix(packet, []byte("abc")) || len(packet) != 3+len(plain)+Classic().PacketOverhead() {
			t.Fatalf("SealPacket made %x", packet)
		}
		packet = packet[3:]
		got, n, err := OpenPacket(dst[:3:3], aead, packet)
		if err != nil || n != counter || !bytes.Equal(got[3:], plain) {
			t.Fatalf("OpenPacket = %x, %d, %v", got, n, err)
		}
		// In place, as a socket's buffer is opened.
		if got, _, err := OpenPacket(packet[counterSize:counterSize], aead, bytes.Clone(packet)); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("OpenPacket in place = %x, %v", got, err)
		}
	})
}

func TestClassicPacketRefuses(t *testing.T) {
	aead := classicAEADOf(t, [32]byte{1, 2, 3}, 7)
	packet := SealPacket(nil, aead, 77, []byte("a packet that was damaged under way"))
	for i := range packet {
		changed := bytes.Clone(packet)
		changed[i] ^= 1 << (i % 8)
		if _, _, err := OpenPacket(nil, aead, changed); i >= 6 && !errors.Is(err, ErrForged) {
			t.Errorf("byte %d altered: %v, want ErrForged", i, err) // the first two bytes of a counter are not used
		}
	}
	for n := range counterSize + crc16Size + checkSize {
		if _, _, err := OpenPacket(nil, aead, packet[:n]); err == nil {
			t.Errorf("opened the first %d bytes", n)
		}
	}
	for name, other := range map[string]*classicAEAD{
		"another key":          classicAEADOf(t, [32]byte{1, 2, 4}, 7),
		"the other direction":  classicAEADOf(t, [32]byte{1, 2, 3}, ^uint32(7)),
		"another session's id": classicAEADOf(t, [32]byte{1, 2, 3}, 8),
	} {
		if _, _, err := OpenPacket(nil, other, packet); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v, want ErrForged", name, err)
		}
	}
}

// Of the keystream: the counter block of W7.6, encrypted.
func TestClassicKeystream(t *testing.T) {
	key := [32]byte{1, 2, 3}
	stream := make([]byte, 40)
	counterMode(aesClassic(&key), 0xaabbccdd, 0x010203040506, stream)
	for i := range 3 {
		var want [16]byte
		aesClassic(&key).Encrypt(want[:], unhex(t, "aabbccdd aabbccdd 010203040506 000"+string('0'+rune(i))))
		if got := stream[16*i : min(16*i+16, 40)]; !bytes.Equal(got, want[:len(got)]) {
			t.Errorf("block %d is %x, want %x", i, got, want)
		}
	}
}

// The session packet that skypeopensource prints (unix42.c): with its inner CRC
// it is what a classic packet carries, byte for byte.
func TestClassicPacketCarriesUserPacket(t *testing.T) {
	user := unhex(t, "D6A9036D41040001B8C18C8C09000300040432410400010D030223786F745F69616D2F24786F7465675F69616D3B3136323064313131623465643239323000001C01001D01000705A0C2")
	aead := classicAEADOf(t, [32]byte{}, 0)
	packet := SealPacket(nil, aead, 0, user[:len(user)-crc16Size])
	sealed := bytes.Clone(packet[counterSize : len(packet)-checkSize])
	counterMode(aesClassic(&[32]byte{}), 0, 0, sealed)
	if !bytes.Equal(sealed, user) {
		t.Errorf("under the cipher is %x, want %x", sealed, user)
	}
}

// Counter mode with checksums: who guesses what a packet says can make it say
// something else, without any key, and nobody notices.
func TestClassicPacketIsMalleable(t *testing.T) {
	aead := classicAEADOf(t, [32]byte{1, 2, 3}, 7)
	said, instead := []byte("pay 100 to alice"), []byte("pay 999 to carol")
	const index = 12
	packet := SealPacket(nil, aead, index, said)

	difference := make([]byte, len(said))
	for i := range said {
		difference[i] = said[i] ^ instead[i]
	}
	// The CRC-16 starts at 0 and is linear: its difference is the difference's CRC.
	difference = binary.BigEndian.AppendUint16(difference, frame.CRC16(difference))
	sealed := packet[counterSize : len(packet)-checkSize]
	for i := range sealed {
		sealed[i] ^= difference[i]
	}
	forged := binary.LittleEndian.AppendUint16(packet[:counterSize+len(sealed)], checkOf(sealed, index))

	if plain, _, err := OpenPacket(nil, aead, forged); err != nil || !bytes.Equal(plain, instead) {
		t.Errorf("read %q, %v", plain, err)
	}
}

// Only 48 bits of a counter reach the cipher. The others must not make a packet
// that was seen into one that was not.
func TestClassicCounterIsNoLongerThanTheIndex(t *testing.T) {
	aead := classicAEADOf(t, [32]byte{1, 2, 3}, 7)
	for _, counter := range []uint64{0, 5, classicCounters - 1} {
		packet := SealPacket(nil, aead, counter, []byte("hello"))
		if _, got, err := OpenPacket(nil, aead, packet); err != nil || got != counter {
			t.Errorf("counter %x: %x, %v", counter, got, err)
		}
		for bit := range 16 {
			again := bytes.Clone(packet)
			again[bit/8] ^= 1 << (bit % 8)
			if plain, got, err := OpenPacket(nil, aead, again); err == nil {
				t.Errorf("counter %x is good as %x: %q", counter, got, plain)
			}
		}
	}
}

func FuzzClassicOpenPacket(f *testing.F) {
	aead := classicAEADOf(f, [32]byte{1, 2, 3}, 7)
	f.Add(SealPacket(nil, aead, 5, []byte("hello")))
	f.Add(SealPacket(nil, aead, 0, nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, counter, err := OpenPacket(nil, aead, b)
		if err != nil {
			return
		}
		again := SealPacket(nil, aead, counter, plain)
		if !bytes.Equal(again, b) {
			t.Errorf("%x opened; its contents seal to %x", b, again)
		}
	})
}

func BenchmarkClassicSealPacket(b *testing.B) {
	aead := classicAEADOf(b, [32]byte{1, 2, 3}, 7)
	plain, dst := make([]byte, 160), make([]byte, 0, 300)
	for b.Loop() {
		SealPacket(dst, aead, 1, plain)
	}
}
