package main

import (
	"fmt"
	"text/tabwriter"
	"time"
)

type historyCmd struct {
	Limit int `help:"How many calls at the most." default:"20"`
}

func (c *historyCmd) Run(p *program) error {
	calls, err := p.node().History(p.ctx, c.Limit)
	if err != nil {
		return err
	}
	return p.print(calls, func(w *tabwriter.Writer) {
		for _, r := range calls {
			way := "to"
			if r.Incoming {
				way = "from"
			}
			length := ""
			if !r.Answered.IsZero() && !r.Ended.IsZero() {
				length = r.Ended.Sub(r.Answered).Round(time.Second).String()
			}
			outcome := r.Outcome.String()
			if r.Ended.IsZero() {
				outcome = "goes on"
			}
			by := ""
			if r.By != "" {
				by = "put through by " + string(r.By)
			}
			fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\n", r.Started.Local().Format(time.DateTime), way, r.Peer, outcome, length, by)
		}
	})
}
