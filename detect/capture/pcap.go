package capture

import (
	"encoding/binary"
	"fmt"
	"time"
)

// pcap is the classic format:
//
//	magic    [4]byte   // a1b2c3d4: microseconds, a1b23c4d: nanoseconds; in the writer's byte order
//	version  2 uint16
//	         [8]byte   // time zone and accuracy, always zero
//	snaplen  uint32
//	link     uint32    // upper 16 bits: length of the frame check sequence
//	record   until the end:
//	    seconds, fraction, captured, length uint32
//	    data [captured]byte
type pcap struct {
	in       *input
	order    binary.ByteOrder
	fraction int64 // nanoseconds of one unit
	link     linkType
}

func newPcap(in *input) (*pcap, error) {
	h, err := in.take(4, 0)
	if err != nil {
		return nil, err
	}
	p := &pcap{in: in}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(h) {
		case 0xa1b2c3d4:
			p.order, p.fraction = order, 1000
		case 0xa1b23c4d:
			p.order, p.fraction = order, 1
		}
	}
	if p.order == nil {
		return nil, &Error{0, ErrNotCapture}
	}
	if h, err = in.take(20, 0); err != nil {
		return nil, err
	}
	if major := p.order.Uint16(h); major != 2 {
		return nil, &Error{4, fmt.Errorf("pcap version %d: %w", major, ErrUnsupported)}
	}
	p.link = linkType(p.order.Uint32(h[16:]) & 0xffff)
	if !p.link.known() {
		return nil, &Error{20, fmt.Errorf("link type %d: %w", p.link, ErrUnsupported)}
	}
	return p, nil
}

func (p *pcap) next() (frame, error) {
	record := p.in.offset
	h, err := p.in.take(16, record)
	if err != nil {
		return frame{}, err
	}
	sec, frac := p.order.Uint32(h), p.order.Uint32(h[4:])
	captured := p.order.Uint32(h[8:])
	if captured > maxFrame {
		return frame{}, &Error{record, fmt.Errorf("%w: %d bytes", ErrCorrupt, captured)}
	}
	data, err := p.in.take(int(captured), record)
	if err != nil {
		return frame{}, err
	}
	return frame{time: time.Unix(int64(sec), int64(frac)*p.fraction), link: p.link, data: data}, nil
}
