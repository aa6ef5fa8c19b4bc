package node

import (
	"bytes"
	"sync"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/bulk"
	"github.com/linnet-p2p/linnet/link"
)

// A switchboard gives media packets from the network to the phone of the peer
// that they come from, past the loop. The first ones of a call may come before its
// phone is there, as the loop still has to take the answer's echo: they wait.
type switchboard struct {
	link *link.Link
	bulk func(from linnet.NodeID, packet []byte) // takes what is no media; nil drops it

	mu    sync.Mutex
	lines map[linnet.NodeID]*phone
	early map[linnet.NodeID][][]byte
}

// What waits for a phone: a second and a half of voice, of a few peers.
const (
	maxEarly      = 75
	maxEarlyPeers = 64
)

func newSwitchboard(l *link.Link) *switchboard {
	return &switchboard{link: l, lines: make(map[linnet.NodeID]*phone), early: make(map[linnet.NodeID][][]byte)}
}

// bind says that media under tag|1 comes from peer.
func (b *switchboard) bind(peer linnet.NodeID, tag uint32) {
	b.link.Bind(tag|1, func(_ link.Origin, body []byte) {
		if bulk.Is(body) {
			if b.bulk != nil {
				b.bulk(peer, body)
			}
			return
		}
		if p := b.line(peer, body); p != nil {
			p.packet(body)
		}
	})
}

// line is the phone for a packet, which waits if there is none.
func (b *switchboard) line(peer linnet.NodeID, body []byte) *phone {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.lines[peer]
	waiting, known := b.early[peer]
	if p == nil && (known || len(b.early) < maxEarlyPeers) {
		// The newest count: older ones may be the last of another call.
		waiting = append(waiting, bytes.Clone(body))
		b.early[peer] = waiting[max(0, len(waiting)-maxEarly):]
	}
	return p
}

func (b *switchboard) unbind(tag uint32) { b.link.Unbind(tag | 1) }

// plug makes p the phone of a peer, and gives it what came before it was there.
func (b *switchboard) plug(peer linnet.NodeID, p *phone) {
	b.mu.Lock()
	early := b.early[peer]
	delete(b.early, peer)
	b.lines[peer] = p
	b.mu.Unlock()
	for _, packet := range early {
		p.packet(packet)
	}
}

// unplug ends a phone's line.
func (b *switchboard) unplug(peer linnet.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.lines, peer)
}

// forget drops what waits for a peer whose session is over.
func (b *switchboard) forget(peer linnet.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.early, peer)
}
