package login

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A ticket is the token of an invite for one machine of the operator's own, such
// as a supernode elsewhere. The machine makes its keys itself and asks
// for a certificate with it, by the same request as people who register; what
// takes the place of the password is that nobody else has the ticket.
//
//	random [16]byte
//	name   [...]byte  // of the machine; it becomes "node:" + name

// CreateTicket makes a ticket for one machine, good until it is used or expires.
func (a *Accounts) CreateTicket(ctx context.Context, name string, expires time.Time) (ticket []byte, err error) {
	if err := checkMachine(name); err != nil {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: err.Error()}
	}
	ticket = make([]byte, tokenSize, tokenSize+len(name))
	rand.Read(ticket)
	ticket = append(ticket, name...)
	return ticket, a.keepToken(ctx, ticket, linnet.NodeName(name), 1, expires)
}

// TicketName is the machine that a ticket is for; an ordinary invite is for none.
func TicketName(ticket []byte) (name string, ok bool) {
	if len(ticket) <= tokenSize {
		return "", false
	}
	name = string(ticket[tokenSize:])
	return name, checkMachine(name) == nil
}

// checkMachine wants of a machine's name what is wanted of people's.
func checkMachine(name string) error {
	if user, err := linnet.ParseUserName(name); err != nil || string(user) != name {
		return fmt.Errorf("machine name %q: 3 to 32 characters: a small letter first, then small letters, digits, '.', '_' or '-'", name)
	}
	return nil
}

// Enlist gets the certificate of an operator's machine for its ticket. As with
// Register, the keys have to be on disk before.
func (c *Client) Enlist(ctx context.Context, ticket []byte, keys suite.Keys) (*Grant, error) {
	name, ok := TicketName(ticket)
	if !ok {
		return nil, ErrTicket
	}
	s, err := suite.Named(c.Descriptor.Suite)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return c.ask(ctx, s, keys, message.LoginBody{
		Action: message.ActionRegister,
		User:   linnet.NodeName(name),
		Device: name,
		Token:  ticket,
	})
}

// enlist certifies the machine that a ticket is for.
func (s *Server) enlist(ctx context.Context, now time.Time, c claim, ticket []byte, known bool) ([]byte, error) {
	return s.issue(ctx, now, c, func(p period) (uint64, error) {
		p.newDevices = 0
		return s.accounts.enlist(ctx, c, ticket, known, p)
	})
}
