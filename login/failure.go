package login

import (
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// What a login server may say, as the client returns it.
var (
	ErrTaken = &linnet.Error{Code: linnet.CodeTaken,
		Text: "this name is taken", Hint: "choose another one, or sign in if it is yours"}
	ErrPassword = &linnet.Error{Code: linnet.CodePassword,
		Text: "the name or the password is wrong", Hint: "check both; names are the same in upper and lower case, passwords are not"}
	ErrInvite = &linnet.Error{Code: linnet.CodeInvite,
		Text: "this network wants an invite, and this one is unknown, used up or expired", Hint: "ask whoever invited you for a new one"}
	ErrTicket = &linnet.Error{Code: linnet.CodeInvite,
		Text: "this is an invite for people and no ticket for a machine", Hint: "`linnet network ticket NAME` makes one on the login server's machine"}
	ErrClosed = &linnet.Error{Code: linnet.CodeClosed,
		Text: "this network takes no new accounts", Hint: "ask its operator for one"}
	// ErrRevoked is about the device's keys: they are of no use any more, new ones are.
	ErrRevoked = &linnet.Error{Code: linnet.CodeNotSignedIn,
		Text: "this device was signed out by its user or the operator", Hint: "sign in again"}
	ErrExpired = &linnet.Error{Code: linnet.CodeNotSignedIn,
		Text: "the certificate of this device has expired", Hint: "sign in again"}
)

// TooSoonError says that an attempt came too soon after others.
type TooSoonError struct {
	After time.Duration // from now, when to try again
}

// Error is the sentence of Unwrap.
func (e *TooSoonError) Error() string { return e.Unwrap().Error() }

// Unwrap is the error for people.
func (e *TooSoonError) Unwrap() error {
	return &linnet.Error{Code: linnet.CodeTooSoon, Text: "too many attempts", Hint: fmt.Sprintf("try again in %v", e.After)}
}

// refusal is a failure on its way from where it is found to the answer.
type refusal struct {
	code  uint32
	text  string
	after time.Duration
}

func (r *refusal) Error() string { return r.text }

// refuse makes a refusal without a delay.
func refuse(code uint32, format string, args ...any) *refusal {
	return &refusal{code: code, text: fmt.Sprintf(format, args...)}
}

// result is the refusal as it travels.
func (r *refusal) result() *message.LoginResult {
	return &message.LoginResult{
		Failure:    &message.Failure{Code: r.code, Text: r.text},
		RetryAfter: uint32((r.after + time.Second - 1) / time.Second),
	}
}

// explain is what the client makes of a refusal.
func explain(m *message.LoginResult) error {
	f := m.Failure
	switch f.Code {
	case message.FailureTaken:
		return ErrTaken
	case message.FailurePassword:
		return ErrPassword
	case message.FailureInvite:
		return ErrInvite
	case message.FailureClosed:
		return ErrClosed
	case message.FailureRevoked:
		return ErrRevoked
	case message.FailureDenied:
		return ErrExpired
	case message.FailureTooMany:
		return &TooSoonError{After: time.Duration(max(m.RetryAfter, 1)) * time.Second}
	case message.FailureClock:
		return &linnet.Error{Code: linnet.CodeClock, Text: f.Text, Hint: "set the clock, best by NTP, and try again"}
	}
	return linnet.Errorf(linnet.CodeFailed, "the login server says: %s", f.Text)
}
