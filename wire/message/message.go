// Package message maps the commands of the network to object lists and back:
// one struct a command, one table of all of them (Table), which docs/protocol.md
// is generated from.
//
// It knows bytes only: it opens no socket, reads no clock and decides nothing.
//
// # Wire form of a command (W1.5)
//
//	length  uvarint   // of what follows the command word
//	word    uvarint   // number<<3 | kind
//	id      [2]byte   // big-endian, unless one-way: a reply carries the request's
//	list    [...]byte // an object list, packed (0x42) where that is shorter
//
// A frame or session packet carries one or more of them back to back.
//
// # Fields
//
// A struct field is tagged `obj:"kind/id"` in the notation of the documented
// captures: kind in decimal as in objlist, id in hexadecimal, and ",opt" where
// it may be missing. Kinds go with Go types as follows.
//
//	0/..  uint8, uint16, uint32, types of that kind, bool (0 or 1)
//	1/..  uint64
//	2/..  netip.AddrPort; IPv6 travels as a blob of 18 bytes under the same id
//	3/..  string and types of that kind
//	4/..  []byte, [N]byte, and types with AppendBinary and UnmarshalBinary
//	5/..  a struct
//	6/..  []uint32
//
// A slice of these (but []byte and []uint32 under 4 and 6) is the same id
// repeated. A field that may be missing is missing when it is zero or empty;
// a pointer to one of these tells a zero from nothing. A slice that may not be
// missing has one element at least.
//
// Fields are written in the order of their ids. They are read in any order;
// unknown ids are skipped, so that a newer node may say more, and of an id
// that comes more often than its field can hold the first one counts. A field
// of a kind or size that does not fit makes the whole command invalid. What this
// network adds to a command of the old one may be missing, so that every
// documented instance of it can be read.
package message

// A Message is a pointer to one of the structs in Table.
type Message any
