package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/linnet-p2p/linnet"
)

type contactsCmd struct {
	List   contactsListCmd   `cmd:"" default:"1" help:"List your contacts."`
	Add    contactsAddCmd    `cmd:"" help:"Add somebody: calls with them may go directly once they have added you too."`
	Remove contactsRemoveCmd `cmd:"" help:"Remove somebody."`
}

type contactsListCmd struct{}

func (*contactsListCmd) Run(p *program) error {
	list, err := p.node().Contacts(p.ctx)
	if err != nil {
		return err
	}
	return p.print(list, func(w *tabwriter.Writer) {
		for _, c := range list {
			fmt.Fprintf(w, "%s\t%s\n", c.User, c.Name)
		}
	})
}

type contactsAddCmd struct {
	User string `arg:"" help:"User name."`
	Name string `help:"What you call them." placeholder:"NAME"`
}

func (c *contactsAddCmd) Run(p *program) error {
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	if err := p.node().AddContact(p.ctx, linnet.Contact{User: user, Name: c.Name}); err != nil {
		return err
	}
	p.tell("%s is on your list. Calls can go directly once they have added you too.", user)
	return nil
}

type contactsRemoveCmd struct {
	User string `arg:"" help:"User name."`
}

func (c *contactsRemoveCmd) Run(p *program) error {
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	return p.node().RemoveContact(p.ctx, user)
}
