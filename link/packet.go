package link

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
)

// A PacketFunc takes the packets of one tag. body is good during the call only.
type PacketFunc func(from Origin, body []byte)

// tags is who takes which packets without asking the handler.
type tags struct {
	some  atomic.Bool // there are any: a relay, which has none, need not look for every packet
	mu    sync.RWMutex
	byTag map[uint32]PacketFunc
}

// Bind gives the packets of a tag to f, which the reading goroutines call: it
// must not wait, and several may call it at once.
func (l *Link) Bind(tag uint32, f PacketFunc) {
	l.tags.mu.Lock()
	defer l.tags.mu.Unlock()
	if l.tags.byTag == nil {
		l.tags.byTag = make(map[uint32]PacketFunc)
	}
	l.tags.byTag[tag] = f
	l.tags.some.Store(true)
}

// Unbind gives the packets of a tag to the handler again. A call of the
// function that Bind set may still be under way.
func (l *Link) Unbind(tag uint32) {
	l.tags.mu.Lock()
	defer l.tags.mu.Unlock()
	delete(l.tags.byTag, tag)
	l.tags.some.Store(len(l.tags.byTag) > 0)
}

func (l *Link) bound(tag uint32) PacketFunc {
	if !l.tags.some.Load() {
		return nil
	}
	l.tags.mu.RLock()
	f := l.tags.byTag[tag]
	l.tags.mu.RUnlock()
	return f
}

// packet takes a packet from a datagram that is not passed on, or from a stream.
func (l *Link) packet(from Origin, tag uint32, body []byte) {
	if f := l.bound(tag); f != nil {
		f(from, body)
		return
	}
	if from.Stream == 0 || !l.passRecordOn(from, tag, body) {
		l.o.Handler.HandlePacket(from, tag, body)
	}
}

// MaxPacket is the longest body that SendPacket takes for UDP. What is longer
// than 1225 bytes may not pass everywhere.
const MaxPacket = maxBuffer - frame.SessionSize

// SendPacket sends a packet under the receiver's tag, as a datagram or in a
// stream. It is not resent.
func (l *Link) SendPacket(to Origin, tag uint32, body []byte) error {
	if err := l.sendPacket(to, tag, body); err != nil {
		return fmt.Errorf("link: packet to %v: %w", to.Addr, err)
	}
	return nil
}

func (l *Link) sendPacket(to Origin, tag uint32, body []byte) error {
	if to.Stream != 0 {
		s := l.stream(to.Stream)
		switch {
		case s == nil:
			return ErrStream
		case len(body) > frame.MaxPayload:
			return ErrTooLong
		}
		return s.send(frame.Record{Kind: frame.InSession, Classic: l.classic.Load(), Tag: tag, Body: body})
	}
	if len(body) > MaxPacket {
		return ErrTooLong
	}
	conn, err := l.socket(to.Socket)
	if err != nil {
		return err
	}
	return l.writeBy(conn, to.Addr, packetFrame(tag, body), 0)
}

func packetFrame(tag uint32, body []byte) frame.Frame {
	r := rand.Uint32()
	return frame.Frame{ID: uint16(r), Noise: uint8(r >> 16), Type: frame.Session, Tag: tag, Body: body}
}

// SendWhole is SendPacket for a datagram that arrives whole or not at all.
func (l *Link) SendWhole(to Origin, tag uint32, body []byte) error {
	conn, err := l.socket(to.Socket)
	switch {
	case err != nil:
		return err
	case to.Stream != 0 || len(body) > MaxPacket:
		return ErrTooLong
	}
	b := packetFrame(tag, body).Append(nil)
	if err = netx.WriteWhole(conn, b, to.Addr); err == nil {
		l.count.udpOut.add(len(b))
	}
	return err
}

// KeepAlive keeps NATs on the way to a UDP address open. It is not answered.
func (l *Link) KeepAlive(to netip.AddrPort) error {
	r := rand.Uint32()
	err := l.write(to, frame.Frame{ID: uint16(r), Noise: uint8(r >> 16), Type: frame.Session, KeepAlive: true}, 0)
	if err != nil {
		return fmt.Errorf("link: keep-alive to %v: %w", to, err)
	}
	return nil
}
