package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/linnet-p2p/linnet"
)

type volunteerCmd struct {
	Answer     string `arg:"" optional:"" enum:"on,off,show" default:"show" help:"on, off, or show how it stands."`
	Relay      string `enum:"on,off,-" default:"-" placeholder:"on|off" help:"Whether it also relays calls of others while it serves: on or off."`
	RelayRate  int    `placeholder:"KBIT" help:"Kilobits a second that all relayed calls may take together; 1000 unless given, never more than half the line."`
	RelayDaily int    `placeholder:"MB" help:"Megabytes relayed in a day (UTC); 1000 unless given."`
}

func (c *volunteerCmd) Run(p *program) error {
	if c.Relay == "-" && (c.RelayRate != 0 || c.RelayDaily != 0) {
		return &linnet.Error{Code: linnet.CodeUsage, Text: "limits without the relay", Hint: "say `--relay on` with them"}
	}
	if c.Answer != "show" {
		if err := c.set(p); err != nil {
			return err
		}
	}
	if c.Relay != "-" {
		if err := c.setRelay(p); err != nil {
			return err
		}
	}
	if c.Answer != "show" || c.Relay != "-" {
		return nil
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
		r := &v.Relay
		fmt.Fprintf(w, "relays\t%s: %s\n", yesNo(&r.Serving), r.Why)
		if r.On {
			fmt.Fprintf(w, "\t%d calls now, %d kbit/s of %d; %d MB of %d today\n",
				r.Calls, r.BPS/1000, r.BitRate/1000, r.Today/1_000_000, r.DailyBytes/1_000_000)
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

func (c *volunteerCmd) setRelay(p *program) error {
	consent := linnet.RelayConsent{On: c.Relay == "on", BitRate: 1000 * c.RelayRate, DailyBytes: 1_000_000 * int64(c.RelayDaily)}
	if err := p.node().VolunteerRelay(p.ctx, consent); err != nil {
		return err
	}
	if consent.On {
		p.tell("While this machine serves as a supernode it also relays calls between contacts for whom the operators' relays have no room.\n" +
			"It learns who calls, when, and their addresses, and nothing of what is said. `linnet volunteer --relay off` ends it at once.")
	} else {
		p.tell("This machine relays for nobody.")
	}
	return nil
}
