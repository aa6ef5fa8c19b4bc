package media

import "time"

// playout says how long after the fastest packet a listener would have to play
// the others so as to miss few of them: the target delay of a jitter buffer. It
// follows the network: what it saw counts half as much after seven seconds of
// voice.
//
// Nothing is held back by it but what follows a gap; devices that play have a
// buffer of their own.
type playout struct {
	begun  bool
	start  time.Time
	ticks  int64  // media time of the newest timestamp, from the first
	newest uint32 // that timestamp

	// fastest is the least difference of arrival and media time in this period
	// and in the one before it, so that drifting clocks are followed.
	fastest, before time.Duration
	period          time.Time

	share [delaySteps]float64 // of packets, by how much later than the fastest they came; sums up to 1
}

const (
	delayStep   = 10 * time.Millisecond
	delaySteps  = 64
	delayPeriod = 10 * time.Second
	forget      = .998 // a packet
	inTime      = .97  // of all packets
	minDelay    = 2 * delayStep
	firstDelay  = 6 // steps: assumed until measured

	// delayJump is no jitter any more: the sender's clock jumped, and measuring
	// starts again.
	delayJump = 10 * time.Second
)

// arrived takes the arrival of a frame and says how much later than the
// fastest ones it was.
func (p *playout) arrived(now time.Time, timestamp uint32, c Codec) time.Duration {
	if !p.begun {
		*p = playout{begun: true, start: now, newest: timestamp, period: now}
		p.share[firstDelay-1] = 1
		return 0
	}
	step := int64(int32(timestamp - p.newest))
	ticks := p.ticks + step
	if step > 0 {
		p.newest, p.ticks = timestamp, ticks
	}
	transit := now.Sub(p.start) - c.duration(ticks)
	if now.Sub(p.period) >= delayPeriod {
		p.before, p.fastest, p.period = p.fastest, transit, now
	}
	p.fastest = min(p.fastest, transit)
	late := transit - min(p.fastest, p.before)
	if late > delayJump {
		p.begun = false
		return p.arrived(now, timestamp, c)
	}
	for i := range p.share {
		p.share[i] *= forget
	}
	p.share[min(late/delayStep, delaySteps-1)] += 1 - forget
	return late
}

// target is the delay behind the fastest packets in which inTime of all arrive.
func (p *playout) target() time.Duration {
	if !p.begun {
		return firstDelay * delayStep
	}
	var sum float64
	for i, share := range p.share {
		if sum += share; sum >= inTime {
			return max(minDelay, time.Duration(i+1)*delayStep)
		}
	}
	return delaySteps * delayStep
}
