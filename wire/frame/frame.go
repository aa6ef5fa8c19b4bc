// Package frame lays out what a node sends: the frames that are UDP datagrams
// and the records that a TCP stream is made of.
//
// It knows the layout only. It hides nothing (package obfuscate does), and does
// not look into commands (package message does). It opens no
// socket and reads no clock. Reading allocates nothing: bodies share the memory
// of the input.
//
// # Datagrams
//
//	id    [2]byte
//	type  [1]byte   // low nibble a Type; bits 4-6 random but for Command; bit 7 zero
//
//	Command:   iv 4 | crc 4 | body                            // commands, obfuscated
//	Resend:    family 1 | challenge 4 | ip 4 or 16 | crc 4 | body
//	Confirm:   ip 4 or 16 | word 4                            // 11 or 23 bytes
//	Nack:      ip 4 or 16 | challenge 4                       // 11 or 23 bytes
//	Session:   tag 4 | body                                   // or nothing: a keep-alive
//	Fragment:  group 2 | part 1 | 02 | iv 4 | crc 4 | body    // part: number, 0x80 in the last
//
// The ip of Confirm and Nack is where their sender sees their receiver; that
// of Resend is whom it goes to. The family of Resend is 1 for IPv4 and 2 for
// IPv6; Skype's clients called the byte a count and always sent 1. Skype's
// part had a number of 4 bits; in ours it has 7, the first 16 look the same.
//
// # Streams
//
// See Record.
//
// All numbers are big-endian.
package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// A Type says what a datagram is.
type Type uint8

// The types.
const (
	Command  Type = 0x2
	Resend   Type = 0x3
	Confirm  Type = 0x5
	Nack     Type = 0x7
	Session  Type = 0xd
	Fragment Type = 0xf
)

// String is the name of the type.
func (t Type) String() string {
	switch t {
	case Command:
		return "command"
	case Resend:
		return "resend"
	case Confirm:
		return "confirm"
	case Nack:
		return "nack"
	case Session:
		return "session"
	case Fragment:
		return "fragment"
	}
	return fmt.Sprintf("type(%#x)", uint8(t))
}

// Lengths of a frame without its body. Resend, Confirm and Nack are
// IPv6Extra longer between IPv6 addresses.
const (
	startSize    = 3
	CommandSize  = startSize + 8
	ResendSize   = startSize + 13
	ConfirmSize  = startSize + 8
	NackSize     = startSize + 8
	SessionSize  = startSize + 4
	FragmentSize = startSize + 12
	IPv6Extra    = 16 - 4

	KeepAliveSize = startSize // of a Session frame with nothing in it
)

// A Frame is one datagram. Type says which fields it has; the others are zero.
type Frame struct {
	ID    uint16
	Type  Type
	Noise uint8 // what to put into bits 4-6 of the type byte; never in a Command

	IV        uint32     // Command, Fragment
	CRC       uint32     // of the plain body: Command, Resend, Fragment
	Challenge uint32     // Resend, Nack; in a Confirm a word without meaning
	IP        netip.Addr // Resend, Confirm, Nack
	Tag       uint32     // Session
	KeepAlive bool       // Session: nothing follows, no tag either

	Group uint16 // Fragment: what it is a part of
	Part  uint8  // Fragment: from 0, at most MaxParts-1
	Last  bool   // Fragment

	Body []byte // not empty in a Command, Resend or Fragment
}

// Why a datagram is no frame.
var (
	ErrTruncated = errors.New("frame: the datagram ends too early")
	ErrTooLong   = errors.New("frame: the datagram is longer than its type allows")
	ErrType      = errors.New("frame: unknown type")
	ErrFamily    = errors.New("frame: unknown family of addresses")
)

const (
	typeMask  = 0x0f
	noiseMask = 0x70

	familyIPv4 = 1
	familyIPv6 = 2

	lastPart = 0x80
	partMask = 0x7f
)

// Parse reads a datagram. Body shares its memory.
func Parse(b []byte) (f Frame, err error) {
	if len(b) < startSize {
		return Frame{}, ErrTruncated
	}
	f = Frame{ID: binary.BigEndian.Uint16(b), Type: Type(b[2] & typeMask), Noise: b[2] & noiseMask}
	if b[2]&^(typeMask|noiseMask) != 0 {
		return Frame{}, ErrType
	}
	b = b[startSize:]
	switch f.Type {
	case Command:
		return f.withPayload(b)
	case Fragment:
		const ahead = FragmentSize - CommandSize
		if len(b) < ahead {
			return Frame{}, ErrTruncated
		}
		if Type(b[3]) != Command {
			return Frame{}, ErrType
		}
		f.Group, f.Part, f.Last = binary.BigEndian.Uint16(b), b[2]&partMask, b[2]&lastPart != 0
		return f.withPayload(b[ahead:])
	case Resend:
		if len(b) < 1+4 {
			return Frame{}, ErrTruncated
		}
		size := 4
		switch b[0] {
		case familyIPv4:
		case familyIPv6:
			size = 16
		default:
			return Frame{}, ErrFamily
		}
		f.Challenge = binary.BigEndian.Uint32(b[1:])
		b = b[1+4:]
		if len(b) <= size+4 {
			return Frame{}, ErrTruncated
		}
		f.IP = parseIP(b[:size])
		f.CRC = binary.BigEndian.Uint32(b[size:])
		f.Body = b[size+4:]
	case Confirm, Nack:
		size := len(b) - 4
		switch {
		case size > 16:
			return Frame{}, ErrTooLong
		case size != 4 && size != 16:
			return Frame{}, ErrTruncated
		}
		f.IP = parseIP(b[:size])
		f.Challenge = binary.BigEndian.Uint32(b[size:])
	case Session:
		if len(b) == 0 {
			f.KeepAlive = true
			break
		}
		if len(b) < 4 {
			return Frame{}, ErrTruncated
		}
		f.Tag = binary.BigEndian.Uint32(b)
		f.Body = b[4:]
	default:
		return Frame{}, ErrType
	}
	return f, nil
}

// withPayload reads what Command and Fragment end with.
func (f Frame) withPayload(b []byte) (Frame, error) {
	if len(b) <= 8 {
		return Frame{}, ErrTruncated
	}
	f.IV, f.CRC, f.Body = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), b[8:]
	return f, nil
}

// Append appends the datagram to b. A frame of an unknown type, or one that
// lacks the IP of its type, is a mistake of the program, and Append panics.
func (f Frame) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, f.ID)
	start := byte(f.Type) | f.Noise&noiseMask
	if f.Type == Command {
		start = byte(f.Type)
	}
	b = append(b, start)
	switch f.Type {
	case Command:
		b = binary.BigEndian.AppendUint32(b, f.IV)
		b = binary.BigEndian.AppendUint32(b, f.CRC)
	case Resend:
		family := byte(familyIPv4)
		if f.IP.Unmap().Is6() {
			family = familyIPv6
		}
		b = append(b, family)
		b = binary.BigEndian.AppendUint32(b, f.Challenge)
		b = appendIP(b, f.IP)
		b = binary.BigEndian.AppendUint32(b, f.CRC)
	case Confirm, Nack:
		b = appendIP(b, f.IP)
		return binary.BigEndian.AppendUint32(b, f.Challenge)
	case Session:
		if f.KeepAlive {
			return b
		}
		b = binary.BigEndian.AppendUint32(b, f.Tag)
	case Fragment:
		part := f.Part & partMask
		if f.Last {
			part |= lastPart
		}
		b = binary.BigEndian.AppendUint16(b, f.Group)
		b = append(b, part, byte(Command))
		b = binary.BigEndian.AppendUint32(b, f.IV)
		b = binary.BigEndian.AppendUint32(b, f.CRC)
	default:
		panic(fmt.Sprintf("frame: %v is not to be sent", f.Type))
	}
	return append(b, f.Body...)
}

func parseIP(b []byte) netip.Addr {
	if len(b) == 16 {
		return netip.AddrFrom16([16]byte(b)).Unmap()
	}
	return netip.AddrFrom4([4]byte(b))
}

func appendIP(b []byte, ip netip.Addr) []byte {
	ip = ip.Unmap()
	if ip.Is6() {
		a := ip.As16()
		return append(b, a[:]...)
	}
	a := ip.As4()
	return append(b, a[:]...)
}

// TagOf is the tag of a Session frame, ok if b is one that has a tag. A relay
// needs no more of it.
func TagOf(b []byte) (tag uint32, ok bool) {
	if len(b) < SessionSize || Type(b[2]&^noiseMask) != Session {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[startSize:]), true
}

// SetTag puts another tag into a Session frame for which TagOf said ok.
func SetTag(b []byte, tag uint32) { binary.BigEndian.PutUint32(b[startSize:], tag) }
