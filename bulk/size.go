package bulk

import (
	"context"
	"crypto/tls"

	"github.com/linnet-p2p/linnet"
)

const (
	// leastSize is the least that QUIC allows: with the seven bytes of a D frame it fits
	// what passes everywhere (1232). QUIC's own search for more needs a socket that paths
	// do not change below; so the session searches, and says it by Resize.
	leastSize = 1200
	// mostSize is what the pacer of quic-go 0.65 reckons with, whatever the size is: with
	// larger packets it says that one may be sent, and then that it may not, without end.
	mostSize = 1280
)

// sizeKey is what a connection that comes has the size of its packets under.
type sizeKey struct{}

func (e *Endpoint) sizeFor(id linnet.NodeID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[id]; p != nil {
		return p.size
	}
	return leastSize
}

// Resize says how large packets for a peer may be. Connections with larger ones end: theirs
// would be lost.
func (e *Endpoint) Resize(id linnet.NodeID, size int) {
	var tooLarge []*Conn
	e.mu.Lock()
	if p, err := e.peer(id); err == nil {
		if size = max(min(size, mostSize), leastSize); size < p.size {
			close(p.narrower)
			p.narrower = make(chan struct{})
		}
		p.size = size
		for c := range p.conns {
			if c.size > p.size {
				tooLarge = append(tooLarge, c)
			}
		}
	}
	e.mu.Unlock()
	for _, c := range tooLarge {
		c.Close()
	}
}

// dial begins anew with smaller packets where they turn out to be too large.
func (e *Endpoint) dial(ctx context.Context, to linnet.NodeID, p *peer, t *tls.Config) (*Conn, error) {
	for {
		e.mu.Lock()
		size, narrower := p.size, p.narrower
		e.mu.Unlock()
		try, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			select {
			case <-narrower:
				stop()
			case <-try.Done():
			}
		}()
		q, err := e.transport.Dial(try, addr(to), t, config(size))
		tooLarge := err != nil && try.Err() != nil && ctx.Err() == nil
		stop()
		<-done
		if !tooLarge {
			return &Conn{Conn: q, Peer: to, size: size}, err
		}
	}
}
