package arith

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

var update = flag.Bool("update", false, "write the tables of packed lists into docs/protocol.md")

// docs/protocol.md holds the tables and an example between two markers; go test
// -update writes them.
func TestTablesInProtocol(t *testing.T) {
	const path = "../../docs/protocol.md"
	begin, end := []byte("<!-- tables of packed lists: begin -->\n"), []byte("<!-- tables of packed lists: end -->")
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, ok1 := bytes.Cut(doc, begin)
	old, tail, ok2 := bytes.Cut(tail, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has not the markers %s and %s", path, begin, end)
	}
	var text bytes.Buffer
	writeExample(t, &text)
	writeTables(&text)
	if bytes.Equal(old, text.Bytes()) {
		return
	}
	if !*update {
		t.Fatalf("%s is not up to date: go test ./wire/arith -run TablesInProtocol -update", path)
	}
	doc = bytes.Join([][]byte{head, begin, text.Bytes(), end, tail}, nil)
	if err := os.WriteFile(path, doc, 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeExample reads a list of a public capture (SC) symbol by symbol.
func writeExample(t *testing.T, b *bytes.Buffer) {
	in := []byte{0x34, 0xaa, 0x09, 0xf8, 0xee}
	r := reader{Decoder: new(Decoder), in: in, left: objlist.MaxObjects, width: 1 << window}
	r.value = r.bits31()
	fmt.Fprintf(b, "    42 %x                          {0/0=1315, 0/5=5} (SC)\n", in)
	say := func(what string, got uint32, means string) {
		fmt.Fprintf(b, "    %-26s %4d   value %08x, width %08x   %s\n", what, got, r.value, r.width, means)
	}
	say("start", 0, "the first 31 bits")
	say("headers", uint32(r.symbol(headers)), "first kind of the order, id 0 + 0")
	say("values", uint32(r.symbol(values.table)), "a number of 11 bits")
	say("10 bits", r.chunk(10), "1315 = 400 + 123, hexadecimal 523")
	say("headers", uint32(r.symbol(headers)), "the same kind, id 5 or more higher")
	say("smalls", uint32(r.symbol(smalls.table)), "id 0 + 5 + 0")
	say("values", uint32(r.symbol(values.table)), "a number of 3 bits")
	say("2 bits", r.chunk(2), "4 + 1 = 5")
	say("headers", uint32(r.symbol(headers)), "end of the list")
	if r.err != nil || !r.decided() {
		t.Fatalf("%x: %v", in, r.err)
	}
	fmt.Fprintln(b)
}

func writeTables(b *bytes.Buffer) {
	row := func(name string, t table) {
		fmt.Fprintf(b, "    %-8s", name)
		for i, v := range t {
			if i > 0 && i%24 == 0 {
				fmt.Fprintf(b, "\n%12s", "")
			}
			fmt.Fprintf(b, " %x", v)
		}
		fmt.Fprintln(b)
	}
	row("headers", headers)
	row("smalls", smalls.table)
	row("values", values.table)
	for i, t := range next {
		row(fmt.Sprint("next ", i), t)
	}
	for i, t := range pick {
		if t != nil {
			row(fmt.Sprint("pick ", i), t)
		}
	}
	for i, members := range classes {
		if i == 0 {
			continue
		}
		text := fmt.Sprintf("%x", members)
		for first := true; len(text) > 0; first = false {
			n := min(len(text), 128)
			name := ""
			if first {
				name = fmt.Sprint("class ", i)
			}
			fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("    %-8s %s", name, text[:n]), " "))
			text = text[n:]
		}
	}
}
