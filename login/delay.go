package login

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// A strike is an attempt that may have been a guess. Those beyond what is free
// double the time until the next attempt is listened to.
const (
	firstDelay   = time.Second
	longestDelay = 15 * time.Minute
	strikesLive  = time.Hour // after the last one
	maxStrikes   = 1 << 16   // who is remembered, the last ones; about 10 MB
)

// How many strikes are free, by what they are counted for.
const (
	freeForUser     = 3   // of one user from one address
	freeForAddress  = 20  // of one address: a family, or a café
	freeForDevice   = 5   // of a device that the account knows
	freeAccounts    = 100 // made from one address
	freeCertificate = 30  // given to one device
)

// delays counts strikes. The zero value is ready.
type delays struct {
	mu    sync.Mutex
	by    map[string]*list.Element
	order list.List // of *strikes, the latest first
}

type strikes struct {
	key   string
	count int
	last  time.Time
}

// A suspect is one thing that strikes are counted for.
type suspect struct {
	key  string
	free int
}

// attempt counts a strike for each suspect, or, if one of them has to wait,
// says how long and counts none: attempts that nobody listens to must not keep
// the delay alive. Counting before the outcome is known leaves no gap for
// attempts at the same time.
func (d *delays) attempt(now time.Time, suspects ...suspect) (wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range suspects {
		wait = max(wait, d.wait(s, now))
	}
	if wait > 0 {
		return wait
	}
	for _, s := range suspects {
		d.strike(s.key, now)
	}
	return 0
}

// forgive takes the strikes of an attempt back: it was no guess.
func (d *delays) forgive(suspects ...suspect) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range suspects {
		if e, ok := d.by[s.key]; ok {
			if k := e.Value.(*strikes); k.count > 1 {
				k.count--
			} else {
				d.order.Remove(e)
				delete(d.by, s.key)
			}
		}
	}
}

func (d *delays) wait(s suspect, now time.Time) time.Duration {
	e, ok := d.by[s.key]
	if !ok {
		return 0
	}
	k := e.Value.(*strikes)
	over := k.count - s.free
	if over < 0 || now.Sub(k.last) > strikesLive {
		return 0
	}
	delay := longestDelay
	if over < 10 {
		delay = min(delay, firstDelay<<over)
	}
	return max(0, k.last.Add(delay).Sub(now))
}

func (d *delays) strike(key string, now time.Time) {
	e, ok := d.by[key]
	if !ok {
		if d.by == nil {
			d.by = make(map[string]*list.Element)
		}
		if len(d.by) >= maxStrikes {
			last := d.order.Back()
			delete(d.by, last.Value.(*strikes).key)
			d.order.Remove(last)
		}
		e = d.order.PushFront(&strikes{key: key})
		d.by[key] = e
	}
	k := e.Value.(*strikes)
	if now.Sub(k.last) > strikesLive {
		k.count = 0
	}
	k.count++
	k.last = now
	d.order.MoveToFront(e)
}

// place is what an address counts as: whoever has one IPv6 address has a whole /56.
func place(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.Prefix(56); err == nil {
			return p.String()
		}
	}
	return a.String()
}
