package node

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
)

// A knock is how another node's TCP listeners are tried.
type knock struct {
	addr  netip.AddrPort // its own port
	rungs linnet.Rungs   // zero: not known, all
	name  string         // for port 443
}

// rungsApart is when the next rung begins while the one before is not answered. The
// attachment to supernodes has its own ladder, in package overlay.
const rungsApart = 300 * time.Millisecond

// A connection that does not come about is tried anew beside it.
const (
	dialAgain = 1200 * time.Millisecond
	dialTries = 3
)

// ways are the rungs to try and when each begins. Those up to the one that led out
// of here the last time begin at once.
func (n *Node) ways(k knock) (rungs []linnet.Rung, delays []time.Duration) {
	known := linnet.Rung(n.rung.Load())
	for r := linnet.RungTCP; r < linnet.NumRungs; r++ {
		if k.rungs == 0 || k.rungs.Has(r) {
			rungs = append(rungs, r)
			delays = append(delays, max(0, time.Duration(r)-time.Duration(max(known, linnet.RungTCP)))*rungsApart)
		}
	}
	return rungs, delays
}

// dialStream opens a stream to another node: to its own port, else to 80, else 443.
func (n *Node) dialStream(ctx context.Context, k knock) (uint64, linnet.Rung, error) {
	rungs, delays := n.ways(k)
	stream, i, err := race(ctx, delays, func(ctx context.Context, i int) (uint64, error) {
		at := netip.AddrPortFrom(k.addr.Addr(), rungs[i].Port(k.addr.Port()))
		return insist(ctx, dialAgain, dialTries, func(ctx context.Context) (uint64, error) {
			return n.dialRung(ctx, rungs[i], at, k.name)
		}, n.link.Close)
	}, n.link.Close)
	if err != nil {
		return 0, 0, err
	}
	n.rung.Store(uint32(rungs[i]))
	return stream, rungs[i], nil
}

// dialRung opens a stream by one rung, at the address that it leads to.
func (n *Node) dialRung(ctx context.Context, r linnet.Rung, at netip.AddrPort, name string) (uint64, error) {
	if r == linnet.RungPort443 {
		return n.link.DialTLS(ctx, at, name)
	}
	return n.link.Dial(ctx, at)
}

// dialRaw is the same for connections that are no streams: logins of classic networks.
func (n *Node) dialRaw(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	rungs, delays := n.ways(knock{addr: addr})
	conn, _, err := race(ctx, delays, func(ctx context.Context, i int) (net.Conn, error) {
		return n.opts.Net.DialTCP(ctx, netip.AddrPortFrom(addr.Addr(), rungs[i].Port(addr.Port())))
	}, func(c net.Conn) { c.Close() })
	return conn, err
}

// proxyTrouble is what a proxy has to do with err, for people; nil if nothing.
func proxyTrouble(err error) *linnet.Error {
	if e, ok := errors.AsType[*netx.ProxyError](err); ok {
		return &linnet.Error{Code: linnet.CodeNoNetwork, Text: "the proxy " + e.Proxy + " " + e.Text, Hint: e.Hint, Err: err}
	}
	return nil
}

// reach says whether this host has addresses of a family: a machine without a
// network has only itself, and may find out by trying.
func (n *Node) reach(ip netip.Addr) bool {
	addrs, err := n.opts.Net.Addrs()
	if err != nil || len(addrs) == 0 || ip.IsLoopback() {
		return true
	}
	for _, a := range addrs {
		if a.Is4() == ip.Unmap().Is4() {
			return true
		}
	}
	return false
}

func (s *station) dialSupernode(now time.Time, to linnet.NodeID) error {
	host, known := s.overlay.Host(to)
	if !known {
		return session.ErrNoSession
	}
	return s.connect(now, host)
}

// tcpHeadStart is how long UDP may stay unanswered before TCP is tried beside it.
const tcpHeadStart = time.Second

// connect opens a session with a supernode: by UDP, and a little later in a stream
// as well. Where supernodes were reached by streams alone, that is at once.
func (s *station) connect(now time.Time, h overlay.Host) error {
	addr := s.overlay.AddrOf(h)
	if !addr.IsValid() {
		return session.ErrNoSession // it has no address of a family that we have
	}
	peer := session.Peer{Node: h.Node, Agreement: h.Agreement}
	if err := s.sessions.Dial(now, peer, session.Path{Kind: linnet.DirectUDP, Addr: addr}); err != nil {
		return err
	}
	if s.dials[h.Node] > 0 {
		return nil // a stream is on its way already
	}
	s.dials[h.Node]++
	headStart := tcpHeadStart
	if s.streamsOnly() {
		headStart = 0
	}
	s.node.beside(func(ctx context.Context) {
		select {
		case <-time.After(headStart):
		case <-ctx.Done():
		}
		var stream uint64
		var by linnet.Rung
		waiting := false
		err := s.node.do(ctx, func(time.Time) { waiting = s.node.station == s && !s.sessions.Up(h.Node) })
		if err == nil && waiting {
			stream, by, err = s.node.dialStream(ctx, knock{addr, h.Rungs, h.Name})
		}
		s.node.must(func(now time.Time) {
			if err == nil && stream != 0 {
				err = s.greet(now, peer, stream, by, addr)
			}
			s.dialled(now, h.Node, err)
		})
	})
	return nil
}

// connectBy opens a session with a supernode the way that its probe was answered.
func (s *station) connectBy(now time.Time, h overlay.Host, by overlay.Probe) error {
	if by.Rung == linnet.RungUDP {
		h.Addrs = []netip.AddrPort{by.Addr}
		return s.connect(now, h)
	}
	peer := session.Peer{Node: h.Node, Agreement: h.Agreement}
	if stream, open := s.streams.answered(now, by, h.Node); open {
		return s.sessions.Dial(now, peer, session.Path{Kind: linnet.DirectTCP, Addr: by.Addr, Stream: stream})
	}
	s.dials[h.Node]++
	s.node.beside(func(ctx context.Context) {
		stream, err := s.node.dialRung(ctx, by.Rung, by.Addr, by.Name)
		s.node.must(func(now time.Time) {
			if err == nil {
				err = s.greet(now, peer, stream, by.Rung, by.Addr)
			}
			s.dialled(now, h.Node, err)
		})
	})
	return nil
}

// greet says Hello in a stream that was opened for it.
func (s *station) greet(now time.Time, peer session.Peer, stream uint64, by linnet.Rung, addr netip.AddrPort) error {
	s.streams.add(now, stream, peer.Node)
	at := netip.AddrPortFrom(addr.Addr(), by.Port(addr.Port()))
	return s.sessions.Dial(now, peer, session.Path{Kind: linnet.DirectTCP, Addr: at, Stream: stream})
}

// streamsOnly says that this node is on the network, and not by UDP.
func (s *station) streamsOnly() bool {
	nodes := s.overlay.Attachments()
	for _, id := range nodes {
		if r, ok := s.overlay.AttachedBy(id); !ok || r == linnet.RungUDP {
			return false
		}
	}
	return len(nodes) > 0
}

// dialled counts the end of one way to dial a node. When none is left, it is over.
func (s *station) dialled(now time.Time, to linnet.NodeID, err error) {
	if s.dials[to]--; s.dials[to] > 0 {
		return
	}
	delete(s.dials, to)
	if err != nil && !s.sessions.Up(to) {
		s.sessions.Abort(now, to, err)
	}
}
