package arith

import (
	"encoding/binary"
	"net/netip"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// Parse reads exactly one packed list. Blobs in it share b's memory.
func Parse(b []byte) (objlist.List, error) {
	return new(Decoder).Decode(b)
}

// A Decoder reads packed lists into memory that it uses again, so that decoding
// allocates nothing once it has seen lists of the size. The zero value is ready.
type Decoder struct {
	objects []objlist.Object // of lists that are complete
	open    []objlist.Object // of lists that are not, the outermost first
	numbers []uint32
	text    []byte
}

// Decode reads exactly one list, from the magic byte to the end of b. The list
// is good until the next Decode; blobs share b's memory.
//
// Encodings other than Append's are read as well, ids that run over 32 bits
// included: then a lower one follows. An error is an *objlist.SyntaxError. Its
// offset is that of the coded byte where the coder stood; bytes are no borders
// between values.
func (d *Decoder) Decode(b []byte) (objlist.List, error) {
	switch {
	case len(b) == 0:
		return nil, &objlist.SyntaxError{Offset: 0, Err: objlist.ErrTruncated}
	case b[0] != objlist.MagicPacked:
		return nil, &objlist.SyntaxError{Offset: 0, Err: objlist.ErrMagic}
	}
	d.objects, d.open, d.numbers, d.text = d.objects[:0], d.open[:0], d.numbers[:0], d.text[:0]
	r := reader{Decoder: d, in: b[1:], left: objlist.MaxObjects, width: 1 << window}
	r.value = r.bits31()
	for i := range r.levels {
		r.levels[i] = firstLevel
	}
	if len(r.in) == 0 {
		r.fail(objlist.ErrTruncated)
	}
	l := r.list(0)
	r.end()
	if r.err != nil {
		return nil, &objlist.SyntaxError{Offset: 1 + r.pos, Err: r.err}
	}
	fill(l, r.in[len(r.in)-r.raw:])
	return l, nil
}

// reader reads one list. After an error every symbol is 0, which ends lists and
// strings.
type reader struct {
	*Decoder
	in    []byte // without the magic
	pos   int    // of the first byte in the window
	raw   int    // raw bytes of the objects so far
	left  int    // objects that may still come
	value uint32 // how far the fraction is above the start of the interval
	width uint32 // of the interval
	err   error  // the first one

	levels [objlist.MaxDepth]level
}

// fail notes the first error. What bytes past the end would have to decide is
// no other error than that they are missing.
func (r *reader) fail(err error) {
	if r.err != nil {
		return
	}
	if err == objlist.ErrTruncated || !r.decided() {
		err, r.pos = objlist.ErrTruncated, len(r.in)
	}
	r.err, r.width = err, 0 // no symbol passes ready any more
}

// decided says whether the coded bytes decide all that was read, whatever
// follows them.
func (r *reader) decided() bool {
	open := uint32(1) << max(window-8*(r.spare()+1), 0) // fractions in the window that begin like the input
	first := r.bits31() & (open - 1)                    // the lowest of them is so much lower than value
	return r.value >= first && r.width-(r.value-first) >= open
}

// bits31 is the window at pos. Past the end of the input all bits are zero.
func (r *reader) bits31() uint32 {
	var b [4]byte
	copy(b[:], r.in[min(r.pos, len(r.in)):])
	return binary.BigEndian.Uint32(b[:]) >> 1
}

// spare is how many bytes are neither known to be coded ones nor raw.
func (r *reader) spare() int { return len(r.in) - r.raw - r.pos - 1 }

// ready makes an interval that is too narrow wide enough for the next symbol.
func (r *reader) ready() bool {
	for r.err == nil && r.width <= bottom {
		if r.spare() == 0 {
			r.fail(objlist.ErrTruncated)
			break
		}
		r.pos++
		r.value = r.value<<8 | r.bits31()&0xff
		r.width <<= 8
	}
	return r.err == nil
}

func (r *reader) symbol(t table) int {
	if r.width <= bottom && !r.ready() {
		return 0
	}
	unit := r.width >> scale
	q := min(r.value/unit, 1<<scale-1)
	i := 0
	for uint32(t[i+1]) <= q {
		i++
	}
	low := uint32(t[i]) * unit
	r.value -= low
	if i+2 == len(t) {
		r.width -= low
	} else {
		r.width = uint32(t[i+1])*unit - low
	}
	return i
}

// chunk reads n bits that are all alike, at most maxChunk.
func (r *reader) chunk(n int) uint32 {
	if r.width <= bottom && !r.ready() {
		return 0
	}
	unit := r.width >> n
	q := min(r.value/unit, 1<<n-1)
	r.value -= q * unit
	if q == 1<<n-1 {
		r.width -= q * unit
	} else {
		r.width = unit
	}
	return q
}

// number reads a number of at most 32 bits.
func (r *reader) number(a *numeric) uint32 {
	s := r.symbol(a.table)
	if s != a.escape() {
		return r.rest(a, s)
	}
	bits := uint32(a.escape() - a.offset)
	s = r.symbol(a.table)
	if s == a.escape() {
		r.fail(objlist.ErrNumber)
		return 0
	}
	bits += r.rest(a, s)
	if bits > 32 {
		r.fail(objlist.ErrNumber)
		return 0
	}
	return r.below(int(bits))
}

// rest is the number that begins with the symbol s.
func (r *reader) rest(a *numeric, s int) uint32 {
	if s < a.direct {
		return uint32(s)
	}
	return r.below(s - a.offset)
}

// below reads what is below the highest bit of a number of so many bits.
func (r *reader) below(bits int) uint32 {
	v := uint32(1) << (bits - 1)
	for at := 0; at < bits-1; at += maxChunk {
		v |= r.chunk(min(bits-1-at, maxChunk)) << at
	}
	return v
}

func (r *reader) list(depth int) objlist.List {
	if depth == objlist.MaxDepth {
		r.fail(objlist.ErrTooDeep)
		return nil
	}
	lv, start := &r.levels[depth], len(r.open)
	var id uint32
	if len(lv.last) > 0 {
		shared := r.number(&smalls)
		if uint64(shared) > uint64(len(lv.last)) {
			r.fail(ErrShared)
			return nil
		}
		for i := range lv.last[:shared] {
			kind := lv.last[i].Kind
			id = lv.last[i].ID
			lv.place(kind)
			r.object(kind, id, depth)
		}
	}
	for {
		s := r.symbol(headers)
		if s == end {
			break
		}
		switch {
		case s < far:
			id += uint32(s - same)
		case s == far:
			id += far - same + r.number(&smalls)
		default:
			lv.place(lv.kinds[s-another])
			id += r.number(&smalls)
		}
		r.object(lv.kinds[0], id, depth)
	}
	l := r.complete(start)
	lv.last = l
	return l
}

// complete makes a list of the open objects from start on.
func (r *reader) complete(start int) objlist.List {
	open := r.open[start:]
	r.open = r.open[:start]
	if len(open) == 0 {
		return nil
	}
	at := len(r.objects)
	r.objects = append(r.objects, open...)
	return r.objects[at:len(r.objects):len(r.objects)]
}

func (r *reader) object(kind objlist.Kind, id uint32, depth int) {
	if r.left == 0 {
		r.fail(objlist.ErrTooMany)
	}
	if r.err != nil {
		return
	}
	r.left--
	o := objlist.Object{ID: id, Kind: kind}
	switch kind {
	case objlist.KindNumber:
		o.Num = uint64(r.number(&values))
	case objlist.KindUint64:
		if r.number(&values) != 8 {
			r.fail(objlist.ErrLength)
		}
		r.skip(8, objlist.ErrTruncated)
	case objlist.KindAddr:
		r.skip(addrSize, objlist.ErrTruncated)
	case objlist.KindString:
		o.Bytes = r.string()
	case objlist.KindBlob:
		o.Num = uint64(r.number(&values)) // see fill
		r.skip(o.Num, objlist.ErrLength)
	case objlist.KindList:
		o.List = r.list(depth + 1)
	case objlist.KindNumbers:
		o.Numbers = r.many()
	}
	r.open = append(r.open, o)
}

const addrSize = 4 + 2

// skip notes that n raw bytes belong to an object.
func (r *reader) skip(n uint64, short error) {
	if n > uint64(r.spare()) {
		r.fail(short)
		return
	}
	r.raw += int(n)
}

func (r *reader) string() []byte {
	if r.text == nil {
		r.text = make([]byte, 0, 64)
	}
	start, class := len(r.text), 0
	for {
		class = r.symbol(next[class])
		if class == end {
			return r.text[start:len(r.text):len(r.text)]
		}
		i := 0
		if pick[class] != nil {
			i = r.symbol(pick[class])
		}
		r.text = append(r.text, classes[class][i])
	}
}

func (r *reader) many() []uint32 {
	count := r.number(&values)
	if uint64(count) > 8*uint64(len(r.in)-r.pos) {
		r.fail(objlist.ErrCount)
	}
	if count == 0 || r.err != nil {
		return nil
	}
	start := len(r.numbers)
	for range count {
		r.numbers = append(r.numbers, r.number(&values))
		if r.err != nil {
			return nil
		}
	}
	return r.numbers[start:len(r.numbers):len(r.numbers)]
}

// end checks that the coded bytes decide the list, and that each was read.
func (r *reader) end() {
	switch {
	case r.err != nil:
	case r.spare() >= 4:
		r.pos += 4
		r.err = objlist.ErrTrailing
	case !r.decided():
		r.fail(objlist.ErrTruncated)
	}
}

// fill gives the objects of l and below their raw bytes, and returns the rest.
func fill(l objlist.List, raw []byte) []byte {
	for i := range l {
		o := &l[i]
		switch o.Kind {
		case objlist.KindUint64:
			o.Num = binary.BigEndian.Uint64(raw)
			raw = raw[8:]
		case objlist.KindAddr:
			var ip [4]byte
			binary.BigEndian.PutUint32(ip[:], binary.LittleEndian.Uint32(raw))
			o.Addr = netip.AddrPortFrom(netip.AddrFrom4(ip), binary.LittleEndian.Uint16(raw[4:]))
			raw = raw[addrSize:]
		case objlist.KindBlob:
			n := o.Num
			o.Num, o.Bytes = 0, raw[:n:n]
			raw = raw[n:]
		case objlist.KindList:
			raw = fill(o.List, raw)
		}
	}
	return raw
}
