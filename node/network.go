package node

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// network is the network that this node belongs to: its newest descriptor.
type network struct {
	mu         sync.Mutex
	descriptor *suite.Descriptor // nil: none yet
	signed     []byte
	known      chan struct{} // closed with the first descriptor
}

func (n *network) get() *suite.Descriptor {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.descriptor
}

func (n *network) bytes() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.signed
}

func (n *network) set(d *suite.Descriptor, signed []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.descriptor == nil {
		close(n.known)
	}
	n.descriptor, n.signed = d, signed
}

// wait waits for the first descriptor.
func (n *network) wait(ctx context.Context) (*suite.Descriptor, error) {
	select {
	case <-n.known:
		return n.get(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// loadNetwork reads the network of the database. An invite to another one is
// refused: a directory belongs to one network.
func (n *Node) loadNetwork(ctx context.Context) error {
	kept, err := n.store.Network(ctx)
	if err != nil || kept == nil {
		return err
	}
	if n.opts.Invite != nil && n.opts.Invite.Fingerprint != kept.Fingerprint {
		return &linnet.Error{Code: linnet.CodeUsage, Text: "the invite is for another network than the one in " + n.opts.Home,
			Hint: "give the second network a --home of its own"}
	}
	d, err := suite.OpenDescriptor(kept.Descriptor, kept.Fingerprint)
	if err != nil {
		return fmt.Errorf("network descriptor of the database: %w", err)
	}
	n.network.set(d, kept.Descriptor)
	return nil
}

// How long a new node looks for the network of its invite, and how often. Who
// starts a network and a node at once must not see the node fail.
const (
	joinTimeout = 10 * time.Second
	joinPause   = 250 * time.Millisecond
)

// joinNetwork fetches the descriptor that the invite means.
func (n *Node) joinNetwork(ctx context.Context, invite *suite.Invite) error {
	limited, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	var failure error
	for {
		_, signed, err := login.FetchDescriptor(limited, n.exchange, invite.Bootstrap, invite.Fingerprint, nil)
		if err == nil {
			return n.takeDescriptor(ctx, invite.Fingerprint, signed)
		}
		if failure == nil || limited.Err() == nil {
			failure = err
		}
		select {
		case <-time.After(joinPause):
			continue
		case <-limited.Done():
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if trouble := proxyTrouble(failure); trouble != nil {
			return trouble
		}
		return &linnet.Error{Code: linnet.CodeNoNetwork, Text: "no machine of the network answers at " + either(invite.Bootstrap),
			Hint: "check the connection, and with whoever invited you that the network runs", Err: failure}
	}
}

// either names the addresses of which one is enough.
func either(addrs []netip.AddrPort) string {
	names := make([]string, len(addrs))
	for i, a := range addrs {
		names[i] = a.String()
	}
	return strings.Join(names, " or ")
}

// refreshNetwork looks whether there is a newer descriptor.
func (n *Node) refreshNetwork(ctx context.Context) error {
	d := n.network.get()
	_, signed, err := login.FetchDescriptor(ctx, n.exchange, d.Holders(), d.Fingerprint(), nil)
	if err != nil {
		return err
	}
	return n.takeDescriptor(ctx, d.Fingerprint(), signed)
}

// takeDescriptor keeps a descriptor unless it is older than the one known.
func (n *Node) takeDescriptor(ctx context.Context, fingerprint [32]byte, signed []byte) error {
	d, err := suite.OpenDescriptor(signed, fingerprint)
	if err != nil {
		return err
	}
	if old := n.network.get(); old != nil && d.Serial <= old.Serial {
		return nil
	}
	if err := n.store.SetNetwork(ctx, store.Network{ID: d.Network, Fingerprint: fingerprint, Serial: d.Serial, Descriptor: signed}); err != nil {
		return err
	}
	n.network.set(d, signed)
	return nil
}

// How long one server may take to be reached, and to answer, which on a bad line takes
// several round trips of seconds. Then the next one is asked.
const (
	reachTimeout    = 4 * time.Second
	exchangeTimeout = 8 * time.Second
)

// exchange asks one question over a stream of its own.
func (n *Node) exchange(ctx context.Context, addr netip.AddrPort, m message.Message) (message.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	reach, cancelReach := context.WithTimeout(ctx, reachTimeout)
	stream, _, err := n.dialStream(reach, knock{addr: addr})
	cancelReach()
	if err != nil {
		return nil, err
	}
	defer n.link.Close(stream)
	return n.link.RequestStream(ctx, stream, m)
}

// replyError says why a reply is not the expected one.
func replyError(reply message.Message) error {
	if f, ok := reply.(*message.Failure); ok {
		return fmt.Errorf("refused (%d): %s", f.Code, f.Text)
	}
	return fmt.Errorf("answered by %T", reply)
}
