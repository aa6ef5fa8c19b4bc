package media

import "slices"

// pictures makes whole pictures of pieces, in order. What follows a piece that is
// lost for good is of no use up to the next key picture.
type pictures struct {
	held   map[uint64]Piece // by packet index
	next   uint64           // the index that goes on
	broken bool             // a key picture has to come first
	part   []byte           // of the picture that next goes on with
	begun  bool
	key    bool
	ready  []Picture
}

const (
	maxPieces  = 1024
	maxPicture = 1 << 20 // bytes
	maxWaiting = 256     // pictures that nobody took
)

func newPictures(first uint64) *pictures {
	return &pictures{held: make(map[uint64]Piece), next: first, broken: true}
}

// add takes a piece, in any order.
func (x *pictures) add(p Piece) {
	if p.Index < x.next || len(x.held) >= maxPieces {
		return
	}
	x.held[p.Index] = p
	x.run()
}

// lost gives up all that is missing before an index.
func (x *pictures) lost(before uint64) {
	if before <= x.next {
		return
	}
	x.damage()
	x.next = before
	for i := range x.held {
		if i < before {
			delete(x.held, i)
		}
	}
	x.run()
}

func (x *pictures) damage() { x.broken, x.begun, x.part = true, false, nil }

func (x *pictures) run() {
	for {
		p, have := x.held[x.next]
		if !have {
			return
		}
		delete(x.held, x.next)
		x.next++
		x.take(p)
	}
}

func (x *pictures) take(p Piece) {
	begins, key, err := p.start()
	switch {
	case err != nil:
		x.damage()
		return
	case begins:
		if x.begun { // the end of the one before is missing
			x.damage()
		}
		if x.broken && !key {
			return
		}
		x.broken, x.begun, x.key, x.part = false, true, key, nil
	case !x.begun:
		return
	}
	if len(x.part) > maxPicture {
		x.damage()
		return
	}
	x.part = append(x.part, p.coded()...)
	if !p.Last {
		return
	}
	if len(x.ready) < maxWaiting {
		x.ready = append(x.ready, Picture{Timestamp: p.Timestamp, Key: x.key, Data: slices.Clip(x.part)})
	}
	x.begun, x.part = false, nil
}
