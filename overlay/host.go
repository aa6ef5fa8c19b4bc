package overlay

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A Host is what opening a session with a supernode takes.
type Host struct {
	Node      linnet.NodeID
	Agreement []byte // its public key for key agreement
	Addrs     []netip.AddrPort
	Rungs     linnet.Rungs // by which it takes sessions; zero: not known, any may do
	Name      string       // that it shows to who watches on port 443; may be empty
}

func (h *Host) listens(r linnet.Rung) bool { return h.Rungs == 0 || h.Rungs.Has(r) }

func (h *Host) valid() bool {
	return !h.Node.IsZero() && len(h.Agreement) > 0 && len(h.Agreement) <= MaxEntry && checkAddrs(h.Addrs) == nil
}

// MaxHosts bounds the host cache, as it did in Skype.
const MaxHosts = 200

// hostCache is the supernodes that a node knows, on disk between its runs. It
// outlives everything: whoever finds one of them is back on the network.
type hostCache struct {
	hosts []*cachedHost // in the order of their nodes
}

// A cachedHost is kept 200 times by every node, and moments in seconds since
// 1970 are exact enough.
type cachedHost struct {
	*Host
	success  uint32       // when it last served this node; 0: never
	added    uint32       // when it was last heard of
	rtt      uint32       // microseconds; 0: not measured
	round    uint32       // of attaching in which it was tried last
	named    uint32       // round in which one that is full said that this one is not
	failures uint8        // since success
	tried    linnet.Rungs // in round
}

const allRungs = 1<<linnet.NumRungs - 1

// mark notes by which rungs it is not to be asked in a round any more.
func (h *cachedHost) mark(round uint32, by linnet.Rungs) {
	if h.round != round {
		h.round, h.tried = round, 0
	}
	h.tried |= by
}

const maxFailures = 100

func (h *cachedHost) failed() { h.failures = min(h.failures+1, maxFailures) }

// score says how good a host is: it worked, lately, and is near.
func (h *cachedHost) score(now time.Time) float64 {
	daysSince := func(t uint32) float64 { return float64(now.Unix()-int64(t)) / (24 * 3600) }
	s := 20 * math.Exp2(-daysSince(h.added))
	if h.success != 0 {
		s += 100 * math.Exp2(-daysSince(h.success))
	}
	s -= 40 * float64(min(h.failures, 5))
	if h.rtt == 0 {
		return s - 20
	}
	return s - min(float64(h.rtt)/10_000, 50)
}

func (c *hostCache) find(node linnet.NodeID) (int, bool) {
	return slices.BinarySearchFunc(c.hosts, node, func(h *cachedHost, n linnet.NodeID) int { return compareNodes(h.Node, n) })
}

func (c *hostCache) get(node linnet.NodeID) *cachedHost {
	if i, ok := c.find(node); ok {
		return c.hosts[i]
	}
	return nil
}

// add notes a host that somebody vouched for just now. A full cache gives up its
// worst, some at once, since finding them means a look at all.
func (c *hostCache) add(now time.Time, h *Host) (*cachedHost, bool) {
	if !h.valid() {
		return nil, false
	}
	i, ok := c.find(h.Node)
	if ok {
		known := c.hosts[i]
		known.added = uint32(now.Unix())
		changed := !slices.Equal(known.Addrs, h.Addrs) || known.Rungs != h.Rungs
		known.Host = h
		return known, changed
	}
	added := &cachedHost{Host: h, added: uint32(now.Unix())}
	c.hosts = slices.Insert(c.hosts, i, added)
	if len(c.hosts) > MaxHosts {
		c.giveUp(now, givenUp)
		if c.get(h.Node) == nil {
			return nil, false
		}
	}
	return added, true
}

const (
	givenUp = 10 // hosts, by a full cache
	crowd   = 2  // what each further host of the same network costs
)

// giveUp drops the n worst. That it has many of the same network counts against a
// host, lest all that a node knows fail together.
func (c *hostCache) giveUp(now time.Time, n int) {
	same := make(map[netip.Prefix]int)
	for _, h := range c.hosts {
		same[widely(h.Addrs[0].Addr())]++
	}
	type scored struct {
		*cachedHost
		score float64
	}
	list := make([]scored, len(c.hosts))
	for i, h := range c.hosts {
		list[i] = scored{h, h.score(now) - crowd*float64(same[widely(h.Addrs[0].Addr())]-1)}
	}
	slices.SortStableFunc(list, func(a, b scored) int { return cmp.Compare(a.score, b.score) })
	for _, x := range list[:n] {
		i, _ := c.find(x.Node)
		c.hosts = slices.Delete(c.hosts, i, i+1)
	}
}

// widely is the IPv4 /16 or IPv6 /32 of an address: what is likely to fail together.
func widely(a netip.Addr) netip.Prefix {
	bits := 16
	if a.Is6() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}

func (c *hostCache) succeeded(now time.Time, node linnet.NodeID) {
	if h := c.get(node); h != nil {
		h.success, h.failures = uint32(now.Unix()), 0
	}
}

// Hosts are a host cache between two lives of a node in one process, which needs
// no bytes for that: a simulation starts thousands of nodes in a second.
type Hosts struct{ cache hostCache }

// Bytes are the cache for a database, as Machine.HostCache gives it.
func (h *Hosts) Bytes() []byte { return h.cache.export() }

// again is the cache as if it came from the database.
func (h *Hosts) again() hostCache {
	var c hostCache
	if h == nil {
		return c
	}
	list := make([]cachedHost, len(h.cache.hosts))
	for i, x := range h.cache.hosts {
		list[i] = cachedHost{Host: x.Host, success: x.success, added: x.added, rtt: x.rtt, failures: x.failures}
		c.hosts = append(c.hosts, &list[i])
	}
	return c
}

type hostsBody struct {
	Hosts []hostBody `obj:"5/0,opt"`
}

type hostBody struct {
	Node      linnet.NodeID    `obj:"4/0"`
	Agreement []byte           `obj:"4/1"`
	Addrs     []netip.AddrPort `obj:"2/2"`
	Success   uint64           `obj:"1/3,opt"` // milliseconds since 1970
	Added     uint64           `obj:"1/4"`
	Failures  uint32           `obj:"0/5,opt"`
	RTT       uint32           `obj:"0/6,opt"` // microseconds
	Rungs     uint32           `obj:"0/7,opt"`
	Name      string           `obj:"3/8,opt"`
}

// export is the cache as one blob for the node's database.
func (c *hostCache) export() []byte {
	var body hostsBody
	for _, h := range c.hosts {
		body.Hosts = append(body.Hosts, hostBody{
			Node: h.Node, Agreement: h.Agreement, Addrs: h.Addrs, Success: 1000 * uint64(h.success),
			Added: 1000 * uint64(h.added), Failures: uint32(h.failures), RTT: h.rtt,
			Rungs: uint32(h.Rungs), Name: h.Name,
		})
	}
	return message.Marshal(&body)
}

// load reads what export wrote; moments that have not come yet count as now.
func (c *hostCache) load(now time.Time, b []byte) error {
	var body hostsBody
	if err := message.Unmarshal(b, &body); err != nil {
		return fmt.Errorf("host cache: %w", err)
	}
	moment := func(ms uint64) uint32 { return uint32(min(ms/1000, uint64(now.Unix()))) }
	for _, b := range body.Hosts {
		h, _ := c.add(now, &Host{b.Node, slices.Clone(b.Agreement), b.Addrs, linnet.Rungs(b.Rungs) & allRungs, b.Name})
		if h == nil {
			continue
		}
		h.added, h.success = moment(b.Added), moment(b.Success)
		h.failures, h.rtt = uint8(min(b.Failures, maxFailures)), b.RTT
	}
	return nil
}

// BootstrapHosts are the first supernodes of a network as hosts. One with addresses
// of both families stands in the descriptor once with each.
func BootstrapHosts(d *suite.Descriptor) []Host {
	var hosts []Host
	for _, b := range d.Supernodes {
		i := slices.IndexFunc(hosts, func(h Host) bool { return h.Node == b.Node })
		if i < 0 {
			i = len(hosts)
			hosts = append(hosts, Host{Node: b.Node, Agreement: b.Agreement})
		}
		if len(hosts[i].Addrs) < MaxAddrs {
			hosts[i].Addrs = append(hosts[i].Addrs, b.Addr)
		}
	}
	return hosts
}
