package message

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A ClassicLogin is what a login on a classic network says under its cipher: two
// object lists (0x41), back to back, of which the second ends with the device's
// signature. Objects of the old network keep their ids (SC, FS, SO), and those
// from 0x4000 on are what Linnet needs besides.
//
//	{0/0 code, 0/2 sequence (1), 3/4 user, 4/5 secret}
//	{4/21 modulus, 1/31 platform, 3/36 language, 6/33 five hashes of the machine, 3/D version, 0/E public address,
//	 3/4000 device, 1/4001 time, 4/4002 nonce, 4/4003 token, 4/4004 expiring certificate, 4/4005 signature}
//
// What the old network wanted to know of the machine is sent empty and not read.
type ClassicLogin struct {
	Code   uint32          // ClassicRegister, ...
	User   linnet.UserName // in lower case
	Secret []byte          // suite.Verifier of the password; none when renewing

	Modulus  []byte // of the device's key
	Device   string
	Time     uint64 // milliseconds since 1970
	Nonce    []byte // 16 bytes
	Token    []byte // of an invite; may be empty
	Expiring []byte // the certificate to renew; may be empty
}

// Codes of a ClassicLogin. Only that of a login is the old network's, whose
// accounts were made on the web.
const (
	ClassicSignIn   = 0x1399
	ClassicRegister = 0x4001
	ClassicRenew    = 0x4003
)

type classicWho struct {
	Code     uint32          `obj:"0/0"`
	Sequence uint32          `obj:"0/2"`
	User     linnet.UserName `obj:"3/4"`
	Secret   []byte          `obj:"4/5,opt"`
}

type classicMachine struct {
	Modulus   []byte `obj:"4/21"`
	Device    string `obj:"3/4000"`
	Time      uint64 `obj:"1/4001"`
	Nonce     []byte `obj:"4/4002"`
	Token     []byte `obj:"4/4003,opt"`
	Expiring  []byte `obj:"4/4004,opt"`
	Signature []byte `obj:"4/4005"`
}

// ClassicSignatureSize is the length of a ClassicLogin's signature, RSA-1024.
const ClassicSignatureSize = 128

const classicVersion = "0/1.0.0.0//" // the form of the old client's

// Unsigned is the wire form up to the signature, which covers it, and which is
// all that is missing.
func (m *ClassicLogin) Unsigned() []byte {
	b := Marshal(&classicWho{m.Code, 1, m.User, m.Secret})
	l := objlist.List{
		objlist.Blob(0x21, m.Modulus),
		objlist.Uint64(0x31, 0),
		objlist.String(0x36, "en"),
		objlist.Numbers(0x33, make([]uint32, 5)),
		objlist.String(0xd, classicVersion),
		objlist.Number(0xe, 0),
		objlist.String(0x4000, m.Device),
		objlist.Uint64(0x4001, m.Time),
		objlist.Blob(0x4002, m.Nonce),
	}
	if len(m.Token) > 0 {
		l = append(l, objlist.Blob(0x4003, m.Token))
	}
	if len(m.Expiring) > 0 {
		l = append(l, objlist.Blob(0x4004, m.Expiring))
	}
	l = append(l, objlist.Blob(0x4005, make([]byte, ClassicSignatureSize)))
	b = l.Append(b)
	return b[:len(b)-ClassicSignatureSize]
}

var errClassicLogin = errors.New("no two lists that end with a signature")

// ParseClassicLogin reads a login, and cuts it into what is signed and the signature.
func ParseClassicLogin(b []byte) (m *ClassicLogin, unsigned, signature []byte, err error) {
	_, rest, err := new(objlist.Decoder).Decode(b)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("message: classic login: %w", err)
	}
	var who classicWho
	var machine classicMachine
	if err := errors.Join(Unmarshal(b[:len(b)-len(rest)], &who), Unmarshal(rest, &machine)); err != nil {
		return nil, nil, nil, fmt.Errorf("message: classic login: %w", err)
	}
	if len(machine.Signature) != ClassicSignatureSize || !bytes.HasSuffix(b, machine.Signature) {
		return nil, nil, nil, fmt.Errorf("message: classic login: %w", errClassicLogin)
	}
	end := len(b) - ClassicSignatureSize
	return &ClassicLogin{
		Code: who.Code, User: who.User, Secret: who.Secret,
		Modulus: machine.Modulus, Device: machine.Device, Time: machine.Time, Nonce: machine.Nonce,
		Token: machine.Token, Expiring: machine.Expiring,
	}, b[:end:end], machine.Signature, nil
}

// A ClassicAnswer is what the login server says to a ClassicLogin, an object
// list (0x41).
type ClassicAnswer struct {
	Code        uint32 `obj:"0/1"`        // ClassicGranted, or that plus the code of a Failure
	Credentials []byte `obj:"4/24,opt"`   // the certificate
	Head        []byte `obj:"4/4000,opt"` // the authority's daily head
	Text        string `obj:"3/4001,opt"` // of a failure, for people
	RetryAfter  uint32 `obj:"0/4002,opt"` // seconds
}

// ClassicGranted is the code of an answer with credentials (SC, FS).
const ClassicGranted = 4200
