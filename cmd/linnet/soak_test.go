package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/api/http"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/node"
)

// A soak is a network of real processes whose supernodes are killed at random
// while everybody looks others up.
type soak struct {
	*processNetwork
	nodes  []*soakNode
	random *rand.Rand // of the kills
	began  time.Time

	lookups, failed atomic.Int64
	slowest         atomic.Int64 // of the lookups that succeeded; a time.Duration
}

type soakNode struct {
	user    linnet.UserName
	up      *terminal
	client  *http.Client
	watched string
	orphan  atomic.Int64 // until then, in nanoseconds since 1970: see mourn
}

// The sizes of a soak; LINNET_LONG asks for the large one.
type soakSize struct {
	supernodes, nodes int
	length            time.Duration
	down              int           // supernodes at a time
	pause             time.Duration // between kills, in the mean
}

// Real processes: supernodes are killed with -9 and started again, at random.
// Nobody notices, nothing is lost, and nothing grows.
func TestSoak(t *testing.T) {
	size := soakSize{supernodes: 5, nodes: 12, length: 20 * time.Second, down: 1, pause: 3 * time.Second}
	switch {
	case os.Getenv("LINNET_LONG") != "":
		size = soakSize{supernodes: 20, nodes: 200, length: 5 * time.Minute, down: 4, pause: 3 * time.Second}
	case testing.Short():
		t.Skip("processes for half a minute")
	}
	seed := rand.Uint64()
	if s := os.Getenv("LINNET_SOAK_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%+v, LINNET_SOAK_SEED=%d", size, seed)
	s := &soak{processNetwork: newProcessNetwork(t, size.supernodes), random: rand.New(rand.NewPCG(seed, 0))}
	s.populate(size.nodes)

	s.settled()
	before := s.figures()
	s.began = time.Now()
	over, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i, n := range s.nodes {
		random := rand.New(rand.NewPCG(seed, uint64(1+i)))
		group.Go(func() { s.lookUpOthers(over, n, random) })
	}
	s.killSome(size)
	stop()
	group.Wait()

	total, failed := s.lookups.Load(), s.failed.Load()
	t.Logf("%d look-ups, %d failed; the slowest that succeeded took %v", total, failed, time.Duration(s.slowest.Load()).Round(time.Millisecond))
	if least := int64(size.nodes) * int64(size.length/(4*time.Second)); total < least || failed > total/1000 {
		t.Errorf("%d of %d look-ups failed, want at most one of a thousand and at least %d look-ups", failed, total, least)
	}
	s.settled()
	s.compare(before, s.figures())
	s.findAllEverywhere()
}

// populate starts all nodes and gives each an account.
func (s *soak) populate(nodes int) {
	t := s.t
	t.Helper()
	watched, err := loopbackAddrs(t.Context(), nodes)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for i, at := range watched {
		n := &soakNode{user: linnet.UserName(fmt.Sprintf("user%d", i)), watched: at.String()}
		home := t.TempDir()
		n.client = http.Dial(filepath.Join(home, "control.sock"))
		n.up = inOwnProcess(t, "up", "--home", home, "--join", s.invite.String(), "--listen", "127.0.0.1:0", "--metrics", n.watched)
		s.nodes = append(s.nodes, n)
	}
	for i, n := range s.nodes {
		n.up.says("Network test")
		eventually(t, "the node of "+string(n.user)+" answers", func() bool {
			_, err := n.client.Status(t.Context())
			return err == nil
		})
		if i%50 == 49 {
			s.forgetRegistrations()
		}
		if err := n.client.Register(t.Context(), linnet.Credentials{User: n.user, Password: testPassword}); err != nil {
			t.Fatalf("register %s: %v", n.user, err)
		}
	}
	t.Logf("%d nodes in %v", nodes, time.Since(begin).Round(time.Second))
}

// forgetRegistrations starts the login server anew, which lets a hundred accounts
// be made from one address before it takes its time.
func (s *soak) forgetRegistrations() {
	s.server.end()
	s.startServer()
}

// settled waits until the network is as it ought to be.
func (s *soak) settled() {
	s.t.Helper()
	for i, at := range s.watched {
		eventually(s.t, fmt.Sprintf("supernode %d knows all others", i), func() bool {
			status, body := get(s.t, at.String(), "/metrics")
			return status == 200 && figure(body, "linnet_supernodes") == float64(len(s.supernodes)) && figure(body, "linnet_ready") == 1
		})
	}
	want := min(2, len(s.supernodes))
	for _, n := range s.nodes {
		eventually(s.t, string(n.user)+" has two supernodes", func() bool {
			status, err := n.client.Status(s.t.Context())
			return err == nil && len(status.Supernodes) == want
		})
	}
}

// lookUpOthers looks somebody up every second or so.
func (s *soak) lookUpOthers(ctx context.Context, n *soakNode, random *rand.Rand) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(float64(time.Second) * (0.5 + random.Float64()))):
		}
		other := s.nodes[random.IntN(len(s.nodes))].user
		begin := time.Now()
		l, err := n.client.Lookup(s.t.Context(), other)
		took := time.Since(begin)
		if err == nil && !l.Online {
			err = errors.New("shown as offline")
		}
		s.lookups.Add(1)
		if err == nil {
			for old := s.slowest.Load(); int64(took) > old && !s.slowest.CompareAndSwap(old, int64(took)); old = s.slowest.Load() {
			}
			continue
		}
		why := "failed"
		if begin.UnixNano() < n.orphan.Load() {
			why = "failed at an orphan's"
		} else {
			s.failed.Add(1)
		}
		s.t.Logf(why+" after %.2fs: %s looks up %s, for %v: %v", begin.Sub(s.began).Seconds(), n.user, other, took.Round(time.Millisecond), err)
	}
}

// mournFor is longer than it takes a node to find other supernodes.
const mournFor = 30 * time.Second

// mourn notes whose last supernode the one is that is about to be killed: the other one
// died a moment ago, and nobody promises such a node answers until it has found another.
func (s *soak) mourn(victim int, died map[int]time.Time) {
	for _, n := range s.nodes {
		status, err := n.client.Status(s.t.Context())
		if err != nil {
			s.t.Errorf("%s: %v", n.user, err)
			continue
		}
		living, orphaned := 0, false
		for _, a := range status.Supernodes {
			i := slices.IndexFunc(s.opts.Supernodes, func(at netip.AddrPort) bool { return at.Port() == a.Addr.Port() })
			switch {
			case i == victim:
				orphaned = true
			case time.Since(died[i]) > mournFor:
				living++
			}
		}
		if orphaned && living == 0 {
			n.orphan.Store(time.Now().Add(mournFor).UnixNano())
		}
	}
}

// killSome kills supernodes and starts them again, and returns when all run.
func (s *soak) killSome(size soakSize) {
	back := make(map[int]time.Time) // when those that are down are started
	died := make(map[int]time.Time)
	start := func(i int) {
		delete(back, i)
		s.startSupernode(i)
	}
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(s.random.Int64N(int64(most-least)))
	}
	kills := 0
	for next, end := s.began.Add(size.pause), s.began.Add(size.length); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for i, at := range back {
			if time.Now().After(at) {
				start(i)
			}
		}
		if i := s.random.IntN(len(s.supernodes)); time.Now().After(next) && len(back) < size.down && back[i].IsZero() {
			s.mourn(i, died)
			s.supernodes[i].kill()
			kills++
			died[i] = time.Now()
			back[i] = time.Now().Add(between(100*time.Millisecond, 3*size.pause))
			next = time.Now().Add(between(size.pause/2, 3*size.pause/2))
		}
	}
	for i := range back {
		start(i)
	}
	s.t.Logf("%d supernodes killed", kills)
}

// usage is what a process takes.
type usage struct{ goroutines, memory, descriptors float64 }

// figures asks every process; supernodes come first.
func (s *soak) figures() []usage {
	s.t.Helper()
	var at []string
	for _, a := range s.watched {
		at = append(at, a.String())
	}
	for _, n := range s.nodes {
		at = append(at, n.watched)
	}
	list := make([]usage, len(at))
	for i, a := range at {
		status, body := get(s.t, a, "/metrics")
		if status != 200 {
			s.t.Fatalf("metrics at %s: %d %s", a, status, body)
		}
		list[i] = usage{figure(body, "go_goroutines"), figure(body, "process_resident_memory_bytes"), figure(body, "process_open_fds")}
	}
	return list
}

// figure is the value of a metric; -1 if there is none.
func figure(body, name string) float64 {
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			if f, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return f
			}
		}
	}
	return -1
}

// compare wants that nothing grew. Supernodes are compared with what the
// largest of them took: most are other processes than before.
func (s *soak) compare(before, after []usage) {
	s.t.Helper()
	for _, kind := range []struct {
		name     string
		from, to int
	}{{"supernode", 0, len(s.supernodes)}, {"node", len(s.supernodes), len(before)}} {
		for _, of := range []struct {
			name  string
			value func(usage) float64
			spare float64
		}{
			{"goroutines", func(u usage) float64 { return u.goroutines }, 16},
			{"MiB resident", func(u usage) float64 { return u.memory / (1 << 20) }, 8},
			{"descriptors", func(u usage) float64 { return u.descriptors }, 16},
		} {
			range_ := func(list []usage) (values []float64) {
				for _, u := range list[kind.from:kind.to] {
					values = append(values, of.value(u))
				}
				slices.Sort(values)
				return values
			}
			old, now := range_(before), range_(after)
			middle, last := len(old)/2, len(old)-1
			s.t.Logf("%ss, %s: median %.0f, most %.0f; before %.0f, %.0f", kind.name, of.name, now[middle], now[last], old[middle], old[last])
			if most := 1.25*old[last] + of.spare; now[last] > most || now[0] < 0 {
				s.t.Errorf("a %s has %.0f %s, want at most %.0f", kind.name, now[last], of.name, most)
			}
		}
	}
}

// findAllEverywhere asks each supernode for everybody.
func (s *soak) findAllEverywhere() {
	s.t.Helper()
	s.forgetRegistrations()
	var group sync.WaitGroup
	for i := range s.supernodes {
		group.Go(func() {
			if err := s.findAll(i); err != nil {
				s.t.Errorf("supernode %d: %v", i, err)
			}
		})
	}
	group.Wait()
}

// findAll asks one supernode, with a node that reaches no other one.
func (s *soak) findAll(i int) error {
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	n, err := node.Open(ctx, node.Options{
		Home: s.t.TempDir(), Listen: loopback, Invite: s.invite,
		Net: island{netx.System{}, []netip.AddrPort{s.opts.Supernodes[i], s.opts.LoginServer}},
	})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	group.Go(func() { n.Run(ctx) })
	defer group.Wait()
	defer stop()
	if err := n.Register(ctx, linnet.Credentials{User: linnet.UserName(fmt.Sprintf("judge%d", i)), Password: testPassword}); err != nil {
		return err
	}
	for k, other := range s.nodes {
		for begin := time.Now(); ; time.Sleep(250 * time.Millisecond) { // it answers five a second
			l, err := n.Lookup(ctx, other.user)
			if err == nil && l.Online {
				break
			}
			if time.Since(begin) > testPatience {
				return fmt.Errorf("does not find %s: %w", other.user, err)
			}
		}
		if k > 40 { // more than it answers at once
			time.Sleep(250 * time.Millisecond)
		}
	}
	return nil
}

// An island is a network that reaches few machines.
type island struct {
	netx.Network
	bridges []netip.AddrPort
}

func (n island) ListenUDP(ctx context.Context, local netip.AddrPort) (netx.PacketConn, error) {
	conn, err := n.Network.ListenUDP(ctx, local)
	return islandConn{conn, n}, err
}

func (n island) DialTCP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	if !slices.Contains(n.bridges, remote) {
		return nil, errors.New("out of reach")
	}
	return n.Network.DialTCP(ctx, remote)
}

type islandConn struct {
	netx.PacketConn
	island
}

func (c islandConn) WriteTo(b []byte, to netip.AddrPort) (int, error) {
	if !slices.Contains(c.bridges, to) {
		return len(b), nil
	}
	return c.PacketConn.WriteTo(b, to)
}
