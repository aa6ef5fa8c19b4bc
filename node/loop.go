package node

import (
	"cmp"
	"context"
	"time"

	"github.com/linnet-p2p/linnet"
)

// farewell is how long a node that is stopped tries to tell the directory.
const farewell = time.Second

// A supernode drains: it tells everybody that it leaves, and answers until its
// clients are attached elsewhere, and a moment longer, for those who asked before
// they heard.
const (
	drainMost   = 10 * time.Second
	drainLinger = 500 * time.Millisecond
	drainLook   = 50 * time.Millisecond
)

// loop runs the events, one after the other, and the timers of the machines.
func (n *Node) loop(ctx context.Context) error {
	defer n.stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	end := ctx.Done()
	var gone <-chan struct{}        // what the last steps wait for
	var late, look <-chan time.Time // the end of waiting; when to see how far draining is
	var began time.Time
	for {
		if s := n.station; s != nil {
			if d := s.deadline(); d.IsZero() {
				timer.Reset(time.Hour)
			} else {
				timer.Reset(time.Until(d))
			}
		}
		select {
		case <-end:
			if n.station == nil {
				return ctx.Err()
			}
			end, began = nil, time.Now()
			n.draining.Store(true)
			if n.role()&linnet.Supernode != 0 {
				n.station.drain(began)
				late, look = time.After(cmp.Or(n.opts.Drain, drainMost)), time.After(drainLook)
				continue
			}
			late = time.After(farewell)
			gone = n.station.withdraw(began)
		case <-look:
			look = time.After(drainLook)
			if n.station.overlay.Drained() && time.Since(began) >= drainLinger {
				n.station.leave(time.Now())
				return ctx.Err()
			}
		case <-gone:
			n.station.leave(time.Now())
			return ctx.Err()
		case <-late:
			n.station.leave(time.Now())
			return ctx.Err()
		case event := <-n.events:
			now := time.Now()
			event(now)
			n.settle(now)
		case <-timer.C:
			now := time.Now()
			if n.station != nil {
				n.station.tick(now)
			}
			n.settle(now)
		}
	}
}

var errStopped = &linnet.Error{Code: linnet.CodeNotRunning, Text: "the node has stopped"}

func (n *Node) settle(now time.Time) {
	if n.station != nil {
		n.station.settle(now)
	}
}

// post gives the loop an event that may be dropped, as a packet may be, when
// the loop cannot keep up.
func (n *Node) post(event func(now time.Time)) bool {
	select {
	case n.events <- event:
		return true
	default:
		return false
	}
}

// must gives the loop an event that it must not miss.
func (n *Node) must(event func(now time.Time)) {
	select {
	case n.events <- event:
	case <-n.life.Done():
	}
}

// do runs f in the loop and waits until it is done, or ctx is over.
func (n *Node) do(ctx context.Context, f func(now time.Time)) error {
	done := make(chan struct{})
	event := func(now time.Time) {
		defer close(done)
		f(now)
	}
	select {
	case n.events <- event:
	case <-n.life.Done():
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-n.life.Done():
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits for an answer of the loop.
func await[T any](ctx context.Context, n *Node, answer <-chan T) (v T, err error) {
	select {
	case v = <-answer:
		return v, nil
	case <-ctx.Done():
		return v, ctx.Err()
	case <-n.life.Done():
		return v, errStopped
	}
}
