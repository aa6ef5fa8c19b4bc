package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

const (
	shards = 2 // a goroutine each: the supernode needs a core, too

	attachMost = 2 * time.Hour

	// A supernode invites as many in a second as fill its limit in a minute, which
	// would be all that is measured with few clients.
	leastLimit = 100_000
)

// userOf is the user of a device.
func userOf(i int) linnet.UserName { return linnet.UserName(fmt.Sprintf("bench%07d", i)) }

// Run measures. dial starts a process that runs Serve; progress is told what
// happens, and how far it is.
func Run(ctx context.Context, o Options, dial func(context.Context) (io.ReadWriteCloser, error), progress func(what string, done, all int)) (r Result, err error) {
	if err := o.fill(); err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	home, err := os.MkdirTemp("", "linnet-attach-")
	if err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	defer os.RemoveAll(home)
	c, authority, err := newCrowd(ctx, home, o)
	if err != nil {
		return Result{}, err
	}
	s, err := start(ctx, dial, plan{Home: node.SupernodePath(home, 0), Listen: c.server, Clients: max(o.Clients, leastLimit)})
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := c.certify(ctx, authority, progress); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	b := &bench{o: o, server: s, progress: progress}
	for i := range shards {
		one, err := newShard(c, i, shards)
		if err != nil {
			return Result{}, errors.Join(err, b.close())
		}
		b.shards = append(b.shards, one)
	}
	defer b.close()
	for _, one := range b.shards {
		group.Go(func() error { return one.run(ctx) })
	}
	r, err = b.measure(ctx)
	cancel()
	return r, errors.Join(err, group.Wait())
}

// newCrowd makes a network of one supernode on this machine.
func newCrowd(ctx context.Context, home string, o Options) (*crowd, *suite.Authority, error) {
	server, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	_, err = node.CreateNetwork(ctx, home, node.NetworkOptions{
		Name: "bench", Password: suite.PasswordParams{Time: 1, Memory: 8, Threads: 1},
		LoginServer: netip.AddrPortFrom(server.Addr(), server.Port()-1), Supernodes: []netip.AddrPort{server},
	})
	if err != nil {
		return nil, nil, err
	}
	authority, err := node.LoadAuthority(filepath.Join(home, node.LoginServerHome))
	if err != nil {
		return nil, nil, err
	}
	d := &authority.Descriptor
	c := &crowd{
		network: d, bootstrap: overlay.BootstrapHosts(d), node: d.Supernodes[0].Node, server: server,
		devices: make([]device, o.Clients), publishers: int(o.Publish * float64(o.Clients)), keepAlive: o.KeepAlive,
	}
	if c.suite, err = suite.Named(d.Suite); err != nil {
		return nil, nil, err
	}
	c.trust, err = overlay.TrustIn(d)
	return c, authority, err
}

// certify does for the clients' devices what a login server would.
func (c *crowd) certify(ctx context.Context, authority *suite.Authority, progress func(string, int, int)) error {
	const step = 1000
	now := time.Now()
	for first := 0; first < len(c.devices); first += step {
		progress("devices certified", first, len(c.devices))
		var group errgroup.Group
		group.SetLimit(runtime.GOMAXPROCS(0))
		for i := first; i < min(first+step, len(c.devices)); i++ {
			group.Go(func() error {
				keys, err := c.suite.NewKeys()
				if err != nil {
					return err
				}
				signed, certificate, err := authority.IssueCertificate(userOf(i), "bench", keys.Public(), uint64(i+1), now)
				if err == nil {
					c.devices[i] = device{keys, signed, certificate.NodeID()}
				}
				return err
			})
		}
		if err := errors.Join(group.Wait(), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// freePort is a port of 127.0.0.1 that was free a moment ago.
func freePort() (netip.AddrPort, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("load: find a port: %w", err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

// A server is the process of the supernode.
type server struct {
	io.Closer
	orders  *json.Encoder
	answers *json.Decoder
}

func start(ctx context.Context, dial func(context.Context) (io.ReadWriteCloser, error), p plan) (*server, error) {
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("load: start the supernode: %w", err)
	}
	s := &server{conn, json.NewEncoder(conn), json.NewDecoder(bufio.NewReader(conn))}
	if err := s.orders.Encode(p); err != nil {
		return nil, errors.Join(fmt.Errorf("load: tell the plan: %w", err), conn.Close())
	}
	return s, nil
}

func (s *server) ask(o order) (u usage, err error) {
	if err = s.orders.Encode(o); err == nil {
		err = s.answers.Decode(&u)
	}
	if err == nil && u.Err != "" {
		err = errors.New(u.Err)
	}
	if err != nil {
		return u, fmt.Errorf("load: ask the supernode: %w", err)
	}
	return u, nil
}

// A bench is a measurement under way.
type bench struct {
	o        Options
	server   *server
	shards   []*shard
	progress func(what string, done, all int)
}

func (b *bench) close() (err error) {
	for _, s := range b.shards {
		err = errors.Join(err, s.conn.Close())
	}
	b.shards = nil
	return err
}

// each runs f in the goroutine of every shard.
func (b *bench) each(ctx context.Context, f func(*shard, time.Time)) error {
	for _, s := range b.shards {
		done := make(chan struct{})
		select {
		case s.do <- func(now time.Time) { f(s, now); close(done) }:
			<-done
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (b *bench) measure(ctx context.Context) (r Result, err error) {
	r.Clients, r.Limit.Configured = b.o.Clients, max(b.o.Clients, leastLimit)
	before, err := b.server.ask(order{Settle: true})
	if err != nil {
		return r, err
	}
	r.Cores = before.Cores
	if err := b.attachAll(ctx, before, &r); err != nil {
		return r, err
	}
	if err := b.wait(ctx, b.o.Quiet, "waiting for quiet"); err != nil {
		return r, err
	}
	quiet, err := b.server.ask(order{})
	if err != nil {
		return r, err
	}
	r.Memory.Before, r.Memory.After = before.RSS, quiet.RSS
	if err := b.wait(ctx, b.o.Idle, "keeping alive"); err != nil {
		return r, err
	}
	idle, err := b.server.ask(order{})
	if err != nil {
		return r, err
	}
	r.Idle.Seconds = b.o.Idle.Seconds()
	r.Idle.CPU = (idle.CPU - quiet.CPU).Seconds() / r.Idle.Seconds
	r.Idle.Packets = float64(idle.Packets-quiet.Packets) / r.Idle.Seconds
	settled, err := b.server.ask(order{Settle: true, Profile: b.o.Profile}) // answers to look-ups are kept a minute
	if err != nil {
		return r, err
	}
	r.Memory.Settled, r.Memory.Heap = settled.RSS, settled.Heap-before.Heap
	if err := b.lookUps(ctx, &r); err != nil {
		return r, err
	}
	end, err := b.server.ask(order{})
	if err != nil {
		return r, err
	}
	r.Attached, r.Records, r.Limit.Load = end.Clients, end.Records, end.Load
	r.derive()
	return r, nil
}

func (b *bench) attachAll(ctx context.Context, before usage, r *Result) error {
	began := time.Now()
	if err := b.each(ctx, func(s *shard, now time.Time) {
		if s.attach.rate = b.o.Rate / float64(len(b.shards)); s.attach.rate == 0 {
			s.attach.rate = -1
		}
	}); err != nil {
		return err
	}
	for done := 0; done < b.o.Clients; {
		if time.Since(began) > attachMost {
			return fmt.Errorf("load: %d of %d clients attached in %v", done, b.o.Clients, attachMost)
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		u, err := b.server.ask(order{})
		if err != nil {
			return err
		}
		r.Attach.PeakRSS = max(r.Attach.PeakRSS, u.RSS)
		done = 0
		if err := b.each(ctx, func(s *shard, _ time.Time) { done += len(s.took) }); err != nil {
			return err
		}
		b.progress("attached", done, b.o.Clients)
	}
	after, err := b.server.ask(order{})
	if err != nil {
		return err
	}
	var took []time.Duration
	var last time.Time
	if err := b.each(ctx, func(s *shard, _ time.Time) {
		took = append(took, s.took...)
		r.Attach.Refused += s.refused
		if s.last.After(last) {
			last = s.last
		}
	}); err != nil {
		return err
	}
	r.Attach.Seconds = last.Sub(began).Seconds()
	r.Attach.Rate = float64(b.o.Clients) / r.Attach.Seconds
	r.Attach.CPU = float64((after.CPU - before.CPU).Microseconds()) / float64(b.o.Clients)
	r.Attach.P50Seconds, r.Attach.P99Seconds = percentile(took, .5).Seconds(), percentile(took, .99).Seconds()
	return nil
}

func (b *bench) lookUps(ctx context.Context, r *Result) error {
	set := func(rate float64) error {
		return b.each(ctx, func(s *shard, now time.Time) {
			if s.publishers > 0 && len(s.clients) > 0 {
				s.lookups = pace{rate: rate / float64(len(b.shards)), last: now}
			}
		})
	}
	before, err := b.server.ask(order{})
	if err == nil {
		err = set(b.o.Lookups)
	}
	if err == nil {
		err = b.wait(ctx, b.o.Idle, "looking up")
	}
	if err == nil {
		err = set(0)
	}
	if err != nil {
		return err
	}
	after, err := b.server.ask(order{})
	if err == nil {
		err = pause(ctx, 4*time.Second) // a look-up takes three at the most
	}
	if err != nil {
		return err
	}
	var waits []time.Duration
	if err := b.each(ctx, func(s *shard, _ time.Time) {
		waits = append(waits, s.waits...)
		r.Lookup.Failed += s.failed
	}); err != nil {
		return err
	}
	r.Lookup.Asked = len(waits)
	r.Lookup.Rate = float64(len(waits)) / b.o.Idle.Seconds()
	r.Lookup.P50, r.Lookup.P99 = linnet.Milliseconds(percentile(waits, .5)), linnet.Milliseconds(percentile(waits, .99))
	spent := (after.CPU - before.CPU).Seconds() - r.Idle.CPU*b.o.Idle.Seconds()
	r.Lookup.CPU = max(0, 1e6*spent/float64(max(len(waits), 1)))
	return nil
}

func (b *bench) wait(ctx context.Context, d time.Duration, what string) error {
	for left := d; left > 0; left -= time.Second {
		b.progress(what, int((d - left).Seconds()), int(d.Seconds()))
		if err := pause(ctx, min(left, time.Second)); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
