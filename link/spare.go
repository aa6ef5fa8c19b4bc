package link

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
)

// maxSpares bounds the spare sockets of a link: two searches at once.
const maxSpares = 512

// ErrSpare says that a spare socket is closed.
var ErrSpare = errors.New("the spare socket is closed")

// spares are sockets besides the link's own. Behind a NAT that gives every
// destination a port of its own, each of them is one more port by which a peer
// may get in. They carry packets of sessions and media only.
type spares struct {
	mu     sync.RWMutex
	closed bool
	last   uint32
	byID   map[uint32]netx.PacketConn
}

func (s *spares) get(id uint32) netx.PacketConn {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID[id]
}

// add takes a socket, if there is room for it.
func (s *spares) add(conn netx.PacketConn) (id uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.byID) >= maxSpares {
		return 0, false
	}
	if s.byID == nil {
		s.byID = make(map[uint32]netx.PacketConn)
	}
	s.last++
	s.byID[s.last] = conn
	return s.last, true
}

func (s *spares) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.clear()
}

func (s *spares) clear() {
	s.mu.RLock()
	ids := slices.Collect(maps.Keys(s.byID))
	s.mu.RUnlock()
	for _, id := range ids {
		s.remove(id)
	}
}

func (s *spares) remove(id uint32) {
	s.mu.Lock()
	conn := s.byID[id]
	delete(s.byID, id)
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}

// OpenSpares opens up to n spare sockets on free ports, and gives their names for
// Origin.Socket. CloseSpare has to be called for each of them; Run does it at its end.
func (l *Link) OpenSpares(n int) (ids []uint32, err error) {
	for range n {
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return ids, ErrClosed
		}
		l.wg.Add(1) // of what reads it
		l.mu.Unlock()
		conn, err := l.o.Net.ListenUDP(context.Background(), netip.AddrPortFrom(l.o.Listen.Addr(), 0))
		if err != nil {
			l.wg.Done()
			return ids, fmt.Errorf("link: spare socket: %w", err)
		}
		id, ok := l.spares.add(conn)
		if !ok {
			l.wg.Done()
			conn.Close()
			return ids, nil
		}
		go func() {
			defer l.wg.Done()
			l.readSpare(id, conn)
		}()
		ids = append(ids, id)
	}
	return ids, nil
}

// SpareAddr is the local address of a spare socket; zero if it is closed.
func (l *Link) SpareAddr(id uint32) (at netip.AddrPort) {
	if conn := l.spares.get(id); conn != nil {
		at = conn.LocalAddr()
	}
	return at
}

// socket is a spare one, or, by 0, the link's own.
func (l *Link) socket(id uint32) (netx.PacketConn, error) {
	if id == 0 {
		return l.udp(), nil
	}
	if conn := l.spares.get(id); conn != nil {
		return conn, nil
	}
	return nil, ErrSpare
}

// CloseSpare closes a spare socket.
func (l *Link) CloseSpare(id uint32) { l.spares.remove(id) }

// CloseSpares closes all of them: whoever opened them is gone.
func (l *Link) CloseSpares() { l.spares.clear() }

func (l *Link) readSpare(id uint32, conn netx.PacketConn) {
	defer l.spares.remove(id)
	b := make([]byte, maxBuffer)
	for failures := 0; failures <= maxUDPErrors; {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			failures++
			continue
		}
		failures = 0
		l.count.udpIn.add(n)
		f, err := frame.Parse(b[:n])
		if err != nil || f.Type != frame.Session || f.KeepAlive {
			continue
		}
		l.packet(Origin{Addr: from, Socket: id}, f.Tag, f.Body)
	}
}

// Open sends a keep-alive that gets no farther than so many routers, from a socket of
// this node: it opens the NATs before this node for the address, unseen by those
// before the peer. There, on some routers, a packet that comes too early spoils the port.
func (l *Link) Open(to Origin, hops int) error {
	conn, err := l.socket(to.Socket)
	if err != nil {
		return err
	}
	b := Nothing()
	err = netx.WriteHops(conn, b, to.Addr, hops)
	if err == nil {
		l.count.udpOut.add(len(b))
	}
	return err
}

// Nothing is a datagram that a link takes no notice of: a keep-alive.
func Nothing() []byte {
	r := rand.Uint32()
	return frame.Frame{ID: uint16(r), Noise: uint8(r >> 16), Type: frame.Session, KeepAlive: true}.Append(nil)
}
