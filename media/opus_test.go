package media

import (
	"errors"
	"testing"
)

func TestOpusSamples(t *testing.T) {
	const ms = OpusClock / 1000
	tests := []struct {
		name   string
		packet string
		want   uint32 // 0: no Opus
	}{
		// Table 2 of RFC 6716: the first byte is config<<3 | stereo<<2 | count.
		{"SILK 10 ms", "00", 10 * ms},
		{"SILK 60 ms", "18", 60 * ms},
		{"SILK wide band 20 ms, stereo", "4c", 20 * ms},
		{"hybrid 10 ms", "60", 10 * ms},
		{"hybrid full band 20 ms", "78", 20 * ms},
		{"CELT 2.5 ms", "80", 120},
		{"CELT full band 20 ms", "f8", 20 * ms},
		{"two equal frames", "f9 00 00", 40 * ms},
		{"two frames of 60 ms", "1a 00", 120 * ms},
		{"six frames of 20 ms", "fb 06", 120 * ms},
		{"48 frames of 2.5 ms, padded", "83 70", 120 * ms},
		{"empty", "", 0},
		{"count missing", "fb", 0},
		{"no frames", "fb 00", 0},
		{"seven frames of 20 ms", "fb 07", 0},
	}
	for _, tt := range tests {
		got, err := OpusSamples(unhex(t, tt.packet))
		if got != tt.want || (tt.want == 0) != errors.Is(err, ErrOpus) {
			t.Errorf("%s: %d, %v, want %d", tt.name, got, err, tt.want)
		}
	}
}
