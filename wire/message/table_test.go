package message

import (
	"bytes"
	"encoding/binary"
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

// Command words of public captures, SN and SC.
func TestWords(t *testing.T) {
	for _, tt := range []struct {
		wire string
		name string
		kind Kind
	}{
		{"da01", "probe", Request},
		{"e301", "probe accepted", Reply},
		{"72", "search", Request},
		{"7b", "search result", Reply},
		{"59", "network stats", OneWay},
		{"9a04", "old session request", Request},
		{"a105", "relay joined", OneWay},
		{"d902", "firewall test started", OneWay},
		{"c1ad06", "installation report", OneWay},
		{"c902", "connect back", OneWay},
		{"ca04", "relay reserve", Request},
		{"d204", "relay join", Request},
		{"e205", "relay move", Request},
		{"aa03", "routed ping", Request},
		{"e103", "announce", OneWay},
		{"a907", "contact status cache", OneWay},
	} {
		wire := unhex(t, tt.wire)
		word, n := binary.Uvarint(wire)
		spec := commands.byWord[uint32(word)]
		if spec == nil || n != len(wire) || spec.Name != tt.name || spec.Kind != tt.kind {
			t.Errorf("%s is %+v, want %s, %v", tt.wire, spec, tt.name, tt.kind)
			continue
		}
		if again := binary.AppendUvarint(nil, uint64(spec.word())); !bytes.Equal(again, wire) {
			t.Errorf("%s became %x", tt.wire, again)
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
