package main

import (
	"context"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
)

type pingCmd struct {
	User        string `arg:"" help:"User name."`
	Count       int    `help:"How many pings." default:"10"`
	UntilDirect bool   `help:"Stop at the first direct path, and fail if there was none."`
}

// pingPause is between two pings, pingWait for one.
const (
	pingPause = time.Second
	pingWait  = 10 * time.Second
)

// pinging is what the command prints for programs.
type pinging struct {
	User     linnet.UserName `json:"user"`
	Sent     int             `json:"sent"`
	Received int             `json:"received"`
	Direct   bool            `json:"direct"` // the last path is
	Pongs    []linnet.Pong   `json:"pongs"`
}

func (c *pingCmd) Run(p *program) error {
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	if c.Count < 1 {
		return linnet.Errorf(linnet.CodeUsage, "--count %d: at least one", c.Count)
	}
	all := pinging{User: user, Pongs: []linnet.Pong{}}
	for all.Sent < c.Count && (!c.UntilDirect || !all.Direct) {
		if all.Sent > 0 {
			select {
			case <-time.After(pingPause):
			case <-p.ctx.Done():
				return p.ctx.Err()
			}
		}
		all.Sent++
		var pong linnet.Pong
		if pong, err = p.ping(user); err != nil {
			if code := linnet.CodeOf(err); code != linnet.CodeNoAnswer && code != linnet.CodeTooSoon {
				return err
			}
			if all.Received > 0 || all.Sent < c.Count { // else it is the outcome
				p.tell("%v", err)
			}
			continue
		}
		all.Received++
		all.Direct = pong.Path.Direct()
		all.Pongs = append(all.Pongs, pong)
		if !p.flags.JSON {
			fmt.Fprintf(p.stdout, "pong from %s (%s) by %s in %.1f ms\n", pong.User, pong.Node.Short(), way(pong), pong.RTTMS)
		}
	}
	if p.flags.JSON {
		if err := p.printJSON(all); err != nil {
			return err
		}
	}
	switch {
	case all.Received == 0:
		return err
	case c.UntilDirect && !all.Direct:
		return &linnet.Error{Code: linnet.CodeFailed, Text: "no direct path was found", Hint: "there is none to people who are not contacts of each other; `linnet netcheck` says what else stands between"}
	}
	return nil
}

func (p *program) ping(user linnet.UserName) (linnet.Pong, error) {
	ctx, cancel := context.WithTimeout(p.ctx, pingWait)
	defer cancel()
	pong, err := p.node().Ping(ctx, user)
	if err != nil && ctx.Err() != nil && p.ctx.Err() == nil {
		err = linnet.Errorf(linnet.CodeNoAnswer, "%s's device has not answered for %v", user, pingWait)
	}
	return pong, err
}

// way is a path in words.
func way(p linnet.Pong) string {
	switch {
	case p.Via != "":
		return fmt.Sprintf("%s, relay %s", p.Path, p.Via)
	case p.Addr != "":
		return fmt.Sprintf("%s, %s", p.Path, p.Addr)
	}
	return p.Path.String()
}
