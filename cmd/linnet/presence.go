package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
)

type presenceCmd struct {
	State string  `arg:"" optional:"" enum:"online,away,dnd,invisible,show" default:"show" help:"online, away, dnd (calls are refused as busy), invisible (nobody can call), or show."`
	Mood  *string `help:"What your contacts read beside your name; empty takes it away." placeholder:"TEXT"`
}

func (c *presenceCmd) Run(p *program) error {
	mine, err := p.node().Presence(p.ctx)
	if err != nil {
		return err
	}
	if c.State == "show" && c.Mood == nil {
		return p.print(mine, func(w *tabwriter.Writer) {
			since := ""
			if !mine.Since.IsZero() {
				since = "since " + mine.Since.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", mine.Presence, since, mine.Mood)
		})
	}
	if c.State != "show" {
		if err := mine.Presence.UnmarshalText([]byte(c.State)); err != nil {
			return linnet.Errorf(linnet.CodeUsage, "%v", err)
		}
	}
	if c.Mood != nil {
		mine.Mood = *c.Mood
	}
	return p.node().SetPresence(p.ctx, mine)
}
