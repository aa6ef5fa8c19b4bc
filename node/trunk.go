package node

import (
	"log/slog"
	"sync"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/bulk"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/session"
)

// A trunk is the way of bulk packets past the loop: out by the route that the session
// has at the moment, and in from the switchboard.
type trunk struct {
	*bulk.Endpoint
	link *link.Link
	log  *slog.Logger

	mu     sync.RWMutex
	routes map[linnet.NodeID]session.Route
}

func newTrunk(l *link.Link, log *slog.Logger) (*trunk, error) {
	t := &trunk{link: l, log: log, routes: make(map[linnet.NodeID]session.Route)}
	var err error
	t.Endpoint, err = bulk.New(bulk.Options{Send: t.send})
	return t, err
}

// send drops what has no way: supernodes that forward carry no bulk.
func (t *trunk) send(to linnet.NodeID, b []byte) {
	t.mu.RLock()
	r := t.routes[to]
	t.mu.RUnlock()
	if r.Path.Kind == linnet.NoPath {
		return
	}
	if err := t.link.SendPacket(origin(r.Path), r.Tag, b); err != nil {
		t.log.Debug("send bulk", "via", r.Path, "err", err)
	}
}

// move says where packets for a peer go from now on.
func (t *trunk) move(peer linnet.NodeID, routes []session.Route) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.routes[peer] = session.Route{}
	for _, r := range routes {
		if r.Path.Kind != linnet.Forwarded {
			t.routes[peer] = r
			return
		}
	}
}

// moved is the same for a peer whose packets go somewhere already, or are to.
func (t *trunk) moved(peer linnet.NodeID, routes []session.Route) {
	t.mu.RLock()
	_, known := t.routes[peer]
	t.mu.RUnlock()
	if known {
		t.move(peer, routes)
	}
}

// path is how packets get to a peer.
func (t *trunk) path(peer linnet.NodeID) linnet.PathKind {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.routes[peer].Path.Kind
}

// forget ends all with a peer whose session is over.
func (t *trunk) forget(peer linnet.NodeID) {
	t.mu.Lock()
	delete(t.routes, peer)
	t.mu.Unlock()
	t.Forget(peer)
}
