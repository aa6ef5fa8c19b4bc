package message

import "github.com/linnet-p2p/linnet"

// Login carries a LoginRequest, signed and sealed to the day's key of the
// login servers.
type Login struct {
	Key    uint32 `obj:"0/0"` // which of the descriptor's daily keys
	Sealed []byte `obj:"4/1"`
}

// LoginReply carries a LoginResult, sealed under the exported secret of the request.
type LoginReply struct {
	Sealed []byte `obj:"4/1"`
}

// LoginRequest is what Login seals: Signed is the bytes of a LoginBody.
type LoginRequest struct {
	Signed    []byte `obj:"4/0"`
	Signature []byte `obj:"4/1"` // by the device's signing key, over the network's id and Signed
}

// LoginBody asks for an account or a certificate.
type LoginBody struct {
	Action    uint32          `obj:"0/0"` // ActionRegister, ...
	User      linnet.UserName `obj:"3/1"`
	Verifier  []byte          `obj:"4/2,opt"` // suite.Verifier of the password; none when renewing
	Time      uint64          `obj:"1/3"`     // milliseconds since 1970
	Nonce     []byte          `obj:"4/4"`     // 16 bytes
	Signing   []byte          `obj:"4/5"`
	Agreement []byte          `obj:"4/6"`
	Device    string          `obj:"3/7"`
	Token     []byte          `obj:"4/8,opt"` // of an invite
	Expiring  []byte          `obj:"4/9,opt"` // the certificate to renew
}

// Actions of a LoginBody.
const (
	ActionRegister = 1
	ActionLogin    = 2
	ActionRenew    = 3
)

// LoginResult is what LoginReply seals.
type LoginResult struct {
	Certificate []byte   `obj:"4/0,opt"`
	Failure     *Failure `obj:"5/1,opt"`
	RetryAfter  uint32   `obj:"0/2,opt"` // seconds
	Head        []byte   `obj:"4/3,opt"` // the authority's daily head
}

// AskDescriptor asks for the network's descriptor; Fingerprint is the invite's.
type AskDescriptor struct {
	Fingerprint []byte `obj:"4/0"`
}

// DescriptorIs answers AskDescriptor.
type DescriptorIs struct {
	Descriptor []byte `obj:"4/0"` // suite.Descriptor, signed by the root key
	Head       []byte `obj:"4/1,opt"`
}
