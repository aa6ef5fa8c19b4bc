package browser

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/pion/ice/v4"
)

const noMulticastDNS = ice.MulticastDNSModeDisabled

// ports is one UDP port on every address of this machine.
type ports struct{ *ice.MultiUDPMuxDefault }

// maxAddresses bounds the sockets of one Set.
const maxAddresses = 16

// listen opens the port on 127.0.0.1 and on as many other addresses as have it free.
func listen() (*ports, error) {
	addrs, err := ownAddresses()
	if err != nil {
		return nil, err
	}
	local := make(map[netip.Addr]bool)
	for _, a := range addrs {
		local[a] = true
	}
	var port uint16
	var muxes []ice.UDPMux
	for _, a := range addrs {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port)))
		if err != nil && port == 0 {
			return nil, fmt.Errorf("browser: a port for the page: %w", err)
		} else if err != nil {
			continue // taken there, or the address is just going away
		}
		port = conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		muxes = append(muxes, ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: &localConn{conn, local}, Logger: discard{}}))
		if len(muxes) == maxAddresses {
			break
		}
	}
	return &ports{ice.NewMultiUDPMuxDefault(muxes...)}, nil
}

// ownAddresses are those of this machine, 127.0.0.1 first. Browsers gather
// nothing on a machine that has no other one.
func ownAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("browser: addresses of this machine: %w", err)
	}
	addrs := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	for _, x := range all {
		n, ok := x.(*net.IPNet)
		if !ok {
			continue
		}
		if a, ok := netip.AddrFromSlice(n.IP); ok && usable(a.Unmap()) {
			addrs = append(addrs, a.Unmap())
		}
	}
	if len(addrs) == 1 {
		return nil, ErrNoAddress
	}
	return addrs, nil
}

// usable leaves out addresses that need a zone: browsers do not offer them.
func usable(a netip.Addr) bool {
	return !a.IsLoopback() && !a.IsLinkLocalUnicast() && a.IsGlobalUnicast()
}

// localConn hears only what comes from this machine.
type localConn struct {
	net.PacketConn
	local map[netip.Addr]bool
}

func (c *localConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil || c.isLocal(from) {
			return n, from, err
		}
	}
}

func (c *localConn) isLocal(from net.Addr) bool {
	u, ok := from.(*net.UDPAddr)
	if !ok {
		return false
	}
	a := u.AddrPort().Addr().Unmap()
	return a.IsLoopback() || c.local[a]
}
