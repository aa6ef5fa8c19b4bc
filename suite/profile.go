package suite

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"

	"github.com/linnet-p2p/linnet/wire/message"
)

// A profile is how a device of the old network said who and where it is (W5.2:
// FS): its certificate, and an object list signed with the device's key.
//
//	n        [4]byte     // bytes of the certificate, big-endian
//	cert     [n]byte     // key id and credentials
//	block    [128]byte   // an ISO 9796-2 block under the device's key
//	rest     [...]byte   // of the message, if it does not fit into the block
//
// The message of the block is the SHA-1 of the certificate, 20 bytes, and the
// list. That hash is also what tells a profile from all that is signed for a
// Purpose, whose messages begin with that purpose's text.
const profileHead = 4

// MakesProfiles says whether the keys are of the suite whose devices sign profiles.
func MakesProfiles(k Keys) bool {
	_, ok := k.(*classicKeys)
	return ok
}

// SignProfile makes the profile of a device of such a suite; body is a pointer
// to a tagged struct.
func SignProfile(k Keys, certificate []byte, body any) ([]byte, error) {
	classic, ok := k.(*classicKeys)
	if !ok {
		return nil, fmt.Errorf("suite: sign profile: %w", ErrSuite)
	}
	hash := sha1.Sum(certificate)
	block, rest := isoBlock(classic.rsa.size(), append(hash[:], message.Marshal(body)...))
	signed, err := classic.rsa.private(block)
	if err != nil {
		return nil, fmt.Errorf("suite: sign profile: %w", err)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(certificate)))
	return append(append(append(b, certificate...), signed...), rest...), nil
}

// OpenProfile reads a profile into body. open checks its certificate, whose
// bytes are given, too.
func OpenProfile(b []byte, open func([]byte) (*Certificate, error), body any) (certificate []byte, c *Certificate, err error) {
	bad := func(err error) ([]byte, *Certificate, error) {
		return nil, nil, fmt.Errorf("suite: open profile: %w", err)
	}
	if len(b) < profileHead {
		return bad(ErrMalformed)
	}
	n, b := uint64(binary.BigEndian.Uint32(b)), b[profileHead:]
	if n > uint64(len(b)) || uint64(len(b))-n < classicUser {
		return bad(ErrMalformed)
	}
	certificate, b = bytes.Clone(b[:n]), b[n:]
	if c, err = open(certificate); err != nil {
		return bad(err)
	}
	if len(c.Signing) != classicUser || !validModulus(c.Signing) {
		return bad(ErrMalformed)
	}
	block, err := rsaPublic(c.Signing, b[:classicUser])
	if err != nil {
		return bad(err)
	}
	signed, err := openISO(block, b[classicUser:])
	if err != nil {
		return bad(err)
	}
	if hash := sha1.Sum(certificate); len(signed) < sha1.Size || !bytes.Equal(signed[:sha1.Size], hash[:]) {
		return bad(ErrForged)
	}
	if err := unmarshal(signed[sha1.Size:], body); err != nil {
		return bad(err)
	}
	return certificate, c, nil
}
