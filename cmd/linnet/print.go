package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/linnet-p2p/linnet"
)

// printJSON is the answer for programs.
func (p *program) printJSON(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// print gives programs v, and people what text prints.
func (p *program) print(v any, text func(w *tabwriter.Writer)) error {
	if p.flags.JSON {
		return p.printJSON(v)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}

// tell says something to the person at the keyboard; programs do not see it.
func (p *program) tell(format string, args ...any) {
	fmt.Fprintf(p.stderr, format+"\n", args...)
}

// writePage makes the file of a --report.
func writePage(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err == nil {
		err = write(f)
		err = cmp.Or(err, f.Close())
	}
	if err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("the report cannot be written: %v", err)}
	}
	return nil
}
