package arith

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// Append appends the packed list to b. Of all encodings it is the one of the
// old network's clients: lists share as many headers as they can, and the
// coded part is as short as it may be for any bytes to follow.
//
// Ids that descend are ErrOrder. Values that objlist's Append would cut or
// change (a NUL in a string, a number of more than 32 bits, an IPv6 Addr) are
// ErrValue, a list of more than MaxDepth is objlist.ErrTooDeep. After an error
// b is what it was. An object of no known Kind is a mistake of the program, and
// Append panics.
func Append(b []byte, l objlist.List) ([]byte, error) {
	w := writer{out: append(b, objlist.MagicPacked), width: 1 << window}
	for i := range w.levels {
		w.levels[i] = firstLevel
	}
	if err := w.list(l, 0); err != nil {
		return b, err
	}
	w.end()
	return appendRaw(w.out, l), nil
}

// writer writes one list.
type writer struct {
	out   []byte
	low   uint32 // start of the interval in the window; bit 31 is a carry into out
	width uint32 // of the interval

	levels [objlist.MaxDepth]level
}

// carry adds what ran over the window to the bytes before it. It ends at the
// first of them at the latest, since no interval reaches beyond 1.
func (w *writer) carry() {
	if w.low>>window == 0 {
		return
	}
	w.low &^= 1 << window
	for i := len(w.out) - 1; ; i-- {
		w.out[i]++
		if w.out[i] != 0 {
			return
		}
	}
}

// ready makes an interval that is too narrow wide enough for the next symbol.
func (w *writer) ready() {
	for w.width <= bottom {
		w.carry()
		w.out = append(w.out, byte(w.low>>(window-8)))
		w.low = w.low << 8 & (1<<window - 1)
		w.width <<= 8
	}
}

func (w *writer) symbol(t table, i int) {
	w.ready()
	unit := w.width >> scale
	low := uint32(t[i]) * unit
	w.low += low
	if i+2 == len(t) {
		w.width -= low
	} else {
		w.width = uint32(t[i+1])*unit - low
	}
}

// chunk writes n bits that are all alike, at most maxChunk.
func (w *writer) chunk(v uint32, n int) {
	w.ready()
	unit := w.width >> n
	w.low += v * unit
	if v == 1<<n-1 {
		w.width -= v * unit
	} else {
		w.width = unit
	}
}

func (w *writer) number(a *numeric, v uint32) {
	if v < uint32(a.direct) {
		w.symbol(a.table, int(v))
		return
	}
	n := bits.Len32(v)
	if s := n + a.offset; s < a.escape() {
		w.symbol(a.table, s)
	} else {
		w.symbol(a.table, a.escape())
		w.number(a, uint32(s-a.escape()))
	}
	v &^= 1 << (n - 1)
	for at := 0; at < n-1; at += maxChunk {
		k := min(n-1-at, maxChunk)
		w.chunk(v>>at&(1<<k-1), k)
	}
}

func (w *writer) list(l objlist.List, depth int) error {
	if depth == objlist.MaxDepth {
		return objlist.ErrTooDeep
	}
	lv := &w.levels[depth]
	var id uint32
	shared := 0
	if len(lv.last) > 0 {
		for shared < min(len(l), len(lv.last)) && l[shared].Kind == lv.last[shared].Kind && l[shared].ID == lv.last[shared].ID {
			shared++
		}
		w.number(&smalls, uint32(shared))
	}
	for i := range l {
		o := &l[i]
		if i < shared {
			lv.place(o.Kind)
		} else {
			if o.ID < id {
				return ErrOrder
			}
			w.header(lv.place(o.Kind), o.ID-id)
		}
		id = o.ID
		if err := w.value(o, depth); err != nil {
			return err
		}
	}
	w.symbol(headers, end)
	lv.last = l
	return nil
}

// header begins an object of the kind at that place, with an id that is step
// higher than the one before.
func (w *writer) header(place int, step uint32) {
	switch {
	case place > 0:
		w.symbol(headers, another+place)
		w.number(&smalls, step)
	case step < far-same:
		w.symbol(headers, same+int(step))
	default:
		w.symbol(headers, far)
		w.number(&smalls, step-(far-same))
	}
}

func (w *writer) value(o *objlist.Object, depth int) error {
	switch o.Kind {
	case objlist.KindNumber:
		if o.Num > math.MaxUint32 {
			return ErrValue
		}
		w.number(&values, uint32(o.Num))
	case objlist.KindUint64:
		w.number(&values, 8)
	case objlist.KindAddr:
		if o.Addr.Addr().Is6() {
			return ErrValue
		}
	case objlist.KindString:
		if bytes.IndexByte(o.Bytes, 0) >= 0 {
			return ErrValue
		}
		w.string(o.Bytes)
	case objlist.KindBlob:
		w.number(&values, uint32(len(o.Bytes)))
	case objlist.KindList:
		return w.list(o.List, depth+1)
	case objlist.KindNumbers:
		w.number(&values, uint32(len(o.Numbers)))
		for _, n := range o.Numbers {
			w.number(&values, n)
		}
	}
	return nil
}

func (w *writer) string(s []byte) {
	class := 0
	for _, c := range s {
		p := &places[c]
		w.symbol(next[class], p.class)
		class = p.class
		if pick[class] != nil {
			w.symbol(pick[class], p.index)
		}
	}
	w.symbol(next[class], end)
}

// end writes as many bytes of a number in the middle of the interval as say
// that any number that begins with them is in it.
func (w *writer) end() {
	w.low += w.width / 2
	w.carry()
	n := 1
	for n < 4 && w.width < 2<<(window-8*n) {
		n++
	}
	all := binary.BigEndian.AppendUint32(make([]byte, 0, 4), w.low<<1)
	w.out = append(w.out, all[:n]...)
}

// appendRaw appends the bytes that are not coded.
func appendRaw(b []byte, l objlist.List) []byte {
	for i := range l {
		o := &l[i]
		switch o.Kind {
		case objlist.KindUint64:
			b = binary.BigEndian.AppendUint64(b, o.Num)
		case objlist.KindAddr:
			var ip [4]byte
			if o.Addr.Addr().IsValid() {
				ip = o.Addr.Addr().As4()
			}
			b = binary.LittleEndian.AppendUint32(b, binary.BigEndian.Uint32(ip[:]))
			b = binary.LittleEndian.AppendUint16(b, o.Addr.Port())
		case objlist.KindBlob:
			b = append(b, o.Bytes...)
		case objlist.KindList:
			b = appendRaw(b, o.List)
		}
	}
	return b
}
