package message

import "github.com/linnet-p2p/linnet"

// MailID names an item or a removal: the first bytes of the SHA-256 of its wire form.
type MailID [16]byte

// PutMail hands an item for a mailbox, or the removal of some, to the own
// supernode, or from there to a member of the owner's slot.
type PutMail struct {
	Mail    []byte `obj:"4/0"`        // directory.Item, MailOrder or Prekey, signed by the sender or the owner
	Removal bool   `obj:"0/1,opt"`    // it is a MailOrder
	Prekey  bool   `obj:"0/2,opt"`    // it is a directory.Prekey
	Member  bool   `obj:"0/4000,opt"` // from a supernode to a member: keep it, ask nobody
}

// MailStored answers PutMail.
type MailStored struct {
	Mail   MailID `obj:"4/0"`
	Copies uint32 `obj:"0/1"` // members that have it on disk, the answerer included
}

// AskMail lists or fetches the mail of whoever signed the order.
type AskMail struct {
	Order  []byte `obj:"4/0"`        // directory.MailOrder
	Member bool   `obj:"0/4000,opt"` // from a supernode to a member: answer from your own disk
}

// MailBatch answers AskMail.
type MailBatch struct {
	Entries []MailEntry `obj:"5/0,opt"` // of a list
	Items   [][]byte    `obj:"4/1,opt"` // of a fetch: directory.Item, as many of those asked for as fit
}

// MailEntry is one item of a mailbox.
type MailEntry struct {
	Mail MailID          `obj:"4/0"`
	From linnet.UserName `obj:"3/1"`
	Time uint64          `obj:"1/2"` // of its sender, milliseconds since 1970
	Size uint32          `obj:"0/3"` // bytes
}

// OfferMail tells another member of a slot what this one has of it.
type OfferMail struct {
	Mail []MailID `obj:"4/0"`
}

// MailWanted answers OfferMail: what the other one lacks.
type MailWanted struct {
	Mail []MailID `obj:"4/0,opt"`
}

// AskPrekeys asks for the prekeys of a user's devices.
type AskPrekeys struct {
	User   linnet.UserName `obj:"3/0"`
	Member bool            `obj:"0/4000,opt"` // from a supernode to a member: answer from your own disk
}

// Prekeys answers AskPrekeys.
type Prekeys struct {
	Prekeys [][]byte `obj:"4/0,opt"` // directory.Prekey, signed by its device
}
