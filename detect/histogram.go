package detect

// Bins of a Histogram.
const (
	SizeBin  = 5   // bytes
	SizeBins = 300 // up to 1500 bytes
	GapBin   = 1   // ms
	GapBins  = 150
)

// Histogram is what a chart of a flow is drawn from. Larger sizes and gaps
// count in the last bin.
type Histogram struct {
	Nibbles Nibbles
	Sizes   [SizeBins]uint32
	Gaps    [GapBins]uint32 // within windows of the naive Bayes classifier
}

func (h *Histogram) add(window []sample) {
	for i, s := range window {
		h.Sizes[min(int(s.size)/SizeBin, SizeBins-1)]++
		if i > 0 {
			gap := (s.time - window[i-1].time) / 1e6 / GapBin
			h.Gaps[min(max(gap, 0), GapBins-1)]++
		}
	}
}
