package spare

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A Meter tells how much this program uses of what it may use. The zero value
// begins to measure with the first call.
type Meter struct {
	at   time.Time
	used time.Duration
}

// Percent is the share of its processors since the last call, or the share of its memory
// limit (GOMEMLIMIT) that is in use, whichever is larger. What others on this machine
// take does not count: who starves is not busy.
func (m *Meter) Percent() int {
	now, used := time.Now(), Used()
	elapsed, took := now.Sub(m.at), used-m.used
	first := m.at.IsZero()
	m.at, m.used = now, used
	percent := memory()
	if !first && elapsed > 0 {
		percent = max(percent, int(100*took/elapsed)/runtime.GOMAXPROCS(0))
	}
	return percent
}

// memory is what the heap needs of the limit; without one it is nothing.
func memory() int {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 || limit <= 0 {
		return 0
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return int(float64(live[0].Value.Uint64()) / float64(limit) * 100)
}
