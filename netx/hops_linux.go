package netx

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// WriteHops sets the TTL of this datagram alone: others use the socket meanwhile.
func (c socket) WriteHops(data []byte, to netip.AddrPort, hops int) error {
	b := writeBatches.Get().(*batch)
	defer writeBatches.Put(b)
	b.count, b.long, b.blocks = 1, false, c.blocks
	if !b.setAddr(0, to, c.v4) {
		return errFamily
	}
	b.point(0, data)
	level, kind := unix.IPPROTO_IP, unix.IP_TTL
	if !to.Addr().Unmap().Is4() {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT
	}
	binary.NativeEndian.PutUint32(b.attach(0, level, kind, 4), uint32(hops))
	return b.run("sendmmsg", c.raw.Write)
}
