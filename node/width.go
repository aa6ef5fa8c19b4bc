package node

import (
	"context"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/bulk"
	"github.com/linnet-p2p/linnet/session"
)

// A width is how large packets for a peer may be, by the MTU of the path to it.
type width struct {
	size int           // 0: nobody asked yet
	bulk int           // the same, as connections begin with it
	sure chan struct{} // closed when that is known
	told bool          // sure is closed
}

const (
	widthEvery = 5 * time.Second // it is watched, while there is a connection
	widthIn    = time.Second     // that a connection waits for it
)

// sized says how large packets for a peer may be from now on.
func (t *trunk) sized(e session.Sized) {
	t.mu.Lock()
	w, resize := t.width(e.Peer), false
	if w != nil {
		if w.size = e.Size; e.Sure && !w.told {
			w.told = true
			close(w.sure)
		}
		if resize = e.Sure || e.Size > w.bulk; resize { // connections end only where it is sure that they are too large
			w.bulk = e.Size
		}
	}
	t.mu.Unlock()
	if resize {
		t.Resize(e.Peer, e.Size)
	}
}

// width needs the lock. It is nil for a peer that was forgotten.
func (t *trunk) width(peer linnet.NodeID) *width {
	w := t.widths[peer]
	if _, known := t.routes[peer]; known && w == nil {
		w = &width{sure: make(chan struct{})}
		t.widths[peer] = w
	}
	return w
}

// widen has the session find out how large packets may be.
func (s *station) widen(now time.Time, peer linnet.NodeID) {
	t := s.files.trunk
	t.mu.Lock()
	w := t.width(peer)
	if w != nil && w.size == 0 {
		w.size, _ = s.sessions.Size(peer)
	}
	t.mu.Unlock()
	if w == nil {
		return
	}
	s.sessions.Widen(now, peer, 3*widthEvery)
	size, sure := s.sessions.Size(peer)
	t.sized(session.Sized{Peer: peer, Size: size, Sure: sure})
}

// keepWide does so as long as a connection lasts.
func (s *station) keepWide(conn *bulk.Conn) {
	s.node.beside(func(ctx context.Context) {
		for {
			select {
			case <-time.After(widthEvery):
			case <-conn.Context().Done():
				return
			case <-ctx.Done():
				return
			}
			s.node.must(func(now time.Time) {
				if s.node.station == s {
					s.widen(now, conn.Peer)
				}
			})
		}
	})
}

// sure waits until it is known how large packets may be, for a moment at most.
func (t *trunk) sure(ctx context.Context, peer linnet.NodeID) {
	t.mu.Lock()
	w := t.width(peer)
	t.mu.Unlock()
	if w == nil {
		return
	}
	select {
	case <-w.sure:
	case <-time.After(widthIn):
	case <-ctx.Done():
	}
}
