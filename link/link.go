// Package link is what a node has on the network: one UDP socket and one TCP
// listener on the same port number, and where its owner allows two more listeners
// on the ports of the web. It frames, hides, acknowledges, resends,
// and puts fragments together; it learns where others see this node, and sends
// nobody more bytes than he sent before his address is known to be his own.
//
// What a command means, which streams are worth keeping, and everything secret
// are not its business: commands go to a Handler, packets of sessions and media
// to whoever bound their tag.
//
// # A request over UDP
//
//	we                              peer
//	 ── command, id n ──────────────▶   his address and ours make the key; ours is not known yet
//	 ◀────────── nack n, "you are A" ──
//	 ── resend n, his challenge ────▶   A is validated for ten minutes
//	 ◀───────────── command: reply ────
//
// From then on a command is answered at once. Frame ids rise by two, over all
// peers, as those of Skype's clients did; the request id inside is one less,
// and replies have the ids of their request. A request that arrives again is
// answered from memory. A request too long for one datagram goes out as
// fragments after a Probe has introduced this node: nobody keeps fragments of
// strangers.
package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An Origin is where something came from, and where an answer goes.
type Origin struct {
	Addr   netip.AddrPort
	Stream uint64 // 0: UDP
	Socket uint32 // of OpenSpares; 0: the link's own
}

// A Handler takes what arrives. Its methods are called by the goroutines that
// read the sockets and streams: they must not wait, least of all for an answer.
type Handler interface {
	// HandleCommand takes requests, to be answered by Reply, and one-way
	// commands. A request that was resent is not handed over twice.
	HandleCommand(from Origin, c message.Command)
	// HandlePacket takes packets whose tag nobody bound; body is the handler's
	// during the call only.
	HandlePacket(from Origin, tag uint32, body []byte)
	// StreamClosed is called once for every stream that Dial returned or that
	// commands or packets may have come from.
	StreamClosed(stream uint64)
}

// Options configures a Link.
type Options struct {
	Handler    Handler        // required
	Net        netx.Network   // nil means the operating system
	Listen     netip.AddrPort // UDP and TCP; zero means all addresses, port 0 any that is free for both
	Web        Web            // more listeners
	FirstID    uint16         // of the first command; 0 means random
	MaxStreams int            // 0 means 4096
	Log        *slog.Logger   // nil discards

	// Foreign takes connections that begin as no stream does, of which five bytes
	// are read, and returns when it is done with one; the link closes it. It says
	// false, and has read nothing, if they are not its own either. nil takes none.
	Foreign func(begin []byte, conn net.Conn) bool

	// Forward, if set, says where a packet goes on that is for somebody else, and
	// under which tag; nowhere drops it. It is not mine to decide about others. It is
	// called as a Handler's methods are, for packets whose tag nobody bound.
	Forward func(now time.Time, from Origin, tag uint32, size int) (to Origin, out uint32, mine bool)
	// Trains makes passing on trains of packets cheaper, for some MB of memory a reader.
	Trains bool
	// Readers is how many goroutines read the UDP port at once, where the system can
	// divide its senders among them; 0 means one.
	Readers int
	// Blocking has the readers wait in the kernel, each on a thread that it keeps: passing
	// on many packets costs less so, and a few of them a little more.
	Blocking bool
}

const (
	maxStreams   = 4096
	fromOne      = 256  // of them, accepted from one household: nobody takes them all
	maxDatagram  = 1232 // payload that passes everywhere
	maxRequests  = 4096 // of our own that wait for an answer
	portAttempts = 32
)

// What Request, Send, RequestStream and Dial may return, besides errors of the
// socket and of a context.
var (
	ErrClosed   = errors.New("the link is closed")
	ErrNoAnswer = errors.New("no answer")
	ErrBusy     = errors.New("too many requests wait for an answer")
	ErrStream   = errors.New("the stream is closed")
	ErrCarrier  = errors.New("this command may not travel so")
	ErrTooLong  = errors.New("the command is too long")
)

// A ListenError says which of the addresses cannot be listened on.
type ListenError struct {
	Addr netip.AddrPort
	Web  bool // one of Options.Web
	Err  error
}

func (e *ListenError) Error() string { return fmt.Sprintf("link: listen on %v: %v", e.Addr, e.Err) }
func (e *ListenError) Unwrap() error { return e.Err }

// A Link is a node's socket and listener. Run serves them.
type Link struct {
	o         Options
	readers   []*reader  // of the UDP port; the first has the socket that was there before the others
	tcp       []listener // that of the own port leads
	tls       *tls.Config
	addr      netip.AddrPort
	done      chan struct{} // closed when Run ends
	count     counters
	tags      tags
	challenge challenger
	buffers   sync.Pool // of *[]byte for datagrams to be sent
	spares    spares
	classic   atomic.Bool

	wg sync.WaitGroup // goroutines; added to under mu while open

	mu         sync.Mutex // all of below
	closed     bool
	nextID     uint16
	peers      *lru[netip.AddrPort, peer]
	public     [2]netip.Addr // by family
	interfaces []netip.Addr
	waiting    map[waitKey]*exchange
	answers    *answers
	fragments  *frame.Reassembly
	streams    map[uint64]*stream
	accepted   map[netip.Addr]int // of them, by household
	lastStream uint64
}

// A listener takes streams that begin in one way.
type listener struct {
	net.Listener
	door door
}

// Open opens the sockets. Run has to be called, if only to close them.
func Open(o Options) (*Link, error) {
	if o.Net == nil {
		o.Net = netx.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = maxStreams
	}
	l := &Link{
		o: o, done: make(chan struct{}), nextID: o.FirstID, challenge: newChallenger(),
		peers: newLRU[netip.AddrPort, peer](maxPeers), waiting: make(map[waitKey]*exchange),
		answers: newAnswers(), fragments: frame.NewReassembly(frame.Limits{}), streams: make(map[uint64]*stream),
		accepted: make(map[netip.Addr]int),
	}
	l.buffers.New = func() any { b := make([]byte, 0, maxBuffer); return &b }
	if l.nextID == 0 {
		l.nextID = uint16(rand.Uint32())
	}
	if err := l.listen(); err != nil {
		return nil, &ListenError{Addr: o.Listen, Err: err}
	}
	if err := l.listenWeb(context.Background()); err != nil {
		l.closeSockets()
		return nil, err
	}
	l.interfaces, _ = o.Net.Addrs() // without them the first command from each peer is nacked
	return l, nil
}

// listen opens both sockets on one port. Where any will do, what UDP got may
// be taken for TCP.
func (l *Link) listen() (err error) {
	ctx := context.Background()
	for range portAttempts {
		conn, err := l.o.Net.ListenUDP(ctx, l.o.Listen)
		if err != nil {
			return err
		}
		l.addr = conn.LocalAddr()
		err = l.listenStreams(ctx, netip.AddrPortFrom(l.o.Listen.Addr(), l.addr.Port()), false)
		if err == nil {
			l.share(conn)
			return nil
		}
		conn.Close()
		if l.o.Listen.Port() != 0 {
			return err
		}
	}
	return err
}

// share gives the UDP port its readers. Where it cannot be shared one reads all.
func (l *Link) share(first netx.PacketConn) {
	conns := []netx.PacketConn{first}
	for len(conns) < l.o.Readers {
		conn, err := netx.Share(first)
		if err != nil {
			l.o.Log.Debug("share the UDP port", "readers", len(conns), "err", err)
			break
		}
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		if l.o.Blocking {
			if blocking, err := netx.Blocking(conn); err == nil {
				conn = blocking
			} else {
				l.o.Log.Debug("wait for datagrams in the kernel", "err", err)
			}
		}
		l.readers = append(l.readers, newReader(l, conn))
	}
}

// udp is the socket that sends what this node says itself.
func (l *Link) udp() netx.BatchConn { return l.readers[0].conn }

// listenStreams opens one listener more.
func (l *Link) listenStreams(ctx context.Context, at netip.AddrPort, inTLS bool) error {
	tcp, err := l.o.Net.ListenTCP(ctx, at)
	if err == nil {
		l.tcp = append(l.tcp, listener{tcp, door{tls: inTLS}})
	}
	return err
}

func (l *Link) closeSockets() {
	for _, r := range l.readers {
		r.conn.Close()
	}
	for _, tcp := range l.tcp {
		tcp.Close()
	}
}

// SetClassic says whether the network's suite is the classic one: then records
// of sessions in streams have tags of 16 bits, and streams to port 443 begin in
// disguise. A link is open before a node knows its network, so this is no option.
func (l *Link) SetClassic(classic bool) { l.classic.Store(classic) }

// Waited is how long each of the goroutines that read the UDP port has waited for
// datagrams since the link was opened: the rest of the time it was busy, and when it
// never waits datagrams are lost. It is nil where the system does not tell.
func (l *Link) Waited() (each []time.Duration) {
	for _, r := range l.readers {
		d, known := r.conn.Waited()
		if !known {
			return nil
		}
		each = append(each, d)
	}
	return each
}

// Addr is the local address of both sockets.
func (l *Link) Addr() netip.AddrPort { return l.addr }

// Run serves the sockets until ctx ends, and then returns nil, or until one of
// them fails. It closes them and all streams; no goroutine outlives it.
func (l *Link) Run(ctx context.Context) error {
	failed := make(chan error, len(l.readers)+len(l.tcp))
	var wg sync.WaitGroup
	for _, r := range l.readers {
		wg.Go(func() { failed <- r.read() })
	}
	for _, tcp := range l.tcp {
		wg.Go(func() { failed <- l.accept(tcp, tcp.door) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	l.mu.Lock()
	l.closed = true
	streams := make([]*stream, 0, len(l.streams))
	for _, s := range l.streams {
		streams = append(streams, s)
	}
	l.mu.Unlock()
	close(l.done)
	l.closeSockets()
	l.spares.close()
	for _, s := range streams {
		s.close(nil)
	}
	wg.Wait()
	l.wg.Wait()
	if err != nil {
		return fmt.Errorf("link: %v: %w", l.addr, err)
	}
	return nil
}
