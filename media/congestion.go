package media

import "time"

// congestion finds out how much the path carries, from when packets went and when
// they came. It goes up while what waits in the path's queues is little, and down
// to what gets through when it is much, before the queues overflow: voice, which
// nobody slows down, has to pass through the same ones. Loss slows it down only
// when there is more of it than this path has anyway, as a radio link loses a tenth
// of everything at any rate. Where reports do not come any more nothing goes, but for a
// try now and then: a path that falls to a tenth loses them as well.
type congestion struct {
	rate    float64 // bits a second on the wire
	stalled float64 // ... before reports did not come any more; 0: they come
	began   bool    // something is known of the path
	limited bool    // the limit was met once

	// fastest is the least difference of arrival and departure, in this period and
	// in the one before it.
	fastest, before time.Duration
	period          time.Time

	queue time.Duration // what the queues of the path hold back

	spans   [lossSpans]span // the newest at spans[0]
	usual   float64         // share lost that has nothing to do with the rate
	reports time.Time       // the last one came
	lowered time.Time
	resumed time.Time // the end of the pause after that
	raised  time.Time
}

// A span is what became of the packets that went in one span of time.
type span struct {
	from, to       time.Time // departures
	arrived, lost  int
	bytes, through int // sent, and got through
}

// rate is so many of a span's bytes in bits a second.
func (s span) rate(bytes int) float64 {
	return float64(bytes*8) / max(s.to.Sub(s.from), time.Millisecond).Seconds()
}

const (
	firstRate = 400e3
	leastRate = 40e3
	mostRate  = 2.5e6

	congestionPeriod = 5 * time.Second
	shortQueue       = 35 * time.Millisecond
	longQueue        = 70 * time.Millisecond

	lossSpans  = 16 // of one report each
	minLossOf  = 16 // packets, of which a share says something
	extraLoss  = .08
	mostUsual  = .12
	usualAfter = 5 * time.Second

	unreported = 4 * feedbackEvery
	mostPause  = 300 * time.Millisecond
)

func newCongestion() congestion { return congestion{rate: firstRate} }

// report takes what the listener said of packets: how long each took, by two
// clocks that do not agree.
func (c *congestion) report(now time.Time, rtt time.Duration, took []time.Duration, s span) {
	c.reports, c.stalled = now, 0
	copy(c.spans[1:], c.spans[:])
	c.spans[0] = s
	if len(took) > 0 {
		c.delays(now, took)
	}
	loss, of := c.loss()
	passed := min(now.Sub(c.raised), time.Second)
	if c.raised.IsZero() {
		passed = 0
		c.raised = now
	}
	through, offered := c.through()
	patience := max(200*time.Millisecond, rtt+rtt/2)
	switch {
	case c.queue > longQueue && s.from.After(c.resumed): // what went before tells nothing of the rate in use
		if last := c.spans[0]; last.arrived+last.lost >= minLossOf {
			through = min(through, last.rate(last.through))
		}
		c.lower(now, min(c.rate, max(.85*through, .1*c.rate)))
		c.resumed = now.Add(min(c.queue, mostPause)) // until the queue is empty
		c.spans = [lossSpans]span{}
	case of >= minLossOf && loss > c.usual+extraLoss && now.Sub(c.lowered) > patience:
		c.lower(now, c.rate*(1-loss/2))
	case c.queue < shortQueue && now.Sub(c.lowered) > 2*patience && offered > c.rate/2:
		grow := .5
		if c.limited {
			grow = .08
		}
		c.rate = min(mostRate, c.rate*(1+grow*passed.Seconds()))
	}
	c.raised = now
	if of >= minLossOf {
		// A loss that stays while the rate goes down is nobody's fault here.
		c.usual = min(mostUsual, c.usual+(loss-c.usual)*min(1, passed.Seconds()/usualAfter.Seconds()))
	}
	c.began = true
}

func (c *congestion) lower(now time.Time, to float64) {
	c.rate, c.lowered, c.limited = max(leastRate, to), now, true
}

// window is how many bytes may be on their way: where reports do not come any more,
// less gets through than was thought.
func (c *congestion) window(rtt time.Duration) int64 {
	return int64(c.rate / 8 * (rtt + unreported).Seconds())
}

// delays follows the queues. The fastest packet of a report tells of them; the
// others waited behind their own picture.
func (c *congestion) delays(now time.Time, took []time.Duration) {
	least := took[0]
	for _, d := range took {
		least = min(least, d)
	}
	switch {
	case c.period.IsZero():
		c.fastest, c.before, c.period = least, least, now
	case now.Sub(c.period) >= congestionPeriod:
		c.before, c.fastest, c.period = c.fastest, least, now
	}
	c.fastest = min(c.fastest, least)
	c.queue += (least - min(c.fastest, c.before) - c.queue) / 2
}

// moved says that packets take another path from now on.
func (c *congestion) moved() {
	c.period, c.queue, c.limited, c.usual = time.Time{}, 0, false, 0
	c.rate, c.stalled = max(c.rate, c.stalled), 0
	c.spans = [lossSpans]span{}
}

// loss is the share of the packets of the last reports that did not come.
func (c *congestion) loss() (share float64, of int) {
	lost := 0
	for _, s := range c.spans {
		lost, of = lost+s.lost, of+s.arrived+s.lost
	}
	if of == 0 {
		return 0, 0
	}
	return float64(lost) / float64(of), of
}

// through is how many bits a second got through, and were sent, lately.
func (c *congestion) through() (through, sent float64) {
	var passed time.Duration
	for _, s := range c.spans[:4] {
		if s.bytes > 0 {
			passed += s.to.Sub(s.from)
			through, sent = through+float64(s.through)*8, sent+float64(s.bytes)*8
		}
	}
	if passed <= 0 {
		return c.rate, c.rate
	}
	return through / passed.Seconds(), sent / passed.Seconds()
}

// stall is when more is on its way than reports would leave there: they do not come
// any more, since much less gets through, or nothing.
func (c *congestion) stall(now time.Time, rtt time.Duration) {
	if now.Sub(c.reports) < rtt+unreported || now.Sub(c.lowered) < rtt+unreported {
		return
	}
	if c.stalled == 0 {
		c.stalled = c.rate
	}
	c.lower(now, c.rate*.3)
}
