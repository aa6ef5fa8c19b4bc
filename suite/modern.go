package suite

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/flynn/noise"
)

// ModernName is the name of the modern suite in a descriptor.
const ModernName = "modern"

// Modern is the suite of today's networks, made of standard parts only:
//
//	signatures  Ed25519ctx (RFC 8032), the Purpose as its context
//	login       Argon2id (RFC 9106); HPKE (RFC 9180) with ML-KEM-768 + X25519,
//	            HKDF-SHA256 and AES-256-GCM
//	session     Noise_IK_25519_AESGCM_SHA256, then
//	            Noise_KKpsk0_25519_AESGCM_SHA256 over an ML-KEM-768 secret
//	packets     AES-256-GCM
func Modern() Suite { return modern{rand.Reader} }

// Named is the suite that a descriptor names.
func Named(name string) (Suite, error) {
	switch name {
	case ModernName:
		return Modern(), nil
	case ClassicName:
		return Classic(), nil
	}
	return nil, fmt.Errorf("%w: %q", ErrSuite, name)
}

type modern struct {
	rand io.Reader // a test's own, for vectors
}

func (modern) Name() string { return ModernName }

// Keys of the modern suite are two times 32 random bytes.
//
//	version    [1]byte  // 0x01
//	signing    [32]byte // Ed25519 seed
//	agreement  [32]byte // X25519 scalar
type modernKeys struct {
	signing   ed25519.PrivateKey
	agreement noise.DHKey
}

const modernKeysVersion = 1

func (m modern) NewKeys() (Keys, error) {
	b := make([]byte, 1+2*32)
	b[0] = modernKeysVersion
	if _, err := io.ReadFull(m.rand, b[1:]); err != nil {
		return nil, fmt.Errorf("suite: new keys: %w", err)
	}
	return m.ParseKeys(b)
}

func (m modern) NewAuthorityKeys() (root, login Keys, err error) {
	if root, err = m.NewKeys(); err != nil {
		return nil, nil, err
	}
	login, err = m.NewKeys()
	return root, login, err
}

func (modern) CheckKeys(k PublicKeys) error {
	if len(k.Signing) != ed25519.PublicKeySize || len(k.Agreement) != ed25519.PublicKeySize {
		return fmt.Errorf("suite: public keys: %w", ErrMalformed)
	}
	return nil
}

func (modern) ParseKeys(b []byte) (Keys, error) {
	if len(b) != 1+2*32 || b[0] != modernKeysVersion {
		return nil, fmt.Errorf("suite: keys: %w", ErrMalformed)
	}
	private, err := ecdh.X25519().NewPrivateKey(b[33:])
	if err != nil {
		return nil, fmt.Errorf("suite: keys: %w", err)
	}
	return &modernKeys{
		signing:   ed25519.NewKeyFromSeed(b[1:33]),
		agreement: noise.DHKey{Private: private.Bytes(), Public: private.PublicKey().Bytes()},
	}, nil
}

func (k *modernKeys) Public() PublicKeys {
	return PublicKeys{
		Signing:   k.signing.Public().(ed25519.PublicKey),
		Agreement: append([]byte(nil), k.agreement.Public...),
	}
}

func (k *modernKeys) Sign(p Purpose, msg []byte) ([]byte, error) {
	sig, err := k.signing.Sign(nil, msg, &ed25519.Options{Context: string(p)})
	if err != nil {
		return nil, fmt.Errorf("suite: sign %s: %w", p, err)
	}
	return sig, nil
}

func (k *modernKeys) Marshal() []byte {
	b := append([]byte{modernKeysVersion}, k.signing.Seed()...)
	return append(b, k.agreement.Private...)
}

func (modern) Verify(signing []byte, p Purpose, msg, sig []byte) error {
	if len(signing) != ed25519.PublicKeySize {
		return fmt.Errorf("suite: verify %s: signing key of %d bytes: %w", p, len(signing), ErrMalformed)
	}
	if ed25519.VerifyWithOptions(signing, msg, sig, &ed25519.Options{Context: string(p)}) != nil {
		return fmt.Errorf("suite: verify %s: %w", p, ErrForged)
	}
	return nil
}
