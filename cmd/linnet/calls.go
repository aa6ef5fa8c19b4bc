package main

import (
	"fmt"
	"text/tabwriter"
)

type callsCmd struct {
	List    historyCmd `cmd:"" default:"withargs" help:"Past calls, as linnet history."`
	Waiting waitingCmd `cmd:"" help:"Whether it rings while you are in a call: on, off; alone: how that stands."`
}

type waitingCmd struct {
	Answer string `arg:"" optional:"" enum:"on,off,show" default:"show" help:"on, off, or show."`
}

func (c *waitingCmd) Run(p *program) error {
	node := p.node()
	s, err := node.CallSettings(p.ctx)
	if err != nil {
		return err
	}
	if c.Answer != "show" {
		s.Waiting = c.Answer == "on"
		return node.SetCallSettings(p.ctx, s)
	}
	return p.print(s, func(w *tabwriter.Writer) { fmt.Fprintf(w, "call waiting\t%s\n", yesNo(&s.Waiting)) })
}
