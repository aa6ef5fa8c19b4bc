package media

import "time"

// A pacer spreads packets over time, so that a key picture of forty packets does
// not stand before the voice in the queues of the path.
type pacer struct {
	free time.Time // when the next packet may go
}

// A pacer's packets go a little faster than the path is said to carry, so that
// what waits gets less; and as many at once as timers are coarse.
const (
	paceFactor  = 1.25
	firstFactor = 2 // until something is known of the path
	paceBurst   = 5 * time.Millisecond
)

// ready says whether a packet may go.
func (p *pacer) ready(now time.Time) bool { return !p.free.After(now.Add(paceBurst)) }

// sent accounts for a packet.
func (p *pacer) sent(now time.Time, bytes int, rate float64) {
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(bytes*8) / rate * float64(time.Second)))
}

// at is when ready will say yes.
func (p *pacer) at() time.Time { return p.free.Add(-paceBurst) }
