package suite

import "math"

// ReplayWindow is how many packets back a late one is still taken.
const ReplayWindow = 2048

// Replay remembers which packets of one direction under one key have come. The
// zero value has seen none. It takes each counter once, and refuses those that
// are ReplayWindow or more behind the highest.
type Replay struct {
	next uint64 // one above the highest counter accepted
	// seen has a bit for each counter in [next-ReplayWindow, next), at the
	// counter modulo ReplayWindow.
	seen [ReplayWindow / 64]uint64
}

// ReplayFrom is a Replay that takes no counter below next, as one does that has
// seen them all: what is left of a Replay when next is all that was kept of it.
func ReplayFrom(next uint64) *Replay {
	r := &Replay{next: next}
	for i := range r.seen {
		r.seen[i] = math.MaxUint64
	}
	return r
}

// Fresh says whether Accept would take the counter. It spares the opening of a
// packet that came by two paths.
func (r *Replay) Fresh(counter uint64) bool {
	if counter >= r.next {
		return counter != math.MaxUint64 // next could not go past it
	}
	if r.next-counter > ReplayWindow {
		return false
	}
	word, bit := replayBit(counter)
	return r.seen[word]&bit == 0
}

// Accept marks the counter as seen and says whether it is new. It must not be
// called before the packet proved authentic: a forged counter would shut out
// the true packets.
func (r *Replay) Accept(counter uint64) bool {
	if !r.Fresh(counter) {
		return false
	}
	if counter >= r.next {
		if counter-r.next >= ReplayWindow {
			r.seen = [ReplayWindow / 64]uint64{}
		} else {
			for c := r.next; c < counter; c++ { // these bits were of packets that leave the window now
				word, bit := replayBit(c)
				r.seen[word] &^= bit
			}
		}
		r.next = counter + 1
	}
	word, bit := replayBit(counter)
	r.seen[word] |= bit
	return true
}

func replayBit(counter uint64) (word int, bit uint64) {
	return int(counter / 64 % (ReplayWindow / 64)), 1 << (counter % 64)
}
