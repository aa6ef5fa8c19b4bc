// Package suite holds the network's secrets: the cryptography of a network
// (its suite), certificates, the network descriptor and the invite link.
//
// A network's descriptor names its suite, and nothing is negotiated, so nothing
// can be downgraded. The package opens no socket and reads no clock. It keeps
// no accounts either: whom to issue a certificate to is for package login to say.
//
// # What is signed
//
// Certificates, heads, login keys, descriptors, and the records of other
// packages travel as {4/0 body, 4/1 signature}. The body is an object list,
// whose ids stand at the structs of this package, and the signature is over
// its exact bytes. The outer list must be in its shortest form, so that a
// signed thing has one form only. Certificates of the classic suite are the
// exception: their form is the old network's.
//
//	invite ──fingerprint──▶ root key ──▶ descriptor ──▶ login key ──▶ certificates, heads, keys of the day
//	                                                                      └──▶ device key ──▶ records
package suite

import (
	"crypto/cipher"

	"github.com/linnet-p2p/linnet"
)

// A Suite is the cryptography of one network: prove a password and get a
// certificate; sign and verify; agree on a session; protect packets.
type Suite interface {
	Name() string // as in the descriptor

	// NewKeys makes a device's key pairs.
	NewKeys() (Keys, error)
	// NewAuthorityKeys makes those of a new network.
	NewAuthorityKeys() (root, login Keys, err error)
	// CheckKeys says whether public keys have the form of a device's.
	CheckKeys(PublicKeys) error
	// ParseKeys reads what Keys.Marshal wrote.
	ParseKeys([]byte) (Keys, error)
	// Verify checks a signature made by Keys.Sign for the same purpose.
	Verify(signing []byte, p Purpose, msg, sig []byte) error

	LoginSuite
	SessionSuite
	SealSuite

	// openCertificate reads what certify made with the login key.
	openCertificate(login, b []byte) (*Certificate, error)
}

// Keys are the secrets of one device; they are made on it and never leave it.
type Keys interface {
	Public() PublicKeys
	Sign(p Purpose, msg []byte) ([]byte, error)
	Marshal() []byte // secret: for the device's own database only

	// certify signs a certificate in the form of the suite; see Issue.
	certify(*Certificate) ([]byte, error)
}

// PublicKeys are the halves that everybody may know.
type PublicKeys struct {
	Signing   []byte
	Agreement []byte
}

// A Purpose is signed along with every message, so that a signature for one
// purpose proves nothing for another. It has at most 255 bytes.
type Purpose string

// The purposes.
const (
	ForDescriptor  Purpose = "linnet/1 descriptor"
	ForLoginKey    Purpose = "linnet/1 daily login key"
	ForHead        Purpose = "linnet/1 daily head"
	ForCertificate Purpose = "linnet/1 certificate"
	ForLogin       Purpose = "linnet/1 login request"
	ForEntry       Purpose = "linnet/1 supernode entry"
	ForRecord      Purpose = "linnet/1 device record"
	ForAbsence     Purpose = "linnet/1 absence of a record"
	ForCard        Purpose = "linnet/1 card"
	ForMail        Purpose = "linnet/1 mail"
	ForMailOrder   Purpose = "linnet/1 mail order"
	ForMailPass    Purpose = "linnet/1 mail pass"
	ForPrekey      Purpose = "linnet/1 prekey"
	ForLetter      Purpose = "linnet/1 letter"
	ForNotice      Purpose = "linnet/1 presence"
	ForReferral    Purpose = "linnet/1 referral"
)

// LoginSuite proves a password to the login servers, over a channel that only
// they can read.
type LoginSuite interface {
	// Verifier is what the password becomes before it leaves the device, and Lock
	// what the login server keeps of that. At least one of them is slow and
	// memory-hungry by design.
	Verifier(password string, network linnet.NetworkID, user linnet.UserName, p PasswordParams) []byte
	Lock(salt, verifier []byte, p PasswordParams) []byte

	// DailyKeys says whether requests are sealed to a key of the day. If not, they
	// are sealed to the login key itself, whose private half is Keys.Marshal.
	DailyKeys() bool
	// NewLoginKey makes the key pair of one day.
	NewLoginKey() (public, private []byte, err error)
	// SealRequest seals a request to the login servers' key of the day; open
	// reads the reply.
	SealRequest(public, request []byte) (sealed []byte, open func(reply []byte) ([]byte, error), err error)
	// OpenRequest is the server's half; seal seals the reply.
	OpenRequest(private, sealed []byte) (request []byte, seal func(reply []byte) ([]byte, error), err error)
}

// PasswordParams is the cost of Verifier or Lock (Argon2id, RFC 9106).
type PasswordParams struct {
	Time    uint32 `obj:"0/0,opt"` // passes; default 3
	Memory  uint32 `obj:"0/1,opt"` // KiB; default 64 MiB
	Threads uint32 `obj:"0/2,opt"` // default 4
}

// SessionSuite agrees on the keys of a session between two devices, of which
// the initiator knows the responder's agreement key.
type SessionSuite interface {
	// Initiate begins with an encrypted payload for the responder; finish takes
	// the reply. An error of finish changes nothing: anybody can send a forged
	// reply, and the true one may still come.
	Initiate(b Binding, own Keys, peer []byte, payload []byte) (msg []byte, finish func(reply []byte) (payload []byte, t *Traffic, err error), err error)
	// Respond reads the first message; peer is the initiator's agreement key,
	// which the certificate in the payload has to match. reply ends the
	// exchange; it may be left uncalled.
	Respond(b Binding, own Keys, msg []byte) (payload, peer []byte, reply func(payload []byte) (msg []byte, t *Traffic, err error), err error)

	// Upgrade gives keys that also depend on a fresh post-quantum exchange
	// between the same two devices, in three messages inside the session. Both
	// ends have to mean the same current keys. Suites without such a step return
	// a nil first message.
	Upgrade(now *Traffic, own Keys, peer []byte) (first []byte, second func(msg []byte) (third []byte, t *Traffic, err error), err error)
	// AnswerUpgrade is the other half.
	AnswerUpgrade(now *Traffic, own Keys, peer []byte, first []byte) (second []byte, third func(msg []byte) (t *Traffic, err error), err error)

	// AEAD protects session packets under one key and salt of a Traffic.
	AEAD(key *[32]byte, salt uint32) (cipher.AEAD, error)

	// HelloOverhead is how much longer the message of Initiate is than its payload,
	// at the most, and PacketOverhead the same of session packets, exactly.
	HelloOverhead() int
	PacketOverhead() int
}

// A Binding ties a key agreement to a network and to the responder that the
// initiator means.
type Binding struct {
	Network   linnet.NetworkID
	Responder linnet.NodeID
}

// Traffic is what a key agreement yields: a key for each direction, and a hash
// of the whole exchange that both ends share and later steps build on.
type Traffic struct {
	Send, Receive         [32]byte
	SendSalt, ReceiveSalt uint32 // of the classic suite, whose keys are one
	Hash                  [32]byte
}
