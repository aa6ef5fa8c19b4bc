package detect

import "fmt"

// Groups is how many nibbles of a message the chi-squared classifier looks at:
// those of its first 8 bytes, the high nibble of a byte first. They are
// numbered from 1 in texts, as in the paper: 5 and 6 are the function byte.
const Groups = 16

// Nibbles counts the values of each group over the messages of a flow.
type Nibbles [Groups][16]uint32

// Add counts the first 8 bytes of a message; a shorter one leaves groups out.
func (c *Nibbles) Add(head []byte) {
	for i, b := range head {
		c[2*i][b>>4]++
		c[2*i+1][b&0xf]++
	}
}

// Chi2 is Pearson's statistic of each group against the uniform distribution,
// with 15 degrees of freedom: about 15 for random nibbles (95 % stay below
// 25), about n if one bit is fixed, 15 n if all are. A group without values
// has 0.
func (c *Nibbles) Chi2() (chi2 [Groups]float64) {
	for g, counts := range c {
		n := c.total(g)
		if n == 0 {
			continue
		}
		expected := float64(n) / 16
		for _, observed := range counts {
			d := float64(observed) - expected
			chi2[g] += d * d / expected
		}
	}
	return chi2
}

func (c *Nibbles) total(g int) (n int64) {
	for _, k := range c[g] {
		n += int64(k)
	}
	return n
}

// Class is what the chi-squared classifier takes a flow for.
type Class string

// The classes of the paper.
const (
	NotSkype   Class = "none"
	EndToEnd   Class = "e2e" // UDP between two clients: all random but the function byte
	EndToOther Class = "e2o" // UDP to a telephone gateway: 4 fixed bytes of connection id, then random
	OverTCP    Class = "tcp" // all random
)

// Bound is a threshold for a flow of n messages: Fixed + PerMessage*n.
type Bound struct{ Fixed, PerMessage float64 }

func (b Bound) at(n int64) float64 { return b.Fixed + b.PerMessage*float64(n) }

// ChiSquared says when a nibble counts as random, as partly fixed and as fixed.
type ChiSquared struct {
	Random  Bound   // most of a random nibble
	Even    float64 // least of a random nibble: a counter spreads more evenly than chance
	High    Bound   // least of the function byte's high nibble, one of whose bits is fixed
	Low     Bound   // least of its low nibble, which is fixed in a call
	Fixed   Bound   // least of a nibble of the connection id
	Padding bool    // bytes that a short message does not have count as 0
}

// Published are the rules of the paper with one threshold for all; the paper
// found 150 and 100 to 200 to do.
func Published(threshold float64) ChiSquared {
	b := Bound{Fixed: threshold}
	return ChiSquared{Random: b, High: b, Low: b, Fixed: b, Padding: true}
}

// Corrected has bounds that follow the number of messages. One fixed bit gives
// n + 14, which passes the printed 150 only from some 150 messages on. Of 14 to
// 16 random groups the largest stays below random in 99 % of flows of any
// length where random is 45, and the smallest above 1.8 in 99.9 %.
func Corrected(random float64) ChiSquared {
	return ChiSquared{
		Random: Bound{Fixed: random},
		Even:   1.8,
		High:   Bound{PerMessage: 0.6},
		Low:    Bound{PerMessage: 5},
		Fixed:  Bound{PerMessage: 10},
	}
}

// Classify judges a UDP or a TCP flow of n messages, and says why it is in no
// class.
func (r ChiSquared) Classify(chi2 [Groups]float64, n int64, tcp bool) (Class, string) {
	if tcp {
		if g, why := r.firstNotRandom(chi2, n, 0, Groups); g >= 0 {
			return NotSkype, why
		}
		return OverTCP, ""
	}
	fixed := 0
	for fixed < Groups && chi2[fixed] > r.Fixed.at(n) {
		fixed++
	}
	if fixed >= 8 {
		if g, why := r.firstNotRandom(chi2, n, 8, Groups); g >= 0 {
			return NotSkype, "the first 4 bytes stay the same, but then " + why
		}
		return EndToOther, ""
	}
	if g, why := r.firstNotRandom(chi2, n, 0, 4); g >= 0 {
		return NotSkype, why
	}
	if g, why := r.firstNotRandom(chi2, n, 6, Groups); g >= 0 {
		return NotSkype, why
	}
	if chi2[4] <= r.High.at(n) || chi2[5] <= r.Low.at(n) {
		return NotSkype, fmt.Sprintf("byte 3 is no function byte: nibbles 5 and 6 have %.0f and %.0f, which should pass %.0f and %.0f",
			chi2[4], chi2[5], r.High.at(n), r.Low.at(n))
	}
	return EndToEnd, ""
}

// firstNotRandom is the first of groups from to to-1 that does not look
// random, counted from 0, or -1.
func (r ChiSquared) firstNotRandom(chi2 [Groups]float64, n int64, from, to int) (int, string) {
	for g := from; g < to; g++ {
		switch {
		case chi2[g] >= r.Random.at(n):
			return g, fmt.Sprintf("nibble %d is not random: %.0f, a random one stays below %.0f", g+1, chi2[g], r.Random.at(n))
		case chi2[g] < r.Even:
			return g, fmt.Sprintf("nibble %d is spread too evenly for chance: %.1f, as a counter's", g+1, chi2[g])
		}
	}
	return -1, ""
}
