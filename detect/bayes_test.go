package detect

import (
	"math"
	"testing"
)

// window is 30 messages of one size.
func window(size, ms int) (w []sample) {
	for i := range Window {
		w = append(w, sample{time: int64(i*ms) * 1e6, size: uint32(size)})
	}
	return w
}

func TestBelief(t *testing.T) {
	peak := -math.Log(math.Sqrt(2 * math.Pi)) // of sigma 1
	tests := []struct {
		name      string
		published bool
		size, ms  int
		wantSize  float64
		wantGap   float64
		codec     string
	}{
		// (8 kbit/s * 20 ms / 8 + 8) * 1 + 4 = 32; the mean gap is 29/30 of 20 ms.
		{"G.729", true, 32, 20, peak, peak - math.Pow(20.0/30, 2)/2, "G.729"},
		{"G.729 twice", true, 60, 20, peak, peak - math.Pow(20.0/30, 2)/2, "G.729"},
		// As in the captures of l7-filter: three bytes short of it.
		{"real calls to gateways", true, 29, 20, peak - 4.5, peak - math.Pow(20.0/30, 2)/2, "G.729"},
		{"the same, corrected", false, 29, 20, peak, peak, "G.729"},
		{"too large for voice", true, 1501, 20, math.Log(1e-25), peak - math.Pow(20.0/30, 2)/2, "iSAC"},
		{"a second apart", true, 32, 1000, peak, math.Log(1e-25), "G.729"},
		{"a second apart, corrected", false, 32, 1000, peak, worstWindow, "G.729"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := share(correctedUDP)
			if tt.published {
				b = share(publishedBayes)
			}
			var sums beliefs
			var gaps [Window - 1]float64
			for range 2 {
				b.add(&sums, window(tt.size, tt.ms), gaps[:])
			}
			got := b.belief(&sums)
			if math.Abs(got.Size-tt.wantSize) > 1e-4 || math.Abs(got.Gap-tt.wantGap) > 1e-4 || got.Codec != tt.codec || got.Windows != 2 {
				t.Errorf("%+v, want sizes %.4f (%s), gaps %.4f", got, tt.wantSize, tt.codec, tt.wantGap)
			}
		})
	}
}

// One window in which the network failed must not decide.
func TestOneBadWindow(t *testing.T) {
	b := share(correctedUDP)
	var sums beliefs
	var gaps [Window - 1]float64
	for range 3 {
		b.add(&sums, window(32, 20), gaps[:])
	}
	b.add(&sums, window(1400, 900), gaps[:])
	if got := b.belief(&sums); got.Belief() < -1 {
		t.Errorf("%+v", got)
	}
}
