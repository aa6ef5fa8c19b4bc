package detect

import (
	"math"
	"slices"
	"sync"
)

// Window is how many messages the naive Bayes classifier looks at together.
const Window = 30

const (
	minBelief    = -5    // of a voice flow; -8 to -3 is useful
	leastDensity = 1e-25 // of a single message, and of gaps
	softDensity  = 1e-12 // of a message in the corrected method: a report among the voice is no outrage
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
	Voice   bool // both are above the threshold
}

// Belief is the weaker of the two.
func (b Belief) Belief() float64 { return min(b.Size, b.Gap) }

// Codec is a voice codec of the paper's table 1 and how it may be set. Variants
// of one size (A-law, mu-law) are one codec here.
type Codec struct {
	Name  string
	Sigma float64 // of sizes, in bytes
	Modes []Mode
}

// Mode is which times of voice a message may hold at which rates.
type Mode struct {
	Rates  []float64 // kbit/s
	Frames []float64 // ms
}

// MaxRedundancy is how often the same voice is sent at most.
const MaxRedundancy = 4

// Codecs are those of the paper. It gives frames and rates; that a message may hold
// any multiple of the frame up to 60 ms, and that a mean rate (iPCM-wb) is a
// variable one, is inferred (docs/detection.md).
var Codecs = [maxCodecs]Codec{
	{"iSAC", 7.5, []Mode{{[]float64{10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32}, []float64{30, 60}}}},
	{"iLBC", 1, []Mode{{[]float64{13.3}, []float64{30, 60}}, {[]float64{15.2}, []float64{20, 40, 60}}}},
	{"G.729", 1, []Mode{{[]float64{8}, gapModes}}},
	{"iPCM-wb", 7.5, []Mode{{[]float64{80}, gapModes}}},
	{"EG.711", 1, []Mode{{[]float64{48, 56, 64}, gapModes}}},
	{"PCM", 1, []Mode{{[]float64{64}, gapModes}}},
}

// gapModes are the times between messages, in ms.
var gapModes = []float64{10, 20, 30, 40, 50, 60}

const gapSigma = 1 // ms

// bayes is the table of what the size of a message says: one column for each
// working point of each codec, a working point being
//
//	size = (rate*time + header)*redundancy + start
type bayes struct {
	robust  bool     // corrected: no single window and no single gap decides
	least   float64  // logarithm of the least density
	sizes   [][]span // by size, the columns in which it has more than the least density
	columns []int    // of codec i: columns[i] to columns[i+1]
	sum     []float32
}

// span is how far neighbouring columns are above the logarithm of the least
// density, in which a size has.
type span struct {
	from  int
	above []float32
}

// newBayes tabulates the working points. headers and starts are in bytes.
func newBayes(robust bool, headers, starts []float64) *bayes {
	b := &bayes{robust: robust, least: math.Log(leastDensity), sizes: make([][]span, maxSize+1), columns: []int{0}}
	if robust {
		b.least = math.Log(softDensity)
	}
	for _, c := range Codecs {
		points := c.points(headers, starts)
		first := b.columns[len(b.columns)-1]
		b.columns = append(b.columns, first+len(points))
		for size := range b.sizes {
			s := span{}
			for i, mu := range points { // ascending, so that these are neighbours
				above := float32(logDensity(float64(size), mu, c.Sigma) - b.least)
				if above > 0 && s.above == nil {
					s.from = first + i
				}
				if above > 0 {
					s.above = append(s.above, above)
				}
			}
			if s.above != nil {
				b.sizes[size] = append(b.sizes[size], s)
			}
		}
	}
	b.sum = make([]float32, b.columns[len(b.columns)-1])
	return b
}

// points are the sizes of all working points.
func (c Codec) points(headers, starts []float64) (points []float64) {
	for _, m := range c.Modes {
		for _, rate := range m.Rates {
			for _, ms := range m.Frames {
				for redundancy := 1; redundancy <= MaxRedundancy; redundancy++ {
					for _, h := range headers {
						for _, start := range starts {
							points = append(points, (rate*ms/8+h)*float64(redundancy)+start)
						}
					}
				}
			}
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// share gives a Detector the tables, which are the same for all, and a scratch
// of its own.
func share(tables func() *bayes) *bayes {
	b := *tables()
	b.sum = make([]float32, len(b.sum))
	return &b
}

var (
	// The paper's 8 bytes of header and 4 of start of message.
	publishedBayes = sync.OnceValue(func() *bayes { return newBayes(false, []float64{8}, []float64{4}) })

	// Real messages have shorter headers too: 29 bytes to gateways are 20 ms
	// of G.729, a header of 5 and 4 of start.
	correctedUDP = sync.OnceValue(func() *bayes { return newBayes(true, []float64{5, 6, 8}, []float64{4}) })

	// In a stream messages need no start.
	correctedTCP = sync.OnceValue(func() *bayes { return newBayes(true, []float64{5, 6, 8}, []float64{0, 4}) })
)

var logLeast = math.Log(leastDensity)

func logDensity(x, mu, sigma float64) float64 {
	z := (x - mu) / sigma
	return max(-z*z/2-math.Log(sigma*math.Sqrt(2*math.Pi)), logLeast)
}

// beliefs sums what the windows of a flow say: for each of Codecs about sizes,
// and at last about gaps.
type beliefs struct {
	windows    int
	sum, worst [maxCodecs + 1]float64
}

const (
	maxCodecs = 6
	gapsAt    = maxCodecs
)

// add takes a full window; gaps is scratch.
func (b *bayes) add(sums *beliefs, window []sample, gaps []float64) {
	clear(b.sum)
	for i := range window {
		if size := int(window[i].size); size < len(b.sizes) {
			for _, s := range b.sizes[size] {
				sum := b.sum[s.from:][:len(s.above)]
				for j, p := range s.above {
					sum[j] += p
				}
			}
		}
	}
	sums.windows++
	for i := range Codecs {
		best := slices.Max(b.sum[b.columns[i]:b.columns[i+1]])
		b.say(sums, i, b.least+float64(best)/float64(len(window)))
	}
	first, last := window[0].time, window[len(window)-1].time
	span := float64(last-first) / 1e6
	if !b.robust {
		b.say(sums, gapsAt, gapBelief(span/float64(len(window))))
		return
	}
	// The mean suffers from lost messages, the median from bursts.
	for i := range gaps {
		gaps[i] = float64(window[i+1].time-window[i].time) / 1e6
	}
	slices.Sort(gaps)
	b.say(sums, gapsAt, max(gapBelief(span/float64(len(gaps))), gapBelief(gaps[len(gaps)/2])))
}

func (b *bayes) say(sums *beliefs, about int, belief float64) {
	if b.robust {
		belief = max(belief, worstWindow)
	}
	sums.sum[about] += belief
	sums.worst[about] = min(sums.worst[about], belief)
}

func gapBelief(ms float64) float64 {
	best := math.Inf(-1)
	for _, mode := range gapModes {
		best = max(best, logDensity(ms, mode, gapSigma))
	}
	return best
}

// belief is the mean over the windows. The robust one leaves out the worst of
// three and more: calls to gateways open with a few messages that hold no
// voice, and so does a network that fails for a moment.
func (b *bayes) belief(s *beliefs) Belief {
	if s.windows == 0 {
		return Belief{Size: logLeast, Gap: logLeast}
	}
	mean := func(about int) float64 {
		if b.robust && s.windows >= 3 {
			return (s.sum[about] - s.worst[about]) / float64(s.windows-1)
		}
		return s.sum[about] / float64(s.windows)
	}
	best := 0
	for i := range Codecs {
		if mean(i) > mean(best) {
			best = i
		}
	}
	return Belief{Windows: s.windows, Size: mean(best), Gap: mean(gapsAt), Codec: Codecs[best].Name}
}
