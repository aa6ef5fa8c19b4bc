package main

import (
	"cmp"
	"fmt"
	"text/tabwriter"
	"time"
)

type statusCmd struct{}

func (*statusCmd) Run(p *program) error {
	s, err := p.node().Status(p.ctx)
	if err != nil {
		return err
	}
	return p.print(s, func(w *tabwriter.Writer) {
		row := func(name, format string, args ...any) {
			fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
		}
		row("network", "%s (suite %s)", cmp.Or(s.Network, "none yet: linnet up --join INVITE"), cmp.Or(s.Suite, "-"))
		row("signed in", "%s", cmp.Or(string(s.User), "nobody: linnet register NAME, or linnet login NAME"))
		if s.User != "" { // without a certificate it has no name yet
			row("node", "%s, %s", s.Node.Short(), s.Role)
		}
		row("address", "%s, seen by others as %s", s.Addr, cmp.Or(s.Public, "not known yet"))
		if s.Online {
			row("online", "attached to %d of %d known supernodes", len(s.Supernodes), s.Known)
		} else {
			row("online", "no: %s", cmp.Or(s.Trouble, "looking for a supernode"))
		}
		for _, a := range s.Supernodes {
			row("", "%s by %s at %s, %.1f ms", a.Node.Short(), a.By, a.Addr, a.RTTMS)
		}
		if s.Clients > 0 || s.Records > 0 {
			row("serves", "%d clients, keeps %d records", s.Clients, s.Records)
		}
		if !s.Certificate.IsZero() {
			row("certificate", "until %s", s.Certificate.Local().Format(time.DateTime))
		}
		if s.Unread > 0 {
			row("unread", "%d messages: linnet chat", s.Unread)
		}
		for _, c := range s.Calls {
			row("call", "%s with %s: %s, %s", c.ID, c.Peer, c.State, c.Path)
		}
		row("kept in", "%s", s.Home)
	})
}
