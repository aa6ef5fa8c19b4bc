package suite

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A classic certificate is
//
//	key id  [4]byte    // which key of the authority: 00000001
//	block   [192]byte  // an ISO 9796-2 block under the login key
//	rest    [...]byte  // of the message, if it does not fit into the block
//
// and its message an object list: 3/0 user, 0/3 0, 4/1 modulus, 0/4 expiry in
// minutes, as in the old network, and what Linnet needs besides. The block
// leaves 170 bytes for it, or all of a shorter one.
const (
	classicKeyID  = 1
	classicPrefix = 4 + classicLogin
)

// Ids of what is in a classic certificate besides the old network's objects.
const (
	idCertDevice = 0x4000
	idCertIssued = 0x4001
	idCertSerial = 0x4002
	idCertSalt   = 0x4003
)

type classicCertificateBody struct {
	User    linnet.UserName `obj:"3/0"`
	Zero    uint32          `obj:"0/3"` // of unknown meaning
	Modulus []byte          `obj:"4/1"`
	Expires uint32          `obj:"0/4"` // minutes since 1970
	Device  string          `obj:"3/4000"`
	Issued  uint32          `obj:"0/4001"` // minutes since 1970
	Serial  uint64          `obj:"1/4002"`
	Salt    []byte          `obj:"4/4003"`
}

func (k *classicKeys) certify(c *Certificate) ([]byte, error) {
	if !bytes.Equal(c.Signing, c.Agreement) {
		return nil, fmt.Errorf("suite: issue certificate: a classic device has one key: %w", ErrMalformed)
	}
	message := objlist.List{
		objlist.String(0, string(c.User)),
		objlist.Number(3, 0),
		objlist.Blob(1, c.Signing),
		objlist.Number(4, toMinutes(c.Expires)),
		objlist.String(idCertDevice, c.Device),
		objlist.Number(idCertIssued, toMinutes(c.Issued)),
		objlist.Uint64(idCertSerial, c.Serial),
		objlist.Blob(idCertSalt, c.Salt),
	}.Append(nil)
	block, rest := isoBlock(k.rsa.size(), message)
	signed, err := k.rsa.private(block)
	if err != nil {
		return nil, fmt.Errorf("suite: issue certificate: %w", err)
	}
	b := binary.BigEndian.AppendUint32(nil, classicKeyID)
	return append(append(b, signed...), rest...), nil
}

func (classic) openCertificate(login, b []byte) (*Certificate, error) {
	if len(b) < classicPrefix || len(login) != classicLogin {
		return nil, ErrMalformed
	}
	if id := binary.BigEndian.Uint32(b); id != classicKeyID {
		return nil, fmt.Errorf("signed with key %d: %w", id, ErrForged)
	}
	block, err := rsaPublic(login, b[4:classicPrefix])
	if err != nil {
		return nil, err
	}
	message, err := openISO(block, b[classicPrefix:])
	if err != nil {
		return nil, err
	}
	var w classicCertificateBody
	if err := unmarshal(message, &w); err != nil {
		return nil, err
	}
	return &Certificate{w.User, w.Device, w.Modulus, w.Modulus, fromMinutes(w.Issued), fromMinutes(w.Expires), w.Serial, w.Salt}, nil
}
