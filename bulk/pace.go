package bulk

import "time"

// A Pacer says how fast a sender may give bytes to a connection, beside the connection's
// own congestion control, which is made to fill a line. A call must not suffer: while
// there is one at either end, the queue on the way is kept short. A relay drops
// what is beyond its cap (protocol section 10), of calls too, so it never gets near.
//
// The zero value is ready.
type Pacer struct {
	rate   float64 // bytes a second, while there is a call
	next   time.Time
	looked time.Time

	rtt  [2]time.Duration // the least of this and the last stretch of baseFor
	turn time.Time
	lost uint64
	sent uint64
}

// A View is what a Pacer looks at.
type View struct {
	Call    bool // at either end
	Relayed bool
	Limit   float64       // bytes a second, of the user's own; 0: none
	Share   int           // senders that share all of this; 0 means 1
	RTT     time.Duration // the last sample
	Sent    uint64        // packets so far
	Lost    uint64
}

const (
	relayedRate     = 256 << 10 // two thirds of what a relay takes from a side: the rest is for what is sent again, and calls
	relayedCallRate = 96 << 10
	callRate        = 2 << 20
	firstCallRate   = 32 << 10
	leastRate       = 8 << 10

	queueMost = 25 * time.Millisecond // that a transfer may add beside a call
	lookEvery = 100 * time.Millisecond
	baseFor   = 10 * time.Second
	lossMost  = 0.02
)

// Rate is how many bytes a second may go now; 0 means as many as the connection takes.
func (p *Pacer) Rate(now time.Time, v View) float64 {
	p.base(now, v.RTT)
	share := float64(max(v.Share, 1))
	most := v.Limit / share
	limit := func(r float64) {
		if r /= share; most == 0 || r < most {
			most = r
		}
	}
	if v.Relayed {
		limit(relayedRate)
	}
	if !v.Call {
		p.rate = 0
		p.lost, p.sent = v.Lost, v.Sent
		return most
	}
	limit(callRate)
	if v.Relayed {
		limit(relayedCallRate)
	}
	if p.rate == 0 {
		p.rate, p.looked = firstCallRate/share, now
	}
	if now.Sub(p.looked) >= lookEvery {
		p.looked = now
		queue := v.RTT - p.least()
		lossy := v.Sent > p.sent && float64(v.Lost-min(v.Lost, p.lost)) > lossMost*float64(v.Sent-p.sent)
		switch {
		case queue > queueMost || lossy:
			p.rate *= 0.7
		case queue < queueMost/2:
			p.rate *= 1.1
		}
		p.lost, p.sent = v.Lost, v.Sent
		p.rate = min(max(p.rate, leastRate/share), most)
	}
	return min(p.rate, most)
}

// base remembers the round trip of an empty line, for 10 to 20 seconds: it changes with the path.
func (p *Pacer) base(now time.Time, rtt time.Duration) {
	if now.Sub(p.turn) >= baseFor {
		p.turn = now
		p.rtt[1], p.rtt[0] = p.rtt[0], 0
	}
	if rtt > 0 && (p.rtt[0] == 0 || rtt < p.rtt[0]) {
		p.rtt[0] = rtt
	}
}

func (p *Pacer) least() time.Duration {
	if p.rtt[1] != 0 && p.rtt[1] < p.rtt[0] {
		return p.rtt[1]
	}
	return p.rtt[0]
}

// After is how long to wait before n bytes go at a rate.
func (p *Pacer) After(now time.Time, rate float64, n int) time.Duration {
	if rate <= 0 {
		p.next = time.Time{}
		return 0
	}
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / rate * float64(time.Second)))
	return wait
}
