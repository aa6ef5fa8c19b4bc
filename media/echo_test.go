package media

import (
	"testing"
	"time"
)

// TestEcho lets a caller speak all the time and notes when each frame comes
// back.
func TestEcho(t *testing.T) {
	const (
		greeting = 50 // frames: 1 s
		tone     = 10
		closing  = 25
		record   = 500
	)
	opts := EchoOptions{Greeting: voices(greeting), Tone: voices(tone), Closing: voices(closing)}
	e := NewEcho(opts, Opus(), epoch)
	var said []Frame
	var states []EchoState
	for i := 0; e.State() != EchoDone; i++ {
		now := epoch.Add(time.Duration(i) * frameTime)
		if i > 10000 {
			t.Fatal("the echo never ends")
		}
		if d := e.Deadline(); d.IsZero() || d.Before(now) {
			t.Fatalf("at %v: deadline %v ago", now.Sub(epoch), now.Sub(d))
		}
		frames := e.Say(now)
		if len(frames) > 1 {
			t.Fatalf("at %v: %d frames at once", now.Sub(epoch), len(frames))
		}
		for _, f := range frames {
			if want := uint32(960 * i); f.Timestamp != want {
				t.Fatalf("at %v: timestamp %d, want %d", now.Sub(epoch), f.Timestamp, want)
			}
		}
		said = append(said, frames...)
		e.Hear(now, []Frame{voice(1000 + i)})
		if s := e.State(); len(states) == 0 || states[len(states)-1] != s {
			states = append(states, s)
		}
	}
	if d := e.Deadline(); !d.IsZero() {
		t.Errorf("Deadline = %v when done", d)
	}
	if len(states) != 5 {
		t.Errorf("went through states %v, want all five", states)
	}
	var want []int
	for i := range greeting {
		want = append(want, i)
	}
	for i := range tone {
		want = append(want, i)
	}
	for i := range record { // what was heard from the end of the tone on
		want = append(want, 1000+greeting+tone+i)
	}
	for i := range closing {
		want = append(want, i)
	}
	if got := heardNumbers(said); !equal(got, want) {
		t.Errorf("said %v\nwant %v", got, want)
	}
}

// A caller can send as much as the path carries.
func TestEchoIsBounded(t *testing.T) {
	e := NewEcho(EchoOptions{}, Opus(), epoch)
	e.Say(epoch)
	big := voice(0)
	big.Data = make([]byte, 1200)
	for range 10000 {
		e.Hear(epoch, []Frame{big, {Samples: 1 << 31}, voice(1)})
	}
	if len(e.kept) > maxRecordedFrames || e.bytes > maxRecorded {
		t.Errorf("%d frames, %d bytes are kept", len(e.kept), e.bytes)
	}
}

func TestEchoOfSilence(t *testing.T) {
	e := NewEcho(EchoOptions{Closing: voices(1)}, Opus(), epoch)
	e.Say(epoch)
	now := epoch.Add(defaultRecord)
	if got := e.Say(now); len(got) != 1 || e.State() != EchoClosing {
		t.Errorf("after ten silent seconds: %d frames, state %d, want the closing", len(got), e.State())
	}
}
