package media

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// heardNumbers are the numbers of the voice's frames, and -n for n lost.
func heardNumbers(frames []Frame) (all []int) {
	for _, f := range frames {
		switch {
		case f.Data != nil:
			all = append(all, number(f))
		case f.Lost > 0:
			all = append(all, -int(f.Lost))
		}
	}
	return all
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestReceiverOrder(t *testing.T) {
	// Each packet repeats the frame before it: nothing was reported yet.
	tests := []struct {
		name    string
		arrive  []int
		at      time.Duration // after the last one
		want    []int
		recover uint64
	}{
		{"in order", []int{0, 1, 2}, 0, []int{0, 1, 2}, 0},
		{"overtaken", []int{0, 2, 1, 3}, 0, []int{0, 1, 2, 3}, 0},
		{"twice", []int{0, 1, 1, 0, 2}, 0, []int{0, 1, 2}, 0},
		{"one lost, repeated by the next", []int{0, 2}, 0, []int{0, 1, 2}, 1},
		{"the first lost", []int{1, 2}, 0, []int{0, 1, 2}, 1},
		{"two lost: waits", []int{0, 3}, 199 * time.Millisecond, []int{0}, 0},
		{"two lost: gives one up", []int{0, 3}, 200 * time.Millisecond, []int{0, -1, 2, 3}, 1},
		{"three lost at the start", []int{3, 4}, time.Second, []int{-2, 2, 3, 4}, 1},
		{"two gaps", []int{0, 3, 4, 7}, time.Second, []int{0, -1, 2, 3, 4, -1, 6, 7}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStream(t, 5)
			sent := packets(t, newSender(t, s), 8)
			r := newReceiver(t, s)
			var got []Frame
			for _, i := range tt.arrive {
				r.Packet(epoch, sent[i]) // a second copy is an error, see TestReceiverRefuses
				got = append(got, r.Frames(epoch)...)
			}
			if d := r.Deadline(); !d.IsZero() && !d.Equal(epoch.Add(200*time.Millisecond)) {
				t.Errorf("Deadline = %v after the packets, want 200ms", d.Sub(epoch))
			}
			got = append(got, r.Frames(epoch.Add(tt.at))...)
			if numbers := heardNumbers(got); !equal(numbers, tt.want) || r.counts.recovered != tt.recover {
				t.Errorf("heard %v, %d recovered, want %v, %d", numbers, r.counts.recovered, tt.want, tt.recover)
			}
			for _, f := range got {
				if f.Data != nil && !bytes.Equal(f.Data, voice(number(f)).Data) {
					t.Errorf("frame %d is not the one that was sent", number(f))
				}
			}
		})
	}
}

func TestReceiverArrivals(t *testing.T) {
	s := newStream(t, 5)
	sent := packets(t, newSender(t, s), 8)
	r, err := NewReceiver(s, ReceiverOptions{Arrivals: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, i := range []int{0, 3, 3, 2, 7} { // each repeats the frame before it
		r.Packet(epoch, sent[i])
		for _, a := range r.Arrivals() {
			if n := number(a.Frame); a.Index != s.index()+uint64(n) || !bytes.Equal(a.Data, voice(n).Data) {
				t.Errorf("frame %d has the index %d", n, a.Index-s.index())
			}
			got = append(got, number(a.Frame))
		}
	}
	if want := []int{0, 2, 3, 1, 6, 7}; !equal(got, want) {
		t.Errorf("%v arrived, want %v", got, want)
	}
	for range 2 * maxReady / 8 {
		for _, b := range packets(t, newSender(t, s), 8) {
			r.Packet(epoch, b)
		}
	}
	if len(r.Arrivals()) > maxReady || len(r.Arrivals()) > 0 {
		t.Error("arrivals pile up")
	}
}

func TestReceiverGaps(t *testing.T) {
	s := newStream(t, 6)
	s.Redundancy = 0
	x, r := newSender(t, s), newReceiver(t, s)
	send := func(at time.Duration, f Frame, arrives bool) {
		b, err := x.Packet(epoch.Add(at), f)
		if err != nil {
			t.Fatal(err)
		}
		if arrives {
			if err := r.Packet(epoch.Add(at), b); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(0, voice(0), true)
	send(20*time.Millisecond, voice(1), false)
	send(40*time.Millisecond, voice(2), true)
	send(400*time.Millisecond, voice(20), true) // after 340 ms of silence
	got := r.Frames(epoch.Add(time.Second))
	want := []Frame{
		{Timestamp: 0, Samples: 960, Data: voice(0).Data},
		{Timestamp: 960, Samples: 960, Lost: 1},
		{Timestamp: 1920, Samples: 960, Data: voice(2).Data},
		{Timestamp: 2880, Samples: 17 * 960},
		{Timestamp: 19200, Samples: 960, Data: voice(20).Data},
	}
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		w.SSRC = s.SSRC
		if g := got[i]; g.SSRC != w.SSRC || g.Timestamp != w.Timestamp || g.Samples != w.Samples || g.Lost != w.Lost || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("frame %d is %+v, want %+v", i, g, w)
		}
	}
	if c := Opus().duration(int64(r.counts.concealed)); c != frameTime {
		t.Errorf("concealed %v, want the 20 ms that were lost and not the silence", c)
	}
}

// A sender with the key can lie about time and numbers; what it gets for it is
// bounded.
func TestReceiverBoundsGaps(t *testing.T) {
	s := newStream(t, 7)
	s.Redundancy = 0
	x, r := newSender(t, s), newReceiver(t, s)
	feed := func(f Frame) {
		b, err := x.Packet(epoch, f)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Packet(epoch, b); err != nil {
			t.Fatal(err)
		}
	}
	feed(voice(0))
	far := voice(1)
	far.Timestamp = 1 << 30 // six hours later
	feed(far)
	x.next += 30000
	feed(voice(2))
	var samples uint64
	frames := r.Frames(epoch.Add(time.Hour))
	for _, f := range frames {
		samples += uint64(f.Samples)
	}
	if limit := uint64(3*960 + 2*maxAhead/time.Second*OpusClock); samples > limit || len(frames) > 6 {
		t.Errorf("%d frames of %d samples out of nothing, want at most %d samples", len(frames), samples, limit)
	}
	if got := r.counts.missed; got != 30000 {
		t.Errorf("missed %d, want 30000", got)
	}
}

// Nobody reads the frames: packets are refused at some point.
func TestReceiverBoundsMemory(t *testing.T) {
	s := newStream(t, 8)
	x, r := newSender(t, s), newReceiver(t, s)
	sent := packets(t, x, 20000)
	for i, b := range sent {
		if i%3 == 0 { // redundancy of one cannot fill every gap
			r.Packet(epoch, b)
		}
	}
	if len(r.ready) > maxReady+4*maxHeld || len(r.held) > maxHeld {
		t.Errorf("%d frames are ready and %d held", len(r.ready), len(r.held))
	}
}

func TestReceiverRefuses(t *testing.T) {
	s := newStream(t, 9)
	sent := packets(t, newSender(t, s), 400)
	r := newReceiver(t, s)
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	other := s
	other.Key[0] ^= 1
	foreign := packets(t, newSender(t, other), 4)
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"of another key, as the first packet", foreign[3], ErrForged},
		{"fine", sent[1], nil},
		{"again", sent[1], ErrReplay},
		{"header changed", flip(sent[2], 5), ErrForged},
		{"payload changed", flip(sent[2], 20), ErrForged},
		{"tag changed", flip(sent[2], len(sent[2])-1), ErrForged},
		{"cut", sent[2][:len(sent[2])-1], ErrForged},
		{"far ahead by a forged number", func() []byte { b := bytes.Clone(sent[2]); b[2] += 0x20; return b }(), ErrForged},
		{"too short", sent[2][:Overhead-1], ErrPayload},
		{"too long", make([]byte, MaxPacket+1), ErrPayload},
		{"of another key", foreign[2], ErrForged},
		{"still fine", sent[2], nil},
		{"much later", sent[399], nil},
		{"behind the window", sent[399-replayWindow], ErrReplay},
	} {
		if err := r.Packet(epoch, tt.b); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if r.counts.forged != 7 || r.counts.replayed != 2 {
		t.Errorf("%d forged, %d replayed, want 7 and 2", r.counts.forged, r.counts.replayed)
	}
	if got := heardNumbers(r.Frames(epoch)); !equal(got, []int{0, 1, 2}) {
		t.Errorf("heard %v, want 0 1 2", got)
	}
}

// The key was handed over at the end of a rollover, and the first packets were
// lost on the way: the counter has to be found.
func TestReceiverJoinsAtRollover(t *testing.T) {
	s := newStream(t, 10)
	s.Sequence, s.ROC = 0xfffe, 41
	sent := packets(t, newSender(t, s), 8)
	r := newReceiver(t, s)
	for _, i := range []int{5, 1, 6, 2, 7} {
		if err := r.Packet(epoch, sent[i]); err != nil {
			t.Errorf("packet %d: %v", i, err)
		}
	}
	if got, want := heardNumbers(r.Frames(epoch.Add(time.Second))), []int{0, 1, 2, -1, 4, 5, 6, 7}; !equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

// However packets are lost, doubled and shuffled, frames come out in order, each
// once, and every one is either given or counted as missed.
func TestReceiverProperty(t *testing.T) {
	s := newStream(t, 11)
	s.Sequence = 0xffff - 20
	sent := packets(t, newSender(t, s), 60)
	rapid.Check(t, func(rt *rapid.T) {
		r := newReceiver(t, s)
		now := epoch
		last, given, missed := -1, 0, 0
		read := func() {
			for _, f := range r.Frames(now) {
				if f.Data == nil {
					missed += int(f.Lost)
					continue
				}
				if n := number(f); n <= last {
					rt.Fatalf("frame %d after %d", n, last)
				} else if given++; !bytes.Equal(f.Data, voice(n).Data) {
					rt.Fatalf("frame %d is not the one that was sent", n)
				} else {
					last = n
				}
			}
		}
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(sent)-1), 1, 200).Draw(rt, "arrive") {
			r.Packet(now, sent[i])
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "ms")) * time.Millisecond)
			if rapid.Bool().Draw(rt, "read") {
				read()
			}
		}
		now = now.Add(time.Hour)
		read()
		if got := r.counts.received + r.counts.recovered; got > r.expected() {
			rt.Fatalf("%d packets received and %d recovered of %d", r.counts.received, r.counts.recovered, r.expected())
		}
		if given+missed != last+1 || uint64(given) != r.counts.given || uint64(missed) != r.counts.missed {
			rt.Fatalf("%d given and %d missed of %d; counted %d and %d", given, missed, last+1, r.counts.given, r.counts.missed)
		}
		if d := r.Deadline(); !d.IsZero() {
			rt.Fatalf("nothing waits, and Deadline = %v", d)
		}
	})
}

func TestSilentAt(t *testing.T) {
	s := newStream(t, 12)
	x, r := newSender(t, s), newReceiver(t, s)
	if !r.SilentAt().IsZero() {
		t.Error("expects something before the first packet")
	}
	send := func(at time.Time, f Frame) {
		b, err := x.Packet(at, f)
		if err == nil {
			err = r.Packet(at, b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	send(epoch, voice(0))
	if got, want := r.SilentAt(), epoch.Add(100*time.Millisecond); !got.Equal(want) {
		t.Errorf("SilentAt = %v, want %v", got, want)
	}
	send(epoch.Add(frameTime), Frame{Timestamp: 960, Samples: 960, Data: []byte{8}}) // DTX
	if got := r.SilentAt(); !got.IsZero() {
		t.Errorf("SilentAt = %v in silence that was announced", got)
	}
	send(epoch.Add(time.Second), voice(50))
	if got, want := r.SilentAt(), epoch.Add(1100*time.Millisecond); !got.Equal(want) {
		t.Errorf("SilentAt = %v, want %v", got, want)
	}
}

func FuzzReceiverPacket(f *testing.F) {
	s := newStream(f, 13)
	for _, b := range packets(f, newSender(f, s), 3) {
		f.Add(b)
	}
	f.Add([]byte{0x80, 201, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		l := NewLine(ReceiverOptions{})
		if err := l.Expect(epoch, s); err != nil {
			t.Fatal(err)
		}
		l.Packet(epoch, b)
		l.receivers[0].Packet(epoch, b)
		l.Frames(epoch.Add(time.Second))
		l.Figures()
	})
}

// What somebody with the key can send.
func FuzzReceiverPayload(f *testing.F) {
	s := newStream(f, 14)
	f.Add(uint8(63), uint16(0), []byte{0xef, 0x0f, 0, 1, 0x6f, 8, 9})
	f.Add(uint8(111), uint16(7), []byte{8})
	f.Add(uint8(111), uint16(60000), []byte{3, 48, 1})
	f.Fuzz(func(t *testing.T, payloadType uint8, jump uint16, payload []byte) {
		if len(payload) > 1200 || len(payload) == 0 {
			return
		}
		s := s
		s.PayloadType, s.Redundancy = payloadType&0x7f, 0
		x := newSender(t, s)
		r := newReceiver(t, newStream(t, 14))
		for i := range 3 {
			b, err := x.Packet(epoch, Frame{Timestamp: uint32(i) * uint32(jump) * 960, Data: payload})
			if err != nil {
				t.Fatal(err)
			}
			x.next += uint64(jump)
			r.Packet(epoch, b)
		}
		if n := len(r.Frames(epoch.Add(time.Hour))); n > 100 {
			t.Errorf("%d frames of three packets", n)
		}
	})
}
