package capture

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"time"
)

// Block types of pcapng. Every block is
//
//	type    uint32
//	length  uint32             // of the whole block, a multiple of 4
//	body    [length-12]byte
//	length  uint32             // again
//
// in the byte order that the section header before it tells. Other blocks
// (names, secrets, statistics) are passed over unread.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // of old writers
	blockSimple    = 3
	blockEnhanced  = 6
)

// maxInterfaces is far beyond any real capture.
const maxInterfaces = 4096

// maxSeconds is in the year 6325. Beyond 9999 a time has no form in JSON.
const maxSeconds = 1 << 37

type pcapng struct {
	in         *input
	order      binary.ByteOrder
	interfaces []ngInterface // of the section
	last       time.Time     // simple packets have no time of their own
}

type ngInterface struct {
	link    linkType
	snaplen uint32
	units   uint64 // of a timestamp in a second
	offset  int64  // seconds to add
}

func (p *pcapng) next() (frame, error) {
	for {
		record := p.in.offset
		h, err := p.in.take(8, record)
		if err != nil {
			return frame{}, err
		}
		if binary.BigEndian.Uint32(h) == blockSection {
			if err := p.section([4]byte(h[4:]), record); err != nil {
				return frame{}, err
			}
			continue
		}
		if p.order == nil {
			return frame{}, &Error{record, ErrNotCapture}
		}
		kind, length := p.order.Uint32(h), p.order.Uint32(h[4:])
		if length < 12 || length%4 != 0 {
			return frame{}, &Error{record, fmt.Errorf("%w: block of %d bytes", ErrCorrupt, length)}
		}
		switch kind {
		case blockInterface, blockPacket, blockSimple, blockEnhanced:
		default:
			if err := p.in.skip(int64(length)-8, record); err != nil {
				return frame{}, err
			}
			continue
		}
		if length > bufferSize {
			return frame{}, &Error{record, fmt.Errorf("%w: block of %d bytes", ErrCorrupt, length)}
		}
		body, err := p.in.take(int(length)-8, record)
		if err != nil {
			return frame{}, err
		}
		if again := p.order.Uint32(body[len(body)-4:]); again != length {
			return frame{}, &Error{record, fmt.Errorf("%w: block of %d bytes ends as one of %d", ErrCorrupt, length, again)}
		}
		body = body[:len(body)-4]
		if kind == blockInterface {
			err = p.describe(body)
		} else {
			var f frame
			if f, err = p.frame(kind, body); err == nil {
				p.last = f.time
				return f, nil
			}
		}
		if err != nil {
			return frame{}, &Error{record, err}
		}
	}
}

// section reads a section header, of which only the byte order matters.
func (p *pcapng) section(length [4]byte, record int64) error {
	body, err := p.in.take(8, record)
	if err != nil {
		return err
	}
	switch {
	case binary.LittleEndian.Uint32(body) == 0x1a2b3c4d:
		p.order = binary.LittleEndian
	case binary.BigEndian.Uint32(body) == 0x1a2b3c4d:
		p.order = binary.BigEndian
	default:
		return &Error{record, fmt.Errorf("%w: byte order %x", ErrCorrupt, body[:4])}
	}
	if major := p.order.Uint16(body[4:]); major != 1 {
		return &Error{record, fmt.Errorf("pcapng version %d: %w", major, ErrUnsupported)}
	}
	n := p.order.Uint32(length[:])
	if n < 28 || n%4 != 0 {
		return &Error{record, fmt.Errorf("%w: section header of %d bytes", ErrCorrupt, n)}
	}
	p.interfaces = p.interfaces[:0]
	return p.in.skip(int64(n)-16, record)
}

// describe reads an interface: link uint16, reserved uint16, snaplen uint32,
// options.
func (p *pcapng) describe(body []byte) error {
	if len(body) < 8 {
		return fmt.Errorf("%w: interface of %d bytes", ErrCorrupt, len(body))
	}
	if len(p.interfaces) == maxInterfaces {
		return fmt.Errorf("more than %d interfaces: %w", maxInterfaces, ErrUnsupported)
	}
	i := ngInterface{link: linkType(p.order.Uint16(body)), snaplen: p.order.Uint32(body[4:]), units: 1e6}
	for options := body[8:]; len(options) >= 4; {
		code, n := p.order.Uint16(options), int(p.order.Uint16(options[2:]))
		options = options[4:]
		if code == 0 || n > len(options) {
			break
		}
		switch value := options[:n]; {
		case code == 9 && n >= 1: // if_tsresol
			exponent := value[0] & 0x7f
			if binary := value[0]&0x80 != 0; binary && exponent < 64 {
				i.units = 1 << exponent
			} else if !binary && exponent < 20 {
				i.units = uint64(math.Pow10(int(exponent)))
			} else {
				return fmt.Errorf("timestamps in units of %#x: %w", value[0], ErrUnsupported)
			}
		case code == 14 && n >= 8: // if_tsoffset
			i.offset = int64(p.order.Uint64(value))
		}
		options = options[min((n+3)&^3, len(options)):]
	}
	p.interfaces = append(p.interfaces, i)
	return nil
}

// frame reads a packet block.
//
//	enhanced: interface uint32, time 2 uint32 (upper half first), captured uint32, length uint32, data
//	packet:   the same with interface uint16, drops uint16
//	simple:   length uint32, data
func (p *pcapng) frame(kind uint32, body []byte) (frame, error) {
	var index, captured uint32
	var stamp uint64
	switch {
	case kind == blockSimple && len(body) >= 4:
		captured = p.order.Uint32(body) // at most: see below
		body = body[4:]
	case kind != blockSimple && len(body) >= 20:
		index = p.order.Uint32(body)
		if kind == blockPacket {
			index = uint32(p.order.Uint16(body))
		}
		stamp = uint64(p.order.Uint32(body[4:]))<<32 | uint64(p.order.Uint32(body[8:]))
		captured = p.order.Uint32(body[12:])
		body = body[20:]
	default:
		return frame{}, fmt.Errorf("%w: packet block of %d bytes", ErrCorrupt, len(body))
	}
	if int64(index) >= int64(len(p.interfaces)) {
		return frame{}, fmt.Errorf("%w: interface %d of %d", ErrCorrupt, index, len(p.interfaces))
	}
	i := &p.interfaces[index]
	f := frame{link: i.link, time: p.last}
	if kind == blockSimple {
		if i.snaplen != 0 {
			captured = min(captured, i.snaplen)
		}
	} else {
		high, low := bits.Mul64(stamp%i.units, 1e9)
		nanos, _ := bits.Div64(high, low, i.units)
		f.time = time.Time{} // none, if it is none that a calendar has
		if sec := int64(stamp/i.units) + i.offset; 0 <= sec && sec <= maxSeconds {
			f.time = time.Unix(sec, int64(nanos))
		}
	}
	if int64(captured) > int64(len(body)) {
		return frame{}, fmt.Errorf("%w: %d bytes of data in %d", ErrCorrupt, captured, len(body))
	}
	f.data = body[:captured]
	return f, nil
}
