package frame

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// A Record is one unit of a TCP stream, once its opening is over and the
// stream is shown (package obfuscate).
//
//	length  uvarint            // twice the bytes that follow, plus 1 for a control record
//	Commands:  packet 2 | commands                  // acknowledged by an Ack
//	Ack:       01 | packet 2
//	Padding:   03 | random                          // the first record of either side
//	InSession: 05 | tag 4 | body                    // as in a Session datagram
//	           05 | word 2 | body                   // the same on classic networks (W7.6)
//
// Classic networks have tags of 16 bits, and word is the tag XOR the low half
// of the body's CRC. The old clients put the number of their session there,
// shifted left by one: the low bit, which is free so, tells media from session
// packets as in every tag.
type Record struct {
	Kind    RecordKind
	Packet  uint16 // Commands, Ack
	Tag     uint32 // InSession
	Classic bool   // InSession: as on classic networks
	Body    []byte // commands, padding, a session packet or, of an unknown Kind, all there is
}

// A RecordKind is the type byte of a control record, or Commands. Records of
// unknown kinds are read, so that newer nodes may send more, and to be ignored.
type RecordKind uint8

// The kinds.
const (
	Commands  RecordKind = 0
	Ack       RecordKind = 1
	Padding   RecordKind = 3
	InSession RecordKind = 5
)

// MaxRecord is the length of a record at the most, without its length field.
const MaxRecord = MaxPayload + 1 + 4

// Why a stream has to be closed: nobody can say where its next record begins.
var (
	ErrRecordLength = errors.New("frame: record with an impossible length")
	ErrRecord       = errors.New("frame: record that does not fit its kind")
)

// Append appends the record to b.
func (r Record) Append(b []byte) []byte {
	switch r.Kind {
	case Commands:
		b = binary.AppendUvarint(b, uint64(2+len(r.Body))<<1)
		b = binary.BigEndian.AppendUint16(b, r.Packet)
	case Ack:
		b = append(binary.AppendUvarint(b, 3<<1|1), byte(Ack))
		return binary.BigEndian.AppendUint16(b, r.Packet)
	case InSession:
		if r.Classic {
			b = append(binary.AppendUvarint(b, uint64(1+2+len(r.Body))<<1|1), byte(InSession))
			b = binary.BigEndian.AppendUint16(b, uint16(r.Tag)^uint16(obfuscate.CRC(r.Body)))
			break
		}
		b = append(binary.AppendUvarint(b, uint64(1+4+len(r.Body))<<1|1), byte(InSession))
		b = binary.BigEndian.AppendUint32(b, r.Tag)
	default:
		b = append(binary.AppendUvarint(b, uint64(1+len(r.Body))<<1|1), byte(r.Kind))
	}
	return append(b, r.Body...)
}

// ParseRecord reads the record at the start of b and returns the bytes that it
// takes; none means that more are needed. classic says how records of sessions
// are laid out. Body shares b's memory. After an error the stream is of no more
// use.
func ParseRecord(b []byte, classic bool) (r Record, n int, err error) {
	length, n := binary.Uvarint(b[:min(len(b), maxLengthField)])
	switch {
	case n == 0 && len(b) < maxLengthField:
		return Record{}, 0, nil
	case n <= 0 || length>>1 > MaxRecord:
		return Record{}, 0, ErrRecordLength
	}
	end := n + int(length>>1)
	if len(b) < end {
		return Record{}, 0, nil
	}
	body := b[n:end:end]
	if length&1 == 0 {
		if len(body) < 2 {
			return Record{}, 0, ErrRecord
		}
		return Record{Kind: Commands, Packet: binary.BigEndian.Uint16(body), Body: body[2:]}, end, nil
	}
	if len(body) == 0 {
		return Record{}, 0, ErrRecord
	}
	r.Kind, r.Body = RecordKind(body[0]), body[1:]
	switch r.Kind {
	case Commands: // as a control record there is no type 0
		return Record{}, 0, ErrRecord
	case Ack:
		if len(r.Body) != 2 {
			return Record{}, 0, ErrRecord
		}
		r.Packet, r.Body = binary.BigEndian.Uint16(r.Body), nil
	case InSession:
		if classic {
			if len(r.Body) < 2 {
				return Record{}, 0, ErrRecord
			}
			word := binary.BigEndian.Uint16(r.Body)
			r.Body, r.Classic = r.Body[2:], true
			r.Tag = uint32(word ^ uint16(obfuscate.CRC(r.Body)))
			break
		}
		if len(r.Body) < 4 {
			return Record{}, 0, ErrRecord
		}
		r.Tag, r.Body = binary.BigEndian.Uint32(r.Body), r.Body[4:]
	}
	return r, end, nil
}

const maxLengthField = 3 // bytes of a uvarint up to 2*MaxRecord+1

// Records cuts a stream into records, however it comes in. The zero value is
// ready. It keeps the piece of a record that is not complete yet, and nothing
// while the stream is idle.
type Records struct {
	Classic bool // records of sessions are those of classic networks

	buf []byte // not cut yet
	own bool   // buf is not the caller's memory
}

// Feed takes the next bytes of the stream. They have to stay as they are until
// Next has returned ok false, which is also what bounds the memory: call it
// that often before feeding again.
func (r *Records) Feed(b []byte) {
	if len(r.buf) == 0 {
		r.buf, r.own = slices.Clip(b), false
		return
	}
	r.buf, r.own = append(r.buf, b...), true
}

// Next returns the next record, or ok false where more bytes are needed. Body
// shares the memory of what was fed, or of Records; it is good until the next
// Feed. After an error the stream is of no more use.
func (r *Records) Next() (rec Record, ok bool, err error) {
	rec, n, err := ParseRecord(r.buf, r.Classic)
	if err != nil {
		return Record{}, false, err
	}
	r.buf = r.buf[n:]
	switch {
	case n > 0:
	case len(r.buf) == 0:
		r.buf = nil
	case !r.own:
		r.buf, r.own = slices.Clone(r.buf), true
	}
	return rec, n > 0, nil
}
