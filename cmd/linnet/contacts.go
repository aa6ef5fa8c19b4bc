package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/linnet-p2p/linnet"
)

type contactsCmd struct {
	List    contactsListCmd    `cmd:"" default:"1" help:"List your contacts, and who asks to be one."`
	Add     contactsAddCmd     `cmd:"" help:"Ask somebody to be a contact: you see each other's presence, and calls may go directly."`
	Accept  contactsAcceptCmd  `cmd:"" help:"Say yes to somebody who asks."`
	Decline contactsDeclineCmd `cmd:"" help:"Say no to somebody who asks."`
	Block   contactsBlockCmd   `cmd:"" help:"Notice nothing of somebody any more; to them you are offline."`
	Unblock contactsUnblockCmd `cmd:"" help:"End that."`
	Remove  contactsRemoveCmd  `cmd:"" help:"Take somebody off the list; they are told."`
}

type contactsListCmd struct{}

func (*contactsListCmd) Run(p *program) error {
	list, err := p.node().Contacts(p.ctx)
	if err != nil {
		return err
	}
	return p.print(list, func(w *tabwriter.Writer) {
		for _, c := range list {
			how := c.State.String()
			switch c.State {
			case linnet.Approved:
				how = c.Presence.String()
			case linnet.Asking:
				how = "asks to be a contact"
			case linnet.Asked:
				how = "asked, has not answered"
			}
			words := c.Mood
			if c.Message != "" {
				words = fmt.Sprintf("%q", c.Message)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.User, c.Name, how, words)
		}
	})
}

type contactsAddCmd struct {
	User    string `arg:"" help:"User name."`
	Name    string `help:"What you call them." placeholder:"NAME"`
	Message string `help:"What to say with the request." placeholder:"TEXT"`
}

func (c *contactsAddCmd) Run(p *program) error {
	return p.aboutUser(c.User, func(ctx context.Context, user linnet.UserName) error {
		return p.node().AddContact(ctx, linnet.Contact{User: user, Name: c.Name, Message: c.Message})
	}, "%s is on your list, and is asked. `linnet contacts` shows what they say.")
}

// aboutUser does something about somebody, and says so.
func (p *program) aboutUser(name string, do func(ctx context.Context, user linnet.UserName) error, words string) error {
	user, err := userName(name)
	if err != nil {
		return err
	}
	if err := do(p.ctx, user); err != nil {
		return err
	}
	p.tell(words, user)
	return nil
}

type contactsAcceptCmd struct {
	User string `arg:"" help:"User name."`
}

func (c *contactsAcceptCmd) Run(p *program) error {
	return p.aboutUser(c.User, func(ctx context.Context, user linnet.UserName) error { return p.node().AnswerContact(ctx, user, true) },
		"%s is your contact.")
}

type contactsDeclineCmd struct {
	User string `arg:"" help:"User name."`
}

func (c *contactsDeclineCmd) Run(p *program) error {
	return p.aboutUser(c.User, func(ctx context.Context, user linnet.UserName) error { return p.node().AnswerContact(ctx, user, false) },
		"%s is told no.")
}

type contactsBlockCmd struct {
	User string `arg:"" help:"User name."`
}

func (c *contactsBlockCmd) Run(p *program) error {
	return p.aboutUser(c.User, func(ctx context.Context, user linnet.UserName) error { return p.node().BlockContact(ctx, user, true) },
		"%s is blocked, and is not told.")
}

type contactsUnblockCmd struct {
	User string `arg:"" help:"User name."`
}

func (c *contactsUnblockCmd) Run(p *program) error {
	return p.aboutUser(c.User, func(ctx context.Context, user linnet.UserName) error { return p.node().BlockContact(ctx, user, false) },
		"%s is blocked no longer, and no contact until one of you asks.")
}

type contactsRemoveCmd struct {
	User string `arg:"" help:"User name."`
}

func (c *contactsRemoveCmd) Run(p *program) error {
	return p.aboutUser(c.User, func(ctx context.Context, user linnet.UserName) error { return p.node().RemoveContact(ctx, user) },
		"%s is off your list.")
}
