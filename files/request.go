package files

import (
	"encoding/binary"
	"errors"

	"github.com/linnet-p2p/linnet"
)

// What a stream carries. The receiver of the file opens it:
//
//	want  [1]byte   // WantTree or WantBytes
//	file  [16]byte
//	from  [8]byte   // big-endian: the first byte wanted, a multiple of PieceSize
//
// and then, whenever it changes, one byte: 1 while there is a call at the receiver, 0
// when there is none any more. The answer:
//
//	status [1]byte  // Ready, or why not; then the stream ends
//	...             // the SHA-256s of the pieces, or the bytes from there to the end
const (
	WantTree  = 1
	WantBytes = 2

	RequestSize = 1 + 16 + 8
)

// The statuses.
const (
	Ready      = 0
	Unknown    = 1 // no such file is offered to this device, or not any more
	Paused     = 2
	Unreadable = 3 // the file is not where it was, or not what it was
)

// PieceSize is what is verified at a time.
const PieceSize = 256 << 10

// Pieces is how many a file has.
func Pieces(size int64) int { return int((size + PieceSize - 1) / PieceSize) }

// A Request is what the receiver of a file asks for.
type Request struct {
	Want byte
	File linnet.FileID
	From int64
}

// ErrRequest says that a request makes no sense.
var ErrRequest = errors.New("files: no request that makes sense")

// Append appends the wire form.
func (r Request) Append(b []byte) []byte {
	b = append(append(b, r.Want), r.File[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(r.From))
}

// ParseRequest reads one.
func ParseRequest(b []byte) (r Request, err error) {
	if len(b) != RequestSize {
		return r, ErrRequest
	}
	from := binary.BigEndian.Uint64(b[17:])
	r = Request{Want: b[0], File: linnet.FileID(b[1:17]), From: int64(from)}
	if r.Want != WantTree && r.Want != WantBytes || from > linnet.MaxFile || from%PieceSize != 0 || r.Want == WantTree && from != 0 {
		return Request{}, ErrRequest
	}
	return r, nil
}
