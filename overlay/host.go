package overlay

import (
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
}

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

type cachedHost struct {
	Host
	success  time.Time     // when it last served this node
	added    time.Time     // when it was last heard of
	failures int           // since then
	rtt      time.Duration // zero: not measured
	round    int           // of attaching in which it was tried last
}

// score says how good a host is: it worked, lately, and is near.
func (h *cachedHost) score(now time.Time) float64 {
	s := 20 * math.Exp2(-now.Sub(h.added).Hours()/24)
	if !h.success.IsZero() {
		s += 100 * math.Exp2(-now.Sub(h.success).Hours()/24)
	}
	s -= 40 * float64(min(h.failures, 5))
	if h.rtt == 0 {
		return s - 20
	}
	return s - min(float64(h.rtt.Milliseconds())/10, 50)
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

// add notes a host that somebody vouched for just now. A full cache gives up its worst.
func (c *hostCache) add(now time.Time, h Host) (*cachedHost, bool) {
	if !h.valid() {
		return nil, false
	}
	i, ok := c.find(h.Node)
	if ok {
		known := c.hosts[i]
		known.added = now
		if slices.Equal(known.Addrs, h.Addrs) {
			return known, false
		}
		known.Host = h
		return known, true
	}
	added := &cachedHost{Host: h, added: now}
	c.hosts = slices.Insert(c.hosts, i, added)
	if len(c.hosts) > MaxHosts {
		worst := 0
		for i, h := range c.hosts {
			if h.score(now) < c.hosts[worst].score(now) {
				worst = i
			}
		}
		if c.hosts[worst] == added {
			added = nil
		}
		c.hosts = slices.Delete(c.hosts, worst, worst+1)
	}
	return added, added != nil
}

func (c *hostCache) succeeded(now time.Time, node linnet.NodeID) {
	if h := c.get(node); h != nil {
		h.success, h.failures = now, 0
	}
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
}

// export is the cache as one blob for the node's database.
func (c *hostCache) export() []byte {
	var body hostsBody
	for _, h := range c.hosts {
		b := hostBody{
			Node: h.Node, Agreement: h.Agreement, Addrs: h.Addrs,
			Added: uint64(h.added.UnixMilli()), Failures: uint32(h.failures), RTT: uint32(min(h.rtt.Microseconds(), math.MaxUint32)),
		}
		if !h.success.IsZero() {
			b.Success = uint64(h.success.UnixMilli())
		}
		body.Hosts = append(body.Hosts, b)
	}
	return message.Marshal(&body)
}

// load reads what export wrote; moments that have not come yet count as now.
func (c *hostCache) load(now time.Time, b []byte) error {
	var body hostsBody
	if err := message.Unmarshal(b, &body); err != nil {
		return fmt.Errorf("host cache: %w", err)
	}
	moment := func(ms uint64) time.Time { return time.UnixMilli(int64(min(ms, uint64(now.UnixMilli())))) }
	for _, b := range body.Hosts {
		h, _ := c.add(now, Host{b.Node, slices.Clone(b.Agreement), b.Addrs})
		if h == nil {
			continue
		}
		h.added, h.failures = moment(b.Added), int(min(b.Failures, 100))
		h.rtt = time.Duration(b.RTT) * time.Microsecond
		if b.Success != 0 {
			h.success = moment(b.Success)
		}
	}
	return nil
}

// BootstrapHosts are the first supernodes of a network as hosts.
func BootstrapHosts(d *suite.Descriptor) []Host {
	var hosts []Host
	for _, b := range d.Supernodes {
		hosts = append(hosts, Host{b.Node, b.Agreement, []netip.AddrPort{b.Addr}})
	}
	return hosts
}
