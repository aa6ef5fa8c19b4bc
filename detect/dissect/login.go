package dissect

import (
	"encoding/binary"
	"fmt"

	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A classic login (W7.2) looks like records of TLS:
//
//	type 1 | 03 01 | length 2 | body        type 16 in the clear, 17 sealed
//
// Either side begins with an empty one, 16 the client and 17 the server.
const (
	loginVisible = 0x16
	loginSealed  = 0x17
	sealedCRC    = 2 // bytes at the end of a sealed body: of the CRC of what is before
)

// loginRecord explains the next record of a classic login.
func (d *Dissector) loginRecord(p *capture.Packet, h *half, x *Explanation) bool {
	if len(h.buf) < tlsHeaderSize {
		return false
	}
	kind := h.buf[0]
	if kind != loginVisible && kind != loginSealed || h.buf[1] != 3 || h.buf[2] != 1 {
		x.note("what follows is no record of a login")
		h.give(other)
		return false
	}
	n := tlsHeaderSize + int(binary.BigEndian.Uint16(h.buf[3:]))
	if len(h.buf) < n {
		return false
	}
	body := h.buf[tlsHeaderSize:n:n]
	fromClient := x.Stream.From == "client"
	r := Record{Bytes: n}
	switch {
	case len(body) == 0:
		r.Kind = "hello"
		if kind == loginSealed {
			r.Kind = "hello-answer"
		}
	case kind == loginVisible:
		r.Kind = "visible"
		l, err := ParseList(body)
		if err != nil {
			r.Notes = append(r.Notes, "no list: "+Reason(err))
			break
		}
		r.List, r.Fields = l.String(), fieldsOf(l, nil)
		for _, o := range l {
			if o.Kind == objlist.KindBlob && o.ID == 8 {
				r.Notes = append(r.Notes, fmt.Sprintf("4/8: the session key, a number of %d bits under raw RSA with the login server's key: only it can tell the key", 8*len(o.Bytes)))
			}
		}
	default:
		r.Kind = "sealed"
		r.Notes = append(r.Notes, sealedNotes(body, fromClient)...)
	}
	x.Stream.Records = append(x.Stream.Records, r)
	h.drop(n)
	return true
}

func sealedNotes(body []byte, fromClient bool) []string {
	if len(body) <= sealedCRC {
		return []string{"too short to hold anything"}
	}
	text, tail := body[:len(body)-sealedCRC], body[len(body)-sealedCRC:]
	notes := []string{fmt.Sprintf("%d bytes under AES-256 (integer counter mode) with the session key", len(text))}
	if fromClient {
		notes = append(notes, "sealed: user name, secret (a hash of name and password), the RSA key made for this login, the client's version")
	} else {
		notes = append(notes, "sealed: whether it was granted, and the certificate")
	}
	// The index of the record is added to the CRC; it is 0 in the first one.
	if index := binary.LittleEndian.Uint16(tail) ^ uint16(obfuscate.CRC(text)); index < maxLoginRecords {
		notes = append(notes, fmt.Sprintf("its CRC fits (record %d of this direction); the CRC is of the sealed bytes, so whoever changes them can correct it", index))
	} else {
		notes = append(notes, "its CRC does not fit")
	}
	return notes
}

// maxLoginRecords is more records than a login has, so that a wrong CRC is seldom taken for a right one.
const maxLoginRecords = 64
