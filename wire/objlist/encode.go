package objlist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Append appends the list to b.
//
// What the wire form cannot hold is cut: a string ends before its first NUL, a
// KindNumber has its low 32 bits. An IPv6 Addr is written as the constructor
// Addr would have made it. An object of no known Kind is a mistake of the
// program, and Append panics.
func (l List) Append(b []byte) []byte {
	b = append(b, Magic)
	b = binary.AppendUvarint(b, uint64(len(l)))
	for i := range l {
		b = l[i].append(b)
	}
	return b
}

func (o *Object) append(b []byte) []byte {
	if o.Kind == KindAddr && o.Addr.Addr().Is6() {
		fit := Addr(o.ID, o.Addr)
		o = &fit
	}
	b = append(b, byte(o.Kind))
	b = binary.AppendUvarint(b, uint64(o.ID))
	switch o.Kind {
	case KindNumber:
		return binary.AppendUvarint(b, uint64(uint32(o.Num)))
	case KindUint64:
		return binary.BigEndian.AppendUint64(b, o.Num)
	case KindAddr:
		return appendAddr(b, o.Addr)
	case KindString:
		s, _, _ := bytes.Cut(o.Bytes, []byte{0})
		return append(append(b, s...), 0)
	case KindBlob:
		b = binary.AppendUvarint(b, uint64(len(o.Bytes)))
		return append(b, o.Bytes...)
	case KindList:
		return o.List.Append(b)
	case KindNumbers:
		b = binary.AppendUvarint(b, uint64(len(o.Numbers)))
		for _, n := range o.Numbers {
			b = binary.AppendUvarint(b, uint64(n))
		}
		return b
	}
	panic(fmt.Sprintf("objlist: object %d/%X: %v", uint8(o.Kind), o.ID, ErrKind))
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	var ip [4]byte
	if a.Addr().IsValid() {
		ip = a.Addr().As4()
	}
	b = append(b, ip[:]...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}
