package netx

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// WriteHops sets the TTL of this datagram alone: others use the socket meanwhile.
func (c udpConn) WriteHops(b []byte, to netip.AddrPort, hops int) error {
	level, kind := unix.IPPROTO_IP, unix.IP_TTL
	if !to.Addr().Unmap().Is4() {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT
	}
	oob := make([]byte, unix.CmsgSpace(4))
	head := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	head.Level, head.Type = int32(level), int32(kind)
	head.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(oob[unix.CmsgLen(0):], uint32(hops))
	_, _, err := c.WriteMsgUDPAddrPort(b, oob, to)
	return err
}
