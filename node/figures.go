package node

import (
	"context"
	"time"

	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/relay"
)

// Figures are what an operator watches of a supernode.
type Figures struct {
	Serving    bool // takes part in the network as a supernode, and is not told to stop
	Clients    int  // attached nodes
	Supernodes int  // that it knows and that are alive, itself among them
	Slot       int  // of its own name; what it holds for others is in many
	Block      int
	Records    int     // of devices, kept here
	Searches   uint64  // that clients and supernodes asked
	Load       int     // of its limits, in percent
	Sheds      [3]bool // by overlay.Service: it leaves it at present
	Relay      relay.Stats
	Link       link.Counters
}

// Figures counts. It waits for the loop, so that it also tells whether that runs.
func (n *Node) Figures(ctx context.Context) (Figures, error) {
	f := Figures{Link: n.Counters()}
	err := n.do(ctx, func(now time.Time) {
		s := n.station
		if s == nil {
			return // it has no identity yet
		}
		f.Serving = !n.draining.Load() && len(s.overlay.Attachments()) > 0
		f.Clients, f.Supernodes, f.Load = s.overlay.Clients(), s.overlay.Supernodes(), s.overlay.Load(now)
		slot := n.slotOf()(s.self.User)
		f.Slot, f.Block = int(slot), int(slot.Block())
		f.Searches = s.searches
		for i := range f.Sheds {
			f.Sheds[i] = s.overlay.Sheds(now, overlay.Service(i))
		}
		if s.member != nil {
			f.Records = s.member.Records()
		}
		if s.relaying.server != nil {
			f.Relay = s.relaying.server.Stats()
		}
	})
	return f, err
}

// Counters are those of the node's link.
func (n *Node) Counters() link.Counters { return n.link.Counters() }

// Counters are those of the login server's link.
func (s *LoginServer) Counters() link.Counters { return s.link.Counters() }
