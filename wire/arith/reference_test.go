package arith

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"slices"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// reference packs a list as section 4 of docs/protocol.md defines it: with an
// interval of any precision, and nothing of the package but its tables.
func reference(l objlist.List) []byte {
	r := newRefCoder()
	r.list(l, 0)
	return append(r.end(), r.raw...)
}

func newRefCoder() *refCoder {
	return &refCoder{low: new(big.Int), width: 1 << 31, total: 31, kinds: make(map[int][]int), before: make(map[int]objlist.List)}
}

// end is the shortest number that is deep enough in the interval.
func (r *refCoder) end() []byte {
	n := 1 // bytes
	for new(big.Int).Lsh(big.NewInt(int64(r.width)), uint(8*n)).Cmp(new(big.Int).Lsh(big.NewInt(2), r.total)) < 0 {
		n++
	}
	middle := r.low.Add(r.low, big.NewInt(int64(r.width/2)))
	middle.Rsh(middle.Lsh(middle, uint(8*n)), r.total)
	return middle.FillBytes(make([]byte, n))
}

type refCoder struct {
	low    *big.Int // of total bits
	width  uint64
	total  uint
	raw    []byte
	kinds  map[int][]int // by depth
	before map[int]objlist.List
}

// narrow takes the part from from to to of 1<<n equal ones; what division left
// over is in the last one.
func (r *refCoder) narrow(from, to uint64, n uint) {
	for r.width <= 1<<23 {
		r.low.Lsh(r.low, 8)
		r.width <<= 8
		r.total += 8
	}
	unit := r.width >> n
	r.low.Add(r.low, new(big.Int).SetUint64(from*unit))
	if to == 1<<n {
		r.width -= from * unit
	} else {
		r.width = (to - from) * unit
	}
}

func (r *refCoder) symbol(t table, s int) { r.narrow(uint64(t[s]), uint64(t[s+1]), 12) }

// low bits of v, 16 at a time.
func (r *refCoder) bits(v uint32, n int) {
	for ; n > 0; n -= 16 {
		k := uint(min(n, 16))
		part := uint64(v & (1<<k - 1))
		r.narrow(part, part+1, k)
		v >>= k
	}
}

func (r *refCoder) value(v uint32) {
	n := bits.Len32(v)
	switch {
	case n < 2:
		r.symbol(values.table, int(v))
	case n < 16:
		r.symbol(values.table, n)
		r.bits(v, n-1)
	default:
		r.symbol(values.table, 16)
		r.value(uint32(n - 16))
		r.bits(v, n-1)
	}
}

func (r *refCoder) small(v uint32) {
	n := bits.Len32(v)
	switch {
	case v < 4:
		r.symbol(smalls.table, int(v))
	case n < 7:
		r.symbol(smalls.table, n+1)
		r.bits(v, n-1)
	default:
		r.symbol(smalls.table, 8)
		r.small(uint32(n - 7))
		r.bits(v, n-1)
	}
}

func (r *refCoder) list(l objlist.List, depth int) {
	if r.kinds[depth] == nil {
		r.kinds[depth] = []int{0, 4, 3, 5, 2, 6, 1}
	}
	shared := 0
	if before := r.before[depth]; len(before) > 0 {
		for shared < len(l) && shared < len(before) && l[shared].ID == before[shared].ID && l[shared].Kind == before[shared].Kind {
			shared++
		}
		r.small(uint32(shared))
	}
	id := uint32(0)
	for i, o := range l {
		at := slices.Index(r.kinds[depth], int(o.Kind))
		r.kinds[depth] = slices.Insert(slices.Delete(r.kinds[depth], at, at+1), 0, int(o.Kind))
		step := o.ID - id
		switch {
		case i < shared:
		case at > 0:
			r.symbol(headers, 6+at)
			r.small(step)
		case step < 5:
			r.symbol(headers, 1+int(step))
		default:
			r.symbol(headers, 6)
			r.small(step - 5)
		}
		id = o.ID
		r.object(o, depth)
	}
	r.symbol(headers, 0)
	r.before[depth] = l
}

func (r *refCoder) object(o objlist.Object, depth int) {
	switch o.Kind {
	case objlist.KindNumber:
		r.value(uint32(o.Num))
	case objlist.KindUint64:
		r.value(8)
		r.raw = binary.BigEndian.AppendUint64(r.raw, o.Num)
	case objlist.KindAddr:
		ip := o.Addr.Addr().As4()
		slices.Reverse(ip[:])
		r.raw = append(r.raw, ip[:]...)
		r.raw = append(r.raw, byte(o.Addr.Port()), byte(o.Addr.Port()>>8))
	case objlist.KindString:
		before := 0
		for _, c := range append(slices.Clone(o.Bytes), 0) {
			class := slices.IndexFunc(classes[:], func(s string) bool { return slices.Contains([]byte(s), c) })
			class = max(class, 0) // NUL is in none
			r.symbol(next[before], class)
			if class != 0 && class != 7 {
				r.symbol(pick[class], slices.Index([]byte(classes[class]), c))
			}
			before = class
		}
	case objlist.KindBlob:
		r.value(uint32(len(o.Bytes)))
		r.raw = append(r.raw, o.Bytes...)
	case objlist.KindList:
		r.list(o.List, depth+1)
	case objlist.KindNumbers:
		r.value(uint32(len(o.Numbers)))
		for _, n := range o.Numbers {
			r.value(n)
		}
	}
}
