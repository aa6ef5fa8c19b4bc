package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/api/http"
	"github.com/linnet-p2p/linnet/node"
)

// demoSupernodes is how many supernodes the demo has: one more than a node is attached to.
const demoSupernodes = 3

// startNetwork makes a network and starts all of it but alice and bob.
func (d *demo) startNetwork(suiteName string) error {
	addrs, err := loopbackAddrs(d.ctx, 1+demoSupernodes)
	if err != nil {
		return err
	}
	d.invite, err = node.CreateNetwork(d.ctx, d.dir, node.NetworkOptions{
		Name: "demo", Suite: suiteName, LoginServer: addrs[0], Supernodes: addrs[1:],
	})
	if err != nil {
		return err
	}
	home := filepath.Join(d.dir, node.LoginServerHome)
	server, err := node.OpenLoginServer(d.ctx, node.LoginServerOptions{Home: home, Listen: addrs[0], Net: d.net, Log: d.log})
	if err != nil {
		return err
	}
	d.group.Go(func() error { return server.Run(d.ctx) })
	for i := range demoSupernodes {
		if _, err := d.start(node.Options{Home: node.SupernodePath(d.dir, i), Listen: addrs[1+i], Role: linnet.Supernode | linnet.Relay}); err != nil {
			return err
		}
	}
	_, err = d.start(node.Options{Home: filepath.Join(home, node.EchoHome), Listen: loopback, Echo: true})
	d.tell("Running: a login server, %d supernodes, echo123", demoSupernodes)
	return err
}

var loopback = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)

// loopbackAddrs finds addresses whose ports are free; the descriptor fixes them.
func loopbackAddrs(ctx context.Context, n int) ([]netip.AddrPort, error) {
	port, err := freePorts(ctx, n)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, n)
	for i := range addrs {
		addrs[i] = netip.AddrPortFrom(loopback.Addr(), port+uint16(i))
	}
	return addrs, nil
}

func (d *demo) start(o node.Options) (*node.Node, error) {
	o.Net, o.Log, o.Version = d.net, d.log, version
	n, err := node.Open(d.ctx, o)
	if err != nil {
		return nil, err
	}
	d.group.Go(func() error { return n.Run(d.ctx) })
	return n, nil
}

func (d *demo) startNode(name string, answer *linnet.CallMedia) (*node.Node, error) {
	return d.start(node.Options{Home: filepath.Join(d.dir, name), Listen: loopback, Invite: d.invite, AutoAnswer: answer})
}

// patience is how long the demo waits for what ought to happen at once.
const patience = 20 * time.Second

// reachable waits until alice is attached and finds the users online.
func (d *demo) reachable(users ...linnet.UserName) error {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	for _, user := range users {
		for {
			l, err := d.alice.Lookup(ctx, user)
			if err == nil && l.Online {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s did not come online within %s: %w", user, patience, err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// keepRunning leaves the network to whoever sits at the machine.
func (d *demo) keepRunning(page pageFlags) error {
	for _, x := range []struct {
		name string
		node *node.Node
		page pageFlags
	}{{"alice", d.alice, page}, {"bob", d.bob, pageFlags{NoBrowser: true}}} {
		own := *d.program
		flags := *d.flags
		flags.Home = filepath.Join(d.dir, x.name)
		own.flags = &flags
		site, err := x.page.site(x.node, flags.Home)
		if err != nil {
			return err
		}
		d.group.Go(func() error { return site.Run(d.ctx) })
		d.group.Go(func() error { return http.Serve(d.ctx, own.socket(), x.node, site) })
		d.showPage(site, x.name+"'s page", flags.Home, x.page.open())
	}
	self := os.Args[0]
	d.tell(`
On alice's page, click "Call echo123 to hear your own voice", let the browser use your microphone, and speak after the tone.
Then open bob's page in a second window, and call one from the other. Each link works once; this prints another one:

  %[1]s --home %[2]s/alice page

The network runs until Ctrl-C. All of it without a browser, in a second terminal:

  %[1]s --home %[2]s/alice status
  %[1]s --home %[2]s/alice lookup bob
  %[1]s --home %[2]s/alice call echo123 --play %[3]s --record heard.ogg --stay
  %[1]s --home %[2]s/alice call bob --play %[3]s

and in a third one, when it rings:

  %[1]s --home %[2]s/bob answer --record heard.ogg

A node of your own in this network:

  %[1]s --home ~/me up --join %[4]s
`, self, d.dir, filepath.Join(d.dir, "speech.ogg"), d.invite)
	<-d.ctx.Done()
	return nil
}
