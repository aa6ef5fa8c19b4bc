package overlay

import (
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An Effect is something for the endpoint to do: one of the structs below. Send,
// Request and Respond serve package directory, too.
//
// An endpoint that has no session with the target of a Send or Request opens
// one with Machine.Host(To), and keeps a bounded number of messages meanwhile.
// What is for the node itself comes back to its own Received.
type Effect any

// A Token tells the answers of one machine's requests apart.
type Token uint64

// Probe asks an address whether its supernode takes clients (command 27), by UDP
// or in a stream; Machine.Probed is told the answer.
type Probe struct {
	Rung linnet.Rung
	Addr netip.AddrPort // with the rung's port
	Name string         // for port 443: Host.Name
}

// Dial sends a raw request to an address. Its answer means nothing to this node.
type Dial struct {
	Addr    netip.AddrPort
	Message *message.DialTest
}

// Connect opens a session the way that a Probe was answered; Machine.Up or Down
// says what became of it.
type Connect struct {
	Host Host
	By   Probe
}

// Better says that a supernode, whose session goes by a stream, answers UDP again:
// the session can move there. Machine.Moved is told when it has.
type Better struct {
	Node linnet.NodeID
	By   Probe
}

// Disconnect closes a session that this machine needs no longer.
type Disconnect struct{ Node linnet.NodeID }

// Send sends a one-way command.
type Send struct {
	To      linnet.NodeID
	Message message.Message
}

// Request sends a request; its answer goes to Replied of the machine that
// asked. After Wait nobody is interested any more.
type Request struct {
	To      linnet.NodeID
	Message message.Message
	Token   Token
	Wait    time.Duration
}

// Respond answers a request that Received was given.
type Respond struct {
	To      linnet.NodeID
	ID      uint16
	Message message.Message
}

// Attached says that a supernode serves this node; You is the address at which
// it sees it. Machine.Attachments has all of them.
type Attached struct {
	Node linnet.NodeID
	You  netip.AddrPort
}

// Seen says that a supernode that serves this node sees it at another address now.
type Seen struct {
	Node linnet.NodeID
	You  netip.AddrPort
}

// Detached says that a supernode serves this node no longer.
type Detached struct{ Node linnet.NodeID }

// Hold asks for a packet to a supernode that it need not answer, so that NATs on
// the way keep their mapping.
type Hold struct{ Node linnet.NodeID }

// Offline says that a round of attaching found nobody. Err says what was tried,
// for people; the next round comes after Retry.
type Offline struct {
	Err   error
	Retry time.Duration
}

// MembersChanged says that the slots may have other members now.
type MembersChanged struct{}

// HostCacheChanged asks to put Machine.HostCache on disk.
type HostCacheChanged struct{}

// ForwardUp is a forwarded message for this node itself.
type ForwardUp struct{ Message *message.Forward }

// Unrouted says that a message to Target found no way.
type Unrouted struct{ Target linnet.NodeID }
