package detect

import (
	"math"
	"slices"
)

// Window is how many messages the naive Bayes classifier looks at together.
const Window = 30

const (
	minBelief    = -5    // of a voice flow; -8 to -3 is useful
	leastDensity = 1e-25 // no single message may decide
	maxSize      = 1500  // bytes; larger messages are no voice
	worstWindow  = -10   // in the corrected method: a lost window costs this much and not 57
)

// Belief is what the naive Bayes classifier makes of a flow: mean natural
// logarithms of probability densities, per byte and per millisecond.
type Belief struct {
	Windows int     // that it is a mean of; without one the rest means nothing
	Size    float64 // of the codec that fits best
	Gap     float64
	Codec   string
}

// Belief is the weaker of the two.
func (b Belief) Belief() float64 { return min(b.Size, b.Gap) }

// codec is a voice codec of the paper's table 1 and how it may be set. Variants
// of one size (A-law, mu-law) are one codec here.
type codec struct {
	name  string
	sigma float64 // bytes
	modes []mode
}

type mode struct {
	rates  []float64 // kbit/s
	frames []float64 // ms in one message: multiples of the codec's frame
}

// The paper gives frames and rates; that a message may hold any multiple of
// the frame up to 60 ms, and that a mean rate (iPCM-wb) is a variable one, is
// inferred (docs/detection.md).
var (
	gapModes = []float64{10, 20, 30, 40, 50, 60} // ms
	codecs   = []codec{
		{"iSAC", 7.5, []mode{{[]float64{10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32}, []float64{30, 60}}}},
		{"iLBC", 1, []mode{{[]float64{13.3}, []float64{30, 60}}, {[]float64{15.2}, []float64{20, 40, 60}}}},
		{"G.729", 1, []mode{{[]float64{8}, gapModes}}},
		{"iPCM-wb", 7.5, []mode{{[]float64{80}, gapModes}}},
		{"EG.711", 1, []mode{{[]float64{48, 56, 64}, gapModes}}},
		{"PCM", 1, []mode{{[]float64{64}, gapModes}}},
	}
)

const gapSigma = 1 // ms

// bayes is the table of what the size of a message says: one column for each
// working point of each codec, a working point being
//
//	size = (rate*time + header)*redundancy + start
type bayes struct {
	byMessage bool        // corrected: gaps by message, robust windows
	size      [][]float32 // log density by size and column
	beyond    float32     // of larger sizes, in every column
	columns   []int       // of codec i: columns[i] to columns[i+1]
	points    []float64   // the size that a column stands for
	sum       []float32   // scratch
}

// newBayes tabulates the working points. headers and starts are in bytes.
func newBayes(headers, starts []float64) *bayes {
	b := &bayes{beyond: float32(math.Log(leastDensity)), columns: []int{0}}
	var sigmas []float64
	for _, c := range codecs {
		var points []float64
		for _, m := range c.modes {
			for _, rate := range m.rates {
				for _, ms := range m.frames {
					for redundancy := 1.0; redundancy <= 4; redundancy++ {
						for _, h := range headers {
							for _, start := range starts {
								points = append(points, (rate*ms/8+h)*redundancy+start)
							}
						}
					}
				}
			}
		}
		slices.Sort(points)
		points = slices.Compact(points)
		b.points = append(b.points, points...)
		for range points {
			sigmas = append(sigmas, c.sigma)
		}
		b.columns = append(b.columns, len(b.points))
	}
	b.sum = make([]float32, len(b.points))
	for size := range maxSize + 1 {
		row := make([]float32, len(b.points))
		for i, mu := range b.points {
			row[i] = float32(logDensity(float64(size), mu, sigmas[i]))
		}
		b.size = append(b.size, row)
	}
	return b
}

// publishedBayes: 8 bytes of header, 4 of start of message.
func publishedBayes() *bayes { return newBayes([]float64{8}, []float64{4}) }

// correctedUDP knows the shorter headers of real messages too: 29 bytes to
// gateways, which is 20 ms of G.729, a header of 5 and 4 of start.
func correctedUDP() *bayes {
	b := newBayes([]float64{5, 6, 8}, []float64{4})
	b.byMessage = true
	return b
}

// correctedTCP knows that messages in a stream need no start.
func correctedTCP() *bayes {
	b := newBayes([]float64{5, 6, 8}, []float64{0, 4})
	b.byMessage = true
	return b
}

func logDensity(x, mu, sigma float64) float64 {
	z := (x - mu) / sigma
	return max(-z*z/2-math.Log(sigma*math.Sqrt(2*math.Pi)), math.Log(leastDensity))
}

// beliefs sums what the windows of a flow say.
type beliefs struct {
	windows int
	size    [6]float64 // by codec
	gap     float64
}

// add takes a full window; gaps is scratch.
func (b *bayes) add(sums *beliefs, window []sample, gaps []float64) {
	clear(b.sum)
	sum := b.sum
	var beyond float32
	for i := range window {
		if size := int(window[i].size); size < len(b.size) {
			row := b.size[size][:len(sum)]
			for j, p := range row {
				sum[j] += p
			}
		} else {
			beyond += b.beyond
		}
	}
	sums.windows++
	for i := range codecs {
		best := slices.Max(sum[b.columns[i]:b.columns[i+1]])
		sums.size[i] += b.bounded(float64(best+beyond) / float64(len(window)))
	}
	first, last := window[0].time, window[len(window)-1].time
	span := float64(last-first) / 1e6
	if !b.byMessage {
		sums.gap += gapBelief(span / float64(len(window)))
		return
	}
	// The mean suffers from lost messages, the median from bursts.
	for i := range gaps {
		gaps[i] = float64(window[i+1].time-window[i].time) / 1e6
	}
	slices.Sort(gaps)
	sums.gap += b.bounded(max(gapBelief(span/float64(len(gaps))), gapBelief(gaps[len(gaps)/2])))
}

// bounded keeps a window in which the network failed from deciding alone.
func (b *bayes) bounded(belief float64) float64 {
	if b.byMessage {
		return max(belief, worstWindow)
	}
	return belief
}

func gapBelief(ms float64) float64 {
	best := math.Inf(-1)
	for _, mode := range gapModes {
		best = max(best, logDensity(ms, mode, gapSigma))
	}
	return best
}

func (s *beliefs) belief() Belief {
	if s.windows == 0 {
		return Belief{Size: math.Log(leastDensity), Gap: math.Log(leastDensity)}
	}
	best := 0
	for i, sum := range s.size {
		if sum > s.size[best] {
			best = i
		}
	}
	n := float64(s.windows)
	return Belief{Windows: s.windows, Size: s.size[best] / n, Gap: s.gap / n, Codec: codecs[best].name}
}
