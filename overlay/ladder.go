package overlay

import (
	"fmt"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
)

// A Ladder is the pace at which the rungs to supernodes are tried: UDP, TCP on their
// own port, 80, 443. Within a rung the hosts are asked a few at a time, the best
// ones first. Once one rung has been answered no higher one begins: where UDP
// passes, a supernode that does not answer it is no better by TCP.
//
// The zero value is the default: the rungs begin 300 ms apart and race.
type Ladder struct {
	Apart  time.Duration // from the beginning of one rung to that of the next
	Turns  bool          // a rung is over when the next one begins, and the round with the last
	Pause  time.Duration // between the rounds of a series
	Rounds int           // of a series: the failure of the last one is told; 0 means 1
}

// ClassicLadder is how Skype's clients went about it: 5 s a rung, 6 s of pause,
// and after the fifth round in vain it is told.
var ClassicLadder = Ladder{Apart: 5 * time.Second, Turns: true, Pause: 6 * time.Second, Rounds: 5}

const rungsApart = 300 * time.Millisecond

func (l *Ladder) defaults() {
	set(&l.Apart, rungsApart)
	set(&l.Rounds, 1)
}

// A climb is one round on the ladder.
type climb struct {
	began time.Time
	next  [linnet.NumRungs]time.Time // for the next hosts of a rung
	tried [linnet.NumRungs]int       // hosts asked
	heard linnet.Rung                // the lowest that was answered
	known linnet.Rung                // one that held before: those below begin with it, at once
}

func newClimb(now time.Time, known linnet.Rung) *climb {
	return &climb{began: now, heard: linnet.NumRungs, known: known}
}

// begins is when the first host of a rung is asked.
func (c *climb) begins(l *Ladder, r linnet.Rung) time.Time {
	if !l.Turns && r <= c.known {
		return c.began
	}
	return c.began.Add(time.Duration(r) * l.Apart)
}

// wait is how long an answer to what is asked now may take.
func (c *climb) wait(l *Ladder, r linnet.Rung, now time.Time) time.Duration {
	switch {
	case l.Turns:
		return c.begins(l, r+1).Sub(now)
	case r == linnet.RungUDP:
		return probeWait
	}
	return streamWait
}

// most is how many hosts are asked by a rung: a connection costs more than a datagram.
func (l *Ladder) most(r linnet.Rung) int {
	if r == linnet.RungUDP || l.Turns {
		return probeMax
	}
	return streamMax
}

func (c *climb) answered(r linnet.Rung) { c.heard = min(c.heard, r) }

// any says whether any rung was answered.
func (c *climb) any() bool { return c.heard < linnet.NumRungs }

// summary says for people what was tried.
func (c *climb) summary() string {
	var parts []string
	for r, n := range c.tried {
		if n > 0 {
			name := [...]string{"by UDP", "by TCP", "on port 80", "on port 443"}[r]
			parts = append(parts, fmt.Sprintf("%d %s", n, name))
		}
	}
	if parts == nil {
		return "nobody was asked"
	}
	return "asked " + strings.Join(parts, ", ")
}
