package browser

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/media"
)

func TestSplice(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	steps := []struct {
		at        time.Duration
		source    uint32
		index     uint64
		timestamp uint32
		sequence  uint16 // wanted, after the first one
		after     uint32 // samples after the first timestamp, wanted
		marker    bool
	}{
		{0, 1, 0x1fffe, 100, 0, 0, true},
		{20 * time.Millisecond, 1, 0x1ffff, 1060, 1, 960, false},
		{60 * time.Millisecond, 1, 0x20001, 2980, 3, 2880, false},
		{61 * time.Millisecond, 1, 0x20000, 2020, 2, 1920, false}, // overtaken
		{1060 * time.Millisecond, 2, 9, 5, 4, 2880 + 48000, true}, // another call, a second later
		{1080 * time.Millisecond, 2, 10, 965, 5, 2880 + 48960, false},
	}
	s := splice{clock: media.OpusClock}
	var first uint16
	var zero uint32
	for i, x := range steps {
		sequence, timestamp, marker := s.next(begin.Add(x.at), x.source, x.index, x.timestamp)
		if i == 0 {
			first, zero = sequence, timestamp
		}
		if sequence-first != x.sequence || timestamp-zero != x.after || marker != x.marker {
			t.Errorf("step %d: %d, %d, %v, want %d, %d, %v", i, sequence-first, timestamp-zero, marker, x.sequence, x.after, x.marker)
		}
	}
}
