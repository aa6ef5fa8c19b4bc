package netx

import (
	"errors"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// whole is held by who changes how a socket treats long datagrams: two at a time would put
// back what the other one has set.
var whole sync.Mutex

// WriteWhole has the kernel neither cut the datagram nor believe what it heard of the path,
// for this moment: what others send by the socket meanwhile is cut no more either.
func (c socket) WriteWhole(b []byte, to netip.AddrPort) error {
	whole.Lock()
	defer whole.Unlock()
	level, option, probe := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
	if !to.Addr().Unmap().Is4() {
		level, option, probe = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
	}
	var before int
	var err error
	if e := c.raw.Control(func(fd uintptr) {
		if before, err = unix.GetsockoptInt(int(fd), level, option); err == nil {
			err = unix.SetsockoptInt(int(fd), level, option, probe)
		}
	}); e != nil || err != nil {
		return errors.Join(e, err)
	}
	_, err = c.WriteBatch([]Datagram{{Addr: to, Data: b}})
	if e := c.raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), level, option, before) }); e != nil {
		return errors.Join(err, e)
	}
	return err
}
