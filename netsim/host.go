package netsim

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/linnet-p2p/linnet/netx"
)

// HostOptions describes a Host. The zero value is a public one with an IPv4
// address and a perfect link.
type HostOptions struct {
	Name   string
	Addrs  []netip.Addr // IPv4, IPv6 or both; none means one is chosen
	Behind *NAT         // nil means in the public realm
	Link   Link
}

// A Host is a machine: a netx.Network with addresses of its own.
type Host struct {
	in    *Internet
	name  string
	addrs []netip.Addr
	realm *realm

	// Guarded by in.mu.
	cable     wire
	dead      bool
	sockets   map[netip.AddrPort]*udpConn
	listeners map[netip.AddrPort]*listener
	conns     map[connKey]*conn
	lastPort  uint16
	taps      []func(Packet)
	watchers  map[int]func()
	watched   int
}

var _ netx.Network = (*Host)(nil)

// A Packet is what a Host's tap sees: a datagram or the payload of a TCP
// segment, with the addresses that the host sees.
type Packet struct {
	TCP      bool
	Sent     bool // by this host
	From, To netip.AddrPort
	Payload  []byte
}

// Host connects a machine.
func (in *Internet) Host(o HostOptions) *Host {
	h := &Host{
		in: in, name: o.Name, realm: &in.root, cable: wire{link: o.Link}, lastPort: firstEphemeral - 1,
		sockets: make(map[netip.AddrPort]*udpConn), listeners: make(map[netip.AddrPort]*listener), conns: make(map[connKey]*conn),
	}
	if o.Behind != nil {
		h.realm = &o.Behind.inside
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	h.addrs = h.realm.join(h, slices.Clone(o.Addrs))
	return h
}

// String is the name and first address.
func (h *Host) String() string { return fmt.Sprintf("%s(%v)", h.name, h.addrs[0]) }

// Addr is the host's first address.
func (h *Host) Addr() netip.Addr {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return h.addrs[0]
}

// Addrs are the host's addresses.
func (h *Host) Addrs() ([]netip.Addr, error) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return slices.Clone(h.addrs), nil
}

// Watch waits for Move.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	h.in.mu.Lock()
	if h.watchers == nil {
		h.watchers = make(map[int]func())
	}
	h.watched++
	id := h.watched
	h.watchers[id] = changed
	h.in.mu.Unlock()
	<-ctx.Done()
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	delete(h.watchers, id)
	return nil
}

// Move carries the host to another place, as a phone is: behind a NAT, or into the public
// realm. It has other addresses there, and its connections are never heard of again.
func (h *Host) Move(behind *NAT, addrs ...netip.Addr) {
	h.in.mu.Lock()
	for _, a := range h.addrs {
		delete(h.realm.members, a)
	}
	h.realm = &h.in.root
	if behind != nil {
		h.realm = &behind.inside
	}
	h.addrs = h.realm.join(h, slices.Clone(addrs))
	var tell []func()
	for _, f := range h.watchers {
		tell = append(tell, f)
	}
	h.in.mu.Unlock()
	for _, f := range tell {
		f()
	}
}

// Sockets counts the host's open UDP sockets.
func (h *Host) Sockets() int {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	return len(h.sockets)
}

// SetLink changes the cable for packets sent from now on.
func (h *Host) SetLink(l Link) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.cable.link = l
}

// Cut pulls the cable: packets vanish, connections stay until they time out.
func (h *Host) Cut() { h.setCut(true) }

// Heal plugs it in again.
func (h *Host) Heal() { h.setCut(false) }

func (h *Host) setCut(cut bool) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.cable.cut = cut
}

// Kill ends the host's processes as kill -9 does: its sockets fail, the far
// ends of its connections are reset, and no socket opens before Boot.
func (h *Host) Kill() {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.dead = true
	for _, u := range h.sockets {
		u.close()
	}
	for _, l := range h.listeners {
		l.close()
	}
	for _, c := range h.conns {
		c.sendReset()
		c.fail(net.ErrClosed)
	}
}

// Boot lets a killed host open sockets again.
func (h *Host) Boot() {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.dead = false
}

// Tap shows f every packet that the host sends or receives. f must neither
// keep the payload nor use anything of this package.
func (h *Host) Tap(f func(Packet)) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.taps = append(h.taps, f)
}

func (h *Host) tap(p *packet, sent bool) {
	if len(h.taps) == 0 || p.proto == tcp && len(p.payload) == 0 {
		return
	}
	for _, f := range h.taps {
		f(Packet{TCP: p.proto == tcp, Sent: sent, From: p.src, To: p.dst, Payload: p.payload})
	}
}

func (h *Host) wire() *wire { return &h.cable }

func (h *Host) send(p *packet) {
	p.origin = h
	h.tap(p, true)
	if a := p.dst.Addr(); a.IsLoopback() || slices.Contains(h.addrs, a) {
		h.in.after(0, func() { h.arrive(p) })
		return
	}
	h.in.forward(p, h.realm, &h.cable)
}

func (h *Host) arrive(p *packet) {
	if h.in.cuts[[2]*Host{p.origin, h}] {
		p.drop()
		return
	}
	h.tap(p, false)
	if p.proto == tcp {
		h.segment(p)
		return
	}
	if u := find(h.sockets, p.dst); u != nil {
		u.receive(p)
	}
}

// source is the address from which the host sends to dst.
func (h *Host) source(dst netip.Addr) (netip.Addr, error) {
	if dst.IsLoopback() {
		return dst, nil
	}
	for _, a := range h.addrs {
		if a == dst || a.Is4() == dst.Is4() {
			return a, nil
		}
	}
	return netip.Addr{}, syscall.ENETUNREACH
}

const firstEphemeral = 49152

// bind checks or chooses the address of a socket. taken are those in use.
func bind[S any](h *Host, local netip.AddrPort, taken map[netip.AddrPort]S) (netip.AddrPort, error) {
	ip := local.Addr()
	switch {
	case h.dead:
		return local, syscall.ENETDOWN
	case !ip.IsValid():
		ip = netip.IPv6Unspecified() // both families, as the kernel shows it
	case !ip.IsUnspecified() && !ip.IsLoopback() && !slices.Contains(h.addrs, ip):
		return local, syscall.EADDRNOTAVAIL
	}
	if port := local.Port(); port != 0 {
		if inUse(taken, ip, port) {
			return local, syscall.EADDRINUSE
		}
		return netip.AddrPortFrom(ip, port), nil
	}
	for range 1<<16 - firstEphemeral {
		if port := h.ephemeral(); !inUse(taken, ip, port) {
			return netip.AddrPortFrom(ip, port), nil
		}
	}
	return local, syscall.EADDRINUSE
}

func (h *Host) ephemeral() uint16 {
	h.lastPort++
	if h.lastPort < firstEphemeral {
		h.lastPort = firstEphemeral
	}
	return h.lastPort
}

func inUse[S any](taken map[netip.AddrPort]S, ip netip.Addr, port uint16) bool {
	for a := range taken {
		if a.Port() == port && (a.Addr() == ip || a.Addr().IsUnspecified() || ip.IsUnspecified()) {
			return true
		}
	}
	return false
}

// find is the socket that gets what is sent to dst: the one with exactly that
// address, else one that listens on all of them.
func find[S any](sockets map[netip.AddrPort]S, dst netip.AddrPort) S {
	if s, ok := sockets[dst]; ok {
		return s
	}
	if dst.Addr().Is4() {
		if s, ok := sockets[netip.AddrPortFrom(netip.IPv4Unspecified(), dst.Port())]; ok {
			return s
		}
	}
	return sockets[netip.AddrPortFrom(netip.IPv6Unspecified(), dst.Port())]
}

// ListenUDP opens a socket.
func (h *Host) ListenUDP(ctx context.Context, local netip.AddrPort) (netx.PacketConn, error) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	addr, err := bind(h, local, h.sockets)
	if err != nil {
		return nil, fmt.Errorf("netsim: %v: listen udp %v: %w", h, local, err)
	}
	u := &udpConn{host: h, local: addr}
	u.cond.L = &h.in.mu
	h.sockets[addr] = u
	return u, nil
}

// ListenTCP opens a listener.
func (h *Host) ListenTCP(ctx context.Context, local netip.AddrPort) (net.Listener, error) {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	addr, err := bind(h, local, h.listeners)
	if err != nil {
		return nil, fmt.Errorf("netsim: %v: listen tcp %v: %w", h, local, err)
	}
	l := &listener{host: h, local: addr}
	l.cond.L = &h.in.mu
	h.listeners[addr] = l
	return l, nil
}

// DialTCP connects, or gives up when ctx ends or after a minute.
func (h *Host) DialTCP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	return h.DialFrom(ctx, netip.AddrPort{}, remote)
}

// DialFrom is the same from the port of local.
func (h *Host) DialFrom(ctx context.Context, local, remote netip.AddrPort) (net.Conn, error) {
	c, err := h.dial(ctx, local.Port(), netx.Unmap(remote))
	if err != nil {
		return nil, fmt.Errorf("netsim: %v: dial %v: %w", h, remote, err)
	}
	return c, nil
}
