package directory

import (
	"time"

	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// openDated reads what a user's device signed at a time that the body says. Check, which
// costs no cryptography, says when that was and where the certificate is, or why the
// body is not taken. The certificate is judged as it was then.
func openDated[B any](t overlay.Trust, b []byte, p suite.Purpose, check func(body *B) (at time.Time, certificate []byte, err error)) (body B, at time.Time, cert *suite.Certificate, err error) {
	s, body, err := parse[B](b)
	if err != nil {
		return body, at, nil, err
	}
	at, certificate, err := check(&body)
	if err != nil {
		return body, at, nil, err
	}
	if cert, err = t.Certificate(certificate, at); err != nil {
		return body, at, nil, err
	}
	if err := t.Verify(cert.Signing, p, s.Body, s.Signature); err != nil {
		return body, at, nil, err
	}
	if cert.User.IsNode() {
		return body, at, nil, errNoUser
	}
	return body, at, cert, nil
}

// parse reads what was signed. Nothing of it is verified.
func parse[B any](b []byte) (s *suite.Signed, body B, err error) {
	if s, err = suite.ParseSigned(b); err == nil {
		err = message.Unmarshal(s.Body, &body)
	}
	return s, body, err
}
