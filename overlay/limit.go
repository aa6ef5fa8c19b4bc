package overlay

import "time"

// A Bucket bounds a rate: it fills by rate a second up to burst. The zero value is full.
type Bucket struct {
	used float64 // of burst
	at   int64   // of used, nanoseconds since 1970
}

// Take takes one, if there is one.
func (b *Bucket) Take(now time.Time, rate, burst float64) bool {
	b.drain(now, rate)
	if b.used+1 > burst {
		return false
	}
	b.used++
	return true
}

// Full says that nothing was taken lately: the bucket may as well be forgotten.
func (b *Bucket) Full(now time.Time, rate float64) bool {
	b.drain(now, rate)
	return b.used == 0
}

func (b *Bucket) drain(now time.Time, rate float64) {
	t := now.UnixNano()
	if elapsed := t - b.at; elapsed > 0 {
		b.used = max(0, b.used-rate*float64(elapsed)/float64(time.Second))
		b.at = t
	}
}
