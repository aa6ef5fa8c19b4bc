package obfuscate

import (
	"crypto/rc4"
	"encoding/binary"
	"errors"
)

// OpeningSize is the length of what each side of a stream sends first.
const OpeningSize = 14

// The words of an opening. Old clients sent initLatest or, earlier, initFirst
// as the last one; those that sent another wanted an exchange that is unknown.
const (
	initVersion = 1
	initFirst   = 1
	initLatest  = 3
)

// ErrOpening says that a stream does not begin as streams of the network do.
var ErrOpening = errors.New("obfuscate: this is not the opening of a stream")

// GoodSeed says whether a stream may open with the seed: its bytes must look
// neither like text nor like the first ones of an SSLv2 hello.
func GoodSeed(seed uint32) bool { return seed&0x80808080 != 0 && seed>>24 != 0x80 }

// DrawSeed draws from random, which gives any 32 bits, until the seed is good.
func DrawSeed(random func() uint32) uint32 {
	for {
		if seed := random(); GoodSeed(seed) {
			return seed
		}
	}
}

// AppendOpening appends the opening of one direction. The word has no known
// meaning: 1 comes from clients that connect, anything from those that answer.
func AppendOpening(b []byte, seed uint32, word uint16) []byte {
	b = binary.BigEndian.AppendUint32(b, seed)
	hidden := len(b)
	b = binary.BigEndian.AppendUint16(b, word)
	b = binary.BigEndian.AppendUint32(b, initVersion)
	b = binary.BigEndian.AppendUint32(b, initLatest)
	XOR(b[hidden:], seed)
	return b
}

// ParseOpening reads the opening of the other side.
func ParseOpening(b [OpeningSize]byte) (seed uint32, word uint16, err error) {
	seed = binary.BigEndian.Uint32(b[:])
	XOR(b[4:], seed)
	last := binary.BigEndian.Uint32(b[10:])
	if binary.BigEndian.Uint32(b[6:]) != initVersion || last != initFirst && last != initLatest {
		return 0, 0, ErrOpening
	}
	return seed, binary.BigEndian.Uint16(b[4:]), nil
}

// A Stream is one direction of a stream after its opening.
type Stream struct{ cipher *rc4.Cipher }

// NewStream begins the direction that opened with the seed.
func NewStream(seed uint32) *Stream { return &Stream{newCipher(seed)} }

// XOR hides the next bytes of the direction, or shows them again, in place.
func (s *Stream) XOR(b []byte) { s.cipher.XORKeyStream(b, b) }
