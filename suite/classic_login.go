package suite

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"strings"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/objlist"
	"golang.org/x/crypto/argon2"
)

// A sealed request is two records (frame.LoginRecord), a sealed reply is one:
//
//	16 03 01 | 00cd | {0/9 2000, 4/8 K under the login key, raw RSA (192), 0/C 1}
//	17 03 01 | length | request, protected with salt 0
//
//	17 03 01 | length | reply, protected with salt 1
//
// K is the byte 01 and 191 more, drawn out of 192 random bits; the key of both
// is derived from it. The index is 0 in both directions.

// classicSecret stands between name and password in what the password becomes.
// One account of the old network prints "\nSkyper\n"; all others have this.
const classicSecret = "\nskyper\n"

const (
	classicSeed    = 192 / 8 // random bytes of K
	classicCiphers = 0x2000  // 0/9, of unknown meaning
	saltRequest    = 0
	saltReply      = 1
)

type classicKeyBody struct {
	Ciphers uint32 `obj:"0/9"`
	Key     []byte `obj:"4/8"`
	One     uint32 `obj:"0/c"`
}

func (classic) Verifier(password string, _ linnet.NetworkID, user linnet.UserName, _ PasswordParams) []byte {
	sum := md5.Sum([]byte(strings.ToLower(string(user)) + classicSecret + password))
	return sum[:]
}

// Lock is slow, as the verifier is not.
func (classic) Lock(salt, verifier []byte, p PasswordParams) []byte {
	p = p.orDefault()
	return argon2.IDKey(verifier, salt, p.Time, p.Memory, uint8(p.Threads), 32)
}

func (classic) DailyKeys() bool { return false }

// NewLoginKey is not called: the login key itself takes the requests.
func (classic) NewLoginKey() (public, private []byte, err error) {
	return nil, nil, fmt.Errorf("suite: a classic network has no keys of the day")
}

func (c classic) SealRequest(public, request []byte) ([]byte, func([]byte) ([]byte, error), error) {
	if len(public) != classicLogin {
		return nil, nil, fmt.Errorf("suite: login key: %w", ErrMalformed)
	}
	seed := make([]byte, classicSeed)
	if _, err := io.ReadFull(c.rand, seed); err != nil {
		return nil, nil, fmt.Errorf("suite: seal login: %w", err)
	}
	number := append([]byte{1}, expandClassic(seed, classicLogin-1)...)
	hidden, err := rsaPublic(public, number)
	if err != nil {
		return nil, nil, err
	}
	key := deriveClassic(number)
	keys := objlist.List{objlist.Number(0x9, classicCiphers), objlist.Blob(0x8, hidden), objlist.Number(0xc, 1)}.Append(nil)
	b := frame.LoginRecord{Kind: frame.LoginKey, Body: keys}.Append(nil)
	b = appendLoginData(b, &key, saltRequest, request)
	open := func(reply []byte) ([]byte, error) {
		plain, rest, err := openLoginData(&key, saltReply, reply)
		if err != nil || len(rest) > 0 || len(reply) > MaxLogin {
			return nil, fmt.Errorf("suite: open login reply: %w", ErrForged)
		}
		return plain, nil
	}
	return b, open, nil
}

func (c classic) OpenRequest(private, sealed []byte) ([]byte, func([]byte) ([]byte, error), error) {
	bad := func(err error) ([]byte, func([]byte) ([]byte, error), error) {
		return nil, nil, fmt.Errorf("suite: open login: %w", err)
	}
	login, err := parseClassicKeys(private)
	if err != nil {
		return bad(err)
	}
	r, n, err := frame.ParseLoginRecord(sealed)
	if err != nil || n > len(sealed) || r.Kind != frame.LoginKey || len(sealed) > MaxLogin {
		return bad(ErrMalformed)
	}
	var keys classicKeyBody
	if err := unmarshal(r.Body, &keys); err != nil {
		return bad(err)
	}
	number, err := login.rsa.private(keys.Key)
	if err != nil {
		return bad(err)
	}
	if number[0] != 1 {
		return bad(ErrForged)
	}
	key := deriveClassic(number)
	request, rest, err := openLoginData(&key, saltRequest, sealed[n:])
	if err != nil {
		return bad(err)
	}
	if len(rest) > 0 {
		return bad(ErrMalformed)
	}
	seal := func(reply []byte) ([]byte, error) { return appendLoginData(nil, &key, saltReply, reply), nil }
	return request, seal, nil
}

func appendLoginData(b []byte, key *[32]byte, salt uint32, plain []byte) []byte {
	sealed := protect(aesClassic(key), salt, 0, bytes.Clone(plain))
	return frame.LoginRecord{Kind: frame.LoginData, Body: sealed}.Append(b)
}

func openLoginData(key *[32]byte, salt uint32, b []byte) (plain, rest []byte, err error) {
	r, n, err := frame.ParseLoginRecord(b)
	if err != nil || n > len(b) || r.Kind != frame.LoginData {
		return nil, nil, ErrMalformed
	}
	plain, err = unprotect(aesClassic(key), salt, 0, bytes.Clone(r.Body))
	return plain, b[n:], err
}
