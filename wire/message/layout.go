package message

import (
	"reflect"
	"slices"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A Field is one object that a command may hold, for tools that read lists
// without the struct.
type Field struct {
	Name   string // as in the struct and docs/protocol.md
	Kind   objlist.Kind
	ID     uint32
	Fields []Field // of a nested list
}

// Fields are the fields of the command, by id.
func (s *Spec) Fields() []Field { return planOf(reflect.TypeOf(s.Body).Elem()).layout() }

func (p *plan) layout() []Field {
	fields := make([]Field, len(p.fields))
	for i, f := range p.fields {
		fields[i] = Field{Name: f.name, Kind: f.kind, ID: f.id}
		if f.sub != nil {
			fields[i].Fields = f.sub.layout()
		}
	}
	return fields
}

// FieldOf is the one of the fields that takes such an object, or nil. An IPv6
// endpoint is taken as an address although it is a blob.
func FieldOf(fields []Field, o *objlist.Object) *Field {
	i := slices.IndexFunc(fields, func(f Field) bool {
		same := field{kind: f.Kind, id: f.ID}
		return same.takes(o.Kind, o.ID)
	})
	if i < 0 {
		return nil
	}
	return &fields[i]
}
