package dissect

import (
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet/wire/arith"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// ParseList reads exactly one object list, plain (0x41) or packed (0x42). An
// error is an *objlist.SyntaxError.
func ParseList(b []byte) (objlist.List, error) {
	if len(b) > 0 && b[0] == objlist.MagicPacked {
		return arith.Parse(b)
	}
	return objlist.Parse(b)
}

// A Field is one object of a list.
type Field struct {
	Object string  `json:"object"`           // kind/id, the id in hexadecimal
	Name   string  `json:"name,omitempty"`   // as in docs/protocol.md, where the command is known
	Value  any     `json:"value,omitempty"`  // number, []number, or text in the notation of objlist
	Fields []Field `json:"fields,omitempty"` // of a list, or of a blob that is a list itself

	blob int    // bytes of one
	text string // the value as people see it
}

// Bounds of lists in blobs, which are read as far as they go.
const (
	maxInner  = 4    // within one another
	maxFields = 4096 // in all of a command
)

// Fields explains a list of which nobody says what its objects mean.
func Fields(l objlist.List) []Field { return new(fieldReader).list(l, nil, 0) }

// fieldsOf explains a list. names are those of the command that it is of, where
// that is known. Blobs that are lists themselves are read on.
func fieldsOf(l objlist.List, names []message.Field) []Field {
	r := fieldReader{left: maxFields}
	return r.list(l, names, maxInner)
}

// fieldReader counts what is read of lists in blobs.
type fieldReader struct{ left int }

func (r *fieldReader) list(l objlist.List, names []message.Field, inner int) []Field {
	fields := make([]Field, len(l))
	for i := range l {
		fields[i] = r.field(&l[i], names, inner)
	}
	return fields
}

func (r *fieldReader) field(o *objlist.Object, names []message.Field, inner int) Field {
	f := Field{Object: fmt.Sprintf("%d/%X", uint8(o.Kind), o.ID)}
	known := message.FieldOf(names, o)
	if known == nil {
		known = new(message.Field)
	}
	f.Name = known.Name
	switch o.Kind {
	case objlist.KindNumber:
		f.Value, f.text = uint32(o.Num), fmt.Sprint(uint32(o.Num))
	case objlist.KindNumbers:
		f.Value = append([]uint32{}, o.Numbers...)
		f.text = fmt.Sprint(o.Numbers)
	case objlist.KindString:
		f.Value, f.text = string(o.Bytes), fmt.Sprintf("%q", o.Bytes)
	case objlist.KindUint64:
		f.text = fmt.Sprintf("x%016x", o.Num)
	case objlist.KindAddr:
		f.text = o.Addr.String()
	case objlist.KindList:
		f.Fields = r.list(o.List, known.Fields, inner)
	case objlist.KindBlob:
		f.blob, f.text = len(o.Bytes), fmt.Sprintf("x%x", o.Bytes)
		if addr, ok := o.Endpoint(); ok && known.Kind == objlist.KindAddr {
			f.blob, f.text = 0, addr.String()
		} else if inner > 0 && r.left > 0 {
			f.Fields = r.blob(o.Bytes, inner-1)
		}
	}
	if f.Value == nil && f.text != "" {
		f.Value = f.text
	}
	return f
}

// blob explains a blob that is a list, and nothing of others.
func (r *fieldReader) blob(b []byte, inner int) []Field {
	l, err := ParseList(b)
	if err != nil || len(l) == 0 {
		return nil
	}
	r.left -= len(l)
	return r.list(l, nil, inner)
}

// Reason is what a person wants to know of a list that cannot be read.
func Reason(err error) string {
	if e, ok := errors.AsType[*objlist.SyntaxError](err); ok {
		return fmt.Sprintf("byte %d: %v", e.Offset, e.Err)
	}
	return err.Error()
}
