package obfuscate

import (
	"bytes"
	"encoding/binary"
)

// On port 443 of a classic network a stream begins as a connection of SSL would,
// before its opening (W2.3):
//
//	who connects   72 bytes, a CLIENT-HELLO as SSL 2 laid it out, offering TLS 1.0; the last 16 are random
//	who answers    79 bytes, a record of TLS 1.0 with one ServerHello
//
// Nothing of it is used: it passes filters that look at the first bytes only.
// Old clients always sent these ciphers; what is not random here was the same
// in all that were captured.
const (
	ClientHelloSize = 72
	ServerHelloSize = 79
)

var (
	// length with the bit of SSL 2, client hello, version 3.1, lengths of ciphers, session and challenge
	clientHead    = []byte{0x80, 0x46, 0x01, 0x03, 0x01, 0, 45, 0, 0, 0, 16}
	clientCiphers = []byte{
		0, 0, 5, 0, 0, 4, 0, 0, 10, 0, 0, 9, 0, 0, 0x64, 0, 0, 0x62, 0, 0, 8, 0, 0, 3, 0, 0, 6,
		1, 0, 0x80, 7, 0, 0xc0, 3, 0, 0x80, 6, 0, 0x40, 2, 0, 0x80, 4, 0, 0x80,
	}
	// record: handshake, version 3.1, length; message: server hello, length, version 3.1
	serverHead = []byte{0x16, 0x03, 0x01, 0, 74, 2, 0, 0, 70, 3, 1}
	serverEnd  = []byte{0, 5, 0} // RSA with RC4 and SHA-1, no compression
)

// AppendClientHello appends the bytes with which to begin on port 443.
func AppendClientHello(b []byte, challenge [16]byte) []byte {
	b = append(append(b, clientHead...), clientCiphers...)
	return append(b, challenge[:]...)
}

// IsClientHello says whether a stream begins so; five bytes are enough to tell.
// No opening does: see GoodSeed.
func IsClientHello(b []byte) bool { return bytes.HasPrefix(b, clientHead[:5]) }

// AppendServerHello appends the answer, with the time in seconds since 1970 and
// 60 random bytes.
func AppendServerHello(b []byte, time uint32, random [60]byte) []byte {
	b = append(b, serverHead...)
	b = binary.BigEndian.AppendUint32(b, time)
	b = append(b, random[:28]...)
	b = append(append(b, 32), random[28:]...) // the session's id
	return append(b, serverEnd...)
}

// IsServerHello says whether the bytes are such an answer.
func IsServerHello(b []byte) bool {
	return len(b) == ServerHelloSize && bytes.HasPrefix(b, serverHead)
}
