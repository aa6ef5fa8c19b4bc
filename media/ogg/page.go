// Package ogg reads and writes Ogg/Opus files (RFC 3533, RFC 7845) packet by
// packet: a recording of what was played has the same packets, bit by bit.
//
// It neither codes nor decodes, seeks, nor reads more than the first Opus
// stream of a file; channel mappings beyond mono and stereo are refused, since
// their packets have no place in a call.
//
// The readers and writers of pion/webrtc are not used: the reader gives whole
// pages without the lacing that separates their packets, and the writer makes a
// page of every packet, and knows no gaps, trimming or flushing.
//
// # Bytes
//
//	page     "OggS" | version 1 (0) | flags 1 | granule 8 | serial 4 | number 4 | checksum 4 | count 1 | count sizes | body
//	flags    1 goes on with a packet of the page before, 2 first page, 4 last page
//	granule  samples at 48 kHz up to the end of the last packet that ends here; -1 if none does
//	sizes    of the segments of body: a packet is segments of 255 bytes and one shorter
//	first    "OpusHead" | version 1 | channels 1 | pre-skip 2 | rate 4 | gain 2 | mapping 1
//	second   "OpusTags" | vendor | comments
//
// All numbers are little-endian; the checksum is CRC-32 (polynomial 04c11db7,
// neither reflected nor inverted) over the page with zeros in its place.
//
// # Lost packets
//
// RFC 7845, section 4.1, asks recorders of streams to put packets without
// content where some are missing, and forbids to let the granule position run
// ahead of the packets. So a gap becomes Opus packets that are nothing but a
// first byte (TOC) of the same mode and frame size as the packet before: a
// player conceals them, and the recording keeps its duration.
package ogg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	pageHeader  = 27
	maxSegments = 255
	segment     = 255

	flagContinued = 1
	flagFirst     = 2
	flagLast      = 4

	noGranule = ^uint64(0)

	// maxPacket is what a reader has to take (RFC 7845, section 6).
	maxPacket = 61440
)

var capture = []byte("OggS")

// What is wrong with a file, in words for the person who named it.
var (
	ErrNotOgg    = errors.New("not an Ogg file")
	ErrNotOpus   = errors.New("an Ogg file, but its sound is not Opus")
	ErrTruncated = errors.New("the file is cut off in the middle")
	ErrDamaged   = errors.New("the file is damaged")
	ErrChannels  = errors.New("the file has more than two channels; calls carry mono and stereo")
)

type page struct {
	flags   byte
	granule uint64
	serial  uint32
	number  uint32
	sizes   []byte
	body    []byte
}

// append writes the page.
func (p *page) append(b []byte) []byte {
	start := len(b)
	b = append(b, capture...)
	b = append(b, 0, p.flags)
	b = binary.LittleEndian.AppendUint64(b, p.granule)
	b = binary.LittleEndian.AppendUint32(b, p.serial)
	b = binary.LittleEndian.AppendUint32(b, p.number)
	b = append(b, 0, 0, 0, 0, byte(len(p.sizes)))
	b = append(b, p.sizes...)
	b = append(b, p.body...)
	binary.LittleEndian.PutUint32(b[start+22:], checksum(b[start:]))
	return b
}

// read reads the next page into the memory of p. io.EOF means that there is
// none, ErrTruncated that it is cut off.
func (p *page) read(in io.Reader) error {
	var h [pageHeader]byte
	n, err := io.ReadFull(in, h[:])
	switch {
	case err == io.EOF:
		return err
	case !bytes.Equal(h[:min(n, len(capture))], capture[:min(n, len(capture))]):
		return fmt.Errorf("%w: bytes between its pages", ErrDamaged)
	case err != nil:
		return cut(err)
	case h[4] != 0:
		return fmt.Errorf("%w: version %d of the format is unknown", ErrDamaged, h[4])
	}
	p.flags = h[5]
	p.granule = binary.LittleEndian.Uint64(h[6:])
	p.serial = binary.LittleEndian.Uint32(h[14:])
	p.number = binary.LittleEndian.Uint32(h[18:])
	sum := binary.LittleEndian.Uint32(h[22:])

	p.sizes = append(p.sizes[:0], make([]byte, h[26])...)
	if _, err := io.ReadFull(in, p.sizes); err != nil {
		return cut(err)
	}
	size := 0
	for _, s := range p.sizes {
		size += int(s)
	}
	p.body = append(p.body[:0], make([]byte, size)...)
	if _, err := io.ReadFull(in, p.body); err != nil {
		return cut(err)
	}
	clear(h[22:26])
	if crc(crc(crc(0, h[:]), p.sizes), p.body) != sum {
		return fmt.Errorf("%w: the checksum of page %d is wrong", ErrDamaged, p.number)
	}
	return nil
}

func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTruncated
	}
	return err
}

// lace appends the sizes of the segments of a packet of n bytes.
func lace(sizes []byte, n int) []byte {
	for ; n >= segment; n -= segment {
		sizes = append(sizes, segment)
	}
	return append(sizes, byte(n))
}

var crcTable = func() (t [256]uint32) {
	for i := range t {
		r := uint32(i) << 24
		for range 8 {
			if r&(1<<31) != 0 {
				r = r<<1 ^ 0x04c11db7
			} else {
				r <<= 1
			}
		}
		t[i] = r
	}
	return t
}()

func crc(sum uint32, b []byte) uint32 {
	for _, c := range b {
		sum = sum<<8 ^ crcTable[byte(sum>>24)^c]
	}
	return sum
}

// checksum is that of a page whose checksum field is zero.
func checksum(page []byte) uint32 { return crc(0, page) }
