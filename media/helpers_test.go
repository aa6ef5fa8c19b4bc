package media

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// epoch is when the tests take place.
var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const frameTime = 20 * time.Millisecond

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// voice is the n-th frame of a voice: 20 ms of Opus, different from all others.
func voice(n int) Frame {
	b := make([]byte, 60)
	b[0] = 1 << 3 // SILK, narrow band, 20 ms, one frame
	binary.BigEndian.PutUint32(b[1:], uint32(n))
	return Frame{Timestamp: uint32(n) * 960, Samples: 960, Data: b}
}

func number(f Frame) int { return int(binary.BigEndian.Uint32(f.Data[1:])) }

func newStream(t testing.TB, seed uint64) Stream {
	t.Helper()
	s, err := NewStream(Opus(), GCM, chacha(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func chacha(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

func newSender(t testing.TB, s Stream) *Sender {
	t.Helper()
	x, err := NewSender(s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func newReceiver(t testing.TB, s Stream) *Receiver {
	t.Helper()
	r, err := NewReceiver(s, ReceiverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// packets are the first n packets of a voice.
func packets(t testing.TB, s *Sender, n int) [][]byte {
	t.Helper()
	var all [][]byte
	for i := range n {
		b, err := s.Packet(epoch.Add(time.Duration(i)*frameTime), voice(i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}
