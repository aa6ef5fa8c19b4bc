package suite

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// Test case 14 of the GCM specification's AES-256 vectors: key, nonce and
// plaintext all zero, here as counter 0.
func TestSealPacketVector(t *testing.T) {
	aead, err := Modern().AEAD(&[32]byte{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "0000000000000000 cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919")
	if got := SealPacket(nil, aead, 0, make([]byte, 16)); !bytes.Equal(got, want) {
		t.Errorf("SealPacket = %x, want %x", got, want)
	}
	key := [32]byte{1, 2, 3}
	if aead, err = Modern().AEAD(&key, 0); err != nil {
		t.Fatal(err)
	}
	pin(t, "session-packet", SealPacket(nil, aead, 0x0102030405060708, []byte("hello")))
}

func TestPacketRoundTrip(t *testing.T) {
	aead, err := Modern().AEAD(&[32]byte{1, 2, 3}, 0)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 1400).Draw(t, "plain")
		counter := rapid.Uint64().Draw(t, "counter")
		dst := append(make([]byte, 0, rapid.IntRange(3, 2000).Draw(t, "room")), "abc"...)
		packet := SealPacket(dst, aead, counter, plain)
		if !bytes.HasPrefix(packet, []byte("abc")) || len(packet) != 3+len(plain)+PacketOverhead {
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

func TestOpenPacketAltered(t *testing.T) {
	aead, err := Modern().AEAD(&[32]byte{1, 2, 3}, 0)
	if err != nil {
		t.Fatal(err)
	}
	packet := SealPacket(nil, aead, 77, make([]byte, 160))
	everyChange(packet, func(changed []byte) {
		_, _, err := OpenPacket(nil, aead, changed)
		refused(t, "altered packet", err)
	})
	other, err := Modern().AEAD(&[32]byte{1, 2, 4}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenPacket(nil, other, packet); !errors.Is(err, ErrForged) {
		t.Errorf("under another key: %v, want ErrForged", err)
	}
}

func TestPacketAllocates(t *testing.T) {
	aead, err := Modern().AEAD(&[32]byte{1, 2, 3}, 0)
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, 160)
	packet, opened := make([]byte, 0, 256), make([]byte, 0, 256)
	n := testing.AllocsPerRun(100, func() {
		packet = SealPacket(packet[:0], aead, 77, plain)
		opened, _, err = OpenPacket(opened[:0], aead, packet)
	})
	if err != nil || n != 0 {
		t.Errorf("%v allocations, want none; %v", n, err)
	}
}

func FuzzOpenPacket(f *testing.F) {
	aead, err := Modern().AEAD(&[32]byte{1, 2, 3}, 0)
	if err != nil {
		f.Fatal(err)
	}
	packet := SealPacket(nil, aead, 77, []byte("hello"))
	f.Add(packet)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := OpenPacket(nil, aead, b); err == nil && !bytes.Equal(b, packet) {
			t.Errorf("opened %x, which nobody sealed", b)
		}
	})
}

func BenchmarkSealPacket(b *testing.B) {
	aead, err := Modern().AEAD(&[32]byte{1, 2, 3}, 0)
	if err != nil {
		b.Fatal(err)
	}
	plain, packet := make([]byte, 160), make([]byte, 0, 256)
	b.SetBytes(160)
	b.ReportAllocs()
	var counter uint64
	for b.Loop() {
		packet = SealPacket(packet[:0], aead, counter, plain)
		counter++
	}
}

func BenchmarkOpenPacket(b *testing.B) {
	aead, err := Modern().AEAD(&[32]byte{1, 2, 3}, 0)
	if err != nil {
		b.Fatal(err)
	}
	packet, plain := SealPacket(nil, aead, 77, make([]byte, 160)), make([]byte, 0, 256)
	b.SetBytes(160)
	b.ReportAllocs()
	for b.Loop() {
		if plain, _, err = OpenPacket(plain[:0], aead, packet); err != nil {
			b.Fatal(err)
		}
	}
}

// What a session pays when it wakes up.
func BenchmarkAEAD(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Modern().AEAD(&[32]byte{1, 2, 3}, 0); err != nil {
			b.Fatal(err)
		}
	}
}
