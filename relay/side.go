package relay

import (
	"sync/atomic"
	"time"

	"github.com/linnet-p2p/linnet"
)

// A reservation joins two sides. What Forward reads of it is either constant
// once the tags are in the table, or atomic.
type reservation struct {
	id      uint32
	session uint32
	sides   [2]side      // the one who reserved, and the one who joined
	used    atomic.Int64 // nanoseconds of the server
	carries atomic.Bool  // packets have come
}

// A side is one of the two nodes.
type side struct {
	of             *reservation
	other          *side
	in             uint32 // the tag that it sends under; 0: not joined
	tag            uint32 // its own, also while it is away
	node           linnet.NodeID
	at             atomic.Pointer[spot] // nil while it is away
	packets, bytes bucket
}

// A spot is where a side is reached: it is replaced as a whole.
type spot struct {
	origin Origin
	tag    uint32
}

// touch notes that the reservation is in use. Once a second is enough, and
// spares the processors' caches.
func (r *reservation) touch(now int64) {
	if now-r.used.Load() > int64(time.Second) {
		r.used.Store(now)
		r.carries.Store(true)
	}
}

// A bucket is a limit on a rate (GCRA): it holds the time at which all that was
// let through will have been paid for.
type bucket struct{ paid atomic.Int64 }

// take lets something through that costs so many nanoseconds, unless it would
// be paid more than ahead nanoseconds in the future.
func (b *bucket) take(now, cost, ahead int64) bool {
	for {
		old := b.paid.Load()
		paid := max(old, now) + cost
		if paid-now > ahead {
			return false
		}
		if b.paid.CompareAndSwap(old, paid) {
			return true
		}
	}
}
