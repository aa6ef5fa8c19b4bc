package relay

import (
	"testing"
	"time"
)

// A machine that carries 100,000 packets per second is offered ten calls of 100
// packets a second, every tenth of a second, until far too many were offered. It
// admits so many that it is nearly full, and never more than it carries.
func TestAdmissionStopsBeforeTheLimit(t *testing.T) {
	const can = 100_000
	for _, ringing := range []int{0, 5, 20} { // seconds from the reservation to the first packet
		var a admission
		var waited time.Duration
		var forwarded uint64
		born := map[int]int{} // calls by the second in which they were admitted
		calls := 0
		for second := range 300 {
			for range 100 {
				if a.admits() {
					a.admitted++
					calls++
					born[second]++
				}
			}
			silent := 0
			for s := max(second-ringing+1, 0); s <= second; s++ {
				if ringing > 0 {
					silent += born[s]
				}
			}
			rate := min((calls-silent)*callRate, can)
			forwarded += uint64(rate)
			waited += time.Duration((1 - float64(rate)/can) * float64(time.Second))
			a.measure(time.Duration(second+1)*time.Second, []time.Duration{waited}, forwarded, oneIn*silent)
		}
		if offered := float64(calls) * callRate / can; offered > 0.95 || offered < 0.7 {
			t.Errorf("rings %d s: %d calls, %.2f of what it carries", ringing, calls, offered)
		}
	}
}

func TestAdmissionOfABusyMachine(t *testing.T) {
	var a admission
	if !a.admits() {
		t.Error("refused before anything is known")
	}
	ms := func(waited ...time.Duration) []time.Duration {
		for i := range waited {
			waited[i] *= time.Millisecond
		}
		return waited
	}
	a.measure(time.Second, ms(50), 0, 0) // with other things
	if a.admits() {
		t.Error("admitted though there is no time for more")
	}
	a.measure(time.Second, ms(0), 0, 0) // no time has passed
	a.measure(2*time.Second, nil, 0, 0) // the system does not tell
	a.measure(2*time.Second, ms(1050), 0, 0)
	if !a.admits() {
		t.Error("refused though idle again")
	}

	a = admission{}
	a.measure(time.Second, ms(900, 100), 1000, 0)
	if a.admits() || a.busy != 0.9 {
		t.Errorf("admitted though one of the readers has no time for more, %v busy", a.busy)
	}
	a.measure(2*time.Second, ms(1800, 1000), 2000, 0)
	if !a.admits() {
		t.Error("refused though both are idle")
	}
}
