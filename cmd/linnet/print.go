package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
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
