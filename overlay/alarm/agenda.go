package alarm

import (
	"math/rand/v2"
	"time"
)

// An Agenda is what a state machine has to do: effects now, for whoever runs it, and
// the rest later, some of it only while the machine is ready, as is one on the network.
type Agenda struct {
	Rand *rand.Rand // of Jitter; not for secrets

	effects []any
	alarms  Queue[func(now time.Time)]
	ready   bool
	life    int // how often it became ready: alarms of earlier times are void
}

// Do adds an effect.
func (a *Agenda) Do(e any) { a.effects = append(a.effects, e) }

// Take gives the effects, in their order, and forgets them.
func (a *Agenda) Take() []any {
	effects := a.effects
	a.effects = nil
	return effects
}

// Deadline is when Tick wants to be called next; zero means never.
func (a *Agenda) Deadline() time.Time { return a.alarms.Next() }

// Tick does what is due.
func (a *Agenda) Tick(now time.Time) {
	for {
		ring, ok := a.alarms.Pop(now)
		if !ok {
			return
		}
		ring(now)
	}
}

// After does something later.
func (a *Agenda) After(now time.Time, d time.Duration, do func(now time.Time)) {
	a.alarms.Set(now.Add(d), do)
}

// WhileReady does something later, unless the machine was not ready meanwhile.
func (a *Agenda) WhileReady(now time.Time, d time.Duration, do func(now time.Time)) {
	life := a.life
	a.After(now, d, func(now time.Time) {
		if a.ready && a.life == life {
			do(now)
		}
	})
}

// Ready says whether the machine is.
func (a *Agenda) Ready() bool { return a.ready }

// SetReady says whether that is new.
func (a *Agenda) SetReady(on bool) (changed bool) {
	if on == a.ready {
		return false
	}
	a.ready = on
	a.life++
	return true
}

// Jitter is between 80 % of d and d.
func (a *Agenda) Jitter(d time.Duration) time.Duration {
	return d - time.Duration(a.Rand.Int64N(int64(d/5)+1))
}
