package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// An OldLocation is where a node of the old network was (W5.1). Nodes of this
// one say it by a Location, which gives no address away.
//
//	node  [8]byte
//	flag  [1]byte
//	1 to 3 times: address, IPv4 4, port 2
type OldLocation struct {
	Node  uint64
	Flag  uint8            // 1: reached directly, 0: through a relay
	Addrs []netip.AddrPort // flag 1: LAN, supernode, public; flag 0: supernode, relay, LAN
}

// ErrOldLocation says that a blob is no location of the old network.
var ErrOldLocation = errors.New("not a location of the old network")

const (
	maxOldAddrs = 3
	oldAddrSize = 4 + 2
	oldHeadSize = 8 + 1
)

// AppendBinary appends the blob to b.
func (l OldLocation) AppendBinary(b []byte) ([]byte, error) {
	if len(l.Addrs) == 0 || len(l.Addrs) > maxOldAddrs || l.Flag > 1 {
		return b, ErrOldLocation
	}
	b = append(binary.BigEndian.AppendUint64(b, l.Node), l.Flag)
	for _, a := range l.Addrs {
		ip := a.Addr().Unmap()
		if !ip.Is4() {
			return b, ErrOldLocation
		}
		b = binary.BigEndian.AppendUint16(append(b, ip.AsSlice()...), a.Port())
	}
	return b, nil
}

// UnmarshalBinary reads the blob.
func (l *OldLocation) UnmarshalBinary(b []byte) error {
	n := (len(b) - oldHeadSize) / oldAddrSize
	if n < 1 || n > maxOldAddrs || len(b) != oldHeadSize+n*oldAddrSize || b[8] > 1 {
		return ErrOldLocation
	}
	*l = OldLocation{Node: binary.BigEndian.Uint64(b), Flag: b[8], Addrs: make([]netip.AddrPort, n)}
	for i := range l.Addrs {
		a := b[oldHeadSize+i*oldAddrSize:]
		l.Addrs[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte(a)), binary.BigEndian.Uint16(a[4:]))
	}
	return nil
}

// String is the form in the logs of the old clients: 0x<node>-<flag>, and the
// addresses with l for LAN, s for supernode, r for public or relay.
func (l OldLocation) String() string {
	letters := "srl"
	if l.Flag == 1 {
		letters = "lsr"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "0x%016x-%d", l.Node, l.Flag)
	for i, a := range l.Addrs[:min(len(l.Addrs), len(letters))] {
		fmt.Fprintf(&b, "-%c%v", letters[i], a)
	}
	return b.String()
}
