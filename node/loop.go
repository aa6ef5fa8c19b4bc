package node

import (
	"context"
	"time"

	"github.com/linnet-p2p/linnet"
)

// farewell is how long a node that is stopped tries to tell the directory.
const farewell = time.Second

// loop runs the events, one after the other, and the timers of the machines.
func (n *Node) loop(ctx context.Context) error {
	defer n.stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	end := ctx.Done()
	var gone <-chan struct{} // what the last steps wait for
	var late <-chan time.Time
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
			end, late = nil, time.After(farewell)
			gone = n.station.withdraw(time.Now())
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
