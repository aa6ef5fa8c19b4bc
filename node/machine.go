package node

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
)

// A supernode is an operator's machine: its identity came with the network
// (CreateNetwork), or it gets one for a ticket when it starts for the first time.

var noMachine = &linnet.Error{Code: linnet.CodeUsage, Text: "no supernode was made for this directory",
	Hint: "`linnet network ticket NAME` on the login server's machine prints a ticket for one; start it with --join TICKET"}

// checkMachine finds out before anything else whether a supernode has an
// identity, or a ticket to get one.
func (n *Node) checkMachine(ctx context.Context) error {
	id, err := n.store.Identity(ctx)
	if err != nil || id != nil && len(id.Certificate) > 0 {
		return err
	}
	if n.opts.Invite == nil {
		return noMachine
	}
	if _, ok := login.TicketName(n.opts.Invite.Token); !ok {
		return login.ErrTicket
	}
	return nil
}

// enlist gets the identity that the ticket of a supernode promises, unless
// it has a good one.
func (n *Node) enlist(ctx context.Context) error {
	if err := n.account.take(ctx); err != nil {
		return err
	}
	defer n.account.give()
	d := n.network.get()
	id, err := n.store.Identity(ctx)
	if err != nil {
		return err
	}
	if id != nil && len(id.Certificate) > 0 {
		if _, err := d.OpenCertificate(id.Certificate, time.Now()); err == nil {
			return nil
		}
	}
	ticket := n.opts.Invite.Token
	name, ok := login.TicketName(ticket)
	if !ok {
		return login.ErrTicket
	}
	return n.obtain(ctx, d, id, &store.Identity{User: linnet.NodeName(name), Device: name},
		func(server *login.Client, keys suite.Keys) (*login.Grant, error) {
			return server.Enlist(ctx, ticket, keys)
		})
}

// What a supernode that the descriptor does not name was told when it was
// started before.
const (
	settingListen    = "supernode listens on"
	settingAdvertise = "supernode is reached at"
)

// takeSeat settles where a supernode listens and is reached: as it is told, else
// as the descriptor has it, else as it was before. Others keep its address for long.
func (n *Node) takeSeat(ctx context.Context) error {
	if seat := n.seat(ctx); seat.IsValid() {
		if !n.opts.Listen.IsValid() {
			n.opts.Advertise = seat
			n.opts.Listen = everywhere(seat.Port())
		}
		return nil
	}
	for _, s := range []struct {
		name string
		at   *netip.AddrPort
	}{{settingListen, &n.opts.Listen}, {settingAdvertise, &n.opts.Advertise}} {
		if s.at.IsValid() {
			continue
		}
		kept, err := n.store.Setting(ctx, s.name, "")
		if err == nil && kept != "" {
			*s.at, err = netip.ParseAddrPort(kept)
		}
		if err != nil {
			return fmt.Errorf("the address of this supernode: %w", err)
		}
	}
	return nil
}

// keepSeat remembers what takeSeat wants to know the next time.
func (n *Node) keepSeat(ctx context.Context) error {
	if n.seat(ctx).IsValid() {
		return nil
	}
	err := n.store.SetSetting(ctx, settingListen, n.link.Addr().String())
	if err == nil && n.opts.Advertise.IsValid() {
		err = n.store.SetSetting(ctx, settingAdvertise, n.opts.Advertise.String())
	}
	return err
}

// seat is the address under which the descriptor names this node as one of the
// network's first supernodes; zero if it does not.
func (n *Node) seat(ctx context.Context) netip.AddrPort {
	d := n.network.get()
	id, err := n.store.Identity(ctx)
	if err != nil || id == nil || d == nil {
		return netip.AddrPort{}
	}
	cert, err := d.OpenCertificate(id.Certificate, time.Now())
	if err != nil {
		return netip.AddrPort{} // resume tells
	}
	for _, s := range d.Supernodes {
		if s.Node == cert.NodeID() {
			return s.Addr
		}
	}
	return netip.AddrPort{}
}

// everywhere is a port on all addresses.
func everywhere(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.IPv6Unspecified(), port)
}
