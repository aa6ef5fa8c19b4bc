package netx

import (
	"sync/atomic"
	"time"
)

// waits adds up how long the one reader of a socket waited. A nil one, of
// writers, adds nothing up.
type waits struct {
	start time.Time    // the others are nanoseconds since then
	total atomic.Int64 // without the wait that goes on
	since atomic.Int64 // 0: it does not wait
}

func newWaits() *waits { return &waits{start: time.Now()} }

func (w *waits) now() int64 { return max(int64(time.Since(w.start)), 1) }

func (w *waits) begin() {
	if w != nil {
		w.since.CompareAndSwap(0, w.now()) // it may wake and find nothing
	}
}

func (w *waits) end() {
	if w == nil {
		return
	}
	if since := w.since.Swap(0); since != 0 {
		w.total.Add(w.now() - since)
	}
}

func (w *waits) sum() time.Duration {
	d := w.total.Load()
	if since := w.since.Load(); since != 0 {
		d += w.now() - since
	}
	return time.Duration(d)
}
