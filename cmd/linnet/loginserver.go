package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/spare"
	"github.com/linnet-p2p/linnet/suite"
)

type loginServerCmd struct {
	socketFlags
	webFlags
	metricsFlags
}

func (c *loginServerCmd) Run(p *program) error {
	return ignoreCancel(p.loginServer(p.ctx, p.home(), c.socketFlags, c.webFlags, c.metricsFlags, nil))
}

// loginServer runs the authority whose home is dir, and echo123 beside it. opened,
// if not nil, is told when it listens.
func (p *program) loginServer(ctx context.Context, dir string, flags socketFlags, ports webFlags, metrics metricsFlags, opened func(*node.LoginServer)) error {
	web, err := ports.web()
	if err != nil {
		return err
	}
	network, closeCapture, err := flags.network()
	if err != nil {
		return err
	}
	defer closeCapture()
	server, err := node.OpenLoginServer(ctx, node.LoginServerOptions{Home: dir, Listen: flags.Listen, Web: web, Net: network, Log: p.log})
	if err != nil {
		return err
	}
	echo, err := node.Open(ctx, node.Options{Home: filepath.Join(dir, node.EchoHome), Echo: true, Net: network, Log: p.log, Version: version})
	if err != nil {
		return err
	}
	p.tell("Login server on %s, with echo123.", server.Addr())
	if opened != nil {
		opened(server)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Run(ctx) })
	group.Go(func() error { return echo.Run(ctx) })
	group.Go(func() error { return metrics.serve(ctx, watchLoginServer(server)) })
	return group.Wait()
}

type supernodeCmd struct {
	socketFlags
	webFlags
	metricsFlags
	Drain   time.Duration `help:"When it is stopped, how long at most its clients get to move to other supernodes." default:"10s"`
	Clients int           `help:"Nodes that may be attached at once; docs/operating.md tells what they cost." default:"1000"`
	Join    string        `help:"Be a new supernode of the network: with a ticket of \"linnet network ticket\"; remembered." placeholder:"TICKET"`
	Address string        `help:"Where others reach it, remembered; default: its own address, and the port of --listen or 33034." placeholder:"HOST[:PORT]"`
}

func (c *supernodeCmd) Run(p *program) error {
	opts := node.Options{Home: p.home(), Listen: c.Listen, Drain: c.Drain, Clients: c.Clients, Strain: new(spare.Meter).Percent}
	if c.Join != "" {
		ticket, err := suite.ParseInvite(c.Join)
		if err != nil {
			return &linnet.Error{Code: linnet.CodeInvite, Text: err.Error()}
		}
		opts.Invite = &ticket
	}
	if c.Address != "" {
		port := c.Listen.Port()
		if port == 0 {
			port = supernodePort
		}
		var err error
		if opts.Advertise, err = machine(p.ctx, c.Address, port); err != nil {
			return err
		}
	}
	return ignoreCancel(p.supernode(p.ctx, c.socketFlags, c.webFlags, c.metricsFlags, opts))
}

// supernode runs a supernode.
func (p *program) supernode(ctx context.Context, flags socketFlags, ports webFlags, metrics metricsFlags, opts node.Options) error {
	web, err := ports.web()
	if err != nil {
		return err
	}
	network, closeCapture, err := flags.network()
	if err != nil {
		return err
	}
	defer closeCapture()
	opts.Web = web
	opts.Role, opts.Net, opts.Log, opts.Version = linnet.Supernode|linnet.Relay, network, p.log, version
	n, err := node.Open(ctx, opts)
	if err != nil {
		return err
	}
	p.tell("Supernode on %s.", n.Addr())
	defer context.AfterFunc(ctx, func() {
		p.tell("Supernode on %s moves its clients to others. A second Ctrl-C stops at once.", n.Addr())
	})()
	watching, stopped := context.WithCancel(context.WithoutCancel(ctx)) // it is watched while it drains
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer stopped()
		return n.Run(ctx)
	})
	group.Go(func() error { return metrics.serve(watching, watchSupernode(n)) })
	return group.Wait()
}

// ignoreCancel makes Ctrl-C, which is how servers are stopped, no error.
func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
