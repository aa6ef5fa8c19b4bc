package frame

import (
	"encoding/binary"
	"errors"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A UserPacket is what a session packet of the old network held once it was
// deciphered (W7.6). Its commands have numbers of their own, and no kind.
//
//	id       uvarint
//	command  uvarint
//	list     [...]byte   // an object list
//	crc      [2]byte     // CRC16 of all before
type UserPacket struct {
	ID      uint32
	Command uint32
	List    []byte // its bytes, not read here
}

// Why bytes are no UserPacket.
var (
	ErrUserPacket = errors.New("frame: no session packet of the old network")
	ErrCRC16      = errors.New("frame: session packet with a wrong CRC")
)

// Append appends the packet to b.
func (p UserPacket) Append(b []byte) []byte {
	start := len(b)
	b = binary.AppendUvarint(b, uint64(p.ID))
	b = binary.AppendUvarint(b, uint64(p.Command))
	b = append(b, p.List...)
	return binary.BigEndian.AppendUint16(b, CRC16(b[start:]))
}

// ParseUserPacket reads a whole one. List shares b's memory.
func ParseUserPacket(b []byte) (p UserPacket, err error) {
	end := len(b) - 2
	if end < 0 {
		return UserPacket{}, ErrUserPacket
	}
	if CRC16(b[:end]) != binary.BigEndian.Uint16(b[end:]) {
		return UserPacket{}, ErrCRC16
	}
	rest := b[:end:end]
	for _, v := range []*uint32{&p.ID, &p.Command} {
		var n int
		if *v, n = objlist.Uvarint(rest); n <= 0 {
			return UserPacket{}, ErrUserPacket
		}
		rest = rest[n:]
	}
	p.List = rest
	return p, nil
}

// CRC16 is the CRC of user packets: polynomial 1021, start 0, not reflected.
func CRC16(b []byte) (crc uint16) {
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			top := crc >> 15
			crc = crc<<1 ^ top*0x1021
		}
	}
	return crc
}
