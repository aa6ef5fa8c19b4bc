package traverse

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
)

// A line loses questions or answers, and takes its time.
type line struct {
	loss float64 // of a round trip
	rtt  time.Duration
}

// compare has a pair talk by two lines, which weather changes, and gives the paths that it
// used, with the second in which that began.
func compare(seed uint64, d time.Duration, weather func(t time.Duration) (direct, relayed line)) (used []linnet.PathKind, at []int) {
	random := rand.New(rand.NewPCG(seed, 1))
	p := New(start, Options{Own: candidates("203.0.113.5:7000"), Rand: random})
	p.Relay(start, relay)
	p.Remote(start, Unknown, candidates("198.51.100.1:5000"))
	p.PathUp(start, public, 40*time.Millisecond)
	p.PathUp(start, relay, 60*time.Millisecond)
	type reply struct {
		at    time.Time
		path  session.Path
		token uint64
	}
	var replies []reply
	for now := start; now.Sub(start) < d; now = now.Add(20 * time.Millisecond) {
		for _, r := range replies {
			if r.at.Equal(now) {
				p.Answered(now, r.path, r.token)
			}
		}
		replies = slices.DeleteFunc(replies, func(r reply) bool { return !r.at.After(now) })
		p.Tick(now)
		for _, e := range p.Take() {
			switch e := e.(type) {
			case Use:
				if n := len(used); n == 0 || used[n-1] != e.Path.Kind {
					used, at = append(used, e.Path.Kind), append(at, int(now.Sub(start)/time.Second))
				}
			case Ask:
				l, other := weather(now.Sub(start))
				if e.Path.Kind.Relayed() {
					l = other
				}
				if random.Float64() >= l.loss {
					replies = append(replies, reply{now.Add(l.rtt), e.Path, e.Token})
				}
			}
		}
	}
	return used, at
}

// A direct path that is clearly worse than the relay is left, and used again when it is
// good; one that is as bad as the relay, or worse now and then, is kept.
func TestTrial(t *testing.T) {
	const ms = time.Millisecond
	good, near, far := line{0, 40 * ms}, line{0, 60 * ms}, line{0, 300 * ms}
	for _, tt := range []struct {
		name    string
		weather func(t time.Duration) (direct, relayed line)
		moves   int // at most, in half an hour
		least   int
		last    linnet.PathKind
	}{
		{"both are good", func(time.Duration) (a, b line) { return good, near }, 0, 0, linnet.DirectUDP},
		{"both lose the same", func(time.Duration) (a, b line) { return line{.1, 40 * ms}, line{.1, 60 * ms} }, 6, 0, 0},
		{"a little loss", func(time.Duration) (a, b line) { return line{.02, 40 * ms}, near }, 0, 0, linnet.DirectUDP},
		{"a little slower", func(time.Duration) (a, b line) { return line{0, 100 * ms}, line{0, 80 * ms} }, 0, 0, linnet.DirectUDP},
		{"much slower", func(time.Duration) (a, b line) { return far, near }, 1, 1, linnet.RelayUDP},
		{"always lossy", func(time.Duration) (a, b line) { return line{.4, 40 * ms}, near }, 1, 1, linnet.RelayUDP},
		{"dead", func(time.Duration) (a, b line) { return line{1, 40 * ms}, near }, 1, 1, linnet.RelayUDP},
		{"lossy for a while", func(t time.Duration) (a, b line) {
			if t > time.Minute && t < 3*time.Minute {
				return line{.5, 40 * ms}, near
			}
			return good, near
		}, 2, 2, linnet.DirectUDP},
		{"bad every other minute", func(t time.Duration) (a, b line) {
			if int(t/time.Minute)%2 == 1 {
				return line{.5, 40 * ms}, near
			}
			return good, near
		}, 16, 2, 0},
		{"a tenth lost", func(time.Duration) (a, b line) { return line{.1, 40 * ms}, near }, 12, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(4) {
				used, at := compare(seed, 30*time.Minute, tt.weather)
				moves := len(used) - 1
				if moves > tt.moves || moves < tt.least || tt.last != 0 && used[moves] != tt.last {
					t.Errorf("seed %d: uses %v at the seconds %v", seed, used, at)
				}
			}
		})
	}
	_, at := compare(1, time.Minute, func(time.Duration) (a, b line) { return line{1, 0}, near })
	if len(at) != 2 || at[1] > 8 {
		t.Errorf("a dead path is left after the seconds %v", at)
	}
}

// Answers that were never asked for, or come by another path, count for nothing.
func TestTrialHostile(t *testing.T) {
	p := New(start, Options{Own: candidates("203.0.113.5:7000")})
	p.Relay(start, relay)
	p.Remote(start, Unknown, candidates("198.51.100.1:5000"))
	p.PathUp(start, public, 40*time.Millisecond)
	p.PathUp(start, relay, 60*time.Millisecond)
	for i := range trialWindow + trialLate + 1 {
		now := start.Add(time.Duration(i) * time.Second)
		p.Tick(now)
		for _, e := range p.Take() {
			if ask, ok := e.(Ask); ok {
				for _, token := range []uint64{0, 1, ask.Token + 1, ask.Token + 2, ask.Token - 1000, ^ask.Token} {
					p.Answered(now, ask.Path, token)
				}
				p.Answered(now, direct("198.51.100.7:1"), ask.Token)
			}
		}
	}
	if n := p.trial.direct.lost(trialWindow) + p.trial.relay.lost(trialWindow); n != 2*trialWindow {
		t.Errorf("%d questions count as lost, want %d", n, 2*trialWindow)
	}
}
