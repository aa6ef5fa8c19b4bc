package suite

import (
	"bytes"
	"fmt"
	"io"
)

// The old network sealed nothing for who is away: its clients kept messages until
// both were there. This does it in its manner, for study. A prekey is an RSA-1024
// key. What is sealed to it is a nonce (see classicHello), raw, and the content
// key, protected under the AES key of the nonce; the body is protected under the
// content key. Salt and index are zero, the purpose is not in it, and a CRC is all
// that stands against alteration: whoever carries a box can flip its bits. One key
// in 256 that is not the right one opens it to noise, which its signature gives away.
const classicSealed = classicUser + 32 + checkSize

func (classic) NewPrekey() (public, private []byte, err error) {
	k, err := newClassicKeys(classicUser)
	if err != nil {
		return nil, nil, err
	}
	return k.Public().Agreement, k.Marshal(), nil
}

func (c classic) sealKey(public []byte, _ Purpose, key *[32]byte) ([]byte, error) {
	if len(public) != classicUser {
		return nil, ErrMalformed
	}
	nonce := make([]byte, classicUser)
	if _, err := io.ReadFull(c.rand, nonce); err != nil {
		return nil, err
	}
	nonce[0] = 1
	hidden, err := rsaPublic(public, nonce)
	if err != nil {
		return nil, err
	}
	under := deriveClassic(nonce)
	return append(hidden, protect(aesClassic(&under), 0, 0, bytes.Clone(key[:]))...), nil
}

func (classic) openKey(private []byte, _ Purpose, sealed []byte) (*[32]byte, error) {
	if len(sealed) != classicSealed {
		return nil, ErrMalformed
	}
	k, err := parseClassicKeys(private)
	if err != nil {
		return nil, err
	}
	nonce, err := k.reveal(sealed[:classicUser])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForged, err)
	}
	under := deriveClassic(nonce)
	key, err := unprotect(aesClassic(&under), 0, 0, bytes.Clone(sealed[classicUser:]))
	if err != nil {
		return nil, err
	}
	return (*[32]byte)(key), nil
}

func (classic) sealContent(key *[32]byte, _ Purpose, plain []byte) []byte {
	return protect(aesClassic(key), 0, 0, bytes.Clone(plain))
}

func (classic) openContent(key *[32]byte, _ Purpose, sealed []byte) ([]byte, error) {
	return unprotect(aesClassic(key), 0, 0, bytes.Clone(sealed))
}
