package node

import (
	"context"
	"sync"
	"time"

	"github.com/linnet-p2p/linnet"
)

// backlog is how many events a listener may be behind before it is dropped. One letter
// brings up to a thousand at once: that so many messages were read.
const backlog = 4096

// hub tells events to whoever listens. The zero value is ready.
type hub struct {
	mu        sync.Mutex
	listeners map[chan linnet.Event]struct{}
	closed    bool
}

// listen gives a channel that is closed when ctx ends, the listener falls
// behind, or the node stops.
func (h *hub) listen(ctx context.Context) (<-chan linnet.Event, error) {
	c := make(chan linnet.Event, backlog)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errStopped
	}
	if h.listeners == nil {
		h.listeners = make(map[chan linnet.Event]struct{})
	}
	h.listeners[c] = struct{}{}
	context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(c)
	})
	return c, nil
}

func (h *hub) tell(e linnet.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.listeners {
		select {
		case c <- e:
		default:
			h.drop(c)
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.listeners {
		h.drop(c)
	}
}

// drop needs the lock.
func (h *hub) drop(c chan linnet.Event) {
	if _, listening := h.listeners[c]; listening {
		delete(h.listeners, c)
		close(c)
	}
}
