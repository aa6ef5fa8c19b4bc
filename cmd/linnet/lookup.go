package main

import (
	"fmt"
	"text/tabwriter"
	"time"
)

type lookupCmd struct {
	User string `arg:"" help:"User name."`
}

func (c *lookupCmd) Run(p *program) error {
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	l, err := p.node().Lookup(p.ctx, user)
	if err != nil {
		return err
	}
	return p.print(l, func(w *tabwriter.Writer) {
		state := "not online"
		if l.Online {
			state = "online"
		}
		fmt.Fprintf(w, "%s is %s (%.0f ms)\n", l.User, state, l.TookMS)
		for _, d := range l.Devices {
			fmt.Fprintf(w, "  %s\t%s\tseen %s\n", d.Name, d.Node.Short(), d.Seen.Local().Format(time.DateTime))
		}
	})
}
