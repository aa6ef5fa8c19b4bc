package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"

	"github.com/linnet-p2p/linnet"
	"golang.org/x/crypto/argon2"
)

// A sealed request is
//
//	enc         [1120]byte  // ML-KEM-768 ciphertext, X25519 share
//	ciphertext  [...]byte   // with its 16-byte tag
//
// and a sealed reply
//
//	nonce       [12]byte
//	ciphertext  [...]byte   // AES-256-GCM under the secret that HPKE exports
//
// The reply's nonce is random because the secret is not fresh: whoever repeats
// a request makes the server derive the same one again, for another reply.
const (
	loginInfo     = "linnet/1 login"
	loginReply    = "linnet/1 login reply"
	requestPrefix = 1120
)

// MaxLogin is the longest request or reply of a login, sealed or not.
const MaxLogin = 16 << 10

func (modern) Verifier(password string, network linnet.NetworkID, user linnet.UserName, p PasswordParams) []byte {
	p = p.orDefault()
	salt := append(network[:], strings.ToLower(string(user))...)
	return argon2.IDKey([]byte(password), salt, p.Time, p.Memory, uint8(p.Threads), 32)
}

// Lock is fast: the verifier was slow enough.
func (modern) Lock(salt, verifier []byte, _ PasswordParams) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(verifier)
	return h.Sum(nil)
}

func (modern) DailyKeys() bool { return true }

func (m modern) NewLoginKey() (public, private []byte, err error) {
	if public, private, err = m.newKEM(); err != nil {
		return nil, nil, fmt.Errorf("suite: new login key: %w", err)
	}
	return public, private, nil
}

// newKEM makes a key pair of HPKE; the private half is its seed.
func (m modern) newKEM() (public, private []byte, err error) {
	seed := make([]byte, 32)
	if _, err := io.ReadFull(m.rand, seed); err != nil {
		return nil, nil, err
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, nil, err
	}
	return key.PublicKey().Bytes(), seed, nil
}

func (m modern) SealRequest(public, request []byte) ([]byte, func([]byte) ([]byte, error), error) {
	key, err := hpke.MLKEM768X25519().NewPublicKey(public)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: login key: %w", err)
	}
	enc, sender, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(loginInfo))
	if err != nil {
		return nil, nil, fmt.Errorf("suite: seal login: %w", err)
	}
	ciphertext, err := sender.Seal(nil, request)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: seal login: %w", err)
	}
	reply, err := replyCipher(sender)
	if err != nil {
		return nil, nil, err
	}
	open := func(sealed []byte) ([]byte, error) {
		if len(sealed) > MaxLogin {
			return nil, fmt.Errorf("suite: open login reply: %w", ErrMalformed)
		}
		b, err := reply.Open(nil, nil, sealed, nil)
		if err != nil {
			return nil, fmt.Errorf("suite: open login reply: %w", ErrForged)
		}
		return b, nil
	}
	return append(enc, ciphertext...), open, nil
}

func (m modern) OpenRequest(private, sealed []byte) ([]byte, func([]byte) ([]byte, error), error) {
	if len(sealed) < requestPrefix || len(sealed) > MaxLogin {
		return nil, nil, fmt.Errorf("suite: open login: %d bytes: %w", len(sealed), ErrMalformed)
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: login key: %w", err)
	}
	recipient, err := hpke.NewRecipient(sealed[:requestPrefix], key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(loginInfo))
	if err != nil {
		return nil, nil, fmt.Errorf("suite: open login: %w", err)
	}
	request, err := recipient.Open(nil, sealed[requestPrefix:])
	if err != nil {
		return nil, nil, fmt.Errorf("suite: open login: %w", ErrForged)
	}
	reply, err := replyCipher(recipient)
	if err != nil {
		return nil, nil, err
	}
	seal := func(b []byte) ([]byte, error) { return reply.Seal(nil, nil, b, nil), nil }
	return request, seal, nil
}

// replyCipher is what the reply to a request is sealed under; it puts its
// random nonce in front by itself.
func replyCipher(context interface {
	Export(context string, length int) ([]byte, error)
}) (cipher.AEAD, error) {
	secret, err := context.Export(loginReply, 32)
	if err != nil {
		return nil, fmt.Errorf("suite: login reply key: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("suite: login reply key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("suite: login reply key: %w", err)
	}
	return aead, nil
}
