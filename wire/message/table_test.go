package message

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write the table of commands into docs/protocol.md")

func TestTable(t *testing.T) {
	words := make(map[uint32]string)
	names := make(map[string]bool)
	types := make(map[reflect.Type]bool)
	for _, s := range Table {
		if other, ok := words[s.word()]; ok {
			t.Errorf("%d is both %q and %q", s.Number, other, s.Name)
		}
		words[s.word()] = s.Name
		if names[s.Name] {
			t.Errorf("two commands are called %q", s.Name)
		}
		names[s.Name] = true
		if s.Kind < OneWay || s.Kind > Reply {
			t.Errorf("%s: kind %v", s.Name, s.Kind)
		}
		if s.Carriers == 0 || s.Carriers > Old {
			t.Errorf("%s: carriers %#x", s.Name, uint8(s.Carriers))
		}
		typ := reflect.TypeOf(s.Body)
		if typ.Kind() != reflect.Pointer || typ.Elem().Kind() != reflect.Struct || types[typ] {
			t.Errorf("%s: body %v is no struct of its own", s.Name, typ)
		}
		types[typ] = true
		for i := range typ.Elem().NumField() {
			if f := typ.Elem().Field(i); f.Tag.Get("obj") == "" {
				t.Errorf("%v.%s has no tag and would not travel", typ.Elem(), f.Name)
			}
		}
		if got := SpecOf(reflect.New(typ.Elem()).Interface()); got == nil || got.Number != s.Number {
			t.Errorf("SpecOf(%v) = %v", typ, got)
		}
	}
	for _, m := range []any{nil, Probe{}, 1, new(int)} {
		if s := SpecOf(m); s != nil {
			t.Errorf("SpecOf(%T) = %v", m, s)
		}
	}
}

// docs/protocol.md holds the table between two markers; go test -update writes it.
func TestTableInProtocol(t *testing.T) {
	const path = "../../docs/protocol.md"
	begin, end := []byte("<!-- table of commands: begin -->\n"), []byte("<!-- table of commands: end -->")
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, ok1 := bytes.Cut(doc, begin)
	old, tail, ok2 := bytes.Cut(tail, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has not the markers %s and %s", path, begin, end)
	}
	var table bytes.Buffer
	if err := WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old, table.Bytes()) {
		return
	}
	if !*update {
		t.Fatalf("%s is not up to date: go test ./wire/message -run TableInProtocol -update", path)
	}
	doc = bytes.Join([][]byte{head, begin, table.Bytes(), end, tail}, nil)
	if err := os.WriteFile(path, doc, 0o644); err != nil {
		t.Fatal(err)
	}
}
