package link

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

const (
	openTimeout  = 10 * time.Second // for the other side's opening
	writeTimeout = 30 * time.Second // for what was queued to move at all
	flushTimeout = time.Second      // for the rest when a stream closes
	strangerLife = time.Minute      // of a stream that nobody vouches for: a question and its answer
	maxPending   = 256              // requests of ours on one stream
	readBuffer   = 4 << 10
	dialledWord  = 1 // in the opening of who connects; who answers draws one
	leastPadding = 5
	mostPadding  = 60
)

var (
	errSlow    = errors.New("the peer does not read")
	errOpening = errors.New("no opening in time")
	errForeign = errors.New("no stream, and over")
	errRoom    = errors.New("others need the room")
	errIdle    = errors.New("it led to no session in time")
)

// A stream is one TCP connection. One goroutine reads, one writes.
type stream struct {
	link   *Link
	id     uint64
	raw    net.Conn // the connection
	conn   net.Conn // the same, or TLS over it; of the goroutines that read and write
	door   door
	remote netip.AddrPort
	done   chan struct{} // closed by close
	wake   chan struct{} // something is queued; capacity 1

	vouched bool        // or dialled; guarded by link.mu
	expiry  *time.Timer // of a stream that is not

	mu      sync.Mutex // all of below
	opened  bool
	err     error // why it closed
	queue   outbox
	nextID  uint16
	waiting map[uint16]chan message.Message
}

// A door is how a stream begins.
type door struct {
	dialled bool
	tls     bool   // inside TLS, or in disguise on classic networks; a listener takes all
	name    string // of the server, to be seen by who watches; may be empty
}

// stream finds an open stream.
func (l *Link) stream(id uint64) *stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.streams[id]
}

// add registers a connection, if there is room, and starts serve, which takes
// it out again.
func (l *Link) add(conn net.Conn, d door, serve func(*stream)) (*stream, error) {
	s := &stream{
		link: l, raw: conn, conn: conn, door: d, vouched: d.dialled,
		remote: netx.AddrPort(conn.RemoteAddr()), done: make(chan struct{}), wake: make(chan struct{}, 1),
		nextID: l.o.FirstID, waiting: make(map[uint16]chan message.Message),
	}
	if s.nextID == 0 {
		s.nextID = uint16(rand.Uint32())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	from := household(s.remote.Addr())
	switch {
	case l.closed:
		return nil, ErrClosed
	case !d.dialled && l.accepted[from] >= fromOne,
		len(l.streams) >= l.o.MaxStreams && !l.makeRoom():
		l.count.drop(DropStreams)
		return nil, ErrBusy
	}
	l.lastStream++
	s.id = l.lastStream
	l.streams[s.id] = s
	if !d.dialled {
		l.accepted[from]++
		s.expiry = time.AfterFunc(strangerLife, func() { s.expire(errIdle) })
	}
	l.wg.Go(func() { serve(s) })
	return s, nil
}

// remove undoes add.
func (l *Link) remove(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.streams, s.id)
	if s.door.dialled {
		return
	}
	s.expiry.Stop()
	from := household(s.remote.Addr())
	if l.accepted[from]--; l.accepted[from] == 0 {
		delete(l.accepted, from)
	}
}

// household is what one person may be expected to have: an IPv4 address, or a
// /64 of IPv6, whose addresses cost nothing.
func household(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// makeRoom ends the stream that has been here for longest of those that nobody
// vouches for: who fills the table with idle ones keeps nobody out. l.mu is held.
func (l *Link) makeRoom() bool {
	var oldest *stream
	for _, s := range l.streams {
		if !s.vouched && (oldest == nil || s.id < oldest.id) {
			oldest = s
		}
	}
	if oldest == nil {
		return false
	}
	oldest.vouched = true // it is chosen once
	oldest.close(errRoom)
	return true
}

// expire ends a stream that nobody vouched for.
func (s *stream) expire(why error) {
	s.link.mu.Lock()
	stays := s.vouched
	s.link.mu.Unlock()
	if !stays {
		s.link.count.drop(DropStreams)
		s.close(why)
	}
}

// Vouch says that a stream has a use, as a session over it is one. One that was
// accepted and that nobody vouches for is closed after a minute, or when there
// are too many. Who vouches closes it.
func (l *Link) Vouch(stream uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.streams[stream]; s != nil && !s.vouched {
		s.vouched = true
		s.expiry.Stop()
	}
}

func (l *Link) accept(tcp net.Listener, d door) error {
	for {
		conn, err := tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil { // out of descriptors, for one: it passes
			l.o.Log.Warn("accept", "err", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-l.done:
				return nil
			}
			continue
		}
		if _, err := l.add(conn, d, func(s *stream) { s.serve(nil) }); err != nil {
			conn.Close()
		}
	}
}

// Dial opens a stream. It returns when the other side has shown that it speaks
// the same.
func (l *Link) Dial(ctx context.Context, addr netip.AddrPort) (uint64, error) {
	return l.dial(ctx, addr, door{dialled: true, tls: l.classic.Load() && addr.Port() == portTLS})
}

// DialTLS opens a stream as on port 443: inside TLS to a server of this name, of
// which nobody needs to know any, or on a classic network in disguise.
func (l *Link) DialTLS(ctx context.Context, addr netip.AddrPort, name string) (uint64, error) {
	return l.dial(ctx, addr, door{dialled: true, tls: true, name: name})
}

func (l *Link) dial(ctx context.Context, addr netip.AddrPort, d door) (id uint64, err error) {
	fail := func(err error) (uint64, error) { return 0, fmt.Errorf("link: dial %v: %w", addr, err) }
	conn, err := l.o.Net.DialTCP(ctx, addr)
	if err != nil {
		return fail(err)
	}
	if id, err = l.enter(ctx, conn, d); err != nil {
		return fail(err)
	}
	return id, nil
}

// enter makes a stream of a connection, which is closed if that fails.
func (l *Link) enter(ctx context.Context, conn net.Conn, d door) (id uint64, err error) {
	opened := make(chan error, 1)
	s, err := l.add(conn, d, func(s *stream) { s.serve(opened) })
	if err != nil {
		conn.Close()
		return 0, err
	}
	select {
	case err = <-opened:
	case <-ctx.Done():
		err = ctx.Err()
		s.close(err)
	}
	return s.id, err
}

// Close sends what is queued and closes a stream. The handler is told.
func (l *Link) Close(stream uint64) {
	if s := l.stream(stream); s != nil {
		s.close(nil)
	}
}

// RequestStream sends a request over a stream and returns the reply.
func (l *Link) RequestStream(ctx context.Context, stream uint64, m message.Message) (message.Message, error) {
	spec := message.SpecOf(m)
	if spec == nil || spec.Kind != message.Request || spec.Carriers&message.Stream == 0 {
		return nil, fmt.Errorf("link: %T over a stream: %w", m, ErrCarrier)
	}
	s := l.stream(stream)
	if s == nil {
		return nil, fmt.Errorf("link: %s: %w", spec.Name, ErrStream)
	}
	reply, err := s.request(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("link: %s to %v: %w", spec.Name, s.remote, err)
	}
	return reply, nil
}

func (s *stream) request(ctx context.Context, m message.Message) (message.Message, error) {
	replied := make(chan message.Message, 1)
	s.mu.Lock()
	if len(s.waiting) >= maxPending {
		s.mu.Unlock()
		return nil, ErrBusy
	}
	packet := s.takeID()
	id := packet - 1
	s.waiting[id] = replied
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()
	plain := message.Append(nil, message.Command{ID: id, Body: m})
	if len(plain) > frame.MaxPayload {
		return nil, ErrTooLong
	}
	if err := s.send(frame.Record{Kind: frame.Commands, Packet: packet, Body: plain}); err != nil {
		return nil, err
	}
	select {
	case reply := <-replied:
		return reply, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.done:
		return nil, ErrStream
	}
}

// takeID is the next packet id that no request uses; s.mu is held.
func (s *stream) takeID() uint16 {
	for s.waiting[s.nextID-1] != nil {
		s.nextID += 2
	}
	s.nextID += 2
	return s.nextID - 2
}

// commands sends plain commands that nobody waits for here.
func (s *stream) commands(plain []byte) error {
	if len(plain) > frame.MaxPayload {
		return ErrTooLong
	}
	s.mu.Lock()
	packet := s.takeID()
	s.mu.Unlock()
	return s.send(frame.Record{Kind: frame.Commands, Packet: packet, Body: plain})
}

// send queues a record. Where the peer does not keep up, packets are lost, as
// they are on any line that is too narrow: what is passed on for others is no reason
// to part from him. Who leaves commands unread is dropped.
func (s *stream) send(r frame.Record) error {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return ErrStream
	}
	lost, ok := s.queue.put(time.Now(), r)
	s.mu.Unlock()
	for range lost {
		s.link.count.drop(DropSlow)
	}
	if !ok {
		s.link.count.drop(DropSlow)
		s.close(errSlow)
		return ErrStream
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// close ends the stream, once. What is queued still goes out if err is nil.
func (s *stream) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	if s.err = err; err == nil {
		s.err = ErrStream
	}
	close(s.done)
	if err != nil || !s.opened {
		s.raw.Close() // else the writer does
	} else {
		s.raw.SetWriteDeadline(time.Now().Add(flushTimeout))
	}
}

// serve reads until the stream ends. A stream that was dialled reports to
// opened how its opening went.
func (s *stream) serve(opened chan<- error) {
	l := s.link
	defer func() {
		s.raw.Close()
		l.remove(s)
	}()
	in, out, err := s.open()
	if err == nil {
		s.mu.Lock()
		if err = s.err; err == nil {
			s.opened = true
		}
		s.mu.Unlock()
	}
	if opened != nil {
		opened <- err
	} else if err != nil && err != errForeign {
		l.count.drop(DropStreams)
	}
	if err != nil {
		s.close(err)
		return
	}
	s.send(frame.Record{Kind: frame.Padding, Body: random(leastPadding + rand.IntN(mostPadding-leastPadding))})
	var wg sync.WaitGroup
	wg.Go(func() { s.write(out) })
	s.close(s.read(in))
	wg.Wait()
	l.o.Handler.StreamClosed(s.id)
}

func (s *stream) read(hidden *obfuscate.Stream) error {
	b := make([]byte, readBuffer)
	var records frame.Records
	for {
		n, err := s.conn.Read(b)
		if err != nil {
			return err
		}
		s.link.count.tcpIn.bytes.Add(uint64(n))
		hidden.XOR(b[:n])
		records.Feed(b[:n])
		records.Classic = s.link.classic.Load()
		for {
			r, ok, err := records.Next()
			if err != nil {
				s.link.count.drop(DropMalformed)
				return err
			}
			if !ok {
				break
			}
			s.link.count.tcpIn.packets.Add(1)
			s.record(r)
		}
	}
}

func (s *stream) record(r frame.Record) {
	from := Origin{Addr: s.remote, Stream: s.id}
	switch r.Kind {
	case frame.InSession:
		s.link.packet(from, r.Tag, r.Body)
	case frame.Commands:
		s.send(frame.Record{Kind: frame.Ack, Packet: r.Packet})
		for rest := r.Body; len(rest) > 0; {
			var c message.Command
			var err error
			if c, rest, err = message.Parse(rest, message.Stream); err != nil {
				s.link.count.drop(DropMalformed)
				continue
			}
			if message.SpecOf(c.Body).Kind != message.Reply {
				s.link.o.Handler.HandleCommand(from, c)
				continue
			}
			s.mu.Lock()
			replied := s.waiting[c.ID]
			delete(s.waiting, c.ID)
			s.mu.Unlock()
			if replied != nil {
				replied <- c.Body // it holds one, and gets no more
			} else {
				s.link.count.drop(DropUnexpected)
			}
		}
	}
}

// write sends what is queued, a piece at a time.
func (s *stream) write(hidden *obfuscate.Stream) {
	defer s.conn.Close()
	var b []byte
	for last := false; !last; {
		select {
		case <-s.wake:
		case <-s.done:
			last = true
		}
		for more := true; more; {
			s.mu.Lock()
			var records, lost int
			b, records, lost = s.queue.take(time.Now(), b[:0])
			more = s.queue.waiting()
			if s.err == nil { // else close has set one that is nearer
				s.raw.SetWriteDeadline(time.Now().Add(writeTimeout))
			}
			s.mu.Unlock()
			for range lost {
				s.link.count.drop(DropSlow)
			}
			if len(b) == 0 {
				continue
			}
			hidden.XOR(b)
			if _, err := s.conn.Write(b); err != nil {
				s.close(err)
				return
			}
			s.link.count.tcpOut.bytes.Add(uint64(len(b)))
			s.link.count.tcpOut.packets.Add(uint64(records))
		}
	}
}
