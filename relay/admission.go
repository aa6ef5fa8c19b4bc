package relay

import "time"

// Whom a relay admits. What it can carry depends on the machine, on what else
// that does, and on the packets, so it is not set but seen: near the limit the
// readers of the packets have no time left to wait for them. Beyond it packets of
// all calls are lost; so new calls are refused before. The busiest reader decides:
// nobody knows whose a new call will be.
const (
	fullAt   = 0.8    // busy so much of the time: above it queues grow, and delay with them
	callRate = 100    // packets per second that a call is expected to bring
	leastCan = 20_000 // packets per second that any machine carries, when too few came to tell
	oneIn    = 4      // reservations without packets that will have some: the others are for a path that stays spare
)

// An admission is what a relay saw of itself when it last looked. The zero value knows
// nothing and admits everybody.
type admission struct {
	known     bool
	at        time.Duration   // since the start, as the others were then
	waited    []time.Duration // by reader
	forwarded uint64
	busy      float64 // 0 to 1
	room      int     // calls that may come until it looks again
	admitted  int     // that came since
}

func (a *admission) admits() bool { return !a.known || a.admitted < a.room }

// measure looks: how long the readers have waited, and how many packets were
// forwarded, all in all; and how many reservations have carried none yet.
func (a *admission) measure(at time.Duration, waited []time.Duration, forwarded uint64, silent int) {
	passed := at - a.at
	if passed <= 0 || len(waited) == 0 {
		return
	}
	before := a.waited
	if before == nil {
		before = make([]time.Duration, len(waited))
	}
	a.busy = 0
	for i, d := range waited {
		a.busy = max(a.busy, min(1-float64(d-before[i])/float64(passed), 1))
	}
	rate := float64(forwarded-a.forwarded) / passed.Seconds()
	can := float64(leastCan)
	if a.busy > 0 {
		can = max(can, rate/a.busy)
	}
	a.room = int((fullAt-a.busy)*can/callRate) - silent/oneIn
	a.known, a.at, a.waited, a.forwarded, a.admitted = true, at, waited, forwarded, 0
}
