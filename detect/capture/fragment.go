package capture

import (
	"container/list"
	"net/netip"
	"slices"
	"time"
)

const (
	// MaxFragmentBytes bounds the datagrams that wait for their fragments;
	// beyond it the oldest go.
	MaxFragmentBytes = 4 << 20

	maxFragmented    = 1024 // datagrams that wait
	maxPieces        = 128  // of one datagram: 64 KiB in pieces of 512 bytes
	fragmentPatience = 30 * time.Second
)

// reassembly holds the datagrams that are not whole yet. Its zero value is
// ready to use.
type reassembly struct {
	waiting map[fragmentKey]*list.Element
	oldest  list.List // of *fragmented, by arrival of the first piece
	bytes   int
}

type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
	protocol uint8
}

type fragmented struct {
	key    fragmentKey
	since  time.Time
	pieces []piece // by offset, without overlap
	total  int     // bytes; 0 until the last piece came
	wire   int     // bytes of all pieces
	ruined bool    // pieces contradict one another
}

// piece is one fragment's data: length bytes on the wire, of which data was
// captured.
type piece struct {
	offset, length int
	data           []byte
}

// fragment keeps a fragment, and goes on with the datagram that it completes.
func (r *Reader) fragment(d datagram, id uint32, offset int, more bool, depth int) fate {
	if d.length <= 0 || offset+d.length > 0xffff || more && d.length%8 != 0 {
		return malformed
	}
	whole, ok := r.whole.add(r.packet.Time, fragmentKey{d.src, d.dst, id, d.protocol},
		piece{offset, d.length, d.data}, more)
	if !ok {
		return kept
	}
	d.data, d.length = whole.data, whole.length
	return r.carried(d, depth)
}

// add returns the whole datagram when p completes it: what was captured up to
// the first byte that was not, and its full length.
func (a *reassembly) add(now time.Time, key fragmentKey, p piece, more bool) (whole piece, complete bool) {
	e := a.waiting[key]
	if e != nil && now.Sub(e.Value.(*fragmented).since).Abs() > fragmentPatience {
		a.drop(e) // the id came round again
		e = nil
	}
	if e == nil {
		if a.waiting == nil {
			a.waiting = make(map[fragmentKey]*list.Element)
		}
		e = a.oldest.PushBack(&fragmented{key: key, since: now})
		a.waiting[key] = e
	}
	f := e.Value.(*fragmented)
	if f.ruined || !f.fits(p, more) {
		return piece{}, false
	}
	p.data = slices.Clone(p.data)
	a.bytes += len(p.data)
	f.place(p)
	if f.total > 0 && f.wire == f.total {
		a.drop(e)
		whole = piece{length: f.total}
		for _, q := range f.pieces {
			whole.data = append(whole.data, q.data...)
			if len(q.data) < q.length {
				break
			}
		}
		return whole, true
	}
	for a.bytes > MaxFragmentBytes || a.oldest.Len() > maxFragmented {
		a.drop(a.oldest.Front())
	}
	return piece{}, false
}

// fits counts the piece in unless it was there before or contradicts others;
// overlapping fragments have no honest use (RFC 5722).
func (f *fragmented) fits(p piece, more bool) bool {
	end := p.offset + p.length
	at, found := slices.BinarySearchFunc(f.pieces, p.offset, func(q piece, offset int) int { return q.offset - offset })
	switch {
	case found && f.pieces[at].length == p.length:
		return false // seen twice, as in captures of several interfaces
	case found,
		at > 0 && f.pieces[at-1].offset+f.pieces[at-1].length > p.offset,
		at < len(f.pieces) && end > f.pieces[at].offset,
		len(f.pieces) == maxPieces,
		f.total > 0 && (!more || end > f.total),
		!more && len(f.pieces) > at:
		f.ruined = true
		return false
	}
	if !more {
		f.total = end
	}
	f.wire += p.length
	return true
}

func (f *fragmented) place(p piece) {
	at, _ := slices.BinarySearchFunc(f.pieces, p.offset, func(q piece, offset int) int { return q.offset - offset })
	f.pieces = slices.Insert(f.pieces, at, p)
}

func (a *reassembly) drop(e *list.Element) {
	f := a.oldest.Remove(e).(*fragmented)
	delete(a.waiting, f.key)
	for _, p := range f.pieces {
		a.bytes -= len(p.data)
	}
}
