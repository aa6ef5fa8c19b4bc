package suite

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
)

// ClassicName is the name of the classic suite in a descriptor.
const ClassicName = "classic"

// Classic is the cryptography of the old network, as far as it is publicly
// known (see docs/protocol.md, section 5), kept for study: every step of it can
// be attacked, and docs/security.md says how. What is unknown is filled in the
// same manner and not with something better.
//
//	step                                 known weakness                                    test that shows it
//	password: MD5(user, "\nskyper\n",    fast to guess; the same secret on every network   TestClassicSecretIsGuessed
//	password), sent under the login key  of this suite, so one server learns it for all
//	login key: RSA-1536, one for all     no forward secrecy: who gets it reads every       TestClassicLoginIsReadLater
//	logins; it signs, too                recorded login; raw RSA has no padding
//	user keys: RSA-1024, one for         1024 bits can be factored by who can pay; a
//	signing and decrypting               decryption is a signature of the ciphertext
//	raw RSA (math/big)                   takes measurably long, depending on the key
//	signatures: ISO 9796-2 with SHA-1    SHA-1 collides; blocks can be forged from many
//	                                     chosen ones (Coron and others, 2009)
//	signed challenge: 8 bytes and 01     signs what anybody sends, bound to nothing else
//	session key: SHA-1 of two nonces     no forward secrecy: who gets both devices' keys   TestClassicSessionIsReadLater
//	under the devices' RSA keys          reads every recorded session
//	packets and logins: AES-256 in       bits can be flipped under way: two CRCs are no    TestClassicPacketIsMalleable
//	counter mode, CRCs                   MAC, everybody can correct them
//	counters: nothing but the CRC        a forged packet moves the replay window
//	counter blocks: salt of two 16-bit   ids repeat; the key alone keeps two sessions
//	session ids                          from sharing a keystream
//	media: AES-256 in counter mode       bits can be flipped, packets forged as garbage    media: TestCTRIsMalleable
//	datagrams: RC4, 32-bit seed          no protection at all, in any suite                wire/obfuscate
func Classic() Suite { return classic{rand.Reader} }

type classic struct {
	rand io.Reader // of nonces; a test's own, for vectors
}

func (classic) Name() string { return ClassicName }

// Sizes of RSA moduli in bytes.
const (
	classicUser  = 1024 / 8 // of a device
	classicLogin = 1536 / 8
	classicRoot  = 2048 / 8
)

// classicSigner is how long the key is that signs for a purpose. As nobody else's
// is of that length, a key of one rank proves nothing in another.
func classicSigner(p Purpose) int {
	switch p {
	case ForDescriptor:
		return classicRoot
	case ForLoginKey, ForHead, ForCertificate:
		return classicLogin
	}
	return classicUser
}

// Keys of the classic suite are one RSA key, for everything.
//
//	version  [1]byte     // 0x02
//	p        [size/2]byte
//	q        [size/2]byte
type classicKeys struct {
	rsa *rsaKey
}

const classicKeysVersion = 2

func (classic) NewKeys() (Keys, error) { return newClassicKeys(classicUser) }

func (classic) NewAuthorityKeys() (root, login Keys, err error) {
	if root, err = newClassicKeys(classicRoot); err != nil {
		return nil, nil, err
	}
	login, err = newClassicKeys(classicLogin)
	return root, login, err
}

func newClassicKeys(size int) (Keys, error) {
	k, err := newRSA(8 * size)
	if err != nil {
		return nil, err
	}
	return &classicKeys{k}, nil
}

func (classic) ParseKeys(b []byte) (Keys, error) { return parseClassicKeys(b) }

func parseClassicKeys(b []byte) (*classicKeys, error) {
	size := len(b) - 1
	if size != classicUser && size != classicLogin && size != classicRoot || b[0] != classicKeysVersion {
		return nil, fmt.Errorf("suite: keys: %w", ErrMalformed)
	}
	k, err := rsaOf(new(big.Int).SetBytes(b[1:1+size/2]), new(big.Int).SetBytes(b[1+size/2:]))
	if err != nil {
		return nil, err
	}
	if k.size() != size {
		return nil, fmt.Errorf("suite: keys: %w", ErrMalformed)
	}
	return &classicKeys{k}, nil
}

func (k *classicKeys) Public() PublicKeys {
	return PublicKeys{Signing: k.rsa.modulus(), Agreement: k.rsa.modulus()}
}

func (k *classicKeys) Marshal() []byte {
	b := make([]byte, 1+k.rsa.size())
	b[0] = classicKeysVersion
	k.rsa.p.FillBytes(b[1 : 1+k.rsa.size()/2])
	k.rsa.q.FillBytes(b[1+k.rsa.size()/2:])
	return b
}

// CheckKeys wants one modulus, twice.
func (classic) CheckKeys(k PublicKeys) error {
	if len(k.Signing) != classicUser || !validModulus(k.Signing) || !bytes.Equal(k.Signing, k.Agreement) {
		return fmt.Errorf("suite: public keys: %w", ErrMalformed)
	}
	return nil
}

// Sign gives the block of purpose, 00 and message, as long as the key. What does
// not fit into it is not repeated: who verifies has the message.
func (k *classicKeys) Sign(p Purpose, msg []byte) ([]byte, error) {
	block, _ := isoBlock(k.rsa.size(), purposed(p, msg))
	sig, err := k.rsa.private(block)
	if err != nil {
		return nil, fmt.Errorf("suite: sign %s: %w", p, err)
	}
	return sig, nil
}

func purposed(p Purpose, msg []byte) []byte {
	b := append(make([]byte, 0, len(p)+1+len(msg)), p...)
	return append(append(b, 0), msg...)
}

func (classic) Verify(signing []byte, p Purpose, msg, sig []byte) error {
	if len(signing) != classicSigner(p) || !validModulus(signing) {
		return fmt.Errorf("suite: verify %s: signing key of %d bytes: %w", p, len(signing), ErrMalformed)
	}
	if !verifiesBlock(signing, purposed(p, msg), sig) {
		return fmt.Errorf("suite: verify %s: %w", p, ErrForged)
	}
	return nil
}

// verifiesBlock says whether sig is the signature of the message's block.
func verifiesBlock(modulus, message, sig []byte) bool {
	got, err := rsaPublic(modulus, sig)
	if err != nil {
		return false
	}
	want, _ := isoBlock(len(modulus), message)
	return bytes.Equal(got, want)
}
