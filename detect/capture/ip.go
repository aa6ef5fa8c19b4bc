package capture

import (
	"encoding/binary"
	"net/netip"
)

// maxDepth bounds tags and tunnels within one another.
const maxDepth = 8

// IP protocol numbers beside UDP and TCP.
const (
	protoHopByHop = 0
	protoIPv4     = 4
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAuth     = 51
	protoDestOpts = 60
	protoMobility = 135
)

// datagram is what an IP packet carries.
type datagram struct {
	src, dst netip.Addr
	protocol uint8
	data     []byte // as far as captured
	length   int    // on the wire
}

func (r *Reader) ip(b []byte, depth int) fate {
	if len(b) == 0 {
		return malformed
	}
	switch b[0] >> 4 {
	case 4:
		return r.ipv4(b, depth)
	case 6:
		return r.ipv6(b, depth)
	}
	return other
}

func (r *Reader) ipv4(b []byte, depth int) fate {
	if len(b) < 20 || b[0]>>4 != 4 {
		return malformed
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 { // left to the network card, which had not filled it in yet
		total = len(b)
	}
	if header < 20 || total < header || len(b) < header {
		return malformed
	}
	d := datagram{
		src: netip.AddrFrom4([4]byte(b[12:])), dst: netip.AddrFrom4([4]byte(b[16:])),
		protocol: b[9], data: b[header:min(len(b), total)], length: total - header,
	}
	flags := binary.BigEndian.Uint16(b[6:])
	if more, offset := flags&0x2000 != 0, int(flags&0x1fff)*8; more || offset > 0 {
		return r.fragment(d, uint32(binary.BigEndian.Uint16(b[4:])), offset, more, depth)
	}
	return r.carried(d, depth)
}

func (r *Reader) ipv6(b []byte, depth int) fate {
	if len(b) < 40 || b[0]>>4 != 6 {
		return malformed
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length == 0 { // a jumbogram, or left to the network card
		length = len(b) - 40
	}
	return r.carried(datagram{
		src: netip.AddrFrom16([16]byte(b[8:])), dst: netip.AddrFrom16([16]byte(b[24:])),
		protocol: b[6], data: b[40:min(len(b), 40+length)], length: length,
	}, depth)
}

// carried follows extension headers and tunnels to UDP or TCP. Every step
// takes bytes away, so it ends.
func (r *Reader) carried(d datagram, depth int) fate {
	for {
		switch Protocol(d.protocol) {
		case UDP:
			return r.udp(d)
		case TCP:
			return r.tcp(d)
		}
		header := 0
		switch d.protocol {
		case protoHopByHop, protoRouting, protoDestOpts, protoMobility, protoFragment, protoAuth:
			if len(d.data) < 8 {
				return malformed
			}
			header = 8 + 8*int(d.data[1])
			if d.protocol == protoAuth {
				header = 8 + 4*int(d.data[1])
			}
		case protoIPv4, protoIPv6:
			if depth == maxDepth {
				return malformed
			}
			return r.ip(d.data, depth+1)
		case protoGRE:
			return r.gre(d.data, depth)
		default:
			return other
		}
		if d.protocol == protoFragment { // next, 0, offset and more, id uint32
			at := binary.BigEndian.Uint16(d.data[2:])
			id := binary.BigEndian.Uint32(d.data[4:])
			d.protocol, d.data, d.length = d.data[0], d.data[8:], d.length-8
			if at&^6 != 0 {
				return r.fragment(d, id, int(at&^7), at&1 != 0, depth)
			}
			continue
		}
		if len(d.data) < header || d.length < header {
			return malformed
		}
		d.protocol, d.data, d.length = d.data[0], d.data[header:], d.length-header
	}
}

// gre follows a generic routing header of version 0: flags, type, and four
// bytes for each of checksum, key and sequence number that the flags announce.
func (r *Reader) gre(b []byte, depth int) fate {
	if len(b) < 4 {
		return malformed
	}
	if b[1]&7 != 0 || depth == maxDepth {
		return other
	}
	n := 4
	for _, flag := range []byte{0x80, 0x20, 0x10} {
		if b[0]&flag != 0 {
			n += 4
		}
	}
	if len(b) < n {
		return malformed
	}
	return r.ether(etherType(binary.BigEndian.Uint16(b[2:])), b[n:], depth+1)
}

func (r *Reader) udp(d datagram) fate {
	if len(d.data) < 8 {
		return malformed
	}
	length := int(binary.BigEndian.Uint16(d.data[4:]))
	if length == 0 || length > d.length { // a jumbogram, or a lie
		length = d.length
	}
	if length < 8 {
		return malformed
	}
	p := &r.packet
	p.Protocol, p.Seq, p.Ack, p.Flags = UDP, 0, 0, 0
	p.ends(d)
	p.Payload, p.Length = d.data[8:min(len(d.data), length)], length-8
	return yielded
}

func (r *Reader) tcp(d datagram) fate {
	if len(d.data) < 20 {
		return malformed
	}
	header := int(d.data[12]>>4) * 4
	if header < 20 || d.length < header {
		return malformed
	}
	p := &r.packet
	p.Protocol = TCP
	p.Seq, p.Ack, p.Flags = binary.BigEndian.Uint32(d.data[4:]), binary.BigEndian.Uint32(d.data[8:]), Flags(d.data[13])
	p.ends(d)
	p.Payload, p.Length = d.data[min(len(d.data), header):], d.length-header
	return yielded
}

func (p *Packet) ends(d datagram) {
	p.Src = netip.AddrPortFrom(d.src, binary.BigEndian.Uint16(d.data))
	p.Dst = netip.AddrPortFrom(d.dst, binary.BigEndian.Uint16(d.data[2:]))
}
