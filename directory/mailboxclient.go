package directory

import (
	"errors"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// MailClientOptions configures a MailClient; all of it is needed.
type MailClientOptions struct {
	Self    overlay.Identity
	Overlay Attachment
	Trust   overlay.Trust
}

// A MailClient leaves items in the mailboxes of others and empties the own one,
// through this device's supernodes.
type MailClient struct {
	machine
	o    MailClientOptions
	last MailTicket
	busy int
}

// MailTicket tells what a MailClient was asked apart.
type MailTicket uint64

// MailDone ends whatever a MailClient was asked.
type MailDone struct {
	Ticket  MailTicket
	ID      message.MailID      // of Put
	Copies  int                 // of Put and Remove: members that have it on disk
	Entries []message.MailEntry // of List
	Items   []*Item             // of Fetch: those that there are
	Prekeys []*Prekey           // of Prekeys
	Err     error
}

// Errors of MailDone, besides ErrNotAttached, ErrNoAnswer and ErrBusy.
var (
	ErrMailFull    = errors.New("the mailbox is full, or too much was asked for at once")
	ErrMailRefused = errors.New("the supernode refused the mail")
)

const (
	mailWait = 5 * time.Second // for a supernode that asks others
	maxMail  = 64              // at once
)

// NewMailClient makes a MailClient; it does nothing until it is asked to.
func NewMailClient(o MailClientOptions) *MailClient { return &MailClient{o: o} }

// Pass makes the pass that lets a friend leave mail here; see MailPass.
func (c *MailClient) Pass(friend linnet.UserName) ([]byte, error) { return MailPass(c.o.Self, friend) }

// Renew is told when the device has a new certificate.
func (c *MailClient) Renew(self overlay.Identity) { c.o.Self = self }

// Put leaves a box for a user, for one of his devices or for any (zero). With
// the pass that he gave, or to oneself, there may be more than one of up to
// MaxItem, else one request of 4 KiB. MailDone without an error says that a
// majority of the slot has it on disk.
func (c *MailClient) Put(now time.Time, owner linnet.UserName, device linnet.NodeID, box, pass []byte) MailTicket {
	i := Item{Certificate: c.o.Self.Certificate, Owner: owner, Device: device, Time: now, Box: box, Pass: pass}
	b, err := i.Sign(c.o.Self.Keys)
	return c.put(now, message.PutMail{Mail: b}, err)
}

// Remove removes items of the own mailbox, at most MaxMailIDs.
func (c *MailClient) Remove(now time.Time, ids []message.MailID) MailTicket {
	b, err := c.order(now, MailRemove, ids)
	return c.put(now, message.PutMail{Mail: b, Removal: true}, err)
}

// List asks what there is for this device. Each supernode names up to 256 items;
// there may be more when these were removed.
func (c *MailClient) List(now time.Time) MailTicket {
	c.last++
	ticket := c.last
	b, err := c.order(now, MailList, nil)
	if !c.begin(ticket, err) {
		return ticket
	}
	// Each of the own supernodes makes the union of the members; one of them may leave things out.
	union, supernodes := make(mailUnion), c.o.Overlay.Attachments()
	waiting, last := len(supernodes), error(nil)
	answered := false
	for _, node := range supernodes {
		c.request(now, node, &message.AskMail{Order: b}, mailWait, func(_ time.Time, reply message.Message) {
			if batch, ok := reply.(*message.MailBatch); ok {
				answered = true
				union.add(batch.Entries)
			} else {
				last = mailError(reply)
			}
			if waiting--; waiting > 0 {
				return
			}
			if answered {
				last = nil
			}
			c.end(MailDone{Ticket: ticket, Entries: union.entries(len(supernodes)), Err: last})
		})
	}
	return ticket
}

// Fetch gets items, at most MaxMailIDs. Those that nobody has are left out;
// what comes is verified.
func (c *MailClient) Fetch(now time.Time, ids []message.MailID) MailTicket {
	c.last++
	ticket := c.last
	if c.begin(ticket, nil) {
		c.fetch(now, &mailFetch{ticket: ticket, left: slices.Clone(ids), supernodes: c.o.Overlay.Attachments()})
	}
	return ticket
}

// mailFetch asks one supernode until it has nothing more, and then the next.
type mailFetch struct {
	ticket     MailTicket
	left       []message.MailID
	supernodes []linnet.NodeID
	items      []*Item
	answered   bool
}

func (c *MailClient) fetch(now time.Time, f *mailFetch) {
	var err error
	if !f.answered {
		err = ErrNoAnswer
	}
	if len(f.left) == 0 || len(f.supernodes) == 0 {
		c.end(MailDone{Ticket: f.ticket, Items: f.items, Err: err})
		return
	}
	b, err := c.order(now, MailFetch, f.left)
	if err != nil {
		c.end(MailDone{Ticket: f.ticket, Err: err})
		return
	}
	c.request(now, f.supernodes[0], &message.AskMail{Order: b}, 2*mailWait, func(now time.Time, reply message.Message) {
		more := false
		if batch, ok := reply.(*message.MailBatch); ok {
			f.answered = true
			for _, b := range wanted(batch.Items, f.left) {
				i, err := OpenItem(c.o.Trust, b, now)
				if at := slices.Index(f.left, mailIDOf(b)); err == nil && at >= 0 {
					f.items = append(f.items, i)
					f.left = slices.Delete(f.left, at, at+1)
					more = true
				}
			}
		}
		if !more {
			f.supernodes = f.supernodes[1:]
		}
		c.fetch(now, f)
	})
}

func (c *MailClient) order(now time.Time, action MailAction, ids []message.MailID) ([]byte, error) {
	o := MailOrder{Certificate: c.o.Self.Certificate, Action: action, IDs: ids, Time: now}
	return o.Sign(c.o.Self.Keys)
}

// put tries one supernode after the other.
func (c *MailClient) put(now time.Time, m message.PutMail, err error) MailTicket {
	c.last++
	ticket := c.last
	if c.begin(ticket, err) {
		c.putBy(now, ticket, &m, c.o.Overlay.Attachments())
	}
	return ticket
}

func (c *MailClient) putBy(now time.Time, ticket MailTicket, m *message.PutMail, supernodes []linnet.NodeID) {
	c.request(now, supernodes[0], m, mailWait, func(now time.Time, reply message.Message) {
		stored, ok := reply.(*message.MailStored)
		switch {
		case ok && stored.Mail == mailIDOf(m.Mail):
			c.end(MailDone{Ticket: ticket, ID: stored.Mail, Copies: int(stored.Copies)})
		case len(supernodes) > 1:
			c.putBy(now, ticket, m, supernodes[1:])
		default:
			c.end(MailDone{Ticket: ticket, ID: mailIDOf(m.Mail), Err: mailError(reply)})
		}
	})
}

// begin takes one of the places; what cannot begin ends at once.
func (c *MailClient) begin(ticket MailTicket, err error) bool {
	switch {
	case err != nil:
	case c.busy >= maxMail:
		err = ErrBusy
	case len(c.o.Overlay.Attachments()) == 0:
		err = ErrNotAttached
	default:
		c.busy++
		return true
	}
	c.emit(MailDone{Ticket: ticket, Err: err})
	return false
}

func (c *MailClient) end(d MailDone) {
	c.busy--
	c.emit(d)
}

func mailError(reply message.Message) error {
	f, failed := reply.(*message.Failure)
	switch {
	case reply == nil, failed && f.Code == message.FailureUnavailable:
		return ErrNoAnswer
	case failed && f.Code == message.FailureTooMany:
		return ErrMailFull
	}
	return ErrMailRefused
}
