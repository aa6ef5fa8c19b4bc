package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/linnet-p2p/linnet/wire/message"
)

// A box is sealed for devices that may be away: to a prekey of each, so that one
// who gets a device's keys later cannot read what was sent before the prekey was
// forgotten. It proves nothing about its sender, who signs inside.
//
//	5/0 seal, 1 to 8 times {4/0 id of the prekey, 4/1 content key, sealed to it}   4/1 body
//
// Modern: the content key is sealed with HPKE (RFC 9180; ML-KEM-768 + X25519,
// HKDF-SHA256, AES-256-GCM; the purpose as info), the body with AES-256-GCM under the
// content key, which is drawn for it: nonce 0, the purpose as associated data.
// Classic: see classicSealKey.
type sealedBox struct {
	Seals []boxSeal `obj:"5/0"`
	Body  []byte    `obj:"4/1"`
}

type boxSeal struct {
	Key    PrekeyID `obj:"4/0"`
	Sealed []byte   `obj:"4/1"`
}

// A PrekeyID tells the prekeys of a device apart: the first bytes of the public
// half's SHA-256.
type PrekeyID [8]byte

// PrekeyIDOf names a prekey.
func PrekeyIDOf(public []byte) PrekeyID {
	h := sha256.Sum256(public)
	return PrekeyID(h[:len(PrekeyID{})])
}

// Bounds of boxes.
const (
	MaxSeals = 8        // devices of a box
	MaxBox   = 64 << 10 // bytes
)

// SealSuite is what boxes take.
type SealSuite interface {
	// NewPrekey makes a key pair to seal to.
	NewPrekey() (public, private []byte, err error)

	sealKey(public []byte, p Purpose, key *[32]byte) ([]byte, error)
	openKey(private []byte, p Purpose, sealed []byte) (*[32]byte, error)
	// sealContent and openContent work under a key that is used once.
	sealContent(key *[32]byte, p Purpose, plain []byte) []byte
	openContent(key *[32]byte, p Purpose, sealed []byte) ([]byte, error)
}

// Seal seals plain for each of the prekeys.
func Seal(s SealSuite, p Purpose, plain []byte, prekeys ...[]byte) ([]byte, error) {
	if len(prekeys) == 0 || len(prekeys) > MaxSeals {
		return nil, fmt.Errorf("suite: seal %s: for %d devices: %w", p, len(prekeys), ErrMalformed)
	}
	var key [32]byte
	rand.Read(key[:])
	var box sealedBox
	for _, public := range prekeys {
		sealed, err := s.sealKey(public, p, &key)
		if err != nil {
			return nil, fmt.Errorf("suite: seal %s: %w", p, err)
		}
		box.Seals = append(box.Seals, boxSeal{PrekeyIDOf(public), sealed})
	}
	box.Body = s.sealContent(&key, p, plain)
	b := message.Marshal(&box)
	if len(b) > MaxBox {
		return nil, fmt.Errorf("suite: seal %s: %d bytes: %w", p, len(b), ErrMalformed)
	}
	return b, nil
}

// Unseal opens a box with one of the device's prekeys; private gives the private
// half of one, or nil. ErrExpired says that the box is for none that it has.
func Unseal(s SealSuite, p Purpose, b []byte, private func(PrekeyID) []byte) ([]byte, error) {
	var box sealedBox
	if len(b) > MaxBox {
		return nil, fmt.Errorf("suite: unseal %s: %d bytes: %w", p, len(b), ErrMalformed)
	}
	if err := unmarshalExact(b, &box); err != nil {
		return nil, fmt.Errorf("suite: unseal %s: %w", p, err)
	}
	if len(box.Seals) > MaxSeals {
		return nil, fmt.Errorf("suite: unseal %s: %w", p, ErrMalformed)
	}
	err := ErrExpired
	for _, seal := range box.Seals {
		own := private(seal.Key)
		if own == nil {
			continue
		}
		var key *[32]byte
		if key, err = s.openKey(own, p, seal.Sealed); err != nil {
			continue // somebody else's prekey may have the same id
		}
		var plain []byte
		if plain, err = s.openContent(key, p, box.Body); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("suite: unseal %s: %w", p, err)
}

func (m modern) NewPrekey() (public, private []byte, err error) {
	if public, private, err = m.newKEM(); err != nil {
		return nil, nil, fmt.Errorf("suite: new prekey: %w", err)
	}
	return public, private, nil
}

func (modern) sealKey(public []byte, p Purpose, key *[32]byte) ([]byte, error) {
	to, err := hpke.MLKEM768X25519().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	enc, sender, err := hpke.NewSender(to, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(p))
	if err != nil {
		return nil, err
	}
	sealed, err := sender.Seal(nil, key[:])
	return append(enc, sealed...), err
}

func (modern) openKey(private []byte, p Purpose, sealed []byte) (*[32]byte, error) {
	if len(sealed) != requestPrefix+32+16 {
		return nil, ErrMalformed
	}
	own, err := hpke.MLKEM768X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	recipient, err := hpke.NewRecipient(sealed[:requestPrefix], own, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(p))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForged, err)
	}
	key, err := recipient.Open(nil, sealed[requestPrefix:])
	if err != nil || len(key) != 32 {
		return nil, ErrForged
	}
	return (*[32]byte)(key), nil
}

func (modern) sealContent(key *[32]byte, p Purpose, plain []byte) []byte {
	aead := newGCM(key)
	return aead.Seal(nil, make([]byte, aead.NonceSize()), plain, []byte(p))
}

func (modern) openContent(key *[32]byte, p Purpose, sealed []byte) ([]byte, error) {
	aead := newGCM(key)
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, []byte(p))
	if err != nil {
		return nil, ErrForged
	}
	return plain, nil
}

func newGCM(key *[32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCM(block); err == nil {
			return aead
		}
	}
	panic("suite: " + err.Error()) // the key has 32 bytes
}

// SealUnder seals plain under a key that both ends have. The nonce in front is
// random: a key is good for 2^32 of them. It is the same in all suites.
func SealUnder(key *[32]byte, p Purpose, plain []byte) []byte {
	aead := newGCM(key)
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(p))
}

// OpenUnder reads what SealUnder made.
func OpenUnder(key *[32]byte, p Purpose, sealed []byte) ([]byte, error) {
	aead := newGCM(key)
	if len(sealed) < aead.NonceSize() {
		return nil, fmt.Errorf("suite: open %s: %w", p, ErrMalformed)
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(p))
	if err != nil {
		return nil, fmt.Errorf("suite: open %s: %w", p, ErrForged)
	}
	return plain, nil
}
