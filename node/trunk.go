package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/bulk"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A trunk is the way of bulk packets past the loop: out by the route that the session
// has at the moment, and in from the switchboard.
type trunk struct {
	*bulk.Endpoint
	link *link.Link
	log  *slog.Logger

	mu     sync.RWMutex
	routes map[linnet.NodeID]session.Route
	widths map[linnet.NodeID]*width
}

func newTrunk(l *link.Link, log *slog.Logger) (*trunk, error) {
	t := &trunk{link: l, log: log, routes: make(map[linnet.NodeID]session.Route), widths: make(map[linnet.NodeID]*width)}
	var err error
	t.Endpoint, err = bulk.New(bulk.Options{Send: t.send})
	return t, err
}

// send drops what has no way: supernodes that forward carry no bulk. So it does with what is
// too large: the connection ends, if no path is found that carries it.
func (t *trunk) send(to linnet.NodeID, b []byte) {
	t.mu.RLock()
	r, w := t.routes[to], t.widths[to]
	tooLarge := w != nil && w.size != 0 && len(b) > w.size && r.Path.Stream == 0
	t.mu.RUnlock()
	if r.Path.Kind == linnet.NoPath || tooLarge {
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
	delete(t.widths, peer)
	t.mu.Unlock()
	t.Forget(peer)
}

// connectBulk connects to a device of somebody who has a file for us, telling it first.
func (s *station) connectBulk(ctx context.Context, user linnet.UserName, to linnet.NodeID, first message.Message) (*bulk.Conn, error) {
	type answer struct {
		hash bulk.Hash
		err  error
	}
	answers := make(chan answer, 1)
	err := s.node.do(ctx, func(now time.Time) {
		s.reach(now, user, to, func(now time.Time, err error) {
			if err == nil && s.pairs[to] == nil && !s.roomForPair(now) {
				err = errors.New("ways to too many devices are looked for")
			}
			if err != nil {
				answers <- answer{err: err}
				return
			}
			s.open(now, to, first)
			if p := s.pairs[to]; p != nil {
				p.seen = now
			}
			s.request(now, to, &message.BulkConnect{Certificate: s.files.trunk.Hash()}, func(now time.Time, reply message.Message, err error) {
				a := answer{err: err}
				switch reply := reply.(type) {
				case *message.BulkConnected:
					s.files.trunk.move(to, s.sessions.Routes(to))
					s.widen(now, to)
					a.hash = reply.Certificate
				case *message.Failure:
					a.err = replyError(reply)
				}
				answers <- a
			})
		})
	})
	if err != nil {
		return nil, err
	}
	a, err := await(ctx, s.node, answers)
	if err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	s.files.trunk.sure(ctx, to)
	conn, err := s.files.trunk.Dial(ctx, to, a.hash)
	if err == nil {
		s.keepWide(conn)
	}
	return conn, err
}
