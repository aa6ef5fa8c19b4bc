package sim

import (
	"math"
	"time"
)

// A place is where a node is. One-way delays are those of the distance, at two
// thirds of the speed of light and with detours, and of both ends' lines, of
// which some are slow: a median round trip of about 90 ms, and 300 ms at the
// 99th percentile, as measured between hosts of the internet.
type place struct {
	x, y float32       // 1000 km
	line time.Duration // to the nearest backbone
}

// Where people live: centre, spread and share.
var regions = [...]struct{ x, y, spread, share float64 }{
	{0, 0, 0.8, 0.40}, {7, -0.5, 1.5, 0.25}, {-8.5, 1, 1.5, 0.25}, {6, 8, 1, 0.10},
}

func (w *world) somewhere() place {
	p := w.rand.Float64()
	r := regions[0]
	for _, r = range regions {
		if p -= r.share; p < 0 {
			break
		}
	}
	line := 4 * math.Exp(0.7*w.rand.NormFloat64())
	return place{float32(r.x + r.spread*w.rand.NormFloat64()), float32(r.y + r.spread*w.rand.NormFloat64()), time.Duration(min(line, 80) * float64(time.Millisecond))}
}

// distance is how long a packet takes from a to b, in nanoseconds.
func (w *world) distance(a, b *node) int64 {
	dx, dy := float64(a.place.x-b.place.x), float64(a.place.y-b.place.y)
	return int64(math.Sqrt(dx*dx+dy*dy)*7*float64(time.Millisecond)) + int64(a.place.line+b.place.line)
}

// supernodeSession is how long a supernode stays: median 5.5 h, with a heavy tail.
func (w *world) supernodeSession() time.Duration { return w.logNormal(0) }

// supernodeRest is how much longer one stays that is met at some moment. Sessions are
// met in proportion to their lengths, which of a log-normal distribution makes another one.
func (w *world) supernodeRest() time.Duration {
	return time.Duration(w.rand.Float64() * float64(w.logNormal(spread*spread)))
}

const spread = 1.2 // of the logarithm of sessions

func (w *world) logNormal(shift float64) time.Duration {
	return time.Duration(5.5 * math.Exp(shift+spread*w.rand.NormFloat64()) * float64(time.Hour))
}

// clientSession is how long a client stays: an evening or a working day.
func (w *world) clientSession() time.Duration {
	if w.rand.IntN(2) == 0 {
		return time.Hour + time.Duration(w.rand.Int64N(int64(time.Hour)))
	}
	return 7*time.Hour + time.Duration(w.rand.Int64N(int64(3*time.Hour)))
}

// clientRest is how much longer one stays that is met at some moment.
func (w *world) clientRest() time.Duration {
	for {
		if s := w.clientSession(); w.rand.Float64()*float64(10*time.Hour) < float64(s) {
			return time.Duration(w.rand.Float64() * float64(s))
		}
	}
}

// clientAbsence is how long it is away: longer at night.
func (w *world) clientAbsence() time.Duration {
	hour := time.Duration(w.now).Hours()
	night := 1 + 0.8*math.Cos(2*math.Pi*(hour-3)/24)
	return time.Duration(w.rand.ExpFloat64() * night * float64(2*time.Hour))
}
