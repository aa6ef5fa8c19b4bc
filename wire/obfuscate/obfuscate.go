// Package obfuscate is the RC4 layer under commands: it hides the shape of the
// traffic from simple filters, as it did in Skype.
//
// It is not encryption. Everything that a key is made of travels in the clear
// or is known to any observer, so nothing may depend on it being secret; what
// matters is inside a session or signed. The package opens no socket and knows
// no frames: packages frame and link put the two together.
//
// # Datagrams
//
//	seed   = CRC(source, destination, frame id) XOR IV   // SeedOf, frames of type 2 and F
//	       = challenge XOR frame id                      // ResendSeed, type 3
//	bytes ^= RC4(key(seed))                              // XOR, from its first byte
//	CRC of the plain bytes stands in the frame
//
// # Streams
//
// Each direction begins with an opening of 14 bytes:
//
//	seed  [4]byte              // in the clear
//	word  [2]byte              // these ten ^ RC4(key(seed))
//	init  00000001 00000003
//
// After it RC4 begins again with the same seed and is never restarted.
//
// All numbers are big-endian, but inside the CRC of a seed.
//
// # Key schedule
//
// The key has 80 bytes: ten outputs of splitmix64 started at the seed, each
// little-endian. Skype's schedule is unknown; this one is ours.
package obfuscate

import (
	"crypto/rc4"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
)

// CRC is the checksum of the plain bytes of a datagram: CRC-32 as everywhere,
// but without the inversion at its end.
func CRC(b []byte) uint32 { return ^crc32.ChecksumIEEE(b) }

// SeedOf is the seed for a datagram of type 2 or F from src to dst, whose id
// and IV stand in the clear. A node that does not know its public address yet
// is the zero src; src and dst of unlike families know nothing of each other
// either, and src counts as zero too.
//
// What the CRC runs over is the image of a struct of the first clients: IPv4
// addresses and the id are little-endian. IPv6 addresses, which those clients
// did not have, are as they stand in a packet.
func SeedOf(src, dst netip.Addr, id uint16, iv uint32) uint32 {
	src, dst = src.Unmap(), dst.Unmap()
	var buf [16 + 16 + 4]byte
	b := buf[:0]
	if dst.Is6() {
		var s, d [16]byte
		if src.Is6() {
			s = src.As16()
		}
		d = dst.As16()
		b = append(append(b, s[:]...), d[:]...)
	} else {
		b = appendReversed(appendReversed(b, src), dst)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(id))
	return CRC(b) ^ iv
}

func appendReversed(b []byte, ip netip.Addr) []byte {
	var a [4]byte
	if ip.Is4() {
		a = ip.As4()
	}
	return append(b, a[3], a[2], a[1], a[0])
}

// ResendSeed is the seed for a datagram of type 3, which answers the challenge
// of a nack and knows no addresses.
func ResendSeed(challenge uint32, id uint16) uint32 { return challenge ^ uint32(id) }

// XOR hides the bytes of one datagram, or shows them again, in place.
func XOR(b []byte, seed uint32) { newCipher(seed).XORKeyStream(b, b) }

const keySize = 80

func key(seed uint32) (k [keySize]byte) {
	state := uint64(seed)
	for i := 0; i < keySize; i += 8 {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(k[i:], z^z>>31)
	}
	return k
}

func newCipher(seed uint32) *rc4.Cipher {
	k := key(seed)
	c, err := rc4.NewCipher(k[:])
	if err != nil { // the size is right: Go was told to allow nothing but FIPS 140
		panic(fmt.Sprintf("obfuscate: %v", err))
	}
	return c
}
