package traverse

import (
	"math"
	"math/bits"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
)

// A direct path is not always the better one: it may lose what the relay does not, or
// take a longer way. So while it is used, and a relay is up, both are asked every second;
// direct one is left if it is clearly worse over the last minute: by more than chance does
// where both lose as much.
//
//	direct ── lost 2 + 2√(what both lost) more, or the last 5 alone, or 1.5 times and 40 ms slower ──▶ relay
//	relay ── after 30 s, doubling to 5 min: lost at most 2 more, and at most 1.25 times and 10 ms slower ──▶ direct
//
// What makes it stay is not what makes it come back, and each leaving is for longer, so
// that a path which is bad now and then does not have a call jump to and fro.
const (
	trialEvery  = time.Second
	trialWindow = 60
	trialLate   = 2 // the last questions, which may still be answered
	trialLeast  = 10

	leaveRow   = 5 // lost in a row
	returnLost = 2

	leftFor      = 30 * time.Second
	leftAtMost   = 5 * time.Minute
	leftForgiven = 10 * time.Minute // without leaving it again
)

// Ask asks the peer for a sign by a path (session.Endpoint.Where); Answered takes it.
type Ask struct {
	Path  session.Path
	Token uint64
}

func (Ask) effect() {}

// A trial compares the direct path in use, or the one that was left, with a relay.
type trial struct {
	next          time.Time
	token         uint64 // of the last question to the direct path; the relay's is one more
	direct, relay answers

	left   session.Path // no direct one is used meanwhile
	until  time.Time
	leaves int
	last   time.Time // when it was left
}

// answers are those to the last questions by a path, the newest in the lowest bit.
type answers struct {
	path  session.Path
	asked int
	got   uint64
	sent  [8]time.Time
	rtt   time.Duration // smoothed
}

const answersKept = trialWindow + trialLate

func (a *answers) ask(now time.Time) {
	a.sent[a.asked%len(a.sent)] = now
	a.asked++
	a.got <<= 1
}

// answered takes the answer to the question of so many questions ago.
func (a *answers) answered(now time.Time, ago int) {
	if ago >= a.asked || ago >= answersKept || a.got>>ago&1 != 0 {
		return
	}
	a.got |= 1 << ago
	if ago < len(a.sent) {
		rtt := now.Sub(a.sent[(a.asked-1-ago)%len(a.sent)])
		if a.rtt == 0 {
			a.rtt = rtt
		}
		a.rtt += (rtt - a.rtt) / 8
	}
}

// lost is how many of the last n questions were not answered that should be by now.
func (a *answers) lost(n int) int {
	n = min(n, a.asked-trialLate)
	if n <= 0 {
		return 0
	}
	return n - bits.OnesCount64(a.got>>trialLate&(1<<n-1))
}

// rivals are the direct path and the relay that are compared; none if there are not both.
func (p *Pair) rivals() (direct, relay session.Path) {
	direct = p.used
	if p.trial.left.Kind != linnet.NoPath {
		direct = p.trial.left
	}
	if !direct.Kind.Direct() {
		return session.Path{}, session.Path{}
	}
	best := -1
	for i, s := range p.up {
		if s.path.Kind.Relayed() && (best < 0 || s.path == p.used || p.up[best].path != p.used && s.rtt < p.up[best].rtt) {
			best = i
		}
	}
	if best < 0 {
		return session.Path{}, session.Path{}
	}
	return direct, p.up[best].path
}

// trialAt is when the rivals are asked again; zero: there are none.
func (p *Pair) trialAt() time.Time {
	if direct, _ := p.rivals(); direct.Kind == linnet.NoPath {
		return time.Time{}
	}
	return p.trial.next
}

// try asks the rivals, and decides.
func (p *Pair) try(now time.Time) {
	direct, relay := p.rivals()
	t := &p.trial
	if direct.Kind == linnet.NoPath || t.next.After(now) {
		return
	}
	if direct != t.direct.path {
		t.direct = answers{path: direct}
	}
	if relay != t.relay.path && (t.relay.path.Kind == linnet.NoPath || p.find(t.relay.path) < 0) {
		t.relay = answers{path: relay}
	}
	p.judge(now)
	t.next = now.Add(trialEvery)
	if t.token == 0 {
		t.token = p.random.Uint64() | 1<<63 // 0 is somebody else's
	}
	t.token += 2
	t.direct.ask(now)
	t.relay.ask(now)
	p.emit(Ask{t.direct.path, t.token})
	p.emit(Ask{t.relay.path, t.token + 1})
}

// Answered takes the answer to an Ask.
func (p *Pair) Answered(now time.Time, path session.Path, token uint64) {
	t := &p.trial
	switch behind := t.token + 1 - token; {
	case behind >= 2*answersKept:
	case behind%2 == 1 && path == t.direct.path:
		t.direct.answered(now, int(behind/2))
	case behind%2 == 0 && path == t.relay.path:
		t.relay.answered(now, int(behind/2))
	}
}

// judge leaves the direct path, or comes back to it.
func (p *Pair) judge(now time.Time) {
	t := &p.trial
	d, r := &t.direct, &t.relay
	asked := min(d.asked, r.asked)
	n := min(trialWindow, asked-trialLate)
	more, both := d.lost(n)-r.lost(n), d.lost(n)+r.lost(n)
	if t.left.Kind == linnet.NoPath {
		lossy := float64(more) >= 2+2*math.Sqrt(float64(both)) || n >= leaveRow && d.lost(leaveRow)-r.lost(leaveRow) == leaveRow
		slow := asked >= trialLeast && r.rtt != 0 && d.rtt > r.rtt*3/2+40*time.Millisecond
		if !lossy && !slow {
			return
		}
		if now.Sub(t.last) > leftForgiven {
			t.leaves = 0
		}
		t.left, t.last, t.until = d.path, now, now.Add(min(leftFor<<min(t.leaves, 8), leftAtMost))
		t.leaves++
		p.choose(now)
		return
	}
	if now.Before(t.until) || n < trialWindow || d.rtt == 0 || more > returnLost || d.rtt > r.rtt*5/4+10*time.Millisecond {
		return
	}
	t.left = session.Path{}
	p.choose(now)
}

// settled says that there is a direct path, whether or not it is used.
func (p *Pair) settled() bool { return p.used.Kind.Direct() || p.trial.left.Kind != linnet.NoPath }

// comeBack forgets that a path was left: it is gone, or the network is another one.
func (p *Pair) comeBack() {
	p.trial.left = session.Path{}
	p.trial.direct = answers{}
}
