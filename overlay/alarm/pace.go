package alarm

import "time"

// A Pace does things one after the other, with a gap between them: neither the own
// supernode nor anybody else is to get them all at once.
type Pace struct {
	Gap    time.Duration
	After  func(now time.Time, d time.Duration, do func(now time.Time)) // sets an alarm
	Jitter func(d time.Duration) time.Duration

	queue []func(now time.Time)
	next  time.Time // not before
	set   bool
}

// Clear forgets what waits.
func (p *Pace) Clear() { p.queue = nil }

// Waiting is how much waits.
func (p *Pace) Waiting() int { return len(p.queue) }

// Add does something in its turn, which may be now.
func (p *Pace) Add(now time.Time, do func(now time.Time)) {
	p.queue = append(p.queue, do)
	p.run(now)
}

func (p *Pace) run(now time.Time) {
	for !p.set && len(p.queue) > 0 {
		if wait := p.next.Sub(now); wait > 0 {
			p.set = true
			p.After(now, wait, func(now time.Time) {
				p.set = false
				p.run(now)
			})
			return
		}
		do := p.queue[0]
		p.queue = p.queue[1:]
		p.next = now.Add(p.Jitter(p.Gap))
		do(now)
	}
}
