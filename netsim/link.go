package netsim

import "time"

// A Link is the cable by which a host or NAT hangs on its realm. A packet
// passes two of them: the sender's and the receiver's, so the round trip
// between two hosts with a Delay of 10 ms takes 40 ms. The zero Link is
// perfect.
type Link struct {
	Delay   time.Duration // one way
	Jitter  time.Duration // up to this much more, without changing the order
	Loss    float64       // share of packets that vanish, 0 to 1
	Reorder float64       // share of packets that later ones overtake
	Rate    int           // bytes a second each way; 0 is without limit
	MTU     int           // longer IP packets with UDP vanish; 0 means 1500. TCP is told the size of its segments
}

// queueTime is how much of a rate-limited link's traffic waits before it; more is dropped.
const queueTime = 200 * time.Millisecond

// A wire is a Link in use.
type wire struct {
	link Link
	cut  bool
	busy [2]time.Time // until when it sends and receives
}

const (
	up   = 0
	down = 1
)

// hop carries p over the wires of its sender and receiver; either may be nil.
func (in *Internet) hop(p *packet, r *realm, from, to *wire, then func()) {
	f := in.flow(r, p.src.Addr(), p.dst.Addr())
	now := time.Now()
	at, overtaken := now, false
	for dir, w := range [...]*wire{up: from, down: to} {
		if w == nil {
			continue
		}
		l := &w.link
		if w.cut || l.MTU > 0 && p.proto == udp && p.size() > l.MTU || l.Loss > 0 && f.rand.Float64() < l.Loss {
			p.drop()
			return
		}
		if l.Rate > 0 {
			start := w.busy[dir]
			if start.Before(now) {
				start = now
			}
			if start.Sub(now) > queueTime {
				p.drop()
				return
			}
			w.busy[dir] = start.Add(time.Duration(p.size()) * time.Second / time.Duration(l.Rate))
			at = at.Add(w.busy[dir].Sub(now))
		}
		at = at.Add(l.Delay)
		if l.Jitter > 0 {
			at = at.Add(time.Duration(f.rand.Int64N(int64(l.Jitter))))
		}
		if l.Reorder > 0 && f.rand.Float64() < l.Reorder {
			overtaken = true
			at = at.Add(l.Delay + time.Millisecond)
		}
	}
	if !overtaken {
		if at.Before(f.last) {
			at = f.last
		}
		f.last = at
	}
	in.after(at.Sub(now), func() {
		if to != nil && to.cut {
			p.drop()
			return
		}
		then()
	})
}
