package netx

import (
	"context"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	farthest    = 6                      // hops
	routersWait = 600 * time.Millisecond // for routers to say where packets ended
	routersLook = 20 * time.Millisecond
)

// Routers asks those of IPv4, as traceroute does: the kernel tells at which router a
// datagram ended.
func (s System) Routers(ctx context.Context, to netip.AddrPort, payload []byte) ([]netip.Addr, error) {
	if to = Unmap(to); !to.Addr().Is4() {
		return nil, ErrHops
	}
	var conns [farthest]udpConn
	for i := range conns {
		c, err := s.ListenUDP(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
		if err != nil {
			return nil, err
		}
		defer c.Close()
		conns[i] = c.(udpConn)
		if err := conns[i].raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1) }); err != nil {
			return nil, err
		}
		if err := conns[i].WriteHops(payload, to, i+1); err != nil {
			return nil, err
		}
	}
	ends := make([]netip.Addr, farthest)
	for end := time.Now().Add(routersWait); time.Now().Before(end) && ctx.Err() == nil && slices.Contains(ends, netip.Addr{}); time.Sleep(routersLook) {
		for i, c := range conns {
			if !ends[i].IsValid() {
				ends[i] = c.ended()
			}
		}
	}
	return ends, ctx.Err()
}

// ended is the router that said that a datagram's hops were used up; none if none
// did yet (struct sock_extended_err and what follows it, in linux/errqueue.h).
func (c udpConn) ended() (router netip.Addr) {
	c.raw.Control(func(fd uintptr) {
		var b [16]byte
		var oob [256]byte
		_, n, _, _, err := unix.Recvmsg(int(fd), b[:], oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil {
			return
		}
		for _, m := range messages {
			const size = int(unsafe.Sizeof(unix.SockExtendedErr{}))
			if m.Header.Level != unix.IPPROTO_IP || m.Header.Type != unix.IP_RECVERR || len(m.Data) < size+unix.SizeofSockaddrInet4 {
				continue
			}
			e := (*unix.SockExtendedErr)(unsafe.Pointer(&m.Data[0]))
			if e.Origin == unix.SO_EE_ORIGIN_ICMP && e.Type == icmpTimeExceeded {
				router = netip.AddrFrom4([4]byte(m.Data[size+4 : size+8])) // sin_addr
			}
		}
	})
	return router
}

const icmpTimeExceeded = 11
