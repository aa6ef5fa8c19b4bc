package main

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sync/errgroup"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/api/http"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/portmap"
	"github.com/linnet-p2p/linnet/suite"
)

// socketFlags are for every command that opens sockets.
type socketFlags struct {
	Proxy  string         `help:"Proxy for TCP: http://, https:// or socks5://[NAME:PASSWORD@]HOST[:PORT], or none; default: HTTPS_PROXY or ALL_PROXY, but for what NO_PROXY names." placeholder:"URL"`
	Listen netip.AddrPort `help:"Local address, one port for UDP and TCP; default: a free one." placeholder:"ADDR:PORT"`
	Pcap   string         `help:"Write every datagram and TCP segment to this capture file." placeholder:"FILE" type:"path"`
}

type upCmd struct {
	socketFlags
	metricsFlags
	Join        string `help:"Join the network of this invite; remembered." placeholder:"INVITE"`
	PortMapping string `enum:"on,off" default:"on" help:"Ask the router to let contacts in at one port (PCP, NAT-PMP, UPnP): on or off."`
	AutoAnswer  bool   `help:"Take every call at once, with --play and --record."`
	pageFlags
	Downloads string `help:"Folder for files of others; default: the one of your desktop, or downloads in --home." placeholder:"DIR" type:"path"`
	FileRate  int    `help:"Send files with so many bytes a second at the most; 0: as fast as it goes." placeholder:"N"`
	Ladder    string `help:"How supernodes are looked for: fast (UDP, TCP, port 80, port 443, 300 ms apart), or classic (5 s each, as Skype did)." enum:"fast,classic" default:"fast"`
	sound
}

func (c *upCmd) Run(p *program) error {
	opts := node.Options{Home: p.home(), Listen: c.Listen, Downloads: c.Downloads, FileRate: c.FileRate, Log: p.log, Version: version}
	if opts.Downloads == "" && p.flags.Home == "" {
		opts.Downloads = desktopDownloads()
	}
	if c.Join != "" {
		invite, err := suite.ParseInvite(c.Join)
		if err != nil {
			return &linnet.Error{Code: linnet.CodeInvite, Text: err.Error()}
		}
		opts.Invite = &invite
	}
	if c.PortMapping == "on" {
		opts.MapPorts = portmap.Run
	}
	if c.Ladder == "classic" {
		opts.Ladder = overlay.ClassicLadder
	}
	if c.AutoAnswer {
		m, err := c.media()
		if err != nil {
			return err
		}
		opts.AutoAnswer = &m
	}
	return p.serve(c.socketFlags, c.metricsFlags, opts, c.pageFlags)
}

// serve runs a node, its local socket and its page until Ctrl-C.
func (p *program) serve(flags socketFlags, metrics metricsFlags, opts node.Options, page pageFlags) error {
	network, closeCapture, err := flags.network()
	if err != nil {
		return err
	}
	defer closeCapture()
	opts.Net = network
	n, err := node.Open(p.ctx, opts)
	if err != nil {
		return err
	}
	site, err := page.site(n, p.home())
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(p.ctx)
	group.Go(func() error { return n.Run(ctx) })
	group.Go(func() error { return http.Serve(ctx, p.socket(), n, site) })
	group.Go(func() error { return site.Run(ctx) })
	group.Go(func() error { return metrics.serve(ctx, watchNode(n)) })
	p.showPage(site, "Your page", p.home(), page.open())
	group.Go(func() error { p.narrate(ctx, n); return nil })
	return ignoreCancel(group.Wait())
}

// narrate tells the person at the terminal what happens to the node. Why a node
// stopped is for Run to tell.
func (p *program) narrate(ctx context.Context, n *node.Node) {
	events, err := n.Events(ctx)
	if err != nil {
		return
	}
	p.tell("Listening on %s. Ctrl-C stops.", n.Addr())
	if err := n.Ready(ctx); err != nil {
		return
	}
	s, err := n.Status(ctx)
	if err != nil {
		return
	}
	switch {
	case s.Network == "":
		p.tell("This node has no network yet: give it an invite on its page or with --join INVITE, or make one with `linnet network create`.")
	case s.User == "":
		p.tell("Network %s. Nobody is signed in: do that on the page, or with `linnet register NAME` or `linnet login NAME` in a second terminal.", s.Network)
	default:
		p.tell("Network %s, signed in as %s.", s.Network, s.User)
	}
	for e := range events {
		if news := newsOf(e); news != "" {
			p.tell("%s", news)
		}
	}
}

// newsOf puts an event into words; most need none at a terminal.
func newsOf(e linnet.Event) string {
	switch e.Kind {
	case linnet.EventOnline:
		return "Online."
	case linnet.EventOffline, linnet.EventWarning:
		return linnet.Line(e.Text) // a server may have said a part of it
	case linnet.EventCallRings:
		by := ""
		if e.Call.By != "" {
			by = fmt.Sprintf(", put through by %s,", e.Call.By)
		}
		return fmt.Sprintf("%s%s calls: answer on the page, or with `linnet answer`; `linnet hangup` declines.", e.Call.Peer, by)
	case linnet.EventFileOffered:
		return fmt.Sprintf("%s offers you %s (%s): take it on the page, or with `linnet files accept`; `linnet files decline` says no.", e.File.Peer, e.File.Name, byteCount(e.File.Size))
	case linnet.EventFileChanged:
		if e.File.State.Final() {
			return fmt.Sprintf("File %s: %s.", e.File.Name, fileStands(*e.File))
		}
	case linnet.EventCallEnded:
		return fmt.Sprintf("Call with %s: %s.", e.Record.Peer, e.Record.Outcome)
	}
	return ""
}
