package suite

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet/wire/message"
)

// What can be wrong with bytes from others. Errors of this package wrap one of
// these where a caller may want to know.
var (
	ErrMalformed = errors.New("malformed")
	ErrForged    = errors.New("not made by whom it claims")
	ErrExpired   = errors.New("expired")
	ErrSuite     = errors.New("the network needs another version of Linnet: unknown suite")
)

// Signed is a thing and the signature over its exact bytes, in the form in
// which both travel.
type Signed struct {
	Body      []byte `obj:"4/0"` // an object list
	Signature []byte `obj:"4/1"`
}

// SignBody signs the object list of body, a pointer to a tagged struct, and
// gives both as one object list.
func SignBody(k Keys, p Purpose, body any) ([]byte, error) {
	s := Signed{Body: message.Marshal(body)}
	var err error
	if s.Signature, err = k.Sign(p, s.Body); err != nil {
		return nil, err
	}
	return message.Marshal(&s), nil
}

// ParseSigned splits what SignBody made. Nothing is verified: the body may have
// to be read to know whose signature it is.
func ParseSigned(b []byte) (*Signed, error) {
	s := new(Signed)
	if err := unmarshalExact(b, s); err != nil {
		return nil, err
	}
	return s, nil
}

// openBody verifies b and reads its body.
func openBody(s Suite, signing []byte, p Purpose, b []byte, body any) error {
	signed, err := ParseSigned(b)
	if err != nil {
		return err
	}
	if err := s.Verify(signing, p, signed.Body, signed.Signature); err != nil {
		return err
	}
	return unmarshal(signed.Body, body)
}

func unmarshal(b []byte, m any) error {
	if err := message.Unmarshal(b, m); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// unmarshalExact accepts only the bytes that Marshal would write. A wrapper is
// not signed itself, and without this one signed thing would have many forms,
// each with another hash.
func unmarshalExact(b []byte, m any) error {
	if err := unmarshal(b, m); err != nil {
		return err
	}
	if !bytes.Equal(message.Marshal(m), b) {
		return fmt.Errorf("%w: not in its shortest form", ErrMalformed)
	}
	return nil
}
