package node

import (
	"sync"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
)

// A switchboard gives media packets from the network to the phone of the peer
// that they come from, past the loop.
type switchboard struct {
	link *link.Link

	mu    sync.RWMutex
	lines map[linnet.NodeID]*phone
}

// bind says that media under tag|1 comes from peer.
func (b *switchboard) bind(peer linnet.NodeID, tag uint32) {
	b.link.Bind(tag|1, func(_ link.Origin, body []byte) {
		b.mu.RLock()
		p := b.lines[peer]
		b.mu.RUnlock()
		if p != nil {
			p.packet(body)
		}
	})
}

func (b *switchboard) unbind(tag uint32) { b.link.Unbind(tag | 1) }

// plug makes p the phone of a peer; nil is none.
func (b *switchboard) plug(peer linnet.NodeID, p *phone) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p == nil {
		delete(b.lines, peer)
	} else {
		b.lines[peer] = p
	}
}
