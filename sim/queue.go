package sim

import (
	"math"
	"net/netip"

	"github.com/linnet-p2p/linnet/wire/message"
)

// A kind is what an event does.
type kind uint8

const (
	arrive  kind = iota // a command over a session
	hello               // a handshake begins
	welcome             // its answer
	timeout             // a handshake, or what was sent over a session that is no more
	ended               // a session was closed by the other end
	probe               // raw request
	probed              // and its answer
	dialled
	script // of the scenario
)

// An event is something that happens to a node. They are used again, so there is
// one struct for all kinds.
type event struct {
	at   int64 // nanoseconds since the run began
	kind kind

	reply  bool
	queued bool  // it has waited for the processor
	legs   uint8 // journeys that led to it, one after the other
	part   part  // of a command: whose request it is, or was
	id     uint16
	life   uint32 // of the node, when the event was made: an event of an earlier life is void
	peer   uint32 // the other node
	node   uint32
	extra  int64 // token, life of the peer, or time sent
	msg    message.Message
	do     func() // of the scenario
}

// A queue is the events to come, the first on top of a heap of four branches.
type queue struct {
	heap []planned
	seq  uint64
	free []*event
}

// planned is an event in the queue, with what orders it: comparing events where
// they lie would miss the processor's cache each time.
type planned struct {
	at  int64
	seq uint64
	*event
}

func (a *planned) before(b *planned) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// make gives an event to fill in.
func (q *queue) make(k kind, at int64, node uint32) *event {
	var e *event
	if n := len(q.free); n > 0 {
		e, q.free = q.free[n-1], q.free[:n-1]
	} else {
		e = new(event)
	}
	*e = event{kind: k, at: at, node: node}
	return e
}

// next is the moment of the first event.
func (q *queue) next() int64 {
	if len(q.heap) == 0 {
		return math.MaxInt64
	}
	return q.heap[0].at
}

func (q *queue) push(e *event) {
	q.seq++
	p := planned{e.at, q.seq, e}
	q.heap = append(q.heap, p)
	i := len(q.heap) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !p.before(&q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = p
}

func (q *queue) pop() *event {
	n := len(q.heap) - 1
	first, last := q.heap[0].event, q.heap[n]
	q.heap[n] = planned{}
	q.heap = q.heap[:n]
	if n == 0 {
		return first
	}
	i := 0
	for {
		child := 4*i + 1
		if child >= n {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, n); c++ {
			if q.heap[c].before(&q.heap[least]) {
				least = c
			}
		}
		if !q.heap[least].before(&last) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = last
	return first
}

// done gives an event back.
func (q *queue) done(e *event) {
	e.msg, e.do = nil, nil
	if len(q.free) < 1<<16 {
		q.free = append(q.free, e)
	}
}

// addrOf is the address of a node: each fills its own /24, unless the scenario
// puts it elsewhere.
func addrOf(n uint32) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(11 + n>>16), byte(n >> 8), byte(n), 1}), 33033)
}
