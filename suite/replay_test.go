package suite

import (
	"math"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestReplay(t *testing.T) {
	var r Replay
	for _, tt := range []struct {
		counter uint64
		want    bool
		why     string
	}{
		{0, true, "the first"},
		{0, false, "again"},
		{2, true, "one is late"},
		{1, true, "late"},
		{1, false, "late, again"},
		{2049, true, "far ahead"},
		{2, false, "seen, and just inside the window"},
		{1, false, "just outside"},
		{3, true, "inside, not seen"},
		{2050, true, "next"},
		{2, false, "it left"},
		{1 << 40, true, "beyond a whole window"},
		{1<<40 - 2047, true, "the oldest of the new window"},
		{1<<40 - 2048, false, "just outside"},
		{2050, false, "long gone"},
		{math.MaxUint64, false, "no counter at all"},
		{math.MaxUint64 - 1, true, "the highest"},
		{math.MaxUint64 - 1, false, "the highest again"},
		{math.MaxUint64, false, "still none"},
		{math.MaxUint64 - 2048, true, "the oldest below it"},
		{math.MaxUint64 - 2049, false, "outside"},
	} {
		if got := r.Accept(tt.counter); got != tt.want {
			t.Fatalf("Accept(%d) = %v: %s", tt.counter, got, tt.why)
		}
	}
}

// The model remembers everything.
func TestReplayAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Replay
		seen := make(map[uint64]bool)
		var highest uint64
		near := rapid.Int64Range(-2*ReplayWindow, 2*ReplayWindow)
		step := rapid.OneOf(
			rapid.Int64Range(-3, 3),
			rapid.Custom(func(t *rapid.T) int64 { return -ReplayWindow + rapid.Int64Range(-2, 2).Draw(t, "edge") }),
			rapid.Custom(func(t *rapid.T) int64 { return ReplayWindow + rapid.Int64Range(-2, 2).Draw(t, "jump") }),
			near,
		)
		start := rapid.SampledFrom([]uint64{0, 5, 63, 64, 5000, math.MaxUint32, math.MaxUint64 - 4*ReplayWindow}).Draw(t, "start")
		for i := range rapid.IntRange(1, 300).Draw(t, "packets") {
			counter := start
			if i > 0 {
				counter = highest + uint64(step.Draw(t, "step"))
			}
			want := counter != math.MaxUint64 && !seen[counter] && (len(seen) == 0 || counter > highest || highest-counter < ReplayWindow)
			if got := r.Fresh(counter); got != want {
				t.Fatalf("Fresh(%d) = %v, highest %d", counter, got, highest)
			}
			if got := r.Accept(counter); got != want {
				t.Fatalf("Accept(%d) = %v, highest %d", counter, got, highest)
			}
			if want {
				seen[counter] = true
				highest = max(highest, counter)
			}
		}
	})
}

// An idle session's budget counts on this size.
func TestReplaySize(t *testing.T) {
	if n := unsafe.Sizeof(Replay{}); n != 264 {
		t.Errorf("a Replay takes %d bytes, want 264", n)
	}
}

func BenchmarkReplayAccept(b *testing.B) {
	var r Replay
	var counter uint64
	b.ReportAllocs()
	for b.Loop() {
		r.Accept(counter)
		counter++
	}
}

func TestReplayFrom(t *testing.T) {
	for _, next := range []uint64{0, 1, 5, ReplayWindow, 3*ReplayWindow + 7, math.MaxUint64 - 1} {
		r := ReplayFrom(next)
		for back := uint64(1); back <= ReplayWindow+1 && back <= next; back++ {
			if r.Accept(next - back) {
				t.Fatalf("from %d: it took %d", next, next-back)
			}
		}
		if !r.Accept(next) || r.Accept(next) {
			t.Errorf("from %d: that one has to be taken, once", next)
		}
	}
	r := ReplayFrom(100)
	for _, c := range []uint64{103, 101, 102, 100} {
		if !r.Accept(c) {
			t.Errorf("from 100: %d was refused", c)
		}
	}
}
