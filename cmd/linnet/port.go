package main

import (
	"context"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netx"
)

// Ports that no common system lends to programs that ask for any: what is free
// now is so when it is opened, today or after the next start of the machine.
const (
	firstPort = 10_000
	ports     = 20_000
)

// This process begins somewhere, and looks at no port twice.
var (
	portsFrom = rand.IntN(ports)
	portsSeen atomic.Int64
)

// freePorts finds ports in a row that the system does not use, UDP and TCP.
func freePorts(ctx context.Context, n int) (first uint16, err error) {
	for range 100 {
		at := firstPort + (portsFrom+int(portsSeen.Add(int64(n)))-n)%ports
		if free(ctx, uint16(at), n) {
			return uint16(at), nil
		}
	}
	return 0, linnet.Errorf(linnet.CodeInUse, "not enough free ports were found")
}

// free says whether n ports from first on can be used.
func free(ctx context.Context, first uint16, n int) bool {
	for port := int(first); port < int(first)+n; port++ {
		if port > math.MaxUint16 {
			return false
		}
		at := netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port))
		udp, err := netx.System{}.ListenUDP(ctx, at)
		if err != nil {
			return false
		}
		udp.Close()
		tcp, err := netx.System{}.ListenTCP(ctx, at)
		if err != nil {
			return false
		}
		tcp.Close()
	}
	return true
}
