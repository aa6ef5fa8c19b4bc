package suite

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"slices"
)

// A session packet is
//
//	counter     [8]byte   // big-endian, one more with each packet under a key
//	ciphertext  [...]byte // its nonce is four zero bytes and the counter
//
// The path may change tag and frame around it, so nothing else is authenticated.

const (
	counterSize = 8
	nonceSize   = 12
)

// PacketOverhead is how much longer a session packet is than its contents, at
// the most: other suites than the modern one add less.
const PacketOverhead = counterSize + 16

// SealPacket appends to dst the session packet that carries plain. The counter
// must never repeat under a key. Room left in dst beyond the packet may be
// overwritten; given enough of it (PacketOverhead + 12), nothing is allocated.
func SealPacket(dst []byte, aead cipher.AEAD, counter uint64, plain []byte) []byte {
	dst, nonce := packetNonce(dst, counterSize+len(plain)+aead.Overhead(), counter)
	dst = append(dst, nonce[nonceSize-counterSize:]...)
	return aead.Seal(dst, nonce, plain, nil)
}

// PacketCounter reads the counter of a packet that is not opened yet, for
// Replay.Fresh.
func PacketCounter(packet []byte) (uint64, error) {
	if len(packet) < counterSize {
		return 0, fmt.Errorf("suite: session packet of %d bytes: %w", len(packet), ErrMalformed)
	}
	return binary.BigEndian.Uint64(packet), nil
}

// OpenPacket appends the contents of a session packet to dst. The caller then
// asks Replay.Accept whether the counter is a new one. As with SealPacket, room
// left in dst may be overwritten.
func OpenPacket(dst []byte, aead cipher.AEAD, packet []byte) (plain []byte, counter uint64, err error) {
	counter, err = PacketCounter(packet)
	if err != nil {
		return nil, 0, err
	}
	dst, nonce := packetNonce(dst, len(packet)-counterSize, counter)
	plain, err = aead.Open(dst, nonce, packet[counterSize:], nil)
	if err != nil {
		return nil, 0, fmt.Errorf("suite: session packet: %w", ErrForged)
	}
	return plain, counter, nil
}

// packetNonce makes room for n bytes in dst and writes the nonce behind them. A
// nonce of its own would be an allocation per packet, because it escapes
// through the interface.
func packetNonce(dst []byte, n int, counter uint64) (grown, nonce []byte) {
	dst = slices.Grow(dst, n+nonceSize)
	nonce = dst[len(dst)+n : len(dst)+n+nonceSize]
	clear(nonce[:nonceSize-counterSize])
	binary.BigEndian.PutUint64(nonce[nonceSize-counterSize:], counter)
	return dst, nonce
}
