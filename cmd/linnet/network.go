package main

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
	"rsc.io/qr"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/suite"
)

type networkCmd struct {
	Create networkCreateCmd `cmd:"" help:"Make a network, run its first login server and supernode, and print an invite."`
	Run    networkRunCmd    `cmd:"" help:"Run the login server and the supernodes of a network made here."`
	Invite networkInviteCmd `cmd:"" help:"Print an invite to a network made here."`
	Ticket networkTicketCmd `cmd:"" help:"Print a ticket with which another machine becomes a supernode."`
}

// The ports of a new network, unless they are taken.
const (
	loginPort     = 33033 // where Skype's login servers listened
	supernodePort = loginPort + 1
)

type networkCreateCmd struct {
	webFlags
	Name         string `arg:"" help:"What to call the network."`
	Address      string `help:"Name or address that others reach this machine by, or one of each family: IPv4,IPv6; default: its own." placeholder:"HOST"`
	Port         uint16 `help:"Port of the login server, UDP and TCP; supernodes have the next ones. Default: 33033, or free ones if it is taken." placeholder:"N"`
	Supernodes   int    `help:"How many supernodes this machine runs; more than one is for trying things out." default:"1" placeholder:"N"`
	Registration string `help:"Who may make an account: open (whoever has the link), invite (with a token of an invite), closed." enum:"open,invite,closed" default:"open"`
	Suite        string `help:"The network's cryptography for good: modern, or classic, which is what Skype did and protects nobody." enum:"modern,classic" default:"modern"`
	Promotion    string `help:"Whose machines become supernodes: hosted (operators' only), open (volunteers', too)." enum:"hosted,open" default:"hosted"`
	NoRun        bool   `help:"Only make it; do not run it now."`
}

// warnClassic says what a classic network is before anybody trusts it.
func (p *program) warnClassic(name string) {
	if name != suite.ClassicName {
		return
	}
	p.tell(`
WARNING: a classic network is for study and protects nobody. Its cryptography is
what Skype used in 2006: whoever records a call can read it once he has the keys
of the two devices, whoever is on the way can change what is said, and the
operator learns passwords that are easy to guess. Use no password that you use
elsewhere, and say nothing that is private. docs/security.md tells which attacks work.
`)
}

// maxOwnSupernodes bounds how many the descriptor of a new network names.
const maxOwnSupernodes = 20

func (c *networkCreateCmd) Run(p *program) error {
	if c.Supernodes < 1 || c.Supernodes > maxOwnSupernodes {
		return linnet.Errorf(linnet.CodeUsage, "a network starts with 1 to %d supernodes", maxOwnSupernodes)
	}
	if _, err := c.web(); err != nil {
		return err
	}
	login, also, err := c.place(p.ctx)
	if err != nil {
		return err
	}
	p.warnClassic(c.Suite)
	opts := node.NetworkOptions{Name: c.Name, Suite: c.Suite, Promotion: suite.Promotion(c.Promotion), Registration: suite.Registration(c.Registration), LoginServer: login}
	if also.IsValid() {
		opts.Also = func(at netip.AddrPort) []netip.AddrPort { return []netip.AddrPort{netip.AddrPortFrom(also, at.Port())} }
	}
	for i := range c.Supernodes {
		opts.Supernodes = append(opts.Supernodes, netip.AddrPortFrom(login.Addr(), login.Port()+1+uint16(i)))
	}
	invite, err := node.CreateNetwork(p.ctx, p.home(), opts)
	if err != nil {
		return err
	}
	if c.Registration == string(suite.RegistrationInvite) {
		if invite, err = node.CreateInvite(p.ctx, p.loginServerHome(), 1, time.Now().Add(inviteLife)); err != nil {
			return err
		}
	}
	if err := p.showInvite(invite); err != nil {
		return err
	}
	p.tell("The network %s is in %s. Others reach it at %s, ports %d to %d (UDP and TCP).",
		c.Name, p.home(), login.Addr(), login.Port(), int(login.Port())+c.Supernodes)
	p.tell("Back up %s and keep it secret: it is the network.", p.loginServerHome())
	if c.NoRun {
		p.tell("Start it with: linnet network run --home %s", p.home())
		return nil
	}
	return (&networkRunCmd{c.webFlags}).Run(p)
}

// place is where others reach the login server, which the descriptor fixes for
// good, and the machine's address of the other family if it has one. The supernodes
// have the next ports.
func (c *networkCreateCmd) place(ctx context.Context) (login netip.AddrPort, also netip.Addr, err error) {
	port, err := c.port(ctx)
	if err != nil {
		return login, also, err
	}
	var addrs []netip.AddrPort
	if c.Address != "" {
		addrs, err = machines(ctx, c.Address, port)
	} else {
		var own []netip.Addr
		own, _ = netx.System{}.Addrs() // without one only this machine can join
		for _, a := range append(own, loopback.Addr()) {
			addrs = append(addrs, netip.AddrPortFrom(a, port))
		}
	}
	if err != nil {
		return login, also, err
	}
	login = addrs[0]
	for _, a := range addrs[1:] {
		if ip := a.Addr(); ip.Is4() != login.Addr().Is4() && !ip.IsLoopback() {
			return login, ip, nil
		}
	}
	return login, also, nil
}

// machine is the address of HOST or HOST:PORT.
func machine(ctx context.Context, s string, port uint16) (netip.AddrPort, error) {
	addrs, err := machines(ctx, s, port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return addrs[0], nil
}

// machines is the same for several of them, or names that have several addresses:
// HOST[:PORT][,HOST[:PORT]]...
func machines(ctx context.Context, list string, port uint16) (all []netip.AddrPort, err error) {
	for s := range strings.SplitSeq(list, ",") {
		if at, err := netip.ParseAddrPort(s); err == nil {
			all = append(all, at)
			continue
		}
		host, port := s, port
		if h, p, err := net.SplitHostPort(s); err == nil {
			n, err := strconv.ParseUint(p, 10, 16)
			if err != nil {
				return nil, linnet.Errorf(linnet.CodeUsage, "%q is no port", p)
			}
			host, port = h, uint16(n)
		}
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil || len(addrs) == 0 {
			return nil, &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("%q is no name or address of a machine", host), Err: err}
		}
		for _, a := range addrs {
			all = append(all, netip.AddrPortFrom(a.Unmap(), port))
		}
	}
	return all, nil
}

// port finds the first of the ports.
func (c *networkCreateCmd) port(ctx context.Context) (uint16, error) {
	if c.Port != 0 {
		if last := int(c.Port) + c.Supernodes; last > math.MaxUint16 {
			return 0, linnet.Errorf(linnet.CodeUsage, "the last port would be %d", last)
		}
		return c.Port, nil
	}
	if free(ctx, loginPort, 1+c.Supernodes) {
		return loginPort, nil
	}
	return freePorts(ctx, 1+c.Supernodes)
}

// loginServerHome is below the home of a network.
func (p *program) loginServerHome() string { return filepath.Join(p.home(), node.LoginServerHome) }

type networkRunCmd struct{ webFlags }

// Run runs everything in one process. The ports of the web are the first
// supernode's, which hands logins over.
func (c *networkRunCmd) Run(p *program) error {
	group, ctx := errgroup.WithContext(p.ctx)
	opened := make(chan *node.LoginServer, 1)
	group.Go(func() error {
		return p.loginServer(ctx, p.loginServerHome(), socketFlags{}, webFlags{}, metricsFlags{}, func(s *node.LoginServer) { opened <- s })
	})
	var authority *node.LoginServer
	select {
	case authority = <-opened:
	case <-ctx.Done():
		return ignoreCancel(group.Wait())
	}
	for i := range maxOwnSupernodes {
		home := node.SupernodePath(p.home(), i)
		if _, err := os.Stat(home); err != nil {
			break
		}
		opts, ports := node.Options{Home: home}, webFlags{}
		if i == 0 {
			opts.Authority, ports = authority, c.webFlags
		}
		group.Go(func() error { return p.supernode(ctx, socketFlags{}, ports, metricsFlags{}, opts) })
	}
	return ignoreCancel(group.Wait())
}

const inviteLife = 7 * 24 * time.Hour

type networkInviteCmd struct {
	Uses  int           `help:"For so many accounts; 0 is a link without a token, for networks that are open." default:"0"`
	Valid time.Duration `help:"How long a token is good." default:"168h"`
}

func (c *networkInviteCmd) Run(p *program) error {
	invite, err := node.CreateInvite(p.ctx, p.loginServerHome(), c.Uses, time.Now().Add(c.Valid))
	if err != nil {
		return err
	}
	return p.showInvite(invite)
}

type networkTicketCmd struct {
	Name  string        `arg:"" help:"What to call the machine."`
	Valid time.Duration `help:"How long the ticket is good." default:"168h"`
}

func (c *networkTicketCmd) Run(p *program) error {
	ticket, err := node.CreateTicket(p.ctx, p.loginServerHome(), c.Name, time.Now().Add(c.Valid))
	if err != nil {
		return err
	}
	err = p.print(map[string]string{"ticket": ticket.String()}, func(w *tabwriter.Writer) { fmt.Fprintln(w, ticket) })
	if err == nil {
		p.tell("On the new machine: linnet supernode --home DIR --join TICKET --address HOST")
	}
	return err
}

// showInvite prints the link, and tells people its QR code.
func (p *program) showInvite(invite *suite.Invite) error {
	link := invite.String()
	if err := p.print(map[string]string{"invite": link}, func(w *tabwriter.Writer) { fmt.Fprintln(w, link) }); err != nil || p.flags.JSON {
		return err
	}
	code, err := qr.Encode(link, qr.L)
	if err != nil {
		return nil // the link is too long for a picture; it stands above
	}
	var picture strings.Builder
	for y := -1; y <= code.Size; y += 2 {
		for x := -1; x <= code.Size; x++ {
			picture.WriteString(halfBlock(code.Black(x, y), code.Black(x, y+1)))
		}
		picture.WriteByte('\n')
	}
	p.tell("%sOthers join with: linnet up --join LINK", picture.String())
	return nil
}

// halfBlock draws two pixels above one another, inverted for dark terminals.
func halfBlock(upper, lower bool) string {
	switch {
	case upper && lower:
		return " "
	case upper:
		return "▄"
	case lower:
		return "▀"
	}
	return "█"
}
