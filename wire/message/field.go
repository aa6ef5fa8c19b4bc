package message

import (
	"bytes"
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/linnet-p2p/linnet/wire/arith"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A FieldError says which field of a message does not fit.
type FieldError struct {
	Field string // as in "CallRequest.Call"
	Err   error  // ErrMissing, ErrTooLarge, ...
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }
func (e *FieldError) Unwrap() error { return e.Err }

// What can be wrong with a field, besides the errors of its own UnmarshalBinary.
var (
	ErrMissing  = errors.New("missing")
	ErrTooLarge = errors.New("number too large")
	ErrSize     = errors.New("wrong number of bytes")
	ErrUTF8     = errors.New("not UTF-8")
)

// A plan is what the tags of a struct say.
type plan struct {
	name     string
	fields   []field // by id, because a packed list wants ids that rise
	required uint64  // a bit for each of fields
}

const maxFields = 64 // bits of plan.required

type field struct {
	name     string
	index    int // in the struct
	kind     objlist.Kind
	id       uint32
	opt      bool
	pointer  bool
	repeated bool
	sub      *plan // of a nested list
	form
}

// A form is how one Go value becomes one object. get fills a zero value, and
// leaves it zero for a value that is as good as absent.
type form struct {
	put func(id uint32, v reflect.Value) objlist.Object
	get func(o *objlist.Object, v reflect.Value) error
}

// plans remembers planOf: a pure function, so the cache cannot be seen.
var plans sync.Map // of reflect.Type to *plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p, err := newPlan(t, 1)
	if err != nil {
		panic(fmt.Sprintf("message: %v", err))
	}
	plans.Store(t, p)
	return p
}

func newPlan(t reflect.Type, depth int) (*plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is not a struct", t)
	}
	if depth > objlist.MaxDepth {
		return nil, fmt.Errorf("%v is nested more than %d deep", t, objlist.MaxDepth)
	}
	p := &plan{name: t.Name()}
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("obj")
		if !ok {
			continue
		}
		f, err := newField(t.Field(i), tag, depth)
		if err != nil {
			return nil, fmt.Errorf("%v.%s `obj:%q`: %w", t, t.Field(i).Name, tag, err)
		}
		for _, g := range p.fields {
			if f.takes(g.kind, g.id) || g.takes(f.kind, f.id) {
				return nil, fmt.Errorf("%v: %s and %s cannot be told apart", t, g.name, f.name)
			}
		}
		p.fields = append(p.fields, f)
	}
	if len(p.fields) > maxFields {
		return nil, fmt.Errorf("%v has more than %d fields", t, maxFields)
	}
	slices.SortStableFunc(p.fields, func(a, b field) int { return cmp.Compare(a.id, b.id) })
	for i := range p.fields {
		if !p.fields[i].opt {
			p.required |= 1 << i
		}
	}
	return p, nil
}

func newField(sf reflect.StructField, tag string, depth int) (f field, err error) {
	tag, option, hasOption := strings.Cut(tag, ",")
	kind, id, ok := strings.Cut(tag, "/")
	k, err1 := strconv.ParseUint(kind, 10, 8)
	n, err2 := strconv.ParseUint(id, 16, 32)
	if !ok || err1 != nil || err2 != nil || hasOption && option != "opt" || k > uint64(objlist.KindNumbers) {
		return f, errors.New("want kind/id, the id in hexadecimal, and perhaps ,opt")
	}
	if !sf.IsExported() {
		return f, errors.New("not exported")
	}
	f = field{name: sf.Name, index: sf.Index[0], kind: objlist.Kind(k), id: uint32(n), opt: hasOption}

	t := sf.Type
	if t.Kind() == reflect.Pointer {
		if !f.opt {
			return f, errors.New("a pointer is nil where the field is missing: it has to be ,opt")
		}
		f.pointer, t = true, t.Elem()
	}
	if _, ok := formOf(f.kind, t); !ok && !f.pointer && t.Kind() == reflect.Slice {
		f.repeated, t = true, t.Elem()
	}
	if f.form, ok = formOf(f.kind, t); !ok {
		return f, fmt.Errorf("%v cannot be a %v", t, f.kind)
	}
	if f.kind == objlist.KindList {
		if f.sub, err = newPlan(t, depth+1); err != nil {
			return f, err
		}
		f.form = nestedForm(f.sub)
	}
	return f, nil
}

// takes says whether an object of that kind and id is for this field.
func (f *field) takes(k objlist.Kind, id uint32) bool {
	return f.id == id && (f.kind == k || f.kind == objlist.KindAddr && k == objlist.KindBlob)
}

// list is the list of the struct v.
func (p *plan) list(v reflect.Value) objlist.List {
	l := make(objlist.List, 0, len(p.fields))
	for i := range p.fields {
		f := &p.fields[i]
		fv := v.Field(f.index)
		switch {
		case f.repeated:
			for j := range fv.Len() {
				l = append(l, f.put(f.id, fv.Index(j)))
			}
		case f.opt && (fv.IsZero() || fv.Kind() == reflect.Slice && fv.Len() == 0):
		case f.pointer:
			l = append(l, f.put(f.id, fv.Elem()))
		default:
			l = append(l, f.put(f.id, fv))
		}
	}
	return l
}

// fill sets the struct v from l. Objects that no field takes are skipped. Of an
// id that comes more often than its field can hold, the first one counts.
func (p *plan) fill(v reflect.Value, l objlist.List) error {
	var seen uint64
	for i := range p.fields {
		v.Field(p.fields[i].index).SetZero()
	}
	for i := range l {
		o := &l[i]
		n := slices.IndexFunc(p.fields, func(f field) bool { return f.takes(o.Kind, o.ID) })
		if n < 0 {
			continue
		}
		f, bit := &p.fields[n], uint64(1)<<n
		fv := v.Field(f.index)
		switch {
		case f.repeated:
			fv.Grow(1)
			fv.SetLen(fv.Len() + 1)
			fv = fv.Index(fv.Len() - 1)
		case seen&bit != 0:
			continue
		case f.pointer:
			fv.Set(reflect.New(fv.Type().Elem()))
			fv = fv.Elem()
		}
		seen |= bit
		if err := f.get(o, fv); err != nil {
			var inner *FieldError // already says where
			if errors.As(err, &inner) {
				return err
			}
			return p.wrong(f, err)
		}
	}
	if missing := p.required &^ seen; missing != 0 {
		for i := range p.fields {
			if missing&(1<<i) != 0 {
				return p.wrong(&p.fields[i], ErrMissing)
			}
		}
	}
	return nil
}

func (p *plan) wrong(f *field, err error) error { return &FieldError{p.name + "." + f.name, err} }

// A decoder reads lists of both forms.
type decoder struct {
	objlist.Decoder
	packed arith.Decoder
}

// plain reads exactly one list that is not packed.
func (d *decoder) plain(b []byte) (objlist.List, error) {
	l, rest, err := d.Decode(b)
	if err == nil && len(rest) > 0 {
		err = &objlist.SyntaxError{Offset: len(b) - len(rest), Err: objlist.ErrTrailing}
	}
	return l, err
}

// either reads exactly one list, packed or not.
func (d *decoder) either(b []byte) (objlist.List, error) {
	if len(b) > 0 && b[0] == objlist.MagicPacked {
		return d.packed.Decode(b)
	}
	return d.plain(b)
}

// decoders are used again: nothing of a message stays in one.
var decoders = sync.Pool{New: func() any { return new(decoder) }}

func unmarshal(b []byte, v reflect.Value, decode func(*decoder, []byte) (objlist.List, error)) error {
	p := planOf(v.Type())
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	// One copy for all blobs of the message; b may be a buffer of a socket.
	l, err := decode(d, bytes.Clone(b))
	if err != nil {
		return err
	}
	return p.fill(v, l)
}

var (
	addrPort    = reflect.TypeFor[netip.AddrPort]()
	numbers     = reflect.TypeFor[[]uint32]()
	appender    = reflect.TypeFor[encoding.BinaryAppender]()
	unmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
)

// formOf is how a value of type t is an object of kind k, if it can be one.
func formOf(k objlist.Kind, t reflect.Type) (f form, ok bool) {
	isBytes := (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && t.Elem().Kind() == reflect.Uint8
	switch k {
	case objlist.KindNumber:
		switch t.Kind() {
		case reflect.Bool:
			return form{putBool, getBool}, true
		case reflect.Uint8, reflect.Uint16, reflect.Uint32:
			return form{putNumber, getNumber}, true
		}
	case objlist.KindUint64:
		return form{putUint64, getUint64}, t.Kind() == reflect.Uint64
	case objlist.KindAddr:
		return form{putAddr, getAddr}, t == addrPort
	case objlist.KindString:
		return form{putString, getString}, t.Kind() == reflect.String
	case objlist.KindBlob:
		switch {
		case t.Implements(appender) && reflect.PointerTo(t).Implements(unmarshaler):
			return form{putBinary, getBinary}, true
		case isBytes && t.Kind() == reflect.Array:
			return form{putBytes, getArray}, true
		case isBytes:
			return form{putBytes, getBytes}, true
		}
	case objlist.KindList:
		return form{}, t.Kind() == reflect.Struct // see nestedForm
	case objlist.KindNumbers:
		return form{putNumbers, getNumbers}, t == numbers
	}
	return form{}, false
}

func putBool(id uint32, v reflect.Value) objlist.Object {
	if v.Bool() {
		return objlist.Number(id, 1)
	}
	return objlist.Number(id, 0)
}

func getBool(o *objlist.Object, v reflect.Value) error {
	if o.Num > 1 {
		return ErrTooLarge
	}
	v.SetBool(o.Num == 1)
	return nil
}

func putNumber(id uint32, v reflect.Value) objlist.Object {
	return objlist.Number(id, uint32(v.Uint()))
}

func getNumber(o *objlist.Object, v reflect.Value) error {
	if v.OverflowUint(o.Num) {
		return ErrTooLarge
	}
	v.SetUint(o.Num)
	return nil
}

func putUint64(id uint32, v reflect.Value) objlist.Object { return objlist.Uint64(id, v.Uint()) }

func getUint64(o *objlist.Object, v reflect.Value) error {
	v.SetUint(o.Num)
	return nil
}

func putAddr(id uint32, v reflect.Value) objlist.Object {
	return objlist.Addr(id, *v.Addr().Interface().(*netip.AddrPort))
}

func getAddr(o *objlist.Object, v reflect.Value) error {
	a, ok := o.Endpoint()
	if !ok {
		return ErrSize
	}
	// 0.0.0.0:0 says "not known" on the wire, as the zero AddrPort does in Go.
	if a != netip.AddrPortFrom(netip.IPv4Unspecified(), 0) {
		*v.Addr().Interface().(*netip.AddrPort) = a
	}
	return nil
}

func putString(id uint32, v reflect.Value) objlist.Object {
	return objlist.String(id, strings.ToValidUTF8(v.String(), "\uFFFD"))
}

func getString(o *objlist.Object, v reflect.Value) error {
	if !utf8.Valid(o.Bytes) {
		return ErrUTF8
	}
	v.SetString(string(o.Bytes))
	return nil
}

func putBytes(id uint32, v reflect.Value) objlist.Object { return objlist.Blob(id, v.Bytes()) }

func getBytes(o *objlist.Object, v reflect.Value) error {
	if len(o.Bytes) > 0 {
		v.SetBytes(o.Bytes)
	}
	return nil
}

func getArray(o *objlist.Object, v reflect.Value) error {
	if len(o.Bytes) != v.Len() {
		return fmt.Errorf("%w: %d, want %d", ErrSize, len(o.Bytes), v.Len())
	}
	copy(v.Bytes(), o.Bytes)
	return nil
}

// putBinary panics on a value that is not fit to be sent: only the program
// itself can have made it.
func putBinary(id uint32, v reflect.Value) objlist.Object {
	b, err := v.Interface().(encoding.BinaryAppender).AppendBinary(nil)
	if err != nil {
		panic(fmt.Sprintf("message: %v: %v", v.Type(), err))
	}
	return objlist.Blob(id, b)
}

func getBinary(o *objlist.Object, v reflect.Value) error {
	return v.Addr().Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary(o.Bytes)
}

func nestedForm(p *plan) form {
	return form{
		func(id uint32, v reflect.Value) objlist.Object { return objlist.Nested(id, p.list(v)) },
		func(o *objlist.Object, v reflect.Value) error { return p.fill(v, o.List) },
	}
}

func putNumbers(id uint32, v reflect.Value) objlist.Object {
	return objlist.Numbers(id, v.Interface().([]uint32))
}

func getNumbers(o *objlist.Object, v reflect.Value) error {
	if len(o.Numbers) > 0 {
		v.Set(reflect.ValueOf(slices.Clone(o.Numbers)))
	}
	return nil
}
