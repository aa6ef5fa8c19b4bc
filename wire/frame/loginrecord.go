package frame

import (
	"encoding/binary"
	"errors"
)

// A LoginRecord is one unit of a login on a classic network (W7.2). It looks
// like a record of TLS 1.0 and is none.
//
//	kind    [1]byte  // LoginKey or LoginData
//	version [2]byte  // 03 01
//	length  [2]byte  // of the body, big-endian
//	body    [length]byte
type LoginRecord struct {
	Kind LoginRecordKind
	Body []byte
}

// A LoginRecordKind is what TLS calls the content type.
type LoginRecordKind uint8

// The kinds: what TLS calls a handshake, and application data.
const (
	LoginKey  LoginRecordKind = 0x16
	LoginData LoginRecordKind = 0x17
)

// LoginHead is the length of what stands before the body.
const LoginHead = 5

// ErrLoginRecord says that bytes are no record of a login.
var ErrLoginRecord = errors.New("frame: no record of a login")

// Append appends the record to b. The body has at most 65535 bytes.
func (r LoginRecord) Append(b []byte) []byte {
	b = append(b, byte(r.Kind), 3, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Body)))
	return append(b, r.Body...)
}

// ParseLoginRecord reads the record at the start of b and returns the bytes that
// it takes, or would take: more than there are means that more are needed. Body
// shares b's memory.
func ParseLoginRecord(b []byte) (r LoginRecord, n int, err error) {
	if len(b) < LoginHead {
		return LoginRecord{}, LoginHead, nil
	}
	r.Kind = LoginRecordKind(b[0])
	if r.Kind != LoginKey && r.Kind != LoginData || b[1] != 3 || b[2] != 1 {
		return LoginRecord{}, 0, ErrLoginRecord
	}
	n = LoginHead + int(binary.BigEndian.Uint16(b[3:]))
	if len(b) >= n {
		r.Body = b[LoginHead:n:n]
	}
	return r, n, nil
}
