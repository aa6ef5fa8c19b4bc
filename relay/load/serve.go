package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/relay"
	"github.com/linnet-p2p/linnet/spare"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Serve relays as it is told on r, until r ends, and answers on w. The process
// should have one core.
// Whoever tells it may have it send to any address: it is for measuring on a
// network of one's own.
func Serve(ctx context.Context, listen netip.Addr, r io.Reader, w io.Writer) error {
	lines, answers := bufio.NewScanner(r), json.NewEncoder(w)
	if !lines.Scan() {
		return lines.Err()
	}
	var p plan
	if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
		return fmt.Errorf("load: read the plan: %w", err)
	}
	if p.Legs < 1 || p.Legs > maxLegs || p.Ports < 1 || p.Ports > sockets {
		return fmt.Errorf("load: a plan of %d legs and %d ports", p.Legs, p.Ports)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start, ok := map[Kind]func(context.Context, netip.AddrPort, plan) (*server, error){
		Relay: startRelay, Recvmmsg: startPlain, Single: startPlain,
	}[p.Kind]
	if !ok {
		return fmt.Errorf("load: nothing is called %q", p.Kind)
	}
	s, err := start(ctx, netip.AddrPortFrom(listen, 0), p)
	if err != nil {
		return errors.Join(err, answers.Encode(ready{Err: err.Error()}))
	}
	defer func() { cancel(); <-s.done }()
	if err := answers.Encode(ready{Addr: s.addr, Tags: s.tags}); err != nil {
		return fmt.Errorf("load: answer: %w", err)
	}
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return fmt.Errorf("load: read a question: %w", err)
		}
		u := usage{Packets: s.packets(), CPU: spare.Used()}
		if s.take != nil {
			u.Tags = s.take(q.Offer)
		}
		if err := answers.Encode(u); err != nil {
			return fmt.Errorf("load: answer: %w", err)
		}
	}
	return lines.Err()
}

// A server is what relays in this process.
type server struct {
	addr    netip.AddrPort
	tags    []uint32
	packets func() uint64
	take    func(legs int) (tags []uint32) // nil: it has all
	done    chan struct{}
}

// ends are the addresses of a leg. Those that share a sender have receivers of
// their own.
func (p plan) ends(leg int) (from, to netip.AddrPort) {
	at := func(a netip.AddrPort, i int) netip.AddrPort {
		return netip.AddrPortFrom(a.Addr(), a.Port()+uint16(i%p.Ports))
	}
	return at(p.Sides[0], leg), at(p.Sides[1], leg+leg/p.Ports)
}

// nobody handles what is not for a leg.
type nobody struct{}

func (nobody) HandleCommand(link.Origin, message.Command) {}
func (nobody) HandlePacket(link.Origin, uint32, []byte)   {}
func (nobody) StreamClosed(uint64)                        {}

// startRelay is a node's relay without the node.
func startRelay(ctx context.Context, listen netip.AddrPort, p plan) (*server, error) {
	r := relay.NewServer(time.Now(), relay.ServerOptions{
		Addr: listen, Lifetime: 24 * time.Hour, Reservations: p.Legs, Packets: 1e8, Bytes: 1e12,
	})
	l, err := link.Open(link.Options{
		Handler: nobody{}, Listen: listen, Trains: p.Train, Blocking: true,
		Forward: func(now time.Time, from link.Origin, tag uint32, size int) (link.Origin, uint32, bool) {
			to, out, mine := r.Forward(now, relay.Origin(from), tag, size)
			return link.Origin(to), out, mine
		},
	})
	if err != nil {
		return nil, err
	}
	s := &server{addr: l.Addr(), packets: func() uint64 { return r.Stats().Packets }, done: make(chan struct{})}
	legs := 0
	take := func(n int) (tags []uint32) {
		for ; n > 0 && legs < p.Legs; n-- {
			tag, ok := reserve(r, p, legs)
			if !ok {
				break
			}
			tags = append(tags, tag)
			legs++
		}
		return tags
	}
	if p.Admit {
		s.take = take
	} else if s.tags = take(p.Legs); len(s.tags) < p.Legs {
		return nil, fmt.Errorf("load: the relay takes %d of %d legs", len(s.tags), p.Legs)
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	if p.Admit {
		wg.Go(func() { watch(ctx, r, l) })
	}
	go func() {
		defer close(s.done)
		wg.Wait()
	}()
	return s, nil
}

// reserve makes the reservation of a leg, for both its sides.
func reserve(r *relay.Server, p plan, leg int) (tag uint32, ok bool) {
	var who [2]relay.Sender
	for k := range who {
		binary.BigEndian.PutUint32(who[k].Node[:], uint32(2*leg+k+1))
	}
	who[0].Origin.Addr, who[1].Origin.Addr = p.ends(leg)
	now := time.Now()
	reply, _ := r.Handle(now, who[0], &message.RelayReserve{Session: uint32(leg), Tag: 2})
	first, ok := reply.(*message.RelayEstablished)
	if !ok {
		return 0, false
	}
	reply, _ = r.Handle(now, who[1], &message.RelayJoin{Session: uint32(leg), Relay: first.Relay, Tag: uint32(leg+1) << 1})
	_, ok = reply.(*message.RelayEstablished)
	return first.Tag, ok
}

// watch has the relay look at its load every second, as a node does.
func watch(ctx context.Context, r *relay.Server, l *link.Link) {
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case now := <-tick.C:
			r.Measure(now, l.Waited())
		}
	}
}

// startPlain is the least that a relay can do: look the leg up and send.
func startPlain(ctx context.Context, listen netip.AddrPort, p plan) (*server, error) {
	conn, err := netx.System{}.ListenUDP(ctx, listen)
	if err != nil {
		return nil, err
	}
	var packets atomic.Uint64
	s := &server{addr: conn.LocalAddr(), packets: packets.Load, done: make(chan struct{})}
	to := make([]netip.AddrPort, p.Legs)
	for i := range to {
		_, to[i] = p.ends(i)
		s.tags = append(s.tags, uint32(i))
	}
	leg := func(b []byte) (netip.AddrPort, bool) {
		if len(b) < frame.SessionSize {
			return netip.AddrPort{}, false
		}
		i := binary.BigEndian.Uint32(b[3:])
		return to[i%uint32(len(to))], true
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	go func() {
		defer close(s.done)
		if p.Kind == Single {
			plainSingly(conn, leg, &packets)
		} else {
			plain(netx.Batched(conn), leg, &packets)
		}
	}()
	return s, nil
}

func plainSingly(conn netx.PacketConn, leg func([]byte) (netip.AddrPort, bool), packets *atomic.Uint64) {
	b := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if to, ok := leg(b[:n]); ok {
			if _, err := conn.WriteTo(b[:n], to); err == nil {
				packets.Add(1)
			}
		}
	}
}

func plain(conn netx.BatchConn, leg func([]byte) (netip.AddrPort, bool), packets *atomic.Uint64) {
	in := make([]netx.Datagram, 64)
	for i := range in {
		in[i].Data = make([]byte, 0, 2048)
	}
	for {
		n, err := conn.ReadBatch(in)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		for i := range in[:n] {
			in[i].Addr, _ = leg(in[i].Data)
		}
		n, _ = conn.WriteBatch(in[:n])
		packets.Add(uint64(n))
	}
}
