package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/linnet-p2p/linnet"
)

type volunteerCmd struct {
	Answer string `arg:"" optional:"" enum:"on,off,show" default:"show" help:"on, off, or show how it stands."`
}

func (c *volunteerCmd) Run(p *program) error {
	if c.Answer != "show" {
		return c.set(p)
	}
	s, err := p.node().Status(p.ctx)
	if err != nil {
		return err
	}
	if s.User == "" {
		return linnet.Errorf(linnet.CodeUsage, "nobody is signed in")
	}
	if s.Volunteer == nil {
		return linnet.Errorf(linnet.CodeUsage, "this network takes the operators' supernodes only")
	}
	v := s.Volunteer
	return p.print(v, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "agreed\t%s\n", yesNo(&v.Agreed))
		fmt.Fprintf(w, "serves\t%s: %s\n", yesNo(&v.Serving), v.Why)
		if v.Serving {
			fmt.Fprintf(w, "\t%d clients, %d records\n", s.Clients, s.Records)
		}
		if v.UpstreamBPS > 0 {
			fmt.Fprintf(w, "upstream\t%.1f Mbit/s or more\n", float64(v.UpstreamBPS)/1e6)
		}
		if v.Agreed {
			fmt.Fprintf(w, "processor\t%d %% in use\n", v.CPU)
		}
	})
}

func (c *volunteerCmd) set(p *program) error {
	on := c.Answer == "on"
	if err := p.node().Volunteer(p.ctx, on); err != nil {
		return err
	}
	if on {
		p.tell("This machine may serve as a supernode while the network needs one: it then keeps records and mail of others,\n" +
			"serves up to 200 nodes, and everybody can see its address. Never on battery or a metered line. `linnet volunteer off` ends it at once.")
	} else {
		p.tell("This machine serves nobody.")
	}
	return nil
}
