package directory

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
)

// rates bounds what each node asks for; the table itself is bounded, too.
type rates map[linnet.NodeID]*overlay.Bucket

func (r rates) allow(now time.Time, node linnet.NodeID, rate, burst float64, most int) bool {
	b := r[node]
	if b == nil {
		if len(r) >= most {
			r.sweep(now, rate)
		}
		if len(r) >= most {
			return false
		}
		b = new(overlay.Bucket)
		r[node] = b
	}
	return b.Take(now, rate, burst)
}

// sweep forgets those who asked nothing lately.
func (r rates) sweep(now time.Time, rate float64) {
	for node, b := range r {
		if b.Full(now, rate) {
			delete(r, node)
		}
	}
}
