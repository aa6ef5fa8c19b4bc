package media

import (
	"errors"
	"fmt"
)

// What the fields of an RFC 2198 block can say.
const (
	maxBlockAge  = 1<<14 - 1 // samples before the new frame
	maxBlockSize = 1<<10 - 1 // bytes

	blockHeader = 4
	lastHeader  = 1

	// maxBlocks bounds what a reader takes: senders repeat two frames.
	maxBlocks = 16
)

// ErrRedundancy says that a payload is no RFC 2198 list.
var ErrRedundancy = errors.New("media: bad redundancy")

// A block is one coded frame in an RFC 2198 payload.
type block struct {
	payloadType uint8
	age         uint32 // samples before the new frame; 0 for the new one
	data        []byte
}

// appendBlocks appends the RFC 2198 payload of blocks, the new frame last.
func appendBlocks(b []byte, blocks []block) []byte {
	for i, x := range blocks {
		if i == len(blocks)-1 {
			b = append(b, x.payloadType)
			break
		}
		v := uint32(1)<<31 | uint32(x.payloadType)<<24 | x.age<<10 | uint32(len(x.data))
		b = append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	for _, x := range blocks {
		b = append(b, x.data...)
	}
	return b
}

// parseBlocks reads an RFC 2198 payload and appends its blocks to dst, the new
// frame last. Their data alias b.
func parseBlocks(dst []block, b []byte) ([]block, error) {
	var sizes [maxBlocks]int
	n, own := 0, len(dst)
	for len(b) >= blockHeader && b[0]&0x80 != 0 {
		if n == maxBlocks {
			return dst[:own], fmt.Errorf("%w: more than %d earlier frames", ErrRedundancy, maxBlocks)
		}
		dst = append(dst, block{payloadType: b[0] & 0x7f, age: uint32(b[1])<<6 | uint32(b[2])>>2})
		sizes[n] = int(b[2]&3)<<8 | int(b[3])
		n++
		b = b[blockHeader:]
	}
	if len(b) < lastHeader || b[0]&0x80 != 0 {
		return dst[:own], fmt.Errorf("%w: the headers are cut off", ErrRedundancy)
	}
	dst = append(dst, block{payloadType: b[0]})
	b = b[lastHeader:]
	for i, size := range sizes[:n] {
		if size > len(b) {
			return dst[:own], fmt.Errorf("%w: an earlier frame of %d bytes in the %d that are left", ErrRedundancy, size, len(b))
		}
		dst[own+i].data, b = b[:size], b[size:]
	}
	dst[own+n].data = b
	return dst, nil
}
