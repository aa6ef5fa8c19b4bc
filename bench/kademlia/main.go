// Command kademlia measures what a look-up costs in the DHT of libp2p: nodes in
// this process, joined over loopback TCP, keep one value each, and
// look up the values of others. It is a module of its own, so that Linnet does
// not depend on libp2p. docs/benchmarks.md has its figures beside Linnet's.
//
// Every request waits for --rtt before it is answered: what a look-up takes, in
// units of that, is the number of its round trips one after the other. It is
// long, so that a busy machine makes no difference.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	kad "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// counter counts the messages of all nodes, and delays their answers.
type counter struct {
	messages atomic.Int64
	dials    atomic.Int64
	rtt      atomic.Int64
}

// asked is called by whoever receives a request, before it is answered.
func (c *counter) asked(context.Context, network.Stream, *kad.Message) {
	c.messages.Add(2) // and its answer
	time.Sleep(time.Duration(c.rtt.Load()))
}

// anything accepts all values: signatures are not what is measured.
type anything struct{}

func (anything) Validate(string, []byte) error        { return nil }
func (anything) Select(string, [][]byte) (int, error) { return 0, nil }

type node struct {
	host host.Host
	dht  *dht.IpfsDHT
}

func key(i int) string { return fmt.Sprintf("/linnet/user%d", i) }

func start(c *counter) (node, error) {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.NoSecurity, libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		return node{}, err
	}
	h.Network().Notify(&network.NotifyBundle{ConnectedF: func(network.Network, network.Conn) { c.dials.Add(1) }})
	d, err := dht.New(h, dht.Mode(dht.ModeServer), dht.ProtocolPrefix("/linnet"), dht.NamespacedValidator("linnet", anything{}),
		dht.DisableAutoRefresh(), dht.OnRequestHook(c.asked))
	return node{h, d}, err
}

// outcome is one look-up.
type outcome struct{ first, done time.Duration }

func lookUp(ctx context.Context, n node, i int) (o outcome, err error) {
	began := time.Now()
	values, err := n.dht.SearchValue(ctx, key(i))
	if err != nil {
		return o, err
	}
	found := false
	for range values {
		if !found {
			found, o.first = true, time.Since(began)
		}
	}
	if o.done = time.Since(began); !found {
		return o, fmt.Errorf("%s was not found", key(i))
	}
	return o, nil
}

func percentile(list []outcome, p int, of func(outcome) time.Duration, rtt time.Duration) int {
	slices.SortFunc(list, func(a, b outcome) int { return cmp.Compare(of(a), of(b)) })
	return int(of(list[min(len(list)*p/100, len(list)-1)]) / rtt)
}

func run(nodes, lookups int, rtt time.Duration) error {
	ctx := context.Background()
	c := new(counter)
	all := make([]node, nodes)
	for i := range all {
		n, err := start(c)
		if err != nil {
			return err
		}
		all[i] = n
		if i > 0 {
			to := all[rand.IntN(i)].host
			if err := n.host.Connect(ctx, peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}); err != nil {
				return err
			}
		}
	}
	each(all, func(n node) { <-n.dht.RefreshRoutingTable() })
	table := 0
	for _, n := range all {
		table += n.dht.RoutingTable().Size()
	}
	fmt.Printf("%d nodes, %d others in the routing table of one, %d connections\n", nodes, table/nodes, c.dials.Load()/2)
	failed := atomic.Int64{}
	index := make(map[host.Host]int)
	for i, n := range all {
		index[n.host] = i
	}
	each(all, func(n node) {
		if err := n.dht.PutValue(ctx, key(index[n.host]), []byte("where "+key(index[n.host])+" is")); err != nil {
			failed.Add(1)
		}
	})
	if failed.Load() > 0 {
		return fmt.Errorf("%d values were not stored", failed.Load())
	}
	c.rtt.Store(int64(rtt))
	for _, kind := range []string{"cold", "warm"} {
		list := make([]outcome, 0, lookups)
		var mutex sync.Mutex
		messages, dials := c.messages.Load(), c.dials.Load()
		var wg sync.WaitGroup
		slots := make(chan struct{}, 16)
		for l := range lookups {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				// The same look-ups both times: warm is who asked for it before.
				o, err := lookUp(ctx, all[l*7%nodes], (l*13+nodes/2)%nodes)
				mutex.Lock()
				defer mutex.Unlock()
				if err != nil {
					failed.Add(1)
					return
				}
				list = append(list, o)
			})
		}
		wg.Wait()
		first, done := func(o outcome) time.Duration { return o.first }, func(o outcome) time.Duration { return o.done }
		fmt.Printf("%s: %d look-ups, %d failed, %.1f messages and %.2f new connections each; round trips until the first answer %d (median), %d (p99), until done %d, %d\n",
			kind, lookups, failed.Load(), float64(c.messages.Load()-messages)/float64(lookups), float64(c.dials.Load()-dials)/2/float64(lookups),
			percentile(list, 50, first, rtt), percentile(list, 99, first, rtt), percentile(list, 50, done, rtt), percentile(list, 99, done, rtt))
	}
	for _, n := range all {
		n.dht.Close()
		n.host.Close()
	}
	return nil
}

// each does something with all nodes, a few at a time.
func each(all []node, do func(node)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, n := range all {
		slots <- struct{}{}
		wg.Go(func() { do(n); <-slots })
	}
	wg.Wait()
}

func main() {
	nodes := flag.Int("nodes", 120, "how many there are")
	lookups := flag.Int("lookups", 200, "how many are measured, cold and again warm")
	rtt := flag.Duration("rtt", time.Second, "how long each answer waits")
	flag.Parse()
	if err := run(*nodes, *lookups, *rtt); err != nil {
		log.Fatal(err)
	}
}
