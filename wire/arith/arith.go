// Package arith reads and writes packed object lists, the other encoding of an
// objlist.List.
//
// Like objlist it knows bytes only. Which lists travel packed is the business
// of package message.
//
// # Wire form
//
//	magic  [1]byte    // 0x42
//	coded  [...]byte  // one number of a range coder, the highest bits first
//	raw    [...]byte  // what is not worth coding
//
// The coder is the range coder of Martin (1979) and Schindler, byte by byte and
// with a window of 31 bits: a list is an interval, and the coded bytes are the
// first ones of a fraction inside it. Frequencies are those of tables.go and
// never change. The raw bytes are those of uint64s (big-endian), addresses
// (IP and port little-endian, unlike in 0x41) and blobs, in the order of the
// objects. There is no length: the raw bytes are the last ones, and how many
// they are is known when the coded part is read. docs/protocol.md has the rest.
//
// # Limits
//
// A Decoder stops where the bytes of the input do not decide any more, and
// takes the length of a raw value only if there are as many bytes. An object
// costs at least 1.3 bits, a character 2.7 and a number in a list 3, so that a
// byte of input stands for at most six objects, three characters or three
// numbers, and time and memory are in proportion. The limits of objlist hold
// besides.
package arith

import (
	"errors"
	"slices"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// Why a list cannot be packed. It may still be written as 0x41.
var (
	ErrOrder = errors.New("arith: an id is lower than the one before")
	ErrValue = errors.New("arith: a value has no packed form")
)

// ErrShared says why bytes are not a packed list, besides the errors of objlist.
var ErrShared = errors.New("more headers shared than the list before has")

// The coder works on an interval of a window of 31 bits. It moves on by a byte
// when the interval is not above bottom.
const (
	window = 31
	bottom = 1 << 23
	scale  = 12 // bits of a frequency
)

// A table is an alphabet: symbol i has the part from t[i] to t[i+1] of 1<<scale.
type table []uint16

// numeric is an alphabet for numbers: those below direct are symbols
// themselves. A larger one is symbol (its bits) + offset and then the bits
// below its highest one, or, where there are more bits, the last symbol, how
// many bits more as another such number, and the bits.
type numeric struct {
	table
	direct, offset int
}

func (n *numeric) escape() int { return len(n.table) - 2 }

// maxChunk is how many bits of a number are coded at once, the lowest first.
const maxChunk = 16

// A level is what lists of the same depth know of one another.
type level struct {
	kinds [objlist.KindNumbers + 1]objlist.Kind // the last used first
	last  objlist.List                          // the one before
}

var firstLevel = level{kinds: [...]objlist.Kind{
	objlist.KindNumber, objlist.KindBlob, objlist.KindString, objlist.KindList, objlist.KindAddr, objlist.KindNumbers, objlist.KindUint64,
}}

// place is where in the list of kinds k stands, which then is the first.
func (lv *level) place(k objlist.Kind) int {
	i := slices.Index(lv.kinds[:], k)
	copy(lv.kinds[1:i+1], lv.kinds[:i])
	lv.kinds[0] = k
	return i
}

// Symbols of the alphabet of headers.
const (
	end     = 0
	same    = 1 // same kind, and the step from the id before: 0 to 4
	far     = 6 // same kind, step of 5 or more
	another = 6 // plus the place of the kind
)
