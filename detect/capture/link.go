package capture

import (
	"encoding/binary"
	"slices"
)

// linkType is how a frame begins (tcpdump.org/linktypes.html).
type linkType uint16

const (
	linkNull     linkType = 0 // BSD loopback: address family in the writer's byte order
	linkEthernet linkType = 1
	linkPPP      linkType = 9
	linkRawBSD   linkType = 12
	linkRawOBSD  linkType = 14
	linkPPPHDLC  linkType = 50
	linkPPPoE    linkType = 51
	linkRaw      linkType = 101
	linkHDLC     linkType = 104
	linkWiFi     linkType = 105
	linkLoop     linkType = 108 // OpenBSD's: address family, big endian
	linkCooked   linkType = 113
	linkRadiotap linkType = 127
	linkIPv4     linkType = 228
	linkIPv6     linkType = 229
	linkCooked2  linkType = 276
)

func (l linkType) known() bool {
	return slices.Contains([]linkType{linkNull, linkEthernet, linkPPP, linkRawBSD, linkRawOBSD, linkPPPHDLC, linkPPPoE,
		linkRaw, linkHDLC, linkWiFi, linkLoop, linkCooked, linkRadiotap, linkIPv4, linkIPv6, linkCooked2}, l)
}

// fate is what becomes of a frame.
type fate int

const (
	yielded fate = iota
	kept         // a fragment
	malformed
	other
)

// etherType says what follows a link header.
type etherType uint16

const (
	etherIPv4  etherType = 0x0800
	etherIPv6  etherType = 0x86dd
	etherPPPoE etherType = 0x8864
	etherLLC   etherType = 0x0001 // not one of the registry: an 802.2 header follows
	etherRaw   etherType = 0x0002 // nor this: IP of the version that it says
	etherPPP   etherType = 0x880b
)

// decode fills r.packet with what f carries.
func (r *Reader) decode(f frame) fate {
	r.packet.Number, r.packet.Time = r.counts.Frames, f.time
	b := f.data
	short := func(n int) bool { return len(b) < n }
	var next etherType
	switch f.link {
	case linkEthernet:
		if short(14) {
			return malformed
		}
		next, b = etherType(binary.BigEndian.Uint16(b[12:])), b[14:]
		if next < 0x600 { // a length
			next = etherLLC
		}
	case linkCooked:
		if short(16) {
			return malformed
		}
		next, b = etherType(binary.BigEndian.Uint16(b[14:])), b[16:]
		if next == 4 {
			next = etherLLC
		}
	case linkCooked2:
		if short(20) {
			return malformed
		}
		next, b = etherType(binary.BigEndian.Uint16(b)), b[20:]
		if next == 4 {
			next = etherLLC
		}
	case linkNull, linkLoop:
		if short(4) {
			return malformed
		}
		next, b = etherRaw, b[4:] // families differ from system to system; IP tells its version itself
	case linkPPP, linkPPPHDLC:
		next = etherPPP
	case linkPPPoE:
		next = etherPPPoE
	case linkHDLC:
		if short(4) {
			return malformed
		}
		next, b = etherType(binary.BigEndian.Uint16(b[2:])), b[4:]
	case linkRadiotap:
		if short(4) {
			return malformed
		}
		n := int(binary.LittleEndian.Uint16(b[2:]))
		if short(n) {
			return malformed
		}
		b = b[n:]
		fallthrough
	case linkWiFi:
		n, ok := wifiHeader(b)
		if !ok {
			return other
		}
		next, b = etherLLC, b[n:]
	case linkRaw, linkRawBSD, linkRawOBSD, linkIPv4, linkIPv6:
		next = etherRaw
	default:
		return other
	}
	return r.ether(next, b, 0)
}

// wifiHeader is the length of the header of an 802.11 data frame that is not encrypted.
func wifiHeader(b []byte) (n int, ok bool) {
	const (
		data, qos              = 0x08, 0x80 // type and subtype
		toDS, fromDS           = 0x01, 0x02
		encrypted, longControl = 0x40, 0x80
	)
	if len(b) < 24 || b[0]&0x0c != data || b[0]&0x40 != 0 || b[1]&encrypted != 0 {
		return 0, false
	}
	n = 24
	if b[1]&toDS != 0 && b[1]&fromDS != 0 {
		n += 6
	}
	if b[0]&qos != 0 {
		n += 2
		if b[1]&longControl != 0 {
			n += 4
		}
	}
	return n, len(b) >= n
}

// ether follows the headers between link and IP.
func (r *Reader) ether(next etherType, b []byte, depth int) fate {
	for range maxDepth {
		switch next {
		case etherIPv4:
			return r.ipv4(b, depth)
		case etherIPv6:
			return r.ipv6(b, depth)
		case etherRaw:
			return r.ip(b, depth)
		case 0x8100, 0x88a8, 0x9100: // VLAN
			if len(b) < 4 {
				return malformed
			}
			next, b = etherType(binary.BigEndian.Uint16(b[2:])), b[4:]
			if next < 0x600 {
				next = etherLLC
			}
		case 0x8847, 0x8848: // MPLS: 20 bits of label, 3 of class, the bottom bit, a byte of TTL
			if len(b) < 4 {
				return malformed
			}
			if b[2]&1 != 0 {
				next = etherRaw
			}
			b = b[4:]
		case etherPPPoE: // version and type, code, session, length
			if len(b) < 6 {
				return malformed
			}
			if b[1] != 0 {
				return other // discovery
			}
			next, b = etherPPP, b[6:]
		case etherPPP:
			if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 { // address and control, often left out
				b = b[2:]
			}
			if len(b) < 2 {
				return malformed
			}
			switch protocol := binary.BigEndian.Uint16(b); {
			case protocol == 0x0021:
				next, b = etherIPv4, b[2:]
			case protocol == 0x0057:
				next, b = etherIPv6, b[2:]
			case b[0] == 0x21: // compressed to one byte
				next, b = etherIPv4, b[1:]
			case b[0] == 0x57:
				next, b = etherIPv6, b[1:]
			default:
				return other
			}
		case etherLLC: // SNAP: aa aa 03, organisation, type
			if len(b) < 8 {
				return malformed
			}
			if b[0] != 0xaa || b[1] != 0xaa || b[2] != 0x03 {
				return other
			}
			next, b = etherType(binary.BigEndian.Uint16(b[6:])), b[8:]
			if next < 0x600 {
				return other
			}
		default:
			return other
		}
	}
	return malformed
}
