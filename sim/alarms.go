package sim

// alarms are when nodes want to be woken: one moment for each, the earliest on
// top of a heap of four branches that knows where each node stands in it. What a
// node wanted before is forgotten, and no event is spent on it. It holds no
// pointers: there may be a million nodes.
type alarms struct {
	heap  []ringing
	where []uint32 // of each node in the heap, from 1; 0: it wants nothing
}

type ringing struct {
	at   int64
	node uint32
}

func (a ringing) before(b ringing) bool { return a.at < b.at || a.at == b.at && a.node < b.node }

// add makes room for one more node.
func (q *alarms) add() { q.where = append(q.where, 0) }

func (q *alarms) set(node uint32, at int64) {
	r := ringing{at, node}
	i := int(q.where[node]) - 1
	switch {
	case i < 0:
		q.heap = append(q.heap, r)
		q.up(len(q.heap)-1, r)
	case r.before(q.heap[i]):
		q.up(i, r)
	default:
		q.down(i, r)
	}
}

func (q *alarms) remove(node uint32) {
	i := int(q.where[node]) - 1
	if i < 0 {
		return
	}
	q.where[node] = 0
	n := len(q.heap) - 1
	last := q.heap[n]
	q.heap = q.heap[:n]
	switch {
	case i == n:
	case i > 0 && last.before(q.heap[(i-1)/4]):
		q.up(i, last)
	default:
		q.down(i, last)
	}
}

// up puts r at i or above.
func (q *alarms) up(i int, r ringing) {
	for i > 0 {
		above := (i - 1) / 4
		if !r.before(q.heap[above]) {
			break
		}
		q.put(i, q.heap[above])
		i = above
	}
	q.put(i, r)
}

// down puts r at i or below.
func (q *alarms) down(i int, r ringing) {
	for {
		child := 4*i + 1
		if child >= len(q.heap) {
			break
		}
		least := child
		for c := child + 1; c < min(child+4, len(q.heap)); c++ {
			if q.heap[c].before(q.heap[least]) {
				least = c
			}
		}
		if !q.heap[least].before(r) {
			break
		}
		q.put(i, q.heap[least])
		i = least
	}
	q.put(i, r)
}

func (q *alarms) put(i int, r ringing) {
	q.heap[i] = r
	q.where[r.node] = uint32(i + 1)
}
