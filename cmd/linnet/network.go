package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
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
	Run    networkRunCmd    `cmd:"" help:"Run the login server and the supernode of a network made here."`
	Invite networkInviteCmd `cmd:"" help:"Print an invite to a network made here."`
}

// The ports of a new network, unless they are taken.
const (
	loginPort     = 33033 // where Skype's login servers listened
	supernodePort = 33034
)

type networkCreateCmd struct {
	Name         string `arg:"" help:"What to call the network."`
	Address      string `help:"Name or address that others reach this machine by; default: its own." placeholder:"HOST"`
	Port         uint16 `help:"Port of the login server, UDP and TCP; the supernode has the next one. Default: 33033, or free ones if it is taken." placeholder:"N"`
	Registration string `help:"Who may make an account: open (whoever has the link), invite (with a token of an invite), closed." enum:"open,invite,closed" default:"open"`
	NoRun        bool   `help:"Only make it; do not run it now."`
}

func (c *networkCreateCmd) Run(p *program) error {
	host, err := c.host(p.ctx)
	if err != nil {
		return err
	}
	login, super, err := c.ports(p.ctx)
	if err != nil {
		return err
	}
	invite, err := node.CreateNetwork(p.ctx, p.home(), node.NetworkOptions{
		Name: c.Name, Registration: suite.Registration(c.Registration),
		LoginServer: netip.AddrPortFrom(host, login), Supernodes: []netip.AddrPort{netip.AddrPortFrom(host, super)},
	})
	if err != nil {
		return err
	}
	if c.Registration == string(suite.RegistrationInvite) {
		if invite, err = node.CreateInvite(p.ctx, filepath.Join(p.home(), node.LoginServerHome), 1, time.Now().Add(inviteLife)); err != nil {
			return err
		}
	}
	if err := p.showInvite(invite); err != nil {
		return err
	}
	p.tell("The network %s is in %s. Others reach it at %s, ports %d and %d (UDP and TCP).", c.Name, p.home(), host, login, super)
	p.tell("Back up %s and keep it secret: it is the network.", filepath.Join(p.home(), node.LoginServerHome))
	if c.NoRun {
		p.tell("Start it with: linnet network run --home %s", p.home())
		return nil
	}
	return (&networkRunCmd{}).Run(p)
}

// host is the address that goes into the invite.
func (c *networkCreateCmd) host(ctx context.Context) (netip.Addr, error) {
	if c.Address == "" {
		addrs, err := netx.System{}.Addrs()
		if err != nil || len(addrs) == 0 {
			return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil // only this machine can join then
		}
		return addrs[0], nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", c.Address)
	if err != nil || len(addrs) == 0 {
		return netip.Addr{}, &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("%q is no name or address of a machine", c.Address), Err: err}
	}
	return addrs[0].Unmap(), nil
}

// ports finds the two ports, which the descriptor fixes for good.
func (c *networkCreateCmd) ports(ctx context.Context) (login, super uint16, err error) {
	if c.Port != 0 {
		return c.Port, c.Port + 1, nil
	}
	if free(ctx, loginPort) && free(ctx, supernodePort) {
		return loginPort, supernodePort, nil
	}
	for range 100 {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			return 0, 0, fmt.Errorf("look for a free port: %w", err)
		}
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		l.Close()
		if port < 65535 && free(ctx, port) && free(ctx, port+1) {
			return port, port + 1, nil
		}
	}
	return 0, 0, linnet.Errorf(linnet.CodeInUse, "no two free ports were found")
}

func free(ctx context.Context, port uint16) bool {
	at := netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	udp, err := netx.System{}.ListenUDP(ctx, at)
	if err != nil {
		return false
	}
	defer udp.Close()
	tcp, err := netx.System{}.ListenTCP(ctx, at)
	if err != nil {
		return false
	}
	tcp.Close()
	return true
}

type networkRunCmd struct{}

func (*networkRunCmd) Run(p *program) error {
	group, ctx := errgroup.WithContext(p.ctx)
	group.Go(func() error { return p.loginServer(ctx, filepath.Join(p.home(), node.LoginServerHome), socketFlags{}) })
	group.Go(func() error {
		return p.supernode(ctx, filepath.Join(p.home(), node.SupernodeHome), socketFlags{}, netip.AddrPort{})
	})
	return ignoreCancel(group.Wait())
}

const inviteLife = 7 * 24 * time.Hour

type networkInviteCmd struct {
	Uses  int           `help:"For so many accounts; 0 is a link without a token, for networks that are open." default:"0"`
	Valid time.Duration `help:"How long a token is good." default:"168h"`
}

func (c *networkInviteCmd) Run(p *program) error {
	invite, err := node.CreateInvite(p.ctx, filepath.Join(p.home(), node.LoginServerHome), c.Uses, time.Now().Add(c.Valid))
	if err != nil {
		return err
	}
	return p.showInvite(invite)
}

// showInvite prints the link, and for people its QR code.
func (p *program) showInvite(invite *suite.Invite) error {
	link := invite.String()
	return p.print(map[string]string{"invite": link}, func(w *tabwriter.Writer) {
		fmt.Fprintln(w, link)
		code, err := qr.Encode(link, qr.L)
		if err != nil {
			return // the link is too long for a picture; it stands above
		}
		for y := -1; y <= code.Size; y += 2 {
			for x := -1; x <= code.Size; x++ {
				fmt.Fprint(w, halfBlock(code.Black(x, y), code.Black(x, y+1)))
			}
			fmt.Fprintln(w)
		}
	})
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
