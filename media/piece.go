package media

import (
	"errors"
	"fmt"

	"github.com/pion/rtp/codecs"
)

// A Piece is what one packet holds of a picture, as the encoder cut it.
type Piece struct {
	SSRC      uint32
	Index     uint64 // of its packet; one more for each piece
	Timestamp uint32 // of its picture, in ticks of VideoClock
	Last      bool   // of its picture
	Data      []byte // with the descriptor of RFC 7741
}

// MaxPiece is the largest Data that fits into a datagram on paths that nobody has
// probed: browsers cut pictures into less.
const MaxPiece = 1232 - 7 - Overhead

// ErrPiece says that bytes are no piece of a picture.
var ErrPiece = errors.New("media: not a piece of a VP8 picture")

// start says whether a piece begins a picture, and one that needs none before it.
func (p *Piece) start() (begins, key bool, err error) {
	var d codecs.VP8Packet
	coded, err := d.Unmarshal(p.Data)
	if err != nil || len(coded) == 0 {
		return false, false, fmt.Errorf("%w: %d bytes", ErrPiece, len(p.Data))
	}
	begins = d.S == 1 && d.PID == 0
	return begins, begins && KeyPicture(coded), nil
}

// coded is the piece without its descriptor.
func (p *Piece) coded() []byte {
	var d codecs.VP8Packet
	coded, err := d.Unmarshal(p.Data)
	if err != nil {
		return nil
	}
	return coded
}

// A Picture is one coded picture, whole.
type Picture struct {
	Timestamp uint32
	Key       bool // needs none before it
	Data      []byte
}

// KeyPicture says whether a coded VP8 picture needs none before it (RFC 6386, section 9.1).
func KeyPicture(coded []byte) bool { return len(coded) > 0 && coded[0]&1 == 0 }

// Size is the width and height that a key picture tells, and zero for any other.
func (p *Picture) Size() (width, height int) {
	b := p.Data
	if !p.Key || len(b) < 10 || b[3] != 0x9d || b[4] != 0x01 || b[5] != 0x2a {
		return 0, 0
	}
	return int(b[6]) | int(b[7]&0x3f)<<8, int(b[8]) | int(b[9]&0x3f)<<8
}

// Cut makes the pieces of a picture.
func (p *Picture) Cut() []Piece {
	var cutter codecs.VP8Payloader
	parts := cutter.Payload(MaxPiece, p.Data)
	pieces := make([]Piece, len(parts))
	for i, b := range parts {
		pieces[i] = Piece{Timestamp: p.Timestamp, Last: i == len(parts)-1, Data: b}
	}
	return pieces
}
