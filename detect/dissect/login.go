package dissect

import (
	"encoding/binary"
	"fmt"

	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// loginRecord explains the next record of a classic login (W7.2), which has a
// connection of its own and is not obfuscated.
func (d *Dissector) loginRecord(h *half, x *Explanation) bool {
	rec, n, err := frame.ParseLoginRecord(h.buf)
	if err != nil {
		x.note("what follows is no record of a login")
		h.give(other)
		return false
	}
	if n > len(h.buf) {
		return false
	}
	r := Record{Bytes: n}
	switch {
	case len(rec.Body) == 0 && rec.Kind == frame.LoginKey:
		r.Kind = "hello"
	case len(rec.Body) == 0:
		r.Kind = "hello-answer"
	case rec.Kind == frame.LoginKey:
		r.Kind = "visible"
		r.visible(rec.Body)
	default:
		r.Kind = "sealed"
		r.sealed(rec.Body, x.Stream.From == fromClient)
	}
	x.Stream.Records = append(x.Stream.Records, r)
	h.drop(n)
	return true
}

func (r *Record) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// visible explains the list that opens a login.
func (r *Record) visible(body []byte) {
	l, err := ParseList(body)
	if err != nil {
		r.note("no list: %s", Reason(err))
		return
	}
	r.List, r.Fields = l.String(), fieldsOf(l, nil)
	for _, o := range l {
		if o.Kind == objlist.KindBlob && o.ID == loginKeyID {
			r.note("visible: that somebody signs in; 4/8 is a number of %d bits under raw RSA with the login server's key", 8*len(o.Bytes))
			r.note("only that server can tell the number, which the AES key of both directions is made of; whoever gets the server's key later, too")
		}
	}
}

const (
	loginKeyID = 8
	checkSize  = 2 // of a classic seal
)

// sealed explains what is under the cipher.
func (r *Record) sealed(body []byte, request bool) {
	if len(body) <= checkSize {
		r.note("too short to hold anything")
		return
	}
	// The check is the CRC of the sealed bytes XOR the record's index.
	end := len(body) - checkSize
	index := binary.LittleEndian.Uint16(body[end:]) ^ uint16(obfuscate.CRC(body[:end]))
	what := "whether it is granted, and the certificate"
	switch {
	case 0 < index && index < maxLoginRecords:
		what = "it goes on"
	case request:
		what = "user, secret (MD5 of name and password), the modulus of the device's RSA key, its version"
	}
	r.note("sealed, %d bytes of AES-256 in counter mode: %s", end, what)
	if index < maxLoginRecords {
		r.note("its last two bytes are the CRC of the sealed ones (record %d of its direction): whoever changes those can correct it", index)
	} else {
		r.note("its last two bytes are not the CRC of the sealed ones")
	}
}

// maxLoginRecords is more than a login has, and few enough for a wrong CRC to be noticed.
const maxLoginRecords = 64
