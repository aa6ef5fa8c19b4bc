package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
)

type cardCmd struct {
	Show     cardShowCmd     `cmd:"" default:"1" help:"Show your card, and whether the network has it."`
	Set      cardSetCmd      `cmd:"" help:"Publish a card, or change what yours says. Everybody on the network can find it."`
	Withdraw cardWithdrawCmd `cmd:"" help:"Take your card out of the white pages at once."`
}

type cardShowCmd struct{}

func (*cardShowCmd) Run(p *program) error {
	s, err := p.node().Card(p.ctx)
	if err != nil {
		return err
	}
	return p.printCard(s)
}

type cardSetCmd struct {
	Name     *string `help:"Your name, as people call you; up to 64 bytes." placeholder:"NAME"`
	City     *string `help:"Up to 48 bytes, as the next two." placeholder:"CITY"`
	Country  *string `help:"Your country." placeholder:"COUNTRY"`
	Language *string `help:"What you speak." placeholder:"LANGUAGE"`
	About    *string `help:"Anything by which you want to be found; up to 200 bytes." placeholder:"TEXT"`
}

func (c *cardSetCmd) Run(p *program) error {
	s, err := p.node().Card(p.ctx)
	if err != nil {
		return err
	}
	var card linnet.Card
	if s.Card != nil {
		card = *s.Card
	}
	given := false
	for _, x := range []struct {
		to   *string
		from *string
	}{{&card.Name, c.Name}, {&card.City, c.City}, {&card.Country, c.Country}, {&card.Language, c.Language}, {&card.About, c.About}} {
		if x.from != nil {
			*x.to, given = strings.TrimSpace(*x.from), true
		}
	}
	if !given {
		return &linnet.Error{Code: linnet.CodeUsage, Text: "there is nothing to put on the card", Hint: "see `linnet card set --help`"}
	}
	if s, err = p.node().PublishCard(p.ctx, card); err != nil {
		return err
	}
	p.tell("Everybody on the network can find this now, by your user name and each word. `linnet card withdraw` ends it at once.")
	return p.printCard(s)
}

type cardWithdrawCmd struct{}

func (*cardWithdrawCmd) Run(p *program) error {
	s, err := p.node().WithdrawCard(p.ctx)
	if err != nil {
		return err
	}
	p.tell("Nobody finds a card of yours any more. Your user name can still be looked up.")
	if p.flags.JSON {
		return p.printJSON(s)
	}
	return nil
}

func (p *program) printCard(s linnet.CardStatus) error {
	return p.print(s, func(w *tabwriter.Writer) {
		if s.Card == nil {
			fmt.Fprintln(w, "You have no card in the white pages. `linnet card set --name NAME` publishes one.")
		} else {
			for _, x := range []struct{ name, text string }{
				{"name", s.Card.Name}, {"city", s.Card.City}, {"country", s.Card.Country}, {"language", s.Card.Language}, {"about", s.Card.About},
			} {
				if x.text != "" {
					fmt.Fprintf(w, "%s\t%s\n", x.name, x.text)
				}
			}
		}
		switch {
		case s.Known && !s.Published.IsZero():
			fmt.Fprintf(w, "network\tknows since %s\n", s.Published.Local().Format(time.DateTime))
		case s.Known:
			fmt.Fprintf(w, "network\tknew when this node started\n")
		case s.Card != nil:
			fmt.Fprintf(w, "network\tdoes not know yet\n")
		case s.Withdrawn:
			fmt.Fprintf(w, "network\tdoes not know yet that it is withdrawn\n")
		}
		if len(s.Crowded) > 0 {
			fmt.Fprintf(w, "not found by\t%s: too many words begin alike\n", strings.Join(s.Crowded, ", "))
		}
		if s.Trouble != "" {
			fmt.Fprintf(w, "trouble\t%s\n", s.Trouble)
		}
	})
}
