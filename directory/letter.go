package directory

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

// A Letter is what one device says to a user whose devices may be away: signed by
// the sender's device inside a box for prekeys of the receiver's (suite.Seal). It
// goes into mailboxes, or straight to a device.
//
//	4/0 certificate   3/1 to   4/2 id   0/3 kind   1/4 time, milliseconds since 1970   4/5 content
//
// Who opens it cannot pass it on as if it were for somebody else: the receiver's
// name is signed. The id is random and seen by nobody else, so that whoever says it
// back has opened the letter.
type Letter struct {
	To      linnet.UserName
	ID      LetterID
	Kind    LetterKind
	Time    time.Time
	Content []byte

	// From, Sender and Signing are the certificate's, known once the letter was opened.
	From    linnet.UserName
	Sender  linnet.NodeID
	Signing []byte // the sender's key
}

// LetterID tells letters apart.
type LetterID [16]byte

// NewLetterID draws a LetterID.
func NewLetterID() (id LetterID) {
	rand.Read(id[:])
	return id
}

// LetterKind says whom a letter is for on the device that opens it.
type LetterKind uint32

// The kinds.
const (
	LetterContact LetterKind = 1 // package presence
	LetterChat    LetterKind = 2 // package chat
	LetterCall    LetterKind = 3 // call.Word
)

type letterBody struct {
	Certificate []byte          `obj:"4/0"`
	To          linnet.UserName `obj:"3/1"`
	ID          LetterID        `obj:"4/2"`
	Kind        uint32          `obj:"0/3"`
	Time        uint64          `obj:"1/4"`
	Content     []byte          `obj:"4/5"`
}

var errReceiver = errors.New("it is for somebody else")

// Seal signs the letter and seals it for devices.
func (l *Letter) Seal(s suite.SealSuite, self overlay.Identity, prekeys ...[]byte) ([]byte, error) {
	b, err := suite.SignBody(self.Keys, suite.ForLetter, &letterBody{
		self.Certificate, l.To, l.ID, uint32(l.Kind), uint64(l.Time.UnixMilli()), l.Content,
	})
	if err == nil {
		b, err = suite.Seal(s, suite.ForLetter, b, prekeys...)
	}
	if err != nil {
		return nil, fmt.Errorf("letter: %w", err)
	}
	return b, nil
}

// OpenLetter opens a box, and checks whom the letter is for, its sender's
// certificate as it was at the letter's time, and its signature.
func OpenLetter(s suite.SealSuite, t overlay.Trust, to linnet.UserName, box []byte, private func(suite.PrekeyID) []byte, now time.Time) (*Letter, error) {
	l, err := openLetter(s, t, to, box, private, now)
	if err != nil {
		return nil, fmt.Errorf("letter: %w", err)
	}
	return l, nil
}

func openLetter(s suite.SealSuite, t overlay.Trust, to linnet.UserName, box []byte, private func(suite.PrekeyID) []byte, now time.Time) (*Letter, error) {
	b, err := suite.Unseal(s, suite.ForLetter, box, private)
	if err != nil {
		return nil, err
	}
	body, at, cert, err := openDated(t, b, suite.ForLetter, func(body *letterBody) (at time.Time, certificate []byte, err error) {
		if body.To != to {
			return at, nil, errReceiver
		}
		at, err = mailTime(body.Time, now, MailKeepFor)
		return at, body.Certificate, err
	})
	if err != nil {
		return nil, err
	}
	return &Letter{
		To: body.To, ID: body.ID, Kind: LetterKind(body.Kind), Time: at, Content: body.Content,
		From: cert.User, Sender: cert.NodeID(), Signing: cert.Signing,
	}, nil
}
