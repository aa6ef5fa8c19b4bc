package node

import (
	"context"
	"errors"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A postbox is a station's part in mail for those who are away.
type postbox struct {
	client *directory.MailClient
	asked  map[directory.MailTicket]func(now time.Time, d directory.MailDone)

	member  *directory.Mailbox // nil: is none
	waiting []directory.Effect // KeepMail and ForgetMail, in order
	writing bool
}

func (s *station) startMailbox(self overlay.Identity) {
	s.mail.client = directory.NewMailClient(directory.MailClientOptions{Self: self, Overlay: s.overlay, Trust: s.trust})
	s.mail.asked = make(map[directory.MailTicket]func(time.Time, directory.MailDone))
}

// ask remembers who waits for what the client was asked.
func (p *postbox) ask(ticket directory.MailTicket, then func(now time.Time, d directory.MailDone)) {
	p.asked[ticket] = then
}

// mailReceived hands commands of mail to the supernode's half.
func (s *station) mailReceived(now time.Time, e session.Received) bool {
	if s.mail.member != nil {
		return s.mail.member.Received(now, e.From, e.ID, e.Message)
	}
	switch e.Message.(type) {
	case *message.PutMail, *message.AskMail, *message.OfferMail:
		s.respond(now, e.From, e.ID, &message.Failure{Code: message.FailureUnavailable, Text: "this node keeps no mail"})
		return true
	}
	return false
}

// mailEffect carries out what the client's half wants.
func (s *station) mailEffect(now time.Time, e directory.Effect) {
	switch e := e.(type) {
	case overlay.Request:
		s.directoryRequest(now, s.mail.client, e)
	case directory.Unanswered:
		s.overlay.Doubt(now, e.Node)
	case directory.MailDone:
		then := s.mail.asked[e.Ticket]
		delete(s.mail.asked, e.Ticket)
		then(now, e)
	}
}

// mailMemberEffect carries out what the supernode's half wants.
func (s *station) mailMemberEffect(now time.Time, e directory.Effect) {
	switch e := e.(type) {
	case overlay.Request:
		s.directoryRequest(now, s.mail.member, e)
	case overlay.Respond:
		s.respond(now, e.To, e.ID, e.Message)
	case directory.Unanswered:
		s.overlay.Doubt(now, e.Node)
	case directory.KeepMail, directory.ForgetMail:
		s.mail.waiting = append(s.mail.waiting, e)
		if !s.mail.writing {
			s.writeMail()
		}
	case directory.ReadMail:
		s.readMail(e)
	}
}

// writeMail puts all that waits on disk in one transaction, outside the loop,
// and goes on with what came meanwhile.
func (s *station) writeMail() {
	batch := s.mail.waiting
	s.mail.waiting, s.mail.writing = nil, true
	changes := make([]store.MailChange, len(batch))
	for i, e := range batch {
		switch e := e.(type) {
		case directory.KeepMail:
			changes[i].Put = store.Mail{ID: e.ID, Head: e.Head, Bytes: e.Bytes}
		case directory.ForgetMail:
			for _, id := range e.IDs {
				changes[i].Forget = append(changes[i].Forget, id)
			}
		}
	}
	member := s.mail.member
	s.node.beside(func(context.Context) {
		err := s.node.store.ChangeMail(context.Background(), changes...)
		s.node.must(func(now time.Time) {
			s.mail.writing = false
			if s.node.station != s {
				return
			}
			if s.mail.member != member {
				batch = nil // whoever waits asks somebody else
			}
			if err != nil {
				s.node.warnDisk(now, "mail for others cannot be kept", err)
			}
			for _, e := range batch {
				if e, ok := e.(directory.KeepMail); ok {
					member.Kept(now, e.ID, err)
				}
			}
			if len(s.mail.waiting) > 0 {
				s.writeMail()
			}
		})
	})
}

func (s *station) readMail(e directory.ReadMail) {
	ids := make([][16]byte, len(e.IDs))
	for i, id := range e.IDs {
		ids[i] = id
	}
	member := s.mail.member
	s.node.beside(func(ctx context.Context) {
		items, err := s.node.store.Mail(ctx, ids...)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("mail for others cannot be read", "err", err)
		}
		s.node.must(func(now time.Time) { member.Read(now, e.Token, items) })
	})
}

// PutMail leaves a box for a user in his mailbox, for one of his devices or for
// any of them (zero). With the pass that he gave (MailPass), or to the own user,
// there may be many of nearly 62 KiB, else one of nearly 4 KiB. It returns when
// a majority of those who are to keep it have it on disk.
func (n *Node) PutMail(ctx context.Context, owner linnet.UserName, device linnet.NodeID, box, pass []byte) (message.MailID, error) {
	d, err := n.askMail(ctx, func(now time.Time, c *directory.MailClient) directory.MailTicket {
		return c.Put(now, owner, device, box, pass)
	})
	return d.ID, err
}

// ListMail lists what waits in the own mailbox for this device: at most 256
// items of each supernode; there may be more when these were removed.
func (n *Node) ListMail(ctx context.Context) ([]message.MailEntry, error) {
	d, err := n.askMail(ctx, func(now time.Time, c *directory.MailClient) directory.MailTicket { return c.List(now) })
	return d.Entries, err
}

// FetchMail gets items of the own mailbox, at most directory.MaxMailIDs; what
// nobody has is left out.
func (n *Node) FetchMail(ctx context.Context, ids ...message.MailID) ([]*directory.Item, error) {
	d, err := n.askMail(ctx, func(now time.Time, c *directory.MailClient) directory.MailTicket { return c.Fetch(now, ids) })
	return d.Items, err
}

// RemoveMail removes items from the own mailbox, at most directory.MaxMailIDs.
func (n *Node) RemoveMail(ctx context.Context, ids ...message.MailID) error {
	_, err := n.askMail(ctx, func(now time.Time, c *directory.MailClient) directory.MailTicket { return c.Remove(now, ids) })
	return err
}

// MailPass makes the pass with which a friend may leave more than one request.
func (n *Node) MailPass(ctx context.Context, friend linnet.UserName) (pass []byte, err error) {
	err = n.inStation(ctx, func(_ time.Time, s *station) error {
		pass, err = s.mail.client.Pass(friend)
		return err
	})
	return pass, err
}

func (n *Node) askMail(ctx context.Context, ask func(now time.Time, c *directory.MailClient) directory.MailTicket) (directory.MailDone, error) {
	done := make(chan directory.MailDone, 1)
	err := n.inStation(ctx, func(now time.Time, s *station) error {
		if s.self.User.IsNode() {
			return linnet.Errorf(linnet.CodeUsage, "only people have mail")
		}
		s.mail.ask(ask(now, s.mail.client), func(_ time.Time, d directory.MailDone) { done <- d }) // has room for one
		return nil
	})
	if err != nil {
		return directory.MailDone{}, err
	}
	d, err := await(ctx, n, done)
	if err != nil {
		return d, err
	}
	return d, mailError(d.Err)
}

// mailError puts the errors of mail into words for people.
func mailError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, directory.ErrMailFull), errors.Is(err, directory.ErrBusy):
		return &linnet.Error{Code: linnet.CodeBusy, Text: "the mailbox takes no more now", Hint: "try again later", Err: err}
	case errors.Is(err, directory.ErrNoAnswer), errors.Is(err, directory.ErrNotAttached):
		return &linnet.Error{Code: linnet.CodeNoNetwork, Text: "the mailbox gave no answer", Hint: "try again in a moment", Err: err}
	}
	return &linnet.Error{Code: linnet.CodeUsage, Text: "this mail cannot be sent: " + err.Error(), Err: err}
}
