package directory

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Bounds of mail.
const (
	MaxItem      = 62 << 10 // bytes of an item's wire form: with its command it fits into one of 64 KiB
	maxRequest   = 4 << 10  // of one from a stranger
	MaxMailIDs   = 64       // in an order
	maxMailOrder = 4 << 10  // bytes
	maxPass      = 1 << 10

	MailKeepFor = 30 * 24 * time.Hour // since the item's time
)

// An Item is something sealed for a user who is away, signed by the device that
// sends it. Of what is in the box the mailbox knows nothing.
//
//	4/0 certificate   3/1 owner   4/2 the device that it is for, if for one
//	1/3 time, milliseconds since 1970   4/4 box   4/5 MailPass, if the sender has one
type Item struct {
	Certificate []byte
	Owner       linnet.UserName
	Device      linnet.NodeID // zero: any of the owner's
	Time        time.Time
	Box         []byte
	Pass        []byte

	// From and Sender are the certificate's; Contact says that the pass is good. Known once the item was opened.
	ID      message.MailID
	From    linnet.UserName
	Sender  linnet.NodeID
	Contact bool

	raw []byte
}

type itemBody struct {
	Certificate []byte          `obj:"4/0"`
	Owner       linnet.UserName `obj:"3/1"`
	Device      linnet.NodeID   `obj:"4/2,opt"`
	Time        uint64          `obj:"1/3"`
	Box         []byte          `obj:"4/4"`
	Pass        []byte          `obj:"4/5,opt"`
}

// Errors of mail.
var (
	ErrItemSize = fmt.Errorf("an item has at most %d bytes, one from a stranger %d", MaxItem, maxRequest)
	errMailTime = errors.New("it is past its time, or comes from the future")
	errOwner    = errors.New("no such owner of a mailbox")
	errOrder    = errors.New("not an order")
	errPass     = errors.New("the pass is not good")
)

// mailIDOf is the name of a wire form.
func mailIDOf(b []byte) message.MailID {
	h := sha256.Sum256(b)
	return message.MailID(h[:len(message.MailID{})])
}

// Sign gives the item's wire form.
func (i *Item) Sign(k suite.Keys) ([]byte, error) {
	b, err := suite.SignBody(k, suite.ForMail, &itemBody{
		i.Certificate, i.Owner, i.Device, uint64(i.Time.UnixMilli()), i.Box, i.Pass,
	})
	if err != nil {
		return nil, fmt.Errorf("item: %w", err)
	}
	if len(b) > MaxItem || len(i.Pass) == 0 && len(b) > maxRequest {
		return nil, ErrItemSize
	}
	return b, nil
}

// RequestRoom is how large the box of a request may be that a device with this
// certificate leaves with a stranger.
func RequestRoom(certificate []byte) int { return maxRequest - len(certificate) - requestRest }

// requestRest is more than an item has besides certificate and box: a signature of
// 128 bytes, a name, a NodeID, a time, and what is around them.
const requestRest = 128 + 32 + 16 + 8 + 40

// OpenItem reads an item and checks its sender's certificate, as it was at the
// item's time, its signature, its pass and its bounds.
func OpenItem(t overlay.Trust, b []byte, now time.Time) (*Item, error) {
	i, err := openItem(t, b, now)
	if err != nil {
		return nil, fmt.Errorf("item: %w", err)
	}
	return i, nil
}

func openItem(t overlay.Trust, b []byte, now time.Time) (*Item, error) {
	if len(b) > MaxItem {
		return nil, ErrItemSize
	}
	body, at, cert, err := openDated(t, b, suite.ForMail, func(body *itemBody) (time.Time, []byte, error) {
		at, err := mailTime(body.Time, now, MailKeepFor)
		if owner, ownerErr := linnet.ParseUserName(string(body.Owner)); err == nil && (ownerErr != nil || owner != body.Owner || owner.IsNode()) {
			err = errOwner
		}
		return at, body.Certificate, err
	})
	if err != nil {
		return nil, err
	}
	i := &Item{
		Certificate: body.Certificate, Owner: body.Owner, Device: body.Device, Time: at, Box: body.Box, Pass: body.Pass,
		ID: mailIDOf(b), From: cert.User, Sender: cert.NodeID(), raw: b,
	}
	switch {
	case cert.User == body.Owner: // his other devices
		i.Contact = true
	case len(body.Pass) > 0:
		if err := openPass(t, body.Pass, at, body.Owner, cert.User); err != nil {
			return nil, err
		}
		i.Contact = true
	case len(b) > maxRequest:
		return nil, ErrItemSize
	}
	return i, nil
}

// mailTime reads a time that has to lie within keep of now.
func mailTime(ms uint64, now time.Time, keep time.Duration) (time.Time, error) {
	if ms > uint64(now.Add(maxSkew).UnixMilli()) || ms < uint64(now.Add(-keep).UnixMilli()) {
		return time.Time{}, errMailTime
	}
	return time.UnixMilli(int64(ms)), nil
}

type passBody struct {
	Certificate []byte          `obj:"4/0"`
	Friend      linnet.UserName `obj:"3/1"`
}

// MailPass is a user's word that a friend may leave more than one request in his
// mailbox, signed by one of his devices and good as long as its certificate:
//
//	4/0 certificate   3/1 friend
func MailPass(self overlay.Identity, friend linnet.UserName) ([]byte, error) {
	b, err := suite.SignBody(self.Keys, suite.ForMailPass, &passBody{self.Certificate, friend})
	if err != nil {
		return nil, fmt.Errorf("pass: %w", err)
	}
	return b, nil
}

func openPass(t overlay.Trust, b []byte, at time.Time, owner, friend linnet.UserName) error {
	if len(b) > maxPass {
		return errPass
	}
	var body passBody
	cert, err := t.Open(b, at, suite.ForMailPass, &body, func() []byte { return body.Certificate })
	if err != nil || cert.User != owner || body.Friend != friend {
		return errPass
	}
	return nil
}

// MailAction is what an order wants.
type MailAction uint32

// The actions.
const (
	MailList   MailAction = iota
	MailFetch             // the items of these ids
	MailRemove            // they are not wanted any more
)

// A MailOrder is what the owner of a mailbox wants of it, signed by one of his
// devices. It concerns items for that device, and for any of his.
//
//	4/0 certificate   0/1 action   4/2 id, up to 64 times   1/3 time, milliseconds since 1970
type MailOrder struct {
	Certificate []byte
	Action      MailAction
	IDs         []message.MailID
	Time        time.Time

	// Known once the order was opened.
	ID    message.MailID
	Owner linnet.UserName
	Node  linnet.NodeID

	raw []byte
}

type orderBody struct {
	Certificate []byte           `obj:"4/0"`
	Action      uint32           `obj:"0/1"`
	IDs         []message.MailID `obj:"4/2,opt"`
	Time        uint64           `obj:"1/3"`
}

// Sign gives the order's wire form.
func (o *MailOrder) Sign(k suite.Keys) ([]byte, error) {
	b, err := suite.SignBody(k, suite.ForMailOrder, &orderBody{o.Certificate, uint32(o.Action), o.IDs, uint64(o.Time.UnixMilli())})
	if err != nil {
		return nil, fmt.Errorf("mail order: %w", err)
	}
	return b, nil
}

// OpenMailOrder reads an order and checks it. A list or fetch is good for as long
// as clocks may differ; a removal as long as what it removes may be somewhere.
func OpenMailOrder(t overlay.Trust, b []byte, now time.Time) (*MailOrder, error) {
	o, err := openMailOrder(t, b, now)
	if err != nil {
		return nil, fmt.Errorf("mail order: %w", err)
	}
	return o, nil
}

func openMailOrder(t overlay.Trust, b []byte, now time.Time) (*MailOrder, error) {
	if len(b) > maxMailOrder {
		return nil, errOrder
	}
	body, at, cert, err := openDated(t, b, suite.ForMailOrder, func(body *orderBody) (time.Time, []byte, error) {
		keep := maxSkew
		if MailAction(body.Action) == MailRemove {
			keep = MailKeepFor
		}
		at, err := mailTime(body.Time, now, keep)
		if err == nil && (body.Action > uint32(MailRemove) || len(body.IDs) > MaxMailIDs || (len(body.IDs) == 0) != (MailAction(body.Action) == MailList)) {
			err = errOrder
		}
		return at, body.Certificate, err
	})
	if err != nil {
		return nil, err
	}
	return &MailOrder{
		Certificate: body.Certificate, Action: MailAction(body.Action), IDs: body.IDs, Time: at,
		ID: mailIDOf(b), Owner: cert.User, Node: cert.NodeID(), raw: b,
	}, nil
}
