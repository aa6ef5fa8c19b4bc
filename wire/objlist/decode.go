package objlist

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// Parse reads exactly one list. Strings and blobs in it share b's memory.
func Parse(b []byte) (List, error) {
	var d Decoder
	l, rest, err := d.Decode(b)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, &SyntaxError{len(b) - len(rest), ErrTrailing}
	}
	return l, nil
}

// A Decoder reads lists into memory that it uses again, so that decoding
// allocates nothing once it has seen lists of the size. The zero value is
// ready. What it keeps is bounded by the largest list seen, whatever strangers
// send: that is why the memory is the Decoder's and not each nested List's.
type Decoder struct {
	objects []Object
	numbers []uint32
}

// Decode reads one list from the start of b and returns it with what follows.
// The list is good until the next Decode; strings and blobs share b's memory.
func (d *Decoder) Decode(b []byte) (l List, rest []byte, err error) {
	r := reader{b: b, left: MaxObjects, objects: d.objects[:0], numbers: d.numbers[:0]}
	l, err = r.list(1)
	d.objects, d.numbers = r.objects, r.numbers
	if err != nil {
		return nil, nil, &SyntaxError{r.pos, err}
	}
	return l, b[r.pos:], nil
}

// reader reads b from pos on; after an error pos is where it happened.
type reader struct {
	b       []byte
	pos     int
	left    int // objects that may still come
	objects []Object
	numbers []uint32
}

// carve takes n elements from the free capacity of from. When there is not
// enough, from becomes a larger piece; what was carved from the old one stays.
func carve[T any](from *[]T, n int) []T {
	if n == 0 {
		return nil
	}
	if cap(*from)-len(*from) < n {
		*from = make([]T, 0, max(n, 2*cap(*from)))
	}
	start, end := len(*from), len(*from)+n
	*from = (*from)[:end]
	return (*from)[start:end:end]
}

// minObject is the length of the shortest object: kind, id and one byte of value.
const minObject = 3

func (r *reader) list(depth int) (List, error) {
	if r.pos == len(r.b) {
		return nil, ErrTruncated
	}
	switch r.b[r.pos] {
	case Magic:
	case MagicPacked:
		return nil, ErrPacked
	default:
		return nil, ErrMagic
	}
	if depth > MaxDepth {
		return nil, ErrTooDeep
	}
	r.pos++
	start := r.pos
	count, err := r.count(minObject)
	if err != nil {
		return nil, err
	}
	if count > r.left {
		r.pos = start
		return nil, ErrTooMany
	}
	r.left -= count
	l := carve(&r.objects, count)
	for i := range l {
		if err := r.object(&l[i], depth); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (r *reader) object(o *Object, depth int) error {
	if r.pos == len(r.b) {
		return ErrTruncated
	}
	kind := Kind(r.b[r.pos])
	if kind > KindNumbers {
		return ErrKind
	}
	r.pos++
	id, err := r.uvarint()
	if err != nil {
		return err
	}
	*o = Object{ID: id, Kind: kind}
	switch kind {
	case KindNumber:
		v, err := r.uvarint()
		o.Num = uint64(v)
		return err
	case KindUint64:
		v, err := r.take(8, ErrTruncated)
		if err == nil {
			o.Num = binary.BigEndian.Uint64(v)
		}
		return err
	case KindAddr:
		v, err := r.take(6, ErrTruncated)
		if err == nil {
			o.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte(v)), binary.BigEndian.Uint16(v[4:]))
		}
		return err
	case KindString:
		n := bytes.IndexByte(r.b[r.pos:], 0)
		if n < 0 {
			return ErrTruncated
		}
		o.Bytes, _ = r.take(n, nil)
		r.pos++
		return nil
	case KindBlob:
		start := r.pos
		n, err := r.uvarint()
		if err != nil {
			return err
		}
		if uint64(n) > uint64(len(r.b)-r.pos) {
			r.pos = start
			return ErrLength
		}
		o.Bytes, err = r.take(int(n), nil)
		return err
	case KindList:
		o.List, err = r.list(depth + 1)
		return err
	default: // KindNumbers
		count, err := r.count(1)
		if err != nil {
			return err
		}
		o.Numbers = carve(&r.numbers, count)
		for i := range o.Numbers {
			if o.Numbers[i], err = r.uvarint(); err != nil {
				return err
			}
		}
		return nil
	}
}

// count reads how many things follow, of which each takes size bytes or more.
// The comparison is by division: a count times a size is what overflowed in
// the clients of 2006.
func (r *reader) count(size int) (int, error) {
	start := r.pos
	n, err := r.uvarint()
	if err != nil {
		return 0, err
	}
	if uint64(n) > uint64((len(r.b)-r.pos)/size) {
		r.pos = start
		return 0, ErrCount
	}
	return int(n), nil
}

func (r *reader) uvarint() (uint32, error) {
	v, n := Uvarint(r.b[r.pos:])
	switch {
	case n == 0:
		return 0, ErrTruncated
	case n < 0:
		return 0, ErrNumber
	}
	r.pos += n
	return v, nil
}

// take returns the next n bytes, which an append by their owner does not overwrite.
func (r *reader) take(n int, short error) ([]byte, error) {
	if n > len(r.b)-r.pos {
		return nil, short
	}
	v := r.b[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return v, nil
}
