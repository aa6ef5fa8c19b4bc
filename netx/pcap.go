package netx

import (
	"encoding/binary"
	"io"
	"math"
	"net/netip"
	"time"
)

// A PcapWriter writes IP packets to a capture file: a few headers, for which
// gopacket's layers would cost every first build 7 s of processor time. The tests
// read our files with them.
//
//	file     magic 4 | version 2 2 | 0 4 | 0 4 | longest packet 4 | link type 4     pcap's header, in our byte order
//	packet   seconds 4 | nanoseconds 4 | kept 4 | length 4 | IP header | UDP or TCP header | payload
type PcapWriter struct {
	out io.Writer // gets each packet with one Write
	buf []byte
}

const (
	pcapNanoseconds = 0xa1b23c4d
	linkTypeRaw     = 101 // LINKTYPE_RAW: packets begin with their IP header
	hopLimit        = 64
)

// IP protocol numbers.
const (
	protocolTCP = 6
	protocolUDP = 17
)

// NewPcapWriter makes a writer that hands each packet to w at once and whole.
// Header comes first.
func NewPcapWriter(w io.Writer) *PcapWriter { return &PcapWriter{out: w} }

// Header writes the header of the file.
func (w *PcapWriter) Header() error {
	b := binary.LittleEndian.AppendUint32(nil, pcapNanoseconds)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, math.MaxUint16)
	b = binary.LittleEndian.AppendUint32(b, linkTypeRaw)
	_, err := w.out.Write(b)
	return err
}

// Datagram writes a UDP datagram of at most maxSegment bytes.
func (w *PcapWriter) Datagram(now time.Time, from, to netip.AddrPort, payload []byte) error {
	h := binary.BigEndian.AppendUint16(nil, from.Port())
	h = binary.BigEndian.AppendUint16(h, to.Port())
	h = binary.BigEndian.AppendUint16(h, uint16(8+len(payload)))
	return w.packet(now, from.Addr(), to.Addr(), protocolUDP, append(h, 0, 0), 6, payload)
}

// A Segment is what matters of a TCP header.
type Segment struct {
	Flags    byte
	Seq, Ack uint32
}

// TCP flags.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
)

// Segment writes a TCP segment of at most maxSegment bytes.
func (w *PcapWriter) Segment(now time.Time, from, to netip.AddrPort, s Segment, payload []byte) error {
	h := binary.BigEndian.AppendUint16(nil, from.Port())
	h = binary.BigEndian.AppendUint16(h, to.Port())
	h = binary.BigEndian.AppendUint32(h, s.Seq)
	h = binary.BigEndian.AppendUint32(h, s.Ack)
	h = append(h, 5<<4, s.Flags) // five words of header
	h = binary.BigEndian.AppendUint16(h, math.MaxUint16)
	return w.packet(now, from.Addr(), to.Addr(), protocolTCP, append(h, 0, 0, 0, 0), 16, payload)
}

// packet writes a transport header and its payload, and fills in the checksum
// at an offset of the header.
func (w *PcapWriter) packet(now time.Time, from, to netip.Addr, protocol byte, header []byte, checksumAt int, payload []byte) error {
	length := len(header) + len(payload)
	src, dst := from.AsSlice(), to.AsSlice()

	// What the checksum covers besides: the pseudo-header of RFC 9293, section 3.1, and RFC 8200, section 8.1.
	sum := sumOf(src) + sumOf(dst) + uint32(protocol) + uint32(length) + sumOf(header) + sumOf(payload)
	check := ^fold(sum)
	if check == 0 && protocol == protocolUDP {
		check = math.MaxUint16 // zero says that there is none
	}
	binary.BigEndian.PutUint16(header[checksumAt:], check)

	ip := 40
	if from.Is4() {
		ip = 20
	}
	b := binary.LittleEndian.AppendUint32(w.buf[:0], uint32(now.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(now.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(ip+length))
	b = binary.LittleEndian.AppendUint32(b, uint32(ip+length))
	start := len(b)
	if from.Is4() {
		b = append(b, 4<<4|5, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(ip+length))
		b = append(b, 0, 0, 0, 0, hopLimit, protocol, 0, 0)
	} else {
		b = append(b, 6<<4, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(length))
		b = append(b, protocol, hopLimit)
	}
	b = append(append(b, src...), dst...)
	if from.Is4() {
		binary.BigEndian.PutUint16(b[start+10:], ^fold(sumOf(b[start:])))
	}
	w.buf = append(append(b, header...), payload...)
	_, err := w.out.Write(w.buf)
	return err
}

// sumOf adds up the 16-bit words of at most 64 KiB.
func sumOf(b []byte) (sum uint32) {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// fold ends a sum in one's complement (RFC 1071).
func fold(sum uint32) uint16 {
	for sum > math.MaxUint16 {
		sum = sum>>16 + sum&math.MaxUint16
	}
	return uint16(sum)
}
