package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"

	"github.com/linnet-p2p/linnet/wire/arith"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A Command is a message on its way.
type Command struct {
	ID   uint16 // of the request, the same in its reply; 0 for one-way commands
	Body Message
}

// Why a command is refused. A list that is none is an *objlist.SyntaxError, a
// field that does not fit a *FieldError.
var (
	ErrTruncated = errors.New("the command ends too early")
	ErrUnknown   = errors.New("no such command")
	ErrCarrier   = errors.New("this command may not travel here")
	ErrKind      = errors.New("request, reply or one-way: not what this command is")
)

// commands is Table by command word and by type of struct. It is made once, so that
// a broken Table stops every program and test at its start.
var commands = indexTable(Table)

type index struct {
	byWord map[uint32]*Spec
	byType map[reflect.Type]*Spec
}

func indexTable(table []Spec) index {
	x := index{make(map[uint32]*Spec), make(map[reflect.Type]*Spec)}
	for _, s := range table {
		t := reflect.TypeOf(s.Body).Elem()
		if x.byWord[s.word()] != nil || x.byType[t] != nil {
			panic(fmt.Sprintf("message: Table has two lines for %d as a %v or for %v", s.Number, s.Kind, t))
		}
		planOf(t)
		x.byWord[s.word()], x.byType[t] = &s, &s
	}
	return x
}

// SpecOf is the line of Table for m, or nil if m is no command.
func SpecOf(m Message) *Spec {
	t := reflect.TypeOf(m)
	if t == nil || t.Kind() != reflect.Pointer {
		return nil
	}
	return commands.byType[t.Elem()]
}

// Append appends one command to b, with the list in the shorter of its two
// forms. A Body that is not in Table is a mistake of the program, and Append
// panics.
func Append(b []byte, c Command) []byte { return appendCommand(b, c) }

// AppendPadded is Append with n bytes more that mean nothing, and their header.
func AppendPadded(b []byte, c Command, n int) []byte {
	return appendCommand(b, c, objlist.Blob(junk, make([]byte, n)))
}

// junk is the id of an object of no meaning, as the old network's clients put
// into what they sent.
const junk = 0xefef

func appendCommand(b []byte, c Command, more ...objlist.Object) []byte {
	spec := SpecOf(c.Body)
	if spec == nil {
		panic(fmt.Sprintf("message: %T is not in Table", c.Body))
	}
	list := shorter(append(listOf(c.Body), more...))
	length := len(list)
	if spec.Kind != OneWay {
		length += idSize
	}
	b = binary.AppendUvarint(b, uint64(length))
	b = binary.AppendUvarint(b, uint64(spec.word()))
	if spec.Kind != OneWay {
		b = binary.BigEndian.AppendUint16(b, c.ID)
	}
	return append(b, list...)
}

const (
	idSize   = 2
	kindBits = 3 // of the command word
	kindMask = 1<<kindBits - 1
)

// word is what stands on the wire for number and kind.
func (s *Spec) word() uint32 { return uint32(s.Number)<<kindBits | uint32(s.Kind) }

// known says whether Table has the number with any kind.
func (x index) known(number uint32) bool {
	for k := OneWay; k <= Reply; k++ {
		if x.byWord[number<<kindBits|uint32(k)] != nil {
			return true
		}
	}
	return false
}

// Parse reads the first command of b, which came by the carrier via, and
// returns it with what follows. The command shares no memory with b.
//
// A command that is refused still returns its request id, if it has one, and
// what follows it, so that the reader of a frame goes on with the next; rest is
// nil where nobody can say where that begins. A loop while rest is not empty
// therefore ends.
func Parse(b []byte, via Carrier) (c Command, rest []byte, err error) {
	length, n := objlist.Uvarint(b)
	if n <= 0 {
		return c, nil, fmt.Errorf("message: length: %w", ErrTruncated)
	}
	b = b[n:]
	word, n := objlist.Uvarint(b)
	if n <= 0 || uint64(length) > uint64(len(b)-n) {
		return c, nil, fmt.Errorf("message: %w", ErrTruncated)
	}
	body, rest := b[n:n+int(length)], b[n+int(length):]

	number, kind := word>>kindBits, Kind(word&kindMask)
	if kind == Request || kind == Reply {
		if len(body) < idSize {
			return c, rest, fmt.Errorf("message: command %d: %w", number, ErrTruncated)
		}
		c.ID = binary.BigEndian.Uint16(body)
		body = body[idSize:]
	}
	spec := commands.byWord[word]
	switch {
	case spec == nil && commands.known(number):
		return c, rest, fmt.Errorf("message: command %d: %w", number, ErrKind)
	case spec == nil:
		return c, rest, fmt.Errorf("message: command %d: %w", number, ErrUnknown)
	case spec.Carriers&via == 0:
		return c, rest, fmt.Errorf("message: %s: %w", spec.Name, ErrCarrier)
	}
	m := reflect.New(reflect.TypeOf(spec.Body).Elem())
	if err := unmarshal(body, m.Elem(), (*decoder).either); err != nil {
		return c, rest, fmt.Errorf("message: %s: %w", spec.Name, err)
	}
	c.Body = m.Interface()
	return c, rest, nil
}

// shorter is the wire form of l, packed where that is shorter.
func shorter(l objlist.List) []byte {
	plain := l.Append(nil)
	packed, err := arith.Append(make([]byte, 0, len(plain)), l)
	if err != nil || len(packed) >= len(plain) {
		return plain
	}
	return packed
}

// Marshal is the bare object list of any struct with obj tags, or pointer to
// one: of what is signed or sealed, and therefore never packed. Tags that make
// no sense are a mistake of the program, and Marshal and Unmarshal panic.
func Marshal(m any) []byte { return listOf(m).Append(nil) }

func listOf(m any) objlist.List {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer {
		p := reflect.New(v.Type()) // arrays inside have to be addressable
		p.Elem().Set(v)
		v = p
	}
	v = v.Elem()
	return planOf(v.Type()).list(v)
}

// Unmarshal reads exactly one list, not a packed one, into the struct that m
// points to, and overwrites all its tagged fields. The struct shares no memory
// with b.
func Unmarshal(b []byte, m any) error {
	v := reflect.ValueOf(m).Elem()
	if err := unmarshal(b, v, (*decoder).plain); err != nil {
		return fmt.Errorf("message: %s: %w", v.Type().Name(), err)
	}
	return nil
}
