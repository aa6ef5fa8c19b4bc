// Package capture reads capture files, pcap and pcapng, and yields the UDP
// datagrams and TCP segments in them, one by one and in the file's order. It
// puts IP fragments together; it does not put TCP streams together, and it
// gives no meaning to a payload.
//
// A file may be of any size and may come from anybody: memory is bounded (half
// a megabyte of buffer, and MaxFragmentBytes of datagrams that are not whole
// yet), lengths are checked before they are used, and where the file stops
// making sense an Error gives the byte. Frames that hold neither UDP nor TCP,
// or whose headers are cut or wrong, are counted and passed over.
//
// Why not pcapgo: it keeps all name records, secrets and interfaces of a
// pcapng file in memory, and does not say where a file is broken. The tests
// hold this package against it and against gopacket's layers.
//
// # What is understood
//
//	files     pcap (micro- and nanoseconds, both byte orders), pcapng, either in gzip
//	links     Ethernet, VLAN (stacked), MPLS, PPPoE, PPP, Linux cooked (both versions), raw IP,
//	          BSD loopback, Cisco HDLC, 802.11 in the clear (with radiotap too)
//	network   IPv4 and IPv6 with extension headers and fragments; IP in IP and GRE, to a depth of maxDepth
package capture

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Protocol is the IP protocol number of a Packet.
type Protocol uint8

// The protocols that a Reader yields.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

func (p Protocol) String() string {
	if p == TCP {
		return "tcp"
	}
	return "udp"
}

// Packet is one UDP datagram or TCP segment. It is the Reader's: the next call
// of Next overwrites it and what Payload points to.
type Packet struct {
	Number   int64     // of the frame that completed it, from 1, as Wireshark counts
	Time     time.Time // zero where the file has none that makes sense
	Protocol Protocol
	Src, Dst netip.AddrPort
	Payload  []byte // as much as was captured
	Length   int    // of the payload on the wire; more than len(Payload) where the capture cut it

	// Of TCP segments only.
	Seq, Ack uint32
	Flags    Flags
}

// Flags of a TCP segment.
type Flags uint8

// The flags that matter to who follows a stream.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Counts says what became of the frames that were read.
type Counts struct {
	Frames    int64 // read
	Packets   int64 // yielded
	Fragments int64 // kept for a datagram, whether or not it became whole
	Malformed int64 // cut too short, or with headers that contradict themselves
	Other     int64 // neither UDP nor TCP
}

// Errors of NewReader and Next, inside an Error.
var (
	ErrNotCapture  = errors.New("neither pcap nor pcapng")
	ErrTruncated   = errors.New("the file ends within a record")
	ErrCorrupt     = errors.New("corrupt record")
	ErrUnsupported = errors.New("not supported")
)

// An Error says where a file stops being a capture. Inside gzip the offset is
// of what was unpacked.
type Error struct {
	Offset int64 // of the record that could not be used
	Err    error // ErrTruncated, ...
}

func (e *Error) Error() string { return fmt.Sprintf("capture: byte %d: %v", e.Offset, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// A Reader yields the packets of one file. It is not for concurrent use.
type Reader struct {
	in     *input
	file   container
	whole  reassembly
	packet Packet
	counts Counts
	err    error // that ended the reading
}

// container is a file format: a row of frames.
type container interface {
	// next returns the next frame, io.EOF after the last one, or an *Error.
	next() (frame, error)
}

// frame is what was captured of one frame on a link.
type frame struct {
	time time.Time
	link linkType
	data []byte // valid until the next call of next
}

// NewReader begins to read a capture. It fails with an *Error where r does not
// begin with one, and with r's own error where it cannot be read.
func NewReader(r io.Reader) (*Reader, error) {
	in := &input{r: bufio.NewReaderSize(r, bufferSize)}
	if magic, _ := in.r.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		unpacked, err := gzip.NewReader(in.r)
		if err != nil {
			return nil, &Error{0, fmt.Errorf("%w: gzip: %w", ErrCorrupt, err)}
		}
		in = &input{r: bufio.NewReaderSize(unpacked, bufferSize)}
	}
	magic, err := in.r.Peek(4)
	if err != nil && err != io.EOF {
		return nil, in.fail(0, err)
	}
	if len(magic) < 4 {
		return nil, &Error{0, ErrNotCapture}
	}
	rd := &Reader{in: in}
	if binary.BigEndian.Uint32(magic) == blockSection {
		rd.file = &pcapng{in: in}
	} else if rd.file, err = newPcap(in); err != nil {
		return nil, err
	}
	return rd, nil
}

// Next returns the next packet, which it overwrites when it is called again.
// After the last one it returns io.EOF; where the file is cut or corrupt an
// *Error, after everything before that byte. An error stays.
func (r *Reader) Next() (*Packet, error) {
	for r.err == nil {
		f, err := r.file.next()
		if err != nil {
			r.err = err
			break
		}
		r.counts.Frames++
		switch r.decode(f) {
		case yielded:
			r.counts.Packets++
			return &r.packet, nil
		case kept:
			r.counts.Fragments++
		case malformed:
			r.counts.Malformed++
		case other:
			r.counts.Other++
		}
	}
	return nil, r.err
}

// Offset is how many bytes of the capture are behind the reader; where the
// file is packed, of what was unpacked.
func (r *Reader) Offset() int64 { return r.in.offset }

// Counts tells what became of the frames so far.
func (r *Reader) Counts() Counts { return r.counts }

const (
	maxFrame   = 256 << 10 // bytes; what tcpdump and Wireshark take
	bufferSize = 2 * maxFrame
)

// input counts what was taken of the file.
type input struct {
	r      *bufio.Reader
	offset int64
}

// take returns the next n bytes, at most bufferSize, valid until the next
// call. It returns io.EOF if there are none and ErrTruncated if there are
// fewer, as Errors at the byte where the record began.
func (in *input) take(n int, record int64) ([]byte, error) {
	b, err := in.r.Peek(n)
	if err != nil {
		if err == io.EOF && (len(b) > 0 || in.offset > record) {
			err = ErrTruncated
		}
		return nil, in.fail(record, err)
	}
	in.r.Discard(n)
	in.offset += int64(n)
	return b, nil
}

// skip passes over n bytes of the record.
func (in *input) skip(n int64, record int64) error {
	for n > 0 {
		k, err := in.r.Discard(int(min(n, bufferSize)))
		in.offset += int64(k)
		n -= int64(k)
		if err == io.EOF {
			err = ErrTruncated
		}
		if err != nil {
			return in.fail(record, err)
		}
	}
	return nil
}

// fail gives an error its place; a clean end has none.
func (in *input) fail(record int64, err error) error {
	switch {
	case err == io.EOF:
		return io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF): // of gzip
		err = ErrTruncated
	}
	return &Error{record, err}
}
