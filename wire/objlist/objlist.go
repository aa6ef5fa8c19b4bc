// Package objlist reads and writes object lists, the one structure that every
// message of the network is made of.
//
// It knows bytes only: it opens no socket, reads no clock and gives no meaning
// to an id. What id 0x07 says in a search request is the business of package
// message. Unknown ids survive a round trip: an old node passes on what is new.
// Packed lists (0x42) are another encoding of the same List: see package arith.
//
// # Wire form
//
//	magic   [1]byte        // 0x41
//	count   uvarint        // objects that follow
//	object  count times:
//	    kind   [1]byte     // a Kind
//	    id     uvarint
//	    value  [...]byte   // its form depends on kind, see the constants
//
// A uvarint is the one of encoding/binary and fits 32 bits; see Uvarint. The
// same id may occur several times, and order is kept.
//
// Every count and length is checked against the bytes that are left before
// anything is allocated for it.
package objlist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
)

// Magic is the first byte of a list, MagicPacked that of a packed list.
const (
	Magic       = 0x41
	MagicPacked = 0x42
)

// What a list from a stranger may ask for at the most. Append does not look at
// these limits; they are for its caller to keep.
const (
	MaxDepth   = 8    // lists in lists, the outermost included
	MaxObjects = 4096 // objects in total, those of nested lists included
)

// A Kind says what form the value of an object has.
type Kind uint8

// The kinds, all there are.
const (
	KindNumber  Kind = 0 // uvarint
	KindUint64  Kind = 1 // 8 bytes, big-endian
	KindAddr    Kind = 2 // 4 bytes IPv4, 2 bytes port, both big-endian
	KindString  Kind = 3 // UTF-8, ended by 00
	KindBlob    Kind = 4 // uvarint length, bytes
	KindList    Kind = 5 // a whole list, its magic included
	KindNumbers Kind = 6 // uvarint count, that many uvarints
)

var kindNames = [...]string{"number", "uint64", "address", "string", "blob", "list", "numbers"}

// String is the name of the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// An Object is one value with its id. Kind says which of the other fields
// holds it; the others are empty.
type Object struct {
	ID      uint32
	Kind    Kind
	Num     uint64         // KindNumber (32 bits of it), KindUint64
	Addr    netip.AddrPort // KindAddr
	Bytes   []byte         // KindString without its end, KindBlob
	List    List           // KindList
	Numbers []uint32       // KindNumbers
}

// A List is what a message is made of.
type List []Object

// Number makes a 32-bit number.
func Number(id, v uint32) Object { return Object{ID: id, Kind: KindNumber, Num: uint64(v)} }

// Uint64 makes a 64-bit number.
func Uint64(id uint32, v uint64) Object { return Object{ID: id, Kind: KindUint64, Num: v} }

// Addr makes an address. KindAddr has room for IPv4 only, so an IPv6 endpoint
// is a blob under the same id: 16 bytes of address, 2 of port. The zero
// AddrPort is written as 0.0.0.0:0. See Object.Endpoint for the way back.
func Addr(id uint32, v netip.AddrPort) Object {
	ip := v.Addr().Unmap()
	if !ip.Is6() {
		return Object{ID: id, Kind: KindAddr, Addr: netip.AddrPortFrom(ip, v.Port())}
	}
	ip16 := ip.As16()
	return Blob(id, binary.BigEndian.AppendUint16(ip16[:], v.Port()))
}

// String makes a string. It ends before its first NUL, which the wire form
// cannot hold.
func String(id uint32, v string) Object { return Object{ID: id, Kind: KindString, Bytes: []byte(v)} }

// Blob makes a blob, which shares v's memory.
func Blob(id uint32, v []byte) Object { return Object{ID: id, Kind: KindBlob, Bytes: v} }

// Nested makes an object of a list.
func Nested(id uint32, v List) Object { return Object{ID: id, Kind: KindList, List: v} }

// Numbers makes a list of numbers, which shares v's memory.
func Numbers(id uint32, v []uint32) Object { return Object{ID: id, Kind: KindNumbers, Numbers: v} }

const ipv6Size = 16 + 2

// Endpoint is the address in o if it is one: a KindAddr, or a blob that Addr
// made of an IPv6 endpoint.
func (o *Object) Endpoint() (v netip.AddrPort, ok bool) {
	switch {
	case o.Kind == KindAddr:
		return o.Addr, true
	case o.Kind == KindBlob && len(o.Bytes) == ipv6Size:
		ip := netip.AddrFrom16([16]byte(o.Bytes[:16])).Unmap()
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(o.Bytes[16:])), true
	}
	return netip.AddrPort{}, false
}

// Why bytes are not an object list; a SyntaxError says where.
var (
	ErrTruncated = errors.New("the list ends too early")
	ErrMagic     = errors.New("no object list begins here")
	ErrPacked    = errors.New("a packed list (0x42) is not read here")
	ErrKind      = errors.New("unknown kind of object")
	ErrNumber    = errors.New("number of more than 32 bits")
	ErrCount     = errors.New("count beyond the bytes that are left")
	ErrLength    = errors.New("length beyond the bytes that are left")
	ErrTooDeep   = fmt.Errorf("lists nested more than %d deep", MaxDepth)
	ErrTooMany   = fmt.Errorf("more than %d objects", MaxObjects)
	ErrTrailing  = errors.New("bytes after the end of the list")
)

// A SyntaxError says where a byte string stops being an object list.
type SyntaxError struct {
	Offset int   // of the first byte that could not be used
	Err    error // ErrTruncated, ErrKind, ...
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("objlist: byte %d: %v", e.Offset, e.Err) }
func (e *SyntaxError) Unwrap() error { return e.Err }

// Uvarint reads a number as the network writes them: 7 bits a byte, the low
// ones first, 0x80 for more. It returns the bytes used; none means that b is
// too short, fewer than none that the number has more than 32 bits or 5 bytes.
//
// A number may be longer than it need be (80 00 for 0). Nobody is known to
// send that, but it does no harm: what is signed is signed as the bytes it
// came in. Append always writes the shortest form.
func Uvarint(b []byte) (v uint32, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint32(b[0]), 1
	}
	wide, n := binary.Uvarint(b[:min(len(b), maxUvarint)])
	if n == 0 && len(b) >= maxUvarint || wide > math.MaxUint32 {
		return 0, -1
	}
	return uint32(wide), n
}

const maxUvarint = 5
