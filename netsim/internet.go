// Package netsim is a simulated internet: hosts with addresses, links with
// delay, jitter, loss, reordering and a rate, NATs of the kinds of RFC 4787,
// and cut cables. A Host is a netx.Network, so a whole node runs on it.
//
// It uses package time and is meant for testing/synctest, where an hour passes
// in no time; without it, it runs in real time. Every pair of addresses has
// its own random stream drawn from the seed, so what one conversation suffers
// does not depend on how goroutines of others interleave.
//
// What it does not do: IP fragments (datagrams longer than 1500 bytes with
// their headers are refused), ICMP, congestion control, routing protocols. TCP
// is an ordered reliable stream whose lost segments arrive late; its sender is
// told of a loss by the simulation instead of by missing acknowledgements.
//
//	root ─┬─ Host 11.0.1.1
//	      ├─ Host 11.0.2.1
//	      └─ NAT 11.0.3.1 ─┬─ Host 192.168.0.1
//	                       └─ NAT 192.168.0.2 ── Host ...
package netsim

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// An Internet is everything that hosts can reach. It has no goroutine of its
// own and needs no closing; hosts do (Host.Kill) if their sockets are left open.
type Internet struct {
	seed uint64

	mu     sync.Mutex // everything in this package but options
	events events
	nats   uint64 // made so far
	order  uint64 // of events at the same instant: first come, first served
	timer  *time.Timer
	root   realm
	flows  map[flowKey]*flow
	cuts   map[[2]*Host]bool
}

// New makes an empty internet. The same seed gives the same losses and delays.
func New(seed uint64) *Internet {
	in := &Internet{seed: seed, flows: make(map[flowKey]*flow), cuts: make(map[[2]*Host]bool)}
	in.root = realm{members: make(map[netip.Addr]element), auto: autoPublic}
	return in
}

// Cut stops all packets between two hosts, whatever NATs lie between.
func (in *Internet) Cut(a, b *Host) { in.setCut(a, b, true) }

// Heal undoes Cut.
func (in *Internet) Heal(a, b *Host) { in.setCut(a, b, false) }

func (in *Internet) setCut(a, b *Host, cut bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.cuts[[2]*Host{a, b}], in.cuts[[2]*Host{b, a}] = cut, cut
}

// A realm is a space of addresses: the public one, or the inside of a NAT.
type realm struct {
	nat     *NAT // the way out; nil in the public realm
	members map[netip.Addr]element
	auto    func(n int) netip.Addr // an address for member n that asked for none
	asked   int
}

// An element has an address in a realm: a Host or a NAT.
type element interface {
	wire() *wire
	arrive(p *packet)
}

// autoPublic puts every host into a /24 of its own: the network takes hosts of
// one /24 for neighbours.
func autoPublic(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{11, byte(n >> 8), byte(n), 1})
}

func autoPrivate(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{192, 168, byte(n / 254), byte(n%254 + 1)})
}

func (r *realm) join(e element, addrs []netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		for len(addrs) == 0 || r.members[addrs[0]] != nil {
			r.asked++
			addrs = []netip.Addr{r.auto(r.asked)}
		}
	}
	for _, a := range addrs {
		if r.members[a] != nil {
			panic(fmt.Sprintf("netsim: address %v is taken", a))
		}
		r.members[a] = e
	}
	return addrs
}

type protocol uint8

const (
	udp protocol = iota
	tcp
)

// A packet is on its way. NATs rewrite its addresses.
type packet struct {
	proto    protocol
	src, dst netip.AddrPort
	origin   *Host
	payload  []byte
	seg      *segment // of TCP
	lost     func()   // tells the sender, under TCP
	hops     int      // routers that it may still pass; 0: any number
}

// coreRouters are between any two places of the public internet.
const coreRouters = 8

// hop takes so many routers on the way, and says whether the packet ended there.
func (p *packet) hop(routers int) bool {
	if p.hops == 0 {
		return false
	}
	if p.hops -= routers; p.hops > 0 {
		return false
	}
	p.drop()
	return true
}

// size is what a link carries: IP and transport headers included.
func (p *packet) size() int {
	n := len(p.payload) + 20 + 8
	if p.dst.Addr().Is6() {
		n += 20
	}
	if p.proto == tcp {
		n += 12
	}
	return n
}

func (p *packet) drop() {
	if p.lost != nil {
		p.lost()
	}
}

// forward moves p, which left its sender or a NAT through the wire from, to
// whoever has its destination in the realm, else out of it.
func (in *Internet) forward(p *packet, r *realm, from *wire) {
	if r.nat == nil && p.hop(coreRouters) {
		return
	}
	if e := r.members[p.dst.Addr()]; e != nil {
		in.hop(p, r, from, e.wire(), func() { e.arrive(p) })
	} else if r.nat != nil {
		in.hop(p, r, from, nil, func() { r.nat.leave(p) })
	} else {
		p.drop()
	}
}

type event struct {
	at    time.Time
	order uint64
	do    func() // with Internet.mu held
}

type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e events) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].order < e[j].order
}

func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// after calls do, with mu held, when d has passed.
func (in *Internet) after(d time.Duration, do func()) {
	in.order++
	e := event{time.Now().Add(d), in.order, do}
	heap.Push(&in.events, e)
	if in.events[0].order != e.order {
		return // the timer is set for something earlier
	}
	if in.timer == nil {
		in.timer = time.AfterFunc(d, in.tick)
	} else {
		in.timer.Reset(d)
	}
}

// tick does what is due, in order.
func (in *Internet) tick() {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := time.Now()
	for len(in.events) > 0 && !in.events[0].at.After(now) {
		heap.Pop(&in.events).(event).do()
	}
	if len(in.events) > 0 {
		in.timer.Reset(in.events[0].at.Sub(now))
	}
}

// A flow is the packets from one address to another one within a realm.
type flow struct {
	rand *rand.Rand
	last time.Time // arrival of its latest packet: links keep the order
}

type flowKey struct {
	realm    *realm
	src, dst netip.Addr
}

func (in *Internet) flow(r *realm, src, dst netip.Addr) *flow {
	key := flowKey{r, src, dst}
	f := in.flows[key]
	if f == nil {
		f = &flow{rand: rand.New(rand.NewPCG(in.seed, digest(src, dst)))}
		in.flows[key] = f
	}
	return f
}

// digest is the same in every run, unlike what maphash gives.
func digest(src, dst netip.Addr) uint64 {
	a, b := src.As16(), dst.As16()
	h := fnv.New64a()
	h.Write(a[:])
	h.Write(b[:])
	return h.Sum64()
}
