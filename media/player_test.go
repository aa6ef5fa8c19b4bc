package media

import (
	"io"
	"testing"
	"time"
)

func voices(n int) (all []Frame) {
	for i := range n {
		all = append(all, voice(i))
	}
	return all
}

func TestPlayer(t *testing.T) {
	p := NewPlayer(Frames(voices(5)), Opus(), epoch)
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	expect := func(now time.Time, numbers []int, end error) (frames []Frame) {
		t.Helper()
		frames, err := p.Frames(now)
		if err != end || !equal(heardNumbers(frames), numbers) {
			t.Errorf("at %v: %v, %v, want %v, %v", now.Sub(epoch), heardNumbers(frames), err, numbers, end)
		}
		return frames
	}
	expect(at(-time.Millisecond), nil, nil)
	expect(at(0), []int{0}, nil)
	expect(at(19*time.Millisecond), nil, nil)
	if d := p.Deadline(); !d.Equal(at(frameTime)) {
		t.Errorf("Deadline = %v, want 20ms", d.Sub(epoch))
	}
	expect(at(45*time.Millisecond), []int{1, 2}, nil)

	p.Pause(at(50 * time.Millisecond))
	expect(at(10*time.Second), nil, nil)
	if d := p.Deadline(); !d.IsZero() {
		t.Errorf("Deadline = %v while paused", d)
	}
	p.Resume(at(10050 * time.Millisecond))
	expect(at(10059*time.Millisecond), nil, nil)
	f := expect(at(10060*time.Millisecond), []int{3}, nil)
	if want := uint32(10060 * 48); len(f) == 1 && f[0].Timestamp != want {
		t.Errorf("timestamp after the pause is %d, want %d", f[0].Timestamp, want)
	}

	// The machine slept: no burst of what was missed.
	expect(at(time.Hour), []int{4}, nil)
	if p.Done(at(time.Hour)) {
		t.Error("done before the last frame was played to its end")
	}
	expect(at(time.Hour+frameTime), nil, io.EOF)
	if !p.Done(at(time.Hour + frameTime)) {
		t.Error("not done at the end")
	}
}

func TestPlayerOfNothing(t *testing.T) {
	p := NewPlayer(Frames(nil), Opus(), epoch)
	if frames, err := p.Frames(epoch); len(frames) != 0 || err != io.EOF {
		t.Errorf("Frames = %v, %v, want io.EOF", frames, err)
	}
}
