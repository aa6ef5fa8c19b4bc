package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
)

// minSize is a frame with a time in it.
const minSize = frame.SessionSize + 8

// A generator sends and receives for both sides of all legs.
type generator struct {
	o     Options
	start time.Time
	from  []netx.BatchConn
	to    []netx.BatchConn
	sides [2]netip.AddrPort

	received atomic.Uint64
	mu       sync.Mutex
	delays   []time.Duration // of this turn
	turn     atomic.Uint32   // late packets of the turn before do not count
	wg       sync.WaitGroup
}

// Run measures between sockets on local. dial starts a process that runs Serve,
// or reaches one.
func Run(ctx context.Context, o Options, local netip.Addr, dial func(context.Context) (io.ReadWriteCloser, error), progress func(done, all int)) (Result, error) {
	if err := o.fill(); err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	g := &generator{o: o, start: time.Now()}
	if err := g.open(ctx, local); err != nil {
		return Result{}, err
	}
	defer g.close()
	kinds := []Kind{Relay, o.Baseline}
	if o.PPS > 0 {
		kinds = append(kinds, direct)
	}
	r := Result{Legs: o.Legs, Size: o.Size}
	turns := make(map[Kind][]turn)
	for i := range o.Turns {
		for k, kind := range kinds {
			t, err := g.measure(ctx, kind, dial)
			if err != nil {
				return Result{}, err
			}
			turns[kind] = append(turns[kind], t)
			progress(i*len(kinds)+k+1, o.Turns*len(kinds))
		}
	}
	of := func(kind Kind, f func(turn) float64) float64 {
		var all []float64
		for _, t := range turns[kind] {
			all = append(all, f(t))
		}
		return median(all)
	}
	perCore := func(t turn) float64 {
		if t.cpu == 0 { // this system does not tell
			return float64(t.packets) / t.took.Seconds()
		}
		return float64(t.packets) / t.cpu.Seconds()
	}
	r.Offered = of(Relay, func(t turn) float64 { return float64(t.sent) / t.took.Seconds() })
	r.Relayed = of(Relay, func(t turn) float64 { return float64(t.packets) / t.took.Seconds() })
	r.Loss = of(Relay, func(t turn) float64 { return 1 - float64(t.received)/max(float64(t.sent), 1) })
	r.CPU = of(Relay, func(t turn) float64 { return t.cpu.Seconds() })
	r.PerCore, r.Baseline = of(Relay, perCore), of(o.Baseline, perCore)
	r.Ratio = r.PerCore / r.Baseline
	if o.PPS > 0 {
		var with, without []time.Duration
		for i := range turns[Relay] {
			with, without = append(with, turns[Relay][i].delays...), append(without, turns[direct][i].delays...)
		}
		r.Added = added(with, without)
	}
	return r, nil
}

// A turn is one measurement of one kind.
type turn struct {
	sent, received, packets uint64
	took, cpu               time.Duration
	delays                  []time.Duration
}

func (g *generator) open(ctx context.Context, local netip.Addr) error {
	n := min(g.o.Legs, sockets)
	for range 32 { // sides have ports in a row
		for i, side := range []*[]netx.BatchConn{&g.from, &g.to} {
			first := netip.AddrPortFrom(local, uint16(20000+rand.IntN(30000)))
			g.sides[i] = first
			for k := range n {
				c, err := netx.System{}.ListenUDP(ctx, netip.AddrPortFrom(local, first.Port()+uint16(k)))
				if err != nil {
					break
				}
				*side = append(*side, netx.Batched(c))
			}
		}
		if len(g.from) == n && len(g.to) == n {
			for _, c := range g.to {
				g.wg.Go(func() { g.receive(c) })
			}
			return nil
		}
		g.close()
	}
	return errors.New("load: too few free ports in a row")
}

func (g *generator) close() {
	for _, c := range append(g.from, g.to...) {
		c.Close()
	}
	g.wg.Wait()
	g.from, g.to = nil, nil
}

func (g *generator) receive(c netx.BatchConn) {
	c.Trains() // where there are none, none come
	in := make([]netx.Datagram, 8)
	for i := range in {
		in[i].Data = make([]byte, 0, netx.MaxTrain)
	}
	var delays []time.Duration
	for {
		n, err := c.ReadBatch(in)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		now := time.Since(g.start)
		turn := uint16(g.turn.Load())
		delays = delays[:0]
		count := 0
		for _, d := range in[:n] {
			for b := d.Data; len(b) >= g.o.Size; b = b[g.o.Size:] {
				if binary.BigEndian.Uint16(b) != turn {
					continue
				}
				count++
				if g.o.PPS > 0 {
					delays = append(delays, now-time.Duration(binary.BigEndian.Uint64(b[frame.SessionSize:])))
				}
			}
		}
		g.received.Add(uint64(count))
		if len(delays) > 0 {
			g.mu.Lock()
			g.delays = append(g.delays, delays...)
			g.mu.Unlock()
		}
	}
}

// measure takes one turn.
func (g *generator) measure(ctx context.Context, kind Kind, dial func(context.Context) (io.ReadWriteCloser, error)) (turn, error) {
	tags := make([]uint32, g.o.Legs)
	var addr netip.AddrPort
	ask := func() (usage, error) { return usage{}, nil }
	if kind != direct {
		p, err := dial(ctx)
		if err != nil {
			return turn{}, fmt.Errorf("load: start what relays: %w", err)
		}
		defer p.Close()
		in, out := json.NewDecoder(bufio.NewReader(p)), json.NewEncoder(p)
		if err := out.Encode(plan{Kind: kind, Legs: g.o.Legs, Sides: g.sides, Ports: len(g.from), Train: g.o.Train}); err != nil {
			return turn{}, fmt.Errorf("load: tell the plan: %w", err)
		}
		var r ready
		if err := in.Decode(&r); err != nil {
			return turn{}, fmt.Errorf("load: wait for what relays: %w", err)
		}
		if r.Err != "" || len(r.Tags) != g.o.Legs {
			return turn{}, fmt.Errorf("load: what relays has %d legs of %d: %s", len(r.Tags), g.o.Legs, r.Err)
		}
		addr, tags = r.Addr, r.Tags
		ask = func() (u usage, err error) {
			if _, err = io.WriteString(p, "usage\n"); err == nil {
				err = in.Decode(&u)
			}
			return u, err
		}
	}
	before, err := ask()
	if err != nil {
		return turn{}, fmt.Errorf("load: ask for the usage: %w", err)
	}
	g.turn.Add(1)
	g.received.Store(0)
	g.mu.Lock()
	g.delays = nil
	g.mu.Unlock()
	began := time.Now()
	sent := g.send(ctx, addr, tags)
	took := time.Since(began)
	time.Sleep(100 * time.Millisecond) // for those on the way
	after, err := ask()
	if err != nil {
		return turn{}, fmt.Errorf("load: ask for the usage: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return turn{
		sent: sent, received: g.received.Load(), packets: after.Packets - before.Packets,
		took: took, cpu: after.CPU - before.CPU, delays: g.delays,
	}, ctx.Err()
}

// tick is how often packets go out below saturation.
const tick = 200 * time.Microsecond

// send sends packets for one turn, and says how many.
func (g *generator) send(ctx context.Context, relay netip.AddrPort, tags []uint32) (sent uint64) {
	end := time.Now().Add(g.o.Time)
	began := time.Now()
	cars := min(netx.MaxTrainCars, netx.MaxTrain/g.o.Size)
	trains := g.from[0].Trains()
	buffer := make([]byte, cars*g.o.Size)
	out := make([]netx.Datagram, 0, cars)
	for socket, next := 0, 0; time.Now().Before(end) && ctx.Err() == nil; socket++ {
		n := cars
		if g.o.PPS > 0 {
			due := int(float64(g.o.PPS)*time.Since(began).Seconds()) - int(sent)
			if due <= 0 {
				time.Sleep(tick)
				continue
			}
			n = min(due, cars)
		}
		s := socket % len(g.from)
		stamp := uint64(time.Since(g.start))
		out = out[:0]
		for i := range n {
			leg := s // those of this socket: s, s+sockets, ...
			if legs := (len(tags) - s + len(g.from) - 1) / len(g.from); legs > 0 {
				leg = s + next%legs*len(g.from)
			}
			if !g.o.Train || i == n-1 {
				next++
			}
			b := buffer[i*g.o.Size:][:g.o.Size]
			f := frame.Frame{ID: uint16(g.turn.Load()), Type: frame.Session, Tag: tags[leg]}
			f.Append(b[:0])
			binary.BigEndian.PutUint64(b[frame.SessionSize:], stamp)
			to := relay
			if !relay.IsValid() {
				to = netip.AddrPortFrom(g.sides[1].Addr(), g.sides[1].Port()+uint16(s))
			}
			out = append(out, netx.Datagram{Addr: to, Data: b})
		}
		if trains && n > 1 && (g.o.PPS == 0 || g.o.Train) {
			out = append(out[:0], netx.Datagram{Addr: out[0].Addr, Data: buffer[:n*g.o.Size], Train: g.o.Size})
		}
		if _, err := g.from[s].WriteBatch(out); err == nil {
			sent += uint64(n)
		}
	}
	return sent
}
