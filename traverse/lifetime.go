package traverse

import (
	"slices"
	"time"
)

// How long a NAT keeps the mapping of a socket that nobody uses is found out by asking, and
// waiting for an answer that comes late: a supernode is asked from spare sockets, one for
// each pause, and answers when it is over, to where the question came from. What still
// gets through says that the mapping was still there.
//
//	0 s, 3 s   a question that is answered at once: NATs keep a flow for longer that went to and fro
//	6 s        one that is answered after the pause, twice: one may get lost
//
// An answer that comes before its time is a supernode's that does not do this. If none
// came through, all is done once more before that is believed.
var pauses = [...]time.Duration{
	20 * time.Second, 30 * time.Second, 40 * time.Second, 60 * time.Second, 80 * time.Second, 120 * time.Second, 160 * time.Second,
}

const (
	// LifetimeSockets is how many spare sockets a measurement takes.
	LifetimeSockets = len(pauses)

	warmAgain  = 3 * time.Second
	pauseAfter = 2 * warmAgain
	askTwice   = 100 * time.Millisecond
	answerLate = 4 * time.Second // on a bad line, or by a busy machine
	rounds     = 2
)

// AskLater asks for a sign by a spare socket (session.Endpoint.WhereAfter).
type AskLater struct {
	Socket uint32
	Token  uint64
	After  time.Duration
}

func (AskLater) effect() {}

// A Kept says how long a mapping lasts without packets. Below is 0 if it outlasted all pauses.
type Kept struct{ AtLeast, Below time.Duration }

// A Lifetime is one measurement.
type Lifetime struct {
	began   time.Time
	sockets []uint32
	token   uint64
	round   int
	step    int
	signs   [LifetimeSockets]signs
	effects []Effect
	over    bool
	kept    Kept
	known   bool
}

// signs are what came by a socket.
type signs struct{ warm, late, early bool }

// The questions that each socket asks in a round, by their place in it.
var questions = [...]struct {
	at   time.Duration
	late bool
}{{0, false}, {warmAgain, false}, {pauseAfter, true}, {pauseAfter + askTwice, true}}

// NewLifetime begins to measure by LifetimeSockets spare sockets. Tokens are drawn from token on.
func NewLifetime(now time.Time, sockets []uint32, token uint64) *Lifetime {
	return &Lifetime{began: now, sockets: sockets[:LifetimeSockets], token: token &^ 0xff}
}

// Tick does what is due.
func (l *Lifetime) Tick(now time.Time) {
	for !l.over && l.step < len(questions) && !l.at().After(now) {
		q := questions[l.step]
		for i, socket := range l.sockets {
			ask := AskLater{Socket: socket, Token: l.tokenOf(i, l.step)}
			if q.late {
				ask.After = pauses[i]
			}
			l.effects = append(l.effects, ask)
		}
		l.step++
	}
	if !l.over && l.step == len(questions) && !l.at().After(now) {
		l.conclude(now)
	}
}

// at is when the next step is due, or the end of a round.
func (l *Lifetime) at() time.Time {
	if l.step < len(questions) {
		return l.began.Add(questions[l.step].at)
	}
	return l.began.Add(pauseAfter + pauses[LifetimeSockets-1] + answerLate)
}

// Deadline is when Tick wants to be called; zero means never.
func (l *Lifetime) Deadline() time.Time {
	if l.over {
		return time.Time{}
	}
	return l.at()
}

// Take hands over what is to be done.
func (l *Lifetime) Take() []Effect {
	out := l.effects
	l.effects = nil
	return out
}

func (l *Lifetime) tokenOf(socket, step int) uint64 {
	return l.token + uint64((l.round*LifetimeSockets+socket)*len(questions)+step)
}

// Seen takes an answer, and says whether it was for this measurement.
func (l *Lifetime) Seen(now time.Time, socket uint32, token uint64) bool {
	i := slices.Index(l.sockets, socket)
	if i < 0 {
		return false
	}
	for step := range l.step {
		if token != l.tokenOf(i, step) {
			continue
		}
		q, s := questions[step], &l.signs[i]
		switch {
		case !q.late:
			s.warm = true
		case now.Sub(l.began.Add(q.at)) < pauses[i]-askTwice:
			s.early = true
		default:
			s.late = true
		}
	}
	return true
}

func (l *Lifetime) conclude(now time.Time) {
	any, refused := false, false
	l.kept = Kept{}
	for i, s := range l.signs {
		any, refused = any || s.warm, refused || s.early
		switch {
		case s.late:
			l.kept = Kept{AtLeast: pauses[i]}
		case s.warm && !s.early && l.kept.Below == 0:
			l.kept.Below = pauses[i]
		}
	}
	l.known = any && !refused
	if l.known && l.kept.AtLeast == 0 {
		if l.round++; l.round < rounds {
			l.began, l.step, l.signs = now, 0, [LifetimeSockets]signs{}
			l.Tick(now)
			return
		}
	}
	l.over = true
}

// Result says whether the measurement is over, and whether it found anything.
func (l *Lifetime) Result() (kept Kept, known, over bool) { return l.kept, l.over && l.known, l.over }

// Bounds of the pause between two signs of life.
const (
	leastKeepAlive = 15 * time.Second
	// Longer would save little, and who lost both its supernodes at once is away until the
	// next one.
	mostKeepAlive = time.Minute
)

// KeepAlive is the pause that holds such a mapping: three quarters of what it is known to last.
func (k Kept) KeepAlive() time.Duration {
	return min(max(k.AtLeast*3/4, leastKeepAlive), mostKeepAlive)
}
