package netsim

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// A Dependence says which part of the far end's address a NAT looks at (RFC
// 4787, sections 4.1 and 5).
type Dependence uint8

// The three kinds of mapping, and of filtering.
const (
	EndpointIndependent Dependence = iota
	AddressDependent
	AddressAndPortDependent
)

// of is the part of a that counts.
func (d Dependence) of(a netip.AddrPort) netip.AddrPort {
	switch d {
	case EndpointIndependent:
		return netip.AddrPort{}
	case AddressDependent:
		return netip.AddrPortFrom(a.Addr(), 0)
	default:
		return a
	}
}

// NATOptions describes a NAT. The zero value is a public full cone.
type NATOptions struct {
	Addr      netip.Addr // outer address; zero means one is chosen
	Behind    *NAT       // as of a carrier; nil means in the public realm
	Link      Link
	Mapping   Dependence
	Filtering Dependence
	Timeout   time.Duration // of a mapping without outbound packets; 0 means 2 minutes
	Hairpin   bool          // its own hosts may use its outer address
	Scatter   bool          // outer ports are drawn at random, and not kept
	Step      uint16        // not 0: outer ports are handed out in order, so far apart, and not kept
	// Spoils is what routers do that answer unasked packets themselves: such a packet takes
	// its pair of endpoints, and a host inside is given another port towards that sender.
	Spoils bool

	// Pass is a firewall: whether a packet may leave. nil lets all out.
	Pass func(tcp bool, to netip.AddrPort) bool
}

// OnlyTCP lets nothing out but TCP, to the given ports if there are any.
func OnlyTCP(ports ...uint16) func(bool, netip.AddrPort) bool {
	return func(tcp bool, to netip.AddrPort) bool {
		return tcp && (len(ports) == 0 || slices.Contains(ports, to.Port()))
	}
}

// PortRestrictedCone is the commonest NAT at home.
func PortRestrictedCone() NATOptions {
	return NATOptions{Mapping: EndpointIndependent, Filtering: AddressAndPortDependent}
}

// Symmetric is the NAT of many carriers and companies.
func Symmetric() NATOptions {
	return NATOptions{Mapping: AddressAndPortDependent, Filtering: AddressAndPortDependent, Scatter: true}
}

// Sequential is one that hands out its ports in order.
func Sequential(step uint16) NATOptions {
	return NATOptions{Mapping: AddressAndPortDependent, Filtering: AddressAndPortDependent, Step: step}
}

const (
	natTimeout    = 2 * time.Minute
	natTCPTimeout = 2 * time.Hour // RFC 5382 asks for 2:04
	firstNATPort  = 1024
)

// A NAT is a router with one outer IPv4 address and a realm of its own inside.
type NAT struct {
	in      *Internet
	o       NATOptions
	outside *realm
	inside  realm
	addr    netip.Addr

	// Guarded by in.mu.
	cable    wire
	byInner  map[natKey]*mapping
	byPort   map[natPort]*mapping
	spoiled  map[spoil]time.Time // until when
	lastPort uint16
	rand     *rand.Rand
}

// A spoil is the outer port and the sender of an unasked packet.
type spoil struct {
	natPort
	from netip.AddrPort
}

type natKey struct {
	proto  protocol
	inner  netip.AddrPort
	toward netip.AddrPort // what Mapping depends on
}

type natPort struct {
	proto protocol
	port  uint16
}

type mapping struct {
	key     natKey
	port    natPort
	expires time.Time
	allowed map[netip.AddrPort]time.Time // what Filtering lets in, until when
}

// NAT connects a router.
func (in *Internet) NAT(o NATOptions) *NAT {
	if o.Timeout == 0 {
		o.Timeout = natTimeout
	}
	n := &NAT{in: in, o: o, outside: &in.root, cable: wire{link: o.Link}, lastPort: firstNATPort - 1}
	n.inside = realm{nat: n, members: make(map[netip.Addr]element), auto: autoPrivate}
	if o.Behind != nil {
		n.outside = &o.Behind.inside
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.nats++
	n.rand = rand.New(rand.NewPCG(in.seed, in.nats))
	n.forget()
	var want []netip.Addr
	if o.Addr.IsValid() {
		want = []netip.Addr{o.Addr}
	}
	n.addr = n.outside.join(n, want)[0]
	return n
}

// Addr is the outer address.
func (n *NAT) Addr() netip.Addr { return n.addr }

// Reboot forgets all mappings.
func (n *NAT) Reboot() {
	n.in.mu.Lock()
	defer n.in.mu.Unlock()
	n.forget()
}

func (n *NAT) forget() {
	n.byInner, n.byPort, n.spoiled = make(map[natKey]*mapping), make(map[natPort]*mapping), make(map[spoil]time.Time)
}

func (n *NAT) wire() *wire { return &n.cable }

// leave takes a packet from inside.
func (n *NAT) leave(p *packet) {
	if n.o.Pass != nil && !n.o.Pass(p.proto == tcp, p.dst) {
		p.drop()
		return
	}
	if p.hop(1) {
		return
	}
	m := n.mapping(p, n.o.Mapping.of(p.dst))
	if now := time.Now(); m != nil && n.spoiled[spoil{m.port, p.dst}].After(now) {
		m = n.mapping(p, p.dst)
	}
	if m == nil || !p.dst.Addr().Is4() {
		p.drop()
		return
	}
	now := time.Now()
	m.expires = now.Add(n.timeout(p.proto))
	if len(m.allowed) >= 1024 {
		for a, until := range m.allowed {
			if until.Before(now) {
				delete(m.allowed, a)
			}
		}
	}
	m.allowed[n.o.Filtering.of(p.dst)] = m.expires
	p.src = netip.AddrPortFrom(n.addr, m.port.port)
	if p.dst.Addr() == n.addr {
		if n.o.Hairpin {
			n.arrive(p)
		} else {
			p.drop()
		}
		return
	}
	n.in.forward(p, n.outside, &n.cable)
}

// arrive takes a packet from outside.
func (n *NAT) arrive(p *packet) {
	now := time.Now()
	m := n.byPort[natPort{p.proto, p.dst.Port()}]
	if m == nil || !m.expires.After(now) || !m.allowed[n.o.Filtering.of(p.src)].After(now) {
		if n.o.Spoils && len(n.spoiled) < 1<<16 {
			n.spoiled[spoil{natPort{p.proto, p.dst.Port()}, p.src}] = now.Add(n.timeout(p.proto))
		}
		p.drop()
		return
	}
	p.dst = m.key.inner
	n.in.forward(p, &n.inside, nil)
}

func (n *NAT) timeout(proto protocol) time.Duration {
	if proto == tcp {
		return natTCPTimeout
	}
	return n.o.Timeout
}

// mapping finds or makes the one for a packet from inside; nil if all ports
// are in use.
func (n *NAT) mapping(p *packet, toward netip.AddrPort) *mapping {
	now := time.Now()
	key := natKey{p.proto, p.src, toward}
	if m := n.byInner[key]; m != nil {
		if m.expires.After(now) {
			return m
		}
		n.remove(m)
	}
	port := natPort{p.proto, p.src.Port()} // kept where possible
	switch {
	case n.o.Scatter:
		port.port = n.draw()
	case n.o.Step != 0:
		port.port = n.next()
	}
	for range 1<<16 - firstNATPort {
		m := n.byPort[port]
		if m != nil && !m.expires.After(now) {
			n.remove(m)
			m = nil
		}
		if m == nil {
			m = &mapping{key: key, port: port, expires: now.Add(n.timeout(p.proto)), allowed: make(map[netip.AddrPort]time.Time)}
			n.byInner[key], n.byPort[port] = m, m
			return m
		}
		if port.port = n.next(); n.o.Scatter {
			port.port = n.draw()
		}
	}
	return nil
}

func (n *NAT) next() uint16 {
	n.lastPort = max(n.lastPort+max(n.o.Step, 1), firstNATPort)
	return n.lastPort
}

func (n *NAT) draw() uint16 { return uint16(firstNATPort + n.rand.IntN(1<<16-firstNATPort)) }

func (n *NAT) remove(m *mapping) {
	delete(n.byInner, m.key)
	delete(n.byPort, m.port)
}
