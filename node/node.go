// Package node is the running node. It owns the sockets, the database and one
// loop, and joins the packages below it: what the link receives becomes events of
// the state machines, what they want becomes packets, timers and rows. It implements
// linnet.Client. It decides as little as it can: which address to try belongs to
// traverse, when to give up to overlay, what a call is to call.
//
//	sockets ──▶ link ──▶ loop ──▶ session ──▶ overlay, directory, relay, call
//	   ▲                   │ ◀──────── effects ────────────┘
//	   └─────── link ◀─────┤
//	database ◀── store ◀───┘          phone (one a call): files ◀─▶ media ◀─▶ link
//
// A Node without an account has sockets and a network only. Signing in makes a
// station: all the state machines, under one identity. Everything in the station
// belongs to the loop; phones and relayed packets have their own locks and
// pass beside it.
package node

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/portmap"
	"github.com/linnet-p2p/linnet/relay"
	"github.com/linnet-p2p/linnet/spare"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
)

// Options configures a Node. Home is needed; the zero value of the rest is an
// ordinary node on a random port that lets calls ring until somebody answers them.
type Options struct {
	Home         string                                                      // directory of everything it keeps
	Listen       netip.AddrPort                                              // UDP and TCP; zero is a free port on all addresses
	Advertise    netip.AddrPort                                              // where others reach a supernode; zero: Listen, on the host's first address
	Web          link.Web                                                    // listeners on the ports of the web, for a supernode's clients behind firewalls
	Authority    *LoginServer                                                // of the same process and machine, which has the ports of the web but once: it takes logins that come here
	Ladder       overlay.Ladder                                              // the pace of looking for supernodes
	Role         linnet.Role                                                 // what it does for others
	Clients      int                                                         // nodes that an operator's supernode lets attach; 0 means 1000
	Invite       *suite.Invite                                               // the network to join, with a ticket for a new supernode; nil: the one in Home
	AutoAnswer   *linnet.CallMedia                                           // take every call at once, with this
	Downloads    string                                                      // where files of others are put; empty: "downloads" in Home
	FileRate     int                                                         // bytes a second that a file is sent with at the most; 0: no limit
	Echo         bool                                                        // be echo123: take every call and play back what is heard
	Net          netx.Network                                                // nil means the operating system
	Spare        func(context.Context) (spare.State, error)                  // how the machine stands; nil reads the system
	Strain       func() int                                                  // percent of its processors and memory that this program uses, since it was asked last; nil: nobody knows
	MapPorts     func(context.Context, portmap.Options, func(portmap.Found)) // asks the router for a port, as portmap.Run does; nil: nobody does
	Drain        time.Duration                                               // how long a supernode that is stopped waits for its clients to have moved; 0 means 10 s
	Log          *slog.Logger                                                // nil discards
	Version      string                                                      // for Status
	FirstFrameID uint16                                                      // of datagrams; for tests of traffic classifiers
}

// A Node is one machine's part of the network.
type Node struct {
	opts    Options
	log     *slog.Logger
	store   *store.Store
	journal journal
	link    *link.Link
	hub     hub
	page    page

	events chan func(now time.Time) // to the loop
	moved  chan struct{}            // the host is on another network
	mapped *portmap.Found           // the loop's; nil: the router was not asked yet
	hellos atomic.Int32             // of strangers, in events
	rung   atomic.Uint32            // a linnet.Rung: the way out for streams that worked last
	life   context.Context          // ends with the loop
	stop   context.CancelFunc       // ends life
	group  errgroup.Group           // goroutines that the loop started; Run waits for them
	ready  chan struct{}            // closed when join has nothing more to wait for

	network    network                      // has its own lock
	station    *station                     // nil: nobody is signed in; belongs to the loop
	relaying   atomic.Pointer[relay.Server] // the station's, for the link's goroutines
	volunteers atomic.Bool                  // a user's machine serves as a supernode
	draining   atomic.Bool                  // told to stop
	diskWarned map[string]time.Time         // of trouble with the disk, the last time; belongs to the loop
	started    time.Time
	uploads    atomic.Int32 // going on
	spooling   atomic.Int64 // bytes of them
	account    turn         // for a change of the account
}

// Open makes a Node: it opens the database and the sockets. Run makes it live.
func Open(ctx context.Context, opts Options) (*Node, error) {
	if opts.Net == nil {
		opts.Net = netx.System{}
	}
	if opts.Spare == nil {
		opts.Spare = spare.Read
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Advertise.IsValid() && !opts.Listen.IsValid() {
		opts.Listen = everywhere(opts.Advertise.Port())
	}
	db, err := store.Open(ctx, opts.Home)
	if err != nil {
		return nil, err
	}
	n := &Node{
		opts: opts, log: opts.Log, store: db, started: time.Now(),
		events:  make(chan func(time.Time), 1024),
		moved:   make(chan struct{}, 1),
		ready:   make(chan struct{}),
		account: newTurn(),
		network: network{known: make(chan struct{})},

		diskWarned: make(map[string]time.Time),
	}
	n.life, n.stop = context.WithCancel(context.Background())
	if err := n.open(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return n, nil
}

// maxReaders of the UDP port do with the memory that a relay may take for them; 4 MB
// each.
const maxReaders = 16

func (n *Node) open(ctx context.Context) (err error) {
	if err := n.loadNetwork(ctx); err != nil {
		return err
	}
	supernode := n.opts.Role&linnet.Supernode != 0
	if supernode {
		if err := n.checkMachine(ctx); err != nil {
			return err
		}
		if err := n.takeSeat(ctx); err != nil {
			return err
		}
	}
	o := link.Options{
		Net: n.opts.Net, Listen: n.opts.Listen, Web: n.opts.Web, Handler: (*receiver)(n), FirstID: n.opts.FirstFrameID, Log: n.log,
		Forward: n.relayPacket,
	}
	if n.opts.Role&linnet.Relay != 0 {
		o.Trains = true
		// On a single processor, readers that do not tell Go that they wait hold up all else.
		o.Blocking = runtime.GOMAXPROCS(0) > 1
	}
	if n.opts.Role&(linnet.Supernode|linnet.Relay) != 0 {
		o.Readers = min(runtime.GOMAXPROCS(0), maxReaders)
	}
	if n.opts.Authority != nil && n.classic() {
		o.Foreign = n.opts.Authority.classicLogin
	}
	n.link, err = link.Open(o)
	if err != nil {
		return listenError(n.opts.Listen, err)
	}
	if supernode {
		return n.keepSeat(ctx)
	}
	return nil
}

// Run lives until ctx ends, and returns nil then. It may be called once. The
// node says good-bye before the link closes.
func (n *Node) Run(ctx context.Context) error {
	defer n.store.Close()
	linkCtx, closeLink := context.WithCancel(context.WithoutCancel(ctx))
	defer closeLink()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.link.Run(linkCtx) })
	group.Go(func() error {
		defer closeLink()
		return n.loop(ctx)
	})
	group.Go(func() error { return n.join(ctx) })
	if n.opts.MapPorts != nil && !n.link.Addr().Addr().IsLoopback() {
		group.Go(func() error {
			n.opts.MapPorts(ctx, portmap.Options{Port: n.link.Addr().Port(), Changed: n.moved, Log: n.log}, n.foundMapping)
			return nil
		})
	}
	group.Go(func() error { return n.follow(ctx) })
	err := group.Wait()
	n.group.Wait()
	n.page.close()
	n.hub.close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// join gets the descriptor that the invite means if Home had none, and the
// identity that a ticket means, signs in who was signed in before, and then keeps
// descriptor and certificate fresh.
func (n *Node) join(ctx context.Context) error {
	if n.network.get() == nil && n.opts.Invite != nil {
		if err := n.joinNetwork(ctx, n.opts.Invite); err != nil {
			return err
		}
	}
	if n.opts.Role&linnet.Supernode != 0 && n.opts.Invite != nil {
		if err := n.enlist(ctx); err != nil {
			return err
		}
	}
	if err := n.resume(ctx); err != nil {
		return err
	}
	close(n.ready)
	return n.maintain(ctx)
}

// Ready waits until a running node has joined the network of its invite, if it
// has one, and who was signed in before is so again.
func (n *Node) Ready(ctx context.Context) error {
	select {
	case <-n.ready:
		return nil
	case <-n.life.Done():
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beside runs f outside the loop, with a context that ends when the loop does;
// Run waits for it.
func (n *Node) beside(f func(ctx context.Context)) {
	n.group.Go(func() error { f(n.life); return nil })
}

// role is what the node does for others now: what it was started for, and
// what its owner volunteered for.
func (n *Node) role() linnet.Role {
	if n.volunteers.Load() {
		return n.opts.Role | linnet.Supernode
	}
	return n.opts.Role
}

// Addr is where the node listens, UDP and TCP.
func (n *Node) Addr() netip.AddrPort { return n.link.Addr() }
