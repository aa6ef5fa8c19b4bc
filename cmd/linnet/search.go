package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/linnet-p2p/linnet"
)

type searchCmd struct {
	Words []string `arg:"" help:"Words, or how they begin, that a user name or card must have: all of them."`
	Page  int      `help:"Page of 50 hits; default: 1." default:"1" placeholder:"N"`
}

func (c *searchCmd) Run(p *program) error {
	words := strings.Join(c.Words, " ")
	found, err := p.node().Search(p.ctx, words, c.Page)
	if err != nil {
		return err
	}
	err = p.print(found, func(w *tabwriter.Writer) {
		for _, h := range found.Hits {
			card := h.Card
			if card == nil {
				fmt.Fprintf(w, "%s\t(no card)\n", h.User)
				continue
			}
			var place []string
			for _, text := range []string{card.City, card.Country} {
				if text != "" {
					place = append(place, text)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.User, card.Name, strings.Join(place, ", "), card.Language, card.About)
		}
	})
	if err != nil {
		return err
	}
	if found.More {
		p.tell("There are more: --page %d.", c.Page+1)
	}
	if found.Partial {
		p.tell("Too few supernodes answered: somebody may be missing. Try again in a moment.")
	}
	if len(found.Hits) == 0 && !found.More {
		return &linnet.Error{Code: linnet.CodeNotFound, Text: fmt.Sprintf("nobody was found by %q", words), Hint: "who has no card is found by the whole user name only"}
	}
	return nil
}
