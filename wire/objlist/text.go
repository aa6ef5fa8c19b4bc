package objlist

import (
	"fmt"
	"strings"
)

// String is the notation of the documented captures, for people and tests:
// kind/id=value with the id in hexadecimal, as in
//
//	{0/4=16, 1/D=x6b74b3cf2b9e97cb, 2/11=192.0.2.7:33033, 3/0="echo123", 5/6={0/0=1}, 6/1=[16,11]}
func (l List) String() string {
	var b strings.Builder
	l.write(&b)
	return b.String()
}

// String is the notation of List.String for one object.
func (o Object) String() string {
	var b strings.Builder
	o.write(&b)
	return b.String()
}

func (l List) write(b *strings.Builder) {
	b.WriteByte('{')
	for i := range l {
		if i > 0 {
			b.WriteString(", ")
		}
		l[i].write(b)
	}
	b.WriteByte('}')
}

func (o *Object) write(b *strings.Builder) {
	fmt.Fprintf(b, "%d/%X=", uint8(o.Kind), o.ID)
	switch o.Kind {
	case KindNumber:
		fmt.Fprint(b, uint32(o.Num))
	case KindUint64:
		fmt.Fprintf(b, "x%016x", o.Num)
	case KindAddr:
		b.WriteString(o.Addr.String())
	case KindString:
		fmt.Fprintf(b, "%q", o.Bytes)
	case KindBlob:
		fmt.Fprintf(b, "x%x", o.Bytes)
	case KindList:
		o.List.write(b)
	case KindNumbers:
		b.WriteByte('[')
		for i, n := range o.Numbers {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprint(b, n)
		}
		b.WriteByte(']')
	}
}
