//go:build !linux

package portmap

import "net/netip"

const gatewayKnown = false

// gateway is a guess where the system's routes are not read: homes number their router
// first.
func gateway() netip.Addr {
	own, err := localAddr(netip.MustParseAddrPort("192.0.2.1:9")) // nothing is sent
	if err != nil || !own.Is4() || !own.IsPrivate() {
		return netip.Addr{}
	}
	b := own.As4()
	b[3] = 1
	return netip.AddrFrom4(b)
}
