package message

// Hello is the first message of a session key agreement (Noise_IK, message 1).
// It is padded so that its answer is never longer.
type Hello struct {
	Noise []byte `obj:"4/0"`
}

// HelloReply is the answer (Noise_IK, message 2).
type HelloReply struct {
	Noise []byte `obj:"4/0"`
}

// HelloPayload travels encrypted inside Hello.
type HelloPayload struct {
	Certificate []byte `obj:"4/1"`
	Tag         uint32 `obj:"0/2"`     // even: the initiator wants session packets under it, media under Tag|1
	Time        uint64 `obj:"1/3"`     // milliseconds since 1970
	Commands    []byte `obj:"4/4,opt"` // first commands, back to back; replayable, so only what is idempotent
	Padding     []byte `obj:"4/efef,opt"`
}

// HelloReplyPayload travels encrypted inside HelloReply.
type HelloReplyPayload struct {
	Tag      uint32 `obj:"0/2"`
	Commands []byte `obj:"4/4,opt"`
}

// Upgrade1 to Upgrade3 replace the session's keys by ones that also depend on
// an ML-KEM-768 exchange; the same three messages rekey (suite.Upgrade).
type Upgrade1 struct {
	Body []byte `obj:"4/0"`
	Tag  uint32 `obj:"0/2"` // the sender's tags from the new keys on
}

// Upgrade2 answers Upgrade1.
type Upgrade2 struct {
	Body []byte `obj:"4/0"`
	Tag  uint32 `obj:"0/2"`
}

// Upgrade3 completes the step.
type Upgrade3 struct {
	Body []byte `obj:"4/0"`
}

// Goodbye closes a session.
type Goodbye struct {
	Reason string `obj:"3/0,opt"`
}

// Failure answers a request that could not be met.
type Failure struct {
	Code uint32 `obj:"0/0"`
	Text string `obj:"3/1"` // for people, at most 200 bytes
}

// Codes of a Failure.
const (
	FailureInvalid     = 1 // the request makes no sense
	FailureUnavailable = 2 // not here, not now
	FailureTooMany     = 3 // over a limit: later again
	FailureDenied      = 4
	FailureNotFound    = 5
	FailureTaken       = 6  // the name belongs to somebody else
	FailurePassword    = 7  // wrong password or unknown user: they look alike
	FailureInvite      = 8  // the network wants an invite; this one is unknown, used up or expired
	FailureClosed      = 9  // registration is closed
	FailureClock       = 10 // the request's time is too far from the server's
	FailureRevoked     = 11
	FailureKey         = 12 // sealed to a key of another day: ask for a newer descriptor
	FailureTooSoon     = 13 // what is allowed for an hour is used up
)
