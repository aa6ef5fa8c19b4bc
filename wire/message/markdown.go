package message

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// WriteTable writes Table in Markdown, as it stands in docs/protocol.md. A
// field is its kind/id and its name in Go, with ? where it may be missing and
// * where it may be repeated; the fields of a nested list follow in braces.
func WriteTable(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "| number | command | kind | travels | fields |")
	fmt.Fprintln(b, "|---|---|---|---|---|")
	for _, s := range Table {
		number := fmt.Sprint(s.Number)
		if s.Number >= firstOwn {
			number = fmt.Sprintf("0x%04X", s.Number)
		}
		fields := "none"
		if p := planOf(reflect.TypeOf(s.Body).Elem()); len(p.fields) > 0 {
			fields = "`" + p.String() + "`"
		}
		fmt.Fprintf(b, "| %s | %s | %v | %v | %s |\n", number, s.Name, s.Kind, s.Carriers, fields)
	}
	return b.Flush()
}

// firstOwn is the first number that is not Skype's.
const firstOwn = 0x4000

// String lists the fields in the notation of WriteTable.
func (p *plan) String() string {
	fields := make([]string, len(p.fields))
	for i, f := range p.fields {
		s := fmt.Sprintf("%d/%X %s", uint8(f.kind), f.id, f.name)
		if f.repeated {
			s += "*"
		}
		if f.opt {
			s += "?"
		}
		if f.sub != nil {
			s += " {" + f.sub.String() + "}"
		}
		fields[i] = s
	}
	return strings.Join(fields, ", ")
}

// String is the word for the kind.
func (k Kind) String() string {
	switch k {
	case OneWay:
		return "one-way"
	case Request:
		return "request"
	case Reply:
		return "reply"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// String lists the carriers.
func (c Carrier) String() string {
	var names []string
	for i, name := range []string{"raw", "stream", "session", "old"} {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
