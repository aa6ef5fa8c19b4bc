package linnet

import (
	"errors"
	"fmt"
)

// An Error is one that people meet: what went wrong, and what to do about it.
type Error struct {
	Code Code
	Text string // what went wrong, one sentence without a full stop
	Hint string // what to do, or empty
	Err  error  // for operators
}

// Error is the sentence, the hint, and the cause.
func (e *Error) Error() string {
	s := e.Text
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	if e.Err != nil {
		s += " (" + e.Err.Error() + ")"
	}
	return s
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without a hint.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// A Code is what callers branch on. Its text is stable: scripts see it in JSON,
// and each has an exit code of the program (see cmd/linnet).
type Code string

// The codes.
const (
	CodeFailed      Code = "failed"
	CodeUsage       Code = "usage"
	CodeNotRunning  Code = "not-running" // no node answers on the local socket
	CodeNoNetwork   Code = "no-network"  // no supernode or login server can be reached
	CodeNotSignedIn Code = "not-signed-in"
	CodePassword    Code = "wrong-password" // or unknown user: they look alike
	CodeTooSoon     Code = "too-soon"       // too many attempts
	CodeTaken       Code = "name-taken"
	CodeInvite      Code = "bad-invite"
	CodeClosed      Code = "registration-closed"
	CodeClock       Code = "wrong-clock" // this machine's, by more than five minutes
	CodeNotFound    Code = "not-found"
	CodeOffline     Code = "offline"
	CodeBusy        Code = "busy"
	CodeRejected    Code = "rejected"
	CodeNoAnswer    Code = "no-answer"
	CodeLost        Code = "lost"
	CodeBadFile     Code = "bad-file"
	CodeDisk        Code = "disk"
	CodeInUse       Code = "in-use" // address or directory
)

// CodeOf finds the Code of an error; others are CodeFailed.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeFailed
}
