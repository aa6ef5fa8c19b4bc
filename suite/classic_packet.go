package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// What the old network protected, it sealed like this (W7.6):
//
//	ciphertext  [...]byte  // AES-256 in integer counter mode
//	check       [2]byte    // low half of the ciphertext's CRC, XOR the low half of the index; low byte first
//
// The counter of a block is salt 4 | salt 4 | index of the packet 6 | number of
// the block 2, all big-endian.
//
// A session packet has a CRC-16 of its contents at their end, under the cipher.
const (
	checkSize = 2
	crc16Size = 2
)

// deriveClassic makes an AES-256 key of a number: SHA-1 in counter mode.
func deriveClassic(number []byte) (key [32]byte) {
	copy(key[:], expandClassic(number, len(key)))
	return key
}

// expandClassic gives the first n bytes of SHA-1(0, seed), SHA-1(1, seed), ...,
// where the counter has 4 bytes.
func expandClassic(seed []byte, n int) []byte {
	var b []byte
	for i := uint32(0); len(b) < n; i++ {
		h := sha1.New()
		h.Write(binary.BigEndian.AppendUint32(nil, i))
		h.Write(seed)
		b = h.Sum(b)
	}
	return b[:n]
}

// aesClassic is the cipher of a key.
func aesClassic(key *[32]byte) cipher.Block {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("suite: " + err.Error()) // the key has 32 bytes
	}
	return block
}

// counterMode XORs b, of less than 1 MiB, with the keystream of a packet.
func counterMode(block cipher.Block, salt uint32, index uint64, b []byte) {
	var counter [aes.BlockSize]byte
	binary.BigEndian.PutUint32(counter[0:], salt)
	binary.BigEndian.PutUint32(counter[4:], salt)
	binary.BigEndian.PutUint64(counter[8:], index<<16)
	cipher.NewCTR(block, counter[:]).XORKeyStream(b, b)
}

// protect seals plain where it is, and appends the check.
func protect(block cipher.Block, salt uint32, index uint64, plain []byte) []byte {
	counterMode(block, salt, index, plain)
	return binary.LittleEndian.AppendUint16(plain, checkOf(plain, index))
}

// unprotect reads what protect made, in place.
func unprotect(block cipher.Block, salt uint32, index uint64, sealed []byte) (plain []byte, err error) {
	ciphertext, ok := checked(sealed, index)
	if !ok {
		return nil, fmt.Errorf("suite: %w", ErrForged)
	}
	counterMode(block, salt, index, ciphertext)
	return ciphertext, nil
}

// checked takes the check off.
func checked(sealed []byte, index uint64) (ciphertext []byte, ok bool) {
	n := len(sealed) - checkSize
	if n < 0 || binary.LittleEndian.Uint16(sealed[n:]) != checkOf(sealed[:n], index) {
		return nil, false
	}
	return sealed[:n:n], true
}

func checkOf(ciphertext []byte, index uint64) uint16 {
	return uint16(obfuscate.CRC(ciphertext)) ^ uint16(index)
}

// classicAEAD has the form of an AEAD so that sessions need not know the
// difference. It authenticates nothing.
type classicAEAD struct {
	block cipher.Block
	salt  uint32
}

func (classic) AEAD(key *[32]byte, salt uint32) (cipher.AEAD, error) {
	return &classicAEAD{aesClassic(key), salt}, nil
}

func (classic) PacketOverhead() int { return counterSize + crc16Size + checkSize }

func (*classicAEAD) NonceSize() int { return nonceSize }
func (*classicAEAD) Overhead() int  { return crc16Size + checkSize }

// classicCounters is how many counters of packets there are: an index has 48 bits.
const classicCounters = 1 << 48

// counter is the packet's, out of a nonce of packet.go.
func (*classicAEAD) counter(nonce []byte) uint64 {
	return binary.BigEndian.Uint64(nonce[nonceSize-counterSize:])
}

func (a *classicAEAD) Seal(dst, nonce, plain, _ []byte) []byte {
	index := a.counter(nonce) // before dst is written to: its room may hold the nonce
	start := len(dst)
	dst = append(slices.Grow(dst, len(plain)+a.Overhead()), plain...)
	dst = binary.BigEndian.AppendUint16(dst, frame.CRC16(dst[start:]))
	return append(dst[:start], protect(a.block, a.salt, index, dst[start:])...)
}

func (a *classicAEAD) Open(dst, nonce, sealed, _ []byte) ([]byte, error) {
	index := a.counter(nonce)
	ciphertext, ok := checked(sealed, index)
	// A counter with more bits is another one to a replay window, and the same
	// index to the cipher: an old packet would be good again, and those to come none.
	if !ok || len(ciphertext) < crc16Size || index >= classicCounters {
		return nil, ErrForged
	}
	start := len(dst)
	dst = append(dst, ciphertext...)
	counterMode(a.block, a.salt, index, dst[start:])
	end := len(dst) - crc16Size
	if binary.BigEndian.Uint16(dst[end:]) != frame.CRC16(dst[start:end]) {
		return nil, ErrForged
	}
	return dst[:end], nil
}
