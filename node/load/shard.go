package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/suite"
)

// A crowd is what all clients share.
type crowd struct {
	suite     suite.Suite
	network   *suite.Descriptor
	trust     overlay.Trust
	bootstrap []overlay.Host
	node      linnet.NodeID // the supernode
	server    netip.AddrPort

	devices    []device
	publishers int // the first ones
	keepAlive  time.Duration
}

const (
	batch        = 64               // datagrams read or written at once
	window       = 12               // clients of a shard that are on their way: more would only wait, and the keep-alives behind them
	maxPause     = time.Second / 50 // a shard looks up from its socket
	socketBuffer = 4 << 20
)

// A shard is some of the clients, behind one socket. What is not said to be
// otherwise belongs to its goroutine.
type shard struct {
	*crowd
	conn  *net.UDPConn
	batch *ipv4.PacketConn
	first int // its clients are first, first+step, ... of the devices
	step  int
	do    chan func(now time.Time)

	clients []*client // that have begun
	alarms  alarm.Queue[*client]
	out     []ipv4.Message

	unread, late bool // there was more to read, or to tick

	attach pace
	coming int             // begun and not done
	took   []time.Duration // of those that are done
	last   time.Time       // when the last one was done

	refused int
	lookups pace
	waits   []time.Duration // for answers
	failed  int
}

// A pace is how often something happens.
type pace struct {
	rate float64 // a second; 0: never, negative: as often as can be
	last time.Time
	owed float64
}

// due is how often it has to happen now.
func (p *pace) due(now time.Time, most int) int {
	if p.rate < 0 {
		return most
	}
	if !p.last.IsZero() {
		p.owed += p.rate * now.Sub(p.last).Seconds()
	}
	p.last = now
	n := min(int(p.owed), most)
	p.owed = min(p.owed-float64(n), 100)
	return n
}

func newShard(c *crowd, first, step int) (*shard, error) {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, fmt.Errorf("load: socket: %w", err)
	}
	conn.SetReadBuffer(socketBuffer)
	conn.SetWriteBuffer(socketBuffer)
	s := &shard{crowd: c, conn: conn, batch: ipv4.NewPacketConn(conn), first: first, step: step, do: make(chan func(time.Time))}
	if err := s.batch.SetControlMessage(ipv4.FlagDst, true); err != nil {
		conn.Close()
		return nil, fmt.Errorf("load: this system does not tell to which address a datagram came: %w", err)
	}
	return s, nil
}

// addrOf is the address of a device; the first one is 127.1.0.0.
func addrOf(i int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 127<<24|1<<16+uint32(i))
	return netip.AddrFrom4(a)
}

// clientAt is the client with an address, nil if there is none.
func (s *shard) clientAt(ip net.IP) *client {
	ip = ip.To4()
	if ip == nil {
		return nil
	}
	i := int(binary.BigEndian.Uint32(ip)) - (127<<24 | 1<<16) - s.first
	if i < 0 || i%s.step != 0 || i/s.step >= len(s.clients) {
		return nil
	}
	return s.clients[i/s.step]
}

func (s *shard) path() session.Path { return session.Path{Kind: linnet.DirectUDP, Addr: s.server} }

// all is how many clients the shard is to have.
func (s *shard) all() int { return (len(s.devices) - s.first + s.step - 1) / s.step }

// run lives until ctx ends.
func (s *shard) run(ctx context.Context) error {
	in := make([]ipv4.Message, batch)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2048)}
		in[i].OOB = make([]byte, 128)
	}
	for ctx.Err() == nil {
		now := time.Now()
		select {
		case f := <-s.do:
			f(now)
		default:
		}
		if !s.unread { // answers that are here already are not late because this generator is
			if !s.late {
				s.begin(now)
			}
			s.ask(now)
			s.tick(now)
		}
		s.flush()
		until := now.Add(maxPause)
		if next := s.alarms.Next(); !next.IsZero() && next.Before(until) {
			until = next
		}
		if err := s.read(in, until); err != nil {
			return fmt.Errorf("load: read: %w", err)
		}
	}
	return nil
}

// tick does some of what is due: between, the socket has to be read.
func (s *shard) tick(now time.Time) {
	for range batch {
		c, ok := s.alarms.Pop(now)
		if s.late = ok; !ok {
			return
		}
		if c.wake.After(now) {
			continue // it was set again, for later
		}
		c.wake = time.Time{}
		c.tick(now)
		s.settle(now, c)
	}
}

func (s *shard) read(in []ipv4.Message, until time.Time) error {
	s.conn.SetReadDeadline(until)
	n, err := s.batch.ReadBatch(in, 0)
	s.unread = n == len(in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		return err
	}
	now := time.Now()
	var to ipv4.ControlMessage
	for _, m := range in[:n] {
		if to.Parse(m.OOB[:m.NN]) != nil {
			continue
		}
		if c := s.clientAt(to.Dst); c != nil {
			c.datagram(now, m.Buffers[0][:m.N])
			s.settle(now, c)
		}
	}
	return nil
}

func (s *shard) settle(now time.Time, c *client) {
	next := c.settle(now)
	if !next.IsZero() && (c.wake.IsZero() || next.Before(c.wake)) {
		c.wake = next
		s.alarms.Set(next, c)
	}
}

// send puts a datagram of a client into the next batch.
func (s *shard) send(from netip.Addr, b []byte) {
	src := ipv4.ControlMessage{Src: from.AsSlice()}
	s.out = append(s.out, ipv4.Message{Buffers: [][]byte{b}, OOB: src.Marshal(), Addr: net.UDPAddrFromAddrPort(s.server)})
}

// flush sends what waits. What the kernel does not take is lost, as datagrams are.
func (s *shard) flush() {
	for rest := s.out; len(rest) > 0; {
		n, err := s.batch.WriteBatch(rest[:min(batch, len(rest))], 0)
		if err != nil {
			n = 1
		}
		rest = rest[n:]
	}
	clear(s.out)
	s.out = s.out[:0]
}

// begin starts the clients whose turn it is.
func (s *shard) begin(now time.Time) {
	for range s.attach.due(now, min(window-s.coming, s.all()-len(s.clients))) {
		i := s.first + len(s.clients)*s.step
		c := s.newClient(now, s.devices[i], addrOf(i), i < s.publishers)
		s.devices[i] = device{} // the machines have it
		s.clients = append(s.clients, c)
		s.coming++
		s.settle(now, c)
	}
}

// arrived is told when a client is attached and, if it publishes, has.
func (s *shard) arrived(now time.Time, c *client) {
	if c.done {
		return
	}
	c.done = true
	s.coming--
	s.last = now
	s.took = append(s.took, now.Sub(c.began))
}

// ask looks somebody up, as often as it is to.
func (s *shard) ask(now time.Time) {
	for range s.lookups.due(now, batch) {
		c := s.clients[rand.IntN(len(s.clients))]
		c.lookUp(now, userOf(rand.IntN(s.publishers)))
		s.settle(now, c)
	}
}

func (s *shard) found(took time.Duration, err error) {
	s.waits = append(s.waits, took)
	if err != nil {
		s.failed++
	}
}
