package media

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// pair is both ends of a stream of a classic network.
func classicPair(t testing.TB) (*Sender, *Receiver) {
	t.Helper()
	s, err := NewStream(Opus(), CTR, chacha(9))
	if err != nil {
		t.Fatal(err)
	}
	heard, err := ParseStream(s.Message(), CTR)
	if err != nil {
		t.Fatal(err)
	}
	return newSender(t, s), newReceiver(t, heard)
}

func TestCTR(t *testing.T) {
	x, r := classicPair(t)
	for i := range 50 {
		now := epoch.Add(time.Duration(i) * 20 * time.Millisecond)
		b, err := x.Packet(now, voice(i))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && len(b) != rtpHeader+len(voice(0).Data) {
			t.Errorf("a packet of %d bytes", len(b))
		}
		if bytes.Contains(b, voice(i).Data[:8]) {
			t.Errorf("packet %d can be read", i)
		}
		if err := r.Packet(now, b); err != nil {
			t.Fatal(err)
		}
		if err := r.Packet(now, b); err == nil {
			t.Error("taken twice")
		}
		if got := r.Frames(now); len(got) != 1 || number(got[0]) != i {
			t.Fatalf("heard %v, want frame %d", got, i)
		}
	}
}

// Nothing in a packet says who made it: who knows what is said can have something
// else be heard, without the key.
func TestCTRIsMalleable(t *testing.T) {
	x, r := classicPair(t)
	b, err := x.Packet(epoch, voice(1))
	if err != nil {
		t.Fatal(err)
	}
	said, instead := voice(1).Data, voice(2).Data
	for i := range said {
		b[rtpHeader+i] ^= said[i] ^ instead[i]
	}
	if err := r.Packet(epoch, b); err != nil {
		t.Fatal(err)
	}
	if got := r.Frames(epoch.Add(time.Second)); len(got) != 1 || !bytes.Equal(got[0].Data, instead) {
		t.Errorf("heard %v", got)
	}
}

// Garbage under the right numbers is decrypted to other garbage, and is only
// heard.
func TestCTRForgeries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x, r := classicPair(t)
		b, err := x.Packet(epoch, voice(0))
		if err != nil {
			rt.Fatal(err)
		}
		for i := range rapid.IntRange(1, 30).Draw(rt, "packets") {
			forged := append(bytes.Clone(b[:rtpHeader]), rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(rt, "payload")...)
			forged[1] = rapid.SampledFrom([]byte{111, 63, 111 | 0x80, 7}).Draw(rt, "type")
			forged[2], forged[3] = rapid.Byte().Draw(rt, "high"), rapid.Byte().Draw(rt, "low")
			copy(forged[4:8], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "time"))
			now := epoch.Add(time.Duration(i) * time.Second)
			r.Packet(now, forged)
			r.Frames(now)
			if len(r.held) > maxHeld || len(r.ready) > maxReady {
				rt.Fatalf("%d frames held, %d ready", len(r.held), len(r.ready))
			}
		}
	})
}
