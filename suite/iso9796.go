package suite

import (
	"bytes"
	"crypto/sha1"
	"fmt"
)

// What the old network signed with RSA is a block in the manner of ISO 9796-2,
// as long as the modulus, from which a verifier recovers the message:
//
//	4B | BB ... BB | BA | message | SHA-1(message) 20 | BC              what fits
//	6A | the first bytes of the message | SHA-1(message) 20 | BC        what does not: the rest follows the block in clear
//
// No BB at all is possible; a message for which even BA has no room is of the
// second kind.
const (
	isoWhole    = 0x4b
	isoPartial  = 0x6a
	isoPad      = 0xbb
	isoPadEnd   = 0xba
	isoTrailer  = 0xbc
	isoOverhead = 2 + sha1.Size // of the second kind
)

// isoBlock makes the block of size bytes for a message. rest is what of the
// message is not in it.
func isoBlock(size int, message []byte) (block, rest []byte) {
	block = make([]byte, 0, size)
	if pad := size - isoOverhead - 1 - len(message); pad >= 0 {
		block = append(block, isoWhole)
		block = append(block, bytes.Repeat([]byte{isoPad}, pad)...)
		block = append(append(block, isoPadEnd), message...)
	} else {
		block = append(append(block, isoPartial), message[:size-isoOverhead]...)
		rest = message[size-isoOverhead:]
	}
	hash := sha1.Sum(message)
	return append(append(block, hash[:]...), isoTrailer), rest
}

// openISO recovers the message of a block and of what followed it. What it
// accepts is what isoBlock makes, so that one message has one block.
func openISO(block, rest []byte) (message []byte, err error) {
	bad := fmt.Errorf("suite: ISO 9796-2 block: %w", ErrForged)
	if len(block) < isoOverhead+1 {
		return nil, bad
	}
	hash := block[len(block)-1-sha1.Size : len(block)-1]
	inside := block[1 : len(block)-1-sha1.Size]
	switch block[0] {
	case isoWhole:
		for len(inside) > 0 && inside[0] == isoPad {
			inside = inside[1:]
		}
		if len(inside) == 0 || inside[0] != isoPadEnd || len(rest) > 0 {
			return nil, bad
		}
		message = bytes.Clone(inside[1:])
	case isoPartial:
		message = append(bytes.Clone(inside), rest...)
	default:
		return nil, bad
	}
	if sum := sha1.Sum(message); !bytes.Equal(sum[:], hash) || block[len(block)-1] != isoTrailer {
		return nil, bad
	}
	return message, nil
}
