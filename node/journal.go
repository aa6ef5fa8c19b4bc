package node

import (
	"context"
	"sync"
	"time"

	"github.com/linnet-p2p/linnet"
)

// A journal writes what a device keeps for itself (history, host cache,
// settings), in order and beside the loop: a slow disk must not hold up what
// happens on the network. Run waits for it. The zero value is ready.
type journal struct {
	mu      sync.Mutex
	waiting []func()
	writing bool
}

// note writes something after all that was noted before. then gets what came of
// it, in the loop, unless the node has stopped by then.
func (n *Node) note(write func(context.Context) error, then func(now time.Time, err error)) {
	j := &n.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting = append(j.waiting, func() {
		err := write(context.Background())
		n.must(func(now time.Time) { then(now, err) })
	})
	if !j.writing {
		j.writing = true
		n.beside(j.write)
	}
}

// write outlives the loop: what is noted gets written.
func (j *journal) write(context.Context) {
	for {
		j.mu.Lock()
		next := j.waiting
		j.waiting, j.writing = nil, len(next) > 0
		j.mu.Unlock()
		if next == nil {
			return
		}
		for _, write := range next {
			write()
		}
	}
}

// noteCall keeps how a call stands.
func (n *Node) noteCall(r linnet.CallRecord, then func(now time.Time, err error)) {
	n.note(func(ctx context.Context) error { return n.store.PutCall(ctx, r) }, then)
}

// logHistory is for what can be done without: the last line of a call says all.
func (n *Node) logHistory(_ time.Time, err error) {
	if err != nil {
		n.log.Warn("history", "err", err)
	}
}
