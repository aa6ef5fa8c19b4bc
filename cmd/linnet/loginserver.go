package main

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
)

type loginServerCmd struct {
	socketFlags
}

func (c *loginServerCmd) Run(p *program) error {
	return ignoreCancel(p.loginServer(p.ctx, p.home(), c.socketFlags))
}

// loginServer runs the authority whose home is dir, and echo123 beside it.
func (p *program) loginServer(ctx context.Context, dir string, flags socketFlags) error {
	network, closeCapture, err := flags.network()
	if err != nil {
		return err
	}
	defer closeCapture()
	server, err := node.OpenLoginServer(ctx, node.LoginServerOptions{Home: dir, Listen: flags.Listen, Net: network, Log: p.log})
	if err != nil {
		return err
	}
	echo, err := node.Open(ctx, node.Options{Home: filepath.Join(dir, node.EchoHome), Echo: true, Net: network, Log: p.log, Version: version})
	if err != nil {
		return err
	}
	p.tell("Login server on %s, with echo123.", server.Addr())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Run(ctx) })
	group.Go(func() error { return echo.Run(ctx) })
	return group.Wait()
}

type supernodeCmd struct {
	socketFlags
	Address netip.AddrPort `help:"Where others reach it; default: what it was made with, or its own address." placeholder:"ADDR:PORT"`
}

func (c *supernodeCmd) Run(p *program) error {
	return ignoreCancel(p.supernode(p.ctx, p.home(), c.socketFlags, c.Address))
}

// supernode runs the supernode whose home is dir.
func (p *program) supernode(ctx context.Context, dir string, flags socketFlags, address netip.AddrPort) error {
	network, closeCapture, err := flags.network()
	if err != nil {
		return err
	}
	defer closeCapture()
	n, err := node.Open(ctx, node.Options{
		Home: dir, Listen: flags.Listen, Advertise: address, Role: linnet.Supernode | linnet.Relay,
		Net: network, Log: p.log, Version: version,
	})
	if err != nil {
		return err
	}
	p.tell("Supernode on %s.", n.Addr())
	return n.Run(ctx)
}

// ignoreCancel makes Ctrl-C, which is how servers are stopped, no error.
func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
