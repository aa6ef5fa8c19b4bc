// Package alarm is the timer queue of state machines that have no clock: it
// holds moments and keys, and says which are due. It starts nothing.
//
// An alarm is never cancelled. Who no longer cares about a key ignores it when
// it rings, which costs less than finding it in the queue; or skips it, once it
// is the first, lest the machine wake for nothing.
package alarm

import "time"

// A Queue holds alarms in the order of their moments; those of the same moment
// ring in the order in which they were set. The zero value is empty.
type Queue[K any] struct {
	heap  []alarm[K]
	epoch time.Time // the first moment that was set; moments are kept as their distance from it
	set   uint64    // alarms set so far
}

// An alarm is small: a machine has a dozen, and there may be a million machines.
type alarm[K any] struct {
	at  time.Duration
	seq uint64
	key K
}

func (a *alarm[K]) before(b *alarm[K]) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// Set adds an alarm.
func (q *Queue[K]) Set(at time.Time, key K) {
	if q.set == 0 {
		q.epoch = at
	}
	q.set++
	q.heap = append(q.heap, alarm[K]{at.Sub(q.epoch), q.set, key})
	for i := len(q.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.heap[i].before(&q.heap[up]) {
			break
		}
		q.heap[i], q.heap[up] = q.heap[up], q.heap[i]
		i = up
	}
}

// Len is how many alarms are set.
func (q *Queue[K]) Len() int { return len(q.heap) }

// Next is the moment of the first alarm; zero means that there is none.
func (q *Queue[K]) Next() time.Time {
	if len(q.heap) == 0 {
		return time.Time{}
	}
	return q.epoch.Add(q.heap[0].at)
}

// Skip removes first alarms for as long as those are void.
func (q *Queue[K]) Skip(void func(K) bool) {
	for len(q.heap) > 0 && void(q.heap[0].key) {
		q.pop()
	}
}

// Pop takes the first alarm that is due.
func (q *Queue[K]) Pop(now time.Time) (key K, ok bool) {
	if len(q.heap) == 0 || q.heap[0].at > now.Sub(q.epoch) {
		return key, false
	}
	return q.pop(), true
}

func (q *Queue[K]) pop() K {
	key := q.heap[0].key
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap[last] = alarm[K]{}
	q.heap = q.heap[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if right := down + 1; right < last && q.heap[right].before(&q.heap[down]) {
			down = right
		}
		if !q.heap[down].before(&q.heap[i]) {
			break
		}
		q.heap[i], q.heap[down] = q.heap[down], q.heap[i]
		i = down
	}
	return key
}
