package media

import (
	"math"
	"time"
)

// The E-model of ITU-T G.107 with its default values (table 2 of G.107: Ro - Is
// = 93.2) leaves two things that a packet network can spoil:
//
//	R = 93.2 - Idd(Ta) - Ie,eff
//	Ie,eff = Ie + (95 - Ie) * Ppl / (Ppl/BurstR + Bpl)        (G.107, equation 7-29)
//
// G.113 gives no Ie and Bpl for Opus. Ie = 0: at the bit rates in use (20 kbit/s
// and more) Opus is not worse than G.711, which is the best that this narrow-band
// scale knows. Bpl = 10: what rtcscore and other tools assume for Opus without
// its in-band repair, and stricter than the 25.1 that G.113 gives G.711 with
// concealment; repaired packets do not count as lost here at all.
//
// So 4.41 is the best value there is, and figures compare with those of other
// telephones, not with wide-band scores.
const (
	defaultR = 93.2
	opusIe   = 0.
	opusBpl  = 10.

	// coding is the delay of the encoder's look-ahead (RFC 6716: 6.5 ms) and of
	// the sound device.
	coding = 10 * time.Millisecond

	// Poor is the MOS below which G.107 (annex B) expects many dissatisfied users.
	Poor = 3.6
)

// MOS estimates how people would judge a conversation with this delay from
// mouth to ear, this share of lost frames, and bursts of this mean length.
func MOS(delay time.Duration, loss, burst float64) float64 {
	ppl := 100 * max(0, min(loss, 1))
	// Random loss of this rate has bursts of 1/(1-loss) (G.107, section 7.2).
	burstR := max(1, min(burst*(1-ppl/100), 2))
	r := defaultR - delayImpairment(delay) - (opusIe + (95-opusIe)*ppl/(ppl/burstR+opusBpl))
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+.035*r+r*(r-60)*(100-r)*7e-6)
}

// delayImpairment is Idd of G.107 (equations 7-27 and 7-28) with sT = 1 and
// mT = 100 ms. Echo is not in it: browsers cancel theirs.
func delayImpairment(d time.Duration) float64 {
	ms := float64(d) / float64(time.Millisecond)
	if ms <= 100 {
		return 0
	}
	x := math.Log2(ms / 100)
	return 25 * (math.Pow(1+math.Pow(x, 6), 1./6) - 3*math.Pow(1+math.Pow(x/3, 6), 1./6) + 2)
}
