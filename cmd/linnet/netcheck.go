package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
)

type netcheckCmd struct{}

// netcheck is what the command prints for programs.
type netcheck struct {
	*linnet.NAT
	Supernodes []nearby `json:"supernodes"` // also the relays of calls
	Calls      string   `json:"calls"`
}

const (
	reachWait  = 6 * time.Second
	reachPause = 100 * time.Millisecond
)

type nearby struct {
	Node  linnet.NodeID  `json:"node"`
	Addr  netip.AddrPort `json:"addr"`
	RTTMS *float64       `json:"rtt_ms"` // null: not measured yet
}

func (*netcheckCmd) Run(p *program) error {
	s, err := p.node().Status(p.ctx)
	for until := time.Now().Add(reachWait); err == nil && s.NAT != nil && s.Online && s.NAT.TCP.Own == nil && time.Now().Before(until); {
		select { // that it was asked for has it tried
		case <-time.After(reachPause):
			s, err = p.node().Status(p.ctx)
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	if s.NAT == nil {
		return &linnet.Error{Code: linnet.CodeNotSignedIn, Text: "nobody is signed in on this node, and so it asks no supernode",
			Hint: "linnet register NAME, or linnet login NAME"}
	}
	n := netcheck{s.NAT, []nearby{}, meaning(s.NAT)}
	for _, a := range s.Supernodes {
		near := nearby{Node: a.Node, Addr: a.Addr}
		if a.RTTMS > 0 {
			near.RTTMS = &a.RTTMS
		}
		n.Supernodes = append(n.Supernodes, near)
	}
	return p.print(n, func(w *tabwriter.Writer) {
		row := func(name, value string) { fmt.Fprintf(w, "%s\t%s\n", name, value) }
		row("UDP", yesNo(n.UDP))
		row("TCP", fmt.Sprintf("own port %s, 80 %s, 443 %s", yesNo(n.TCP.Own), yesNo(n.TCP.HTTP), yesNo(n.TCP.HTTPS)))
		row("IPv6", yesNo(n.IPv6))
		row("NAT", n.Name)
		row("mapping", orUnknown(n.Mapping))
		row("filtering", orUnknown(n.Filtering))
		row("hairpin", yesNo(n.Hairpin))
		if l := n.Lifetime; l != nil {
			row("keeps mappings", keeps(l))
		}
		if n.PortMapping != nil {
			row("port mapping", cmp.Or(strings.Join(n.PortMapping, ", "), "none"))
		}
		if len(n.Ports) == 2 {
			row("ports", fmt.Sprintf("%d to %d", n.Ports[0], n.Ports[1]))
		}
		if n.PortStep != 0 {
			row("ports", fmt.Sprintf("in order, %d apart", n.PortStep))
		}
		for _, a := range n.Public {
			row("seen as", a.String())
		}
		for _, a := range n.Supernodes {
			rtt := "round trip " + notKnown
			if a.RTTMS != nil {
				rtt = fmt.Sprintf("%.1f ms", *a.RTTMS)
			}
			row("supernode", fmt.Sprintf("%s at %s, %s", a.Node.Short(), a.Addr, rtt))
		}
		row("calls", n.Calls)
	})
}

func keeps(l *linnet.MappingLifetime) string {
	switch {
	case l.BelowS == 0:
		return fmt.Sprintf("at least %d s", l.AtLeastS)
	case l.AtLeastS == 0:
		return fmt.Sprintf("less than %d s", l.BelowS)
	}
	return fmt.Sprintf("%d to %d s", l.AtLeastS, l.BelowS)
}

const notKnown = "not known"

func orUnknown(s *string) string {
	if s == nil {
		return notKnown
	}
	return cmp.Or(*s, notKnown)
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return notKnown
	case *b:
		return "yes"
	}
	return "no"
}

// meaning says in plain words what a NAT does to calls.
func meaning(n *linnet.NAT) string {
	switch {
	case n.UDP == nil:
		return "no supernode has answered over UDP yet; if that stays so, calls go over a relay"
	case !*n.UDP && n.TCP.Own != nil && *n.TCP.Own:
		return "no UDP passes: calls with contacts go directly by TCP, but over a relay to a symmetric NAT"
	case !*n.UDP:
		return "only the web passes: calls go over a relay"
	case n.Name == "this machine":
		return "all your supernodes are on this machine: calls within it go directly, and what stands between it and others cannot be told"
	case n.Name == "none":
		return "nothing stands before you: calls with contacts go directly"
	case n.Name == "firewall":
		return "a firewall lets in what you asked for: calls with contacts go directly, after a moment of guessing to a symmetric NAT"
	case n.Name == "full cone", n.Name == "restricted cone":
		return "your router is easy to pass: calls with contacts go directly"
	case strings.HasSuffix(n.Name, "cone"):
		return "calls with contacts go directly, after a moment of guessing to a symmetric NAT"
	case n.Name == "symmetric":
		return "your router gives every destination another port: calls with contacts go directly after a moment of guessing, and over a relay to another such router"
	}
	return "too few supernodes have said how they see you; calls work, at worst over a relay"
}
