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
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
)

// minSize is a frame with a time in it.
const minSize = frame.SessionSize + 8

// A generator sends and receives for both sides of all legs, in one goroutine that
// never sleeps: what it would wait for, waits in its sockets.
type generator struct {
	o     Options
	from  []netx.BatchConn
	to    []netx.BatchConn
	sides [2]netip.AddrPort

	calls []call // at a TURN server

	atPeers, atCalls []func() // receive what comes by others, and by a TURN server
	receivers        []func() // those of this turn
	wg               sync.WaitGroup
	mu               sync.Mutex // where receivers are goroutines of their own
	turn             uint16     // late packets of the turn before do not count
	received         uint64
	delays           []time.Duration // of this turn

	// send's own
	trains bool
	buffer []byte
	out    []netx.Datagram
	legs   []int           // the next of each socket
	phases []time.Duration // when each leg sends, in its period

	// receive's own
	in   [][]byte
	next int // of receivers
}

// Run measures between sockets on local. dial starts a process that runs Serve,
// or reaches one.
func Run(ctx context.Context, o Options, local netip.Addr, dial func(context.Context) (io.ReadWriteCloser, error), progress func(done, all int)) (Result, error) {
	if err := o.fill(); err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	g := &generator{o: o}
	if err := g.open(ctx, local); err != nil {
		return Result{}, err
	}
	defer g.close()
	kinds := []Kind{Relay, o.Baseline}
	if o.PPS > 0 {
		kinds = append(kinds, direct)
	}
	if o.TURN.IsValid() {
		if err := g.allocate(ctx, local, o.TURN); err != nil {
			return Result{}, err
		}
		kinds = append(kinds, turnKind)
	}
	if o.Forwarder != nil {
		kinds = append(kinds, other)
	}
	r := Result{Legs: o.Legs, Size: o.Size}
	turns := make(map[Kind][]turn)
	for i := range o.Turns {
		for k, kind := range kinds {
			start := dial
			if kind == other {
				start = o.Forwarder
			}
			t, err := g.measure(ctx, kind, start)
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
	loss := func(t turn) float64 { return 1 - float64(t.received)/max(float64(t.sent), 1) }
	r.Loss = of(Relay, loss)
	r.CPU = of(Relay, func(t turn) float64 { return t.cpu.Seconds() })
	r.PerCore, r.Baseline = of(Relay, perCore), of(o.Baseline, perCore)
	r.Ratio = r.PerCore / r.Baseline
	delays := func(kind Kind) (all []time.Duration) {
		for _, t := range turns[kind] {
			all = append(all, t.delays...)
		}
		return all
	}
	r.Added = added(delays(Relay), delays(direct))
	beside := func(kind Kind) *Beside {
		b := &Beside{
			Relayed: of(kind, func(t turn) float64 { return float64(t.packets) / t.took.Seconds() }),
			PerCore: of(kind, perCore), Loss: of(kind, loss), Added: added(delays(kind), delays(direct)),
		}
		b.Ratio = r.PerCore / b.PerCore
		return b
	}
	if o.TURN.IsValid() {
		r.TURN = beside(turnKind)
	}
	if o.Forwarder != nil {
		r.Forwarder = beside(other)
	}
	if o.Overload > 0 {
		over, err := g.overload(ctx, int(o.Overload*r.Relayed/callRate), dial)
		if err != nil {
			return Result{}, err
		}
		r.Overload = &over
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
			return g.ready()
		}
		g.close()
	}
	return errors.New("load: too few free ports in a row")
}

func (g *generator) ready() error {
	g.trains = g.from[0].Trains()
	g.buffer, g.in = make([]byte, netx.MaxTrain), [][]byte{make([]byte, netx.MaxTrain)}
	g.legs = make([]int, len(g.from))
	g.phases = phases(g.o)
	for _, c := range g.to {
		c.Trains() // where there are none, none come
		take, err := g.receiver(c, 0)
		if err != nil {
			g.close()
			return err
		}
		g.atPeers = append(g.atPeers, take)
	}
	return nil
}

// phases are when legs send their packets: calls do not wait for each other.
func phases(o Options) []time.Duration {
	if o.PPS == 0 {
		return nil
	}
	all := make([]time.Duration, o.Legs)
	for i := range all {
		all[i] = rand.N(o.period())
	}
	slices.Sort(all)
	return all
}

// period is between two packets of a leg, or two trains.
func (o Options) period() time.Duration {
	return time.Second * time.Duration(o.Legs*o.burst()) / time.Duration(o.PPS)
}

// burst is how many packets go at once.
func (o Options) burst() int {
	if o.PPS > 0 && !o.Train {
		return 1
	}
	return min(netx.MaxTrainCars, netx.MaxTrain/(channelHeader+o.Size))
}

func (g *generator) close() {
	for _, c := range append(g.from, g.to...) {
		c.Close()
	}
	for _, x := range g.calls {
		x.client.Close()
	}
	g.wg.Wait()
	g.from, g.to, g.calls = nil, nil, nil
}

// receive takes what came to some of the sockets.
func (g *generator) receive(sockets int) {
	for range sockets {
		g.receivers[g.next]()
		g.next = (g.next + 1) % len(g.receivers)
	}
}

func (g *generator) count() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.received
}

// came takes a packet, or a train, each with so many bytes before it.
func (g *generator) came(b []byte, head int, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for ; len(b) >= head+g.o.Size; b = b[head+g.o.Size:] {
		p := b[head:]
		if binary.BigEndian.Uint16(p) != g.turn {
			continue
		}
		g.received++
		if g.o.PPS > 0 {
			g.delays = append(g.delays, time.Duration(at.UnixNano()-int64(binary.BigEndian.Uint64(p[frame.SessionSize:]))))
		}
	}
}

// A process relays. Without a conn it is none, or one that was not started here.
type process struct {
	conn io.ReadWriteCloser
	in   *json.Decoder
	ready
	turn bool // a TURN server
}

// begin starts what relays.
func (g *generator) begin(ctx context.Context, p plan, dial func(context.Context) (io.ReadWriteCloser, error)) (*process, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("load: start what relays: %w", err)
	}
	r := &process{conn: conn, in: json.NewDecoder(bufio.NewReader(conn))}
	p.Sides, p.Ports = g.sides, len(g.from)
	if err = json.NewEncoder(conn).Encode(p); err == nil {
		err = r.in.Decode(&r.ready)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("load: tell what relays the plan: %w", err)
	case r.Err != "" || !p.Admit && len(r.Tags) != p.Legs:
		err = fmt.Errorf("load: what relays has %d legs of %d: %s", len(r.Tags), p.Legs, r.Err)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return r, nil
}

func (r *process) ask(q question) (u usage, err error) {
	if err = json.NewEncoder(r.conn).Encode(q); err == nil {
		err = r.in.Decode(&u)
	}
	if err != nil {
		return u, fmt.Errorf("load: ask what relays: %w", err)
	}
	return u, nil
}

// nextTurn begins another turn: packets of the one before do not count any more.
func (g *generator) nextTurn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn++
	g.received, g.delays = 0, nil
}

const onTheWay = 100 * time.Millisecond // that packets may be when the last was sent

// arrive waits for the last packets.
func (g *generator) arrive() {
	for sent := time.Now(); time.Since(sent) < onTheWay; {
		g.receive(1)
	}
}

// measure takes one turn.
func (g *generator) measure(ctx context.Context, kind Kind, dial func(context.Context) (io.ReadWriteCloser, error)) (turn, error) {
	r := &process{ready: ready{Tags: make([]uint32, g.o.Legs)}}
	ask := func() (usage, error) { return r.ask(question{}) }
	g.receivers, g.next = g.atPeers, 0
	switch kind {
	case direct:
		ask = func() (usage, error) { return usage{}, nil }
	case turnKind:
		r.Addr, r.turn, g.receivers = g.o.TURN, true, g.atCalls
		ask = func() (usage, error) { return usage{Packets: g.count(), CPU: cpuOf(g.o.TURNProcess)}, nil }
	default:
		var err error
		if r, err = g.begin(ctx, plan{Kind: kind, Legs: g.o.Legs, Train: g.o.Train}, dial); err != nil {
			return turn{}, err
		}
		defer r.conn.Close()
	}
	g.nextTurn()
	g.offer(ctx, r, warmUp)
	g.nextTurn()
	before, err := ask()
	if err != nil {
		return turn{}, err
	}
	sent, took := g.offer(ctx, r, g.o.Time)
	g.arrive()
	after, err := ask()
	if err != nil {
		return turn{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return turn{
		sent: sent, received: g.received, packets: after.Packets - before.Packets,
		took: took, cpu: after.CPU - before.CPU, delays: g.delays,
	}, ctx.Err()
}

// warmUp is left out of each turn: relays run for months, these have just been started.
const warmUp = 100 * time.Millisecond

// offer sends what is to be sent in a time.
func (g *generator) offer(ctx context.Context, r *process, d time.Duration) (sent uint64, took time.Duration) {
	sockets := 8 // that have packets, where as many are sent as can be
	if g.o.PPS > 0 {
		sockets = 1
	}
	began := time.Now()
	for burst := 0; time.Since(began) < d && ctx.Err() == nil; g.receive(sockets) {
		if time.Since(began) >= g.due(burst) {
			sent += g.send(burst%len(g.from), r, r.Tags, g.o.burst())
			burst++
		}
	}
	return sent, time.Since(began)
}

// due is when a burst is to go.
func (g *generator) due(burst int) time.Duration {
	if g.o.PPS == 0 {
		return 0
	}
	return g.o.period()*time.Duration(burst/g.o.Legs) + g.phases[burst%g.o.Legs]
}

// send sends at most n packets from one socket, or from the clients whose legs are in its
// place at a TURN server: of distinct legs in turn, or all of one leg. It says how many.
func (g *generator) send(socket int, r *process, tags []uint32, n int) uint64 {
	from, head := g.from[socket], 0
	out := r.turn && socket%2 == 0 // by a channel, from the sockets of the clients
	if out {
		head = channelHeader
	}
	size := head + g.o.Size
	legs := (len(tags) - socket + len(g.from) - 1) / len(g.from) // of this socket: itself, and every len(g.from)th from there
	if legs <= 0 {
		return 0
	}
	stamp := uint64(time.Now().UnixNano()) // the clock of arrivals
	g.out = g.out[:0]
	for i := range n {
		leg := socket + g.legs[socket]%legs*len(g.from)
		if !g.o.Train || i == n-1 {
			g.legs[socket]++
		}
		b := g.buffer[i*size:][:size]
		to := r.Addr
		switch {
		case out:
			from = g.calls[leg/2].client
			binary.BigEndian.PutUint16(b, channel)
			binary.BigEndian.PutUint16(b[2:], uint16(g.o.Size))
		case r.turn:
			to = g.calls[leg/2].relayed
		case !to.IsValid():
			to = netip.AddrPortFrom(g.sides[1].Addr(), g.sides[1].Port()+uint16(socket))
		}
		f := frame.Frame{ID: g.turn, Type: frame.Session, Tag: tags[leg]}
		f.Append(b[head:head])
		binary.BigEndian.PutUint64(b[head+frame.SessionSize:], stamp)
		g.out = append(g.out, netx.Datagram{Addr: to, Data: b})
		if out && !g.o.Train { // the next leg is another client's
			if _, err := from.WriteBatch(g.out); err != nil {
				return uint64(i)
			}
			g.out = g.out[:0]
		}
	}
	if len(g.out) > 0 && g.trains && n > 1 && (!r.turn || g.o.Train) { // the kernel takes it apart for a receiver that has not asked for trains
		g.out = append(g.out[:0], netx.Datagram{Addr: g.out[0].Addr, Data: g.buffer[:n*size], Train: size})
	}
	if _, err := from.WriteBatch(g.out); err != nil {
		return 0
	}
	return uint64(n)
}
