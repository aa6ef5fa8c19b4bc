package main

import (
	"context"

	"github.com/linnet-p2p/linnet"
)

// follower listens to a node's events, from before what it is for.
type follower struct {
	events <-chan linnet.Event
	stop   context.CancelFunc
}

// follow outlives ctx, as the end of a call that Ctrl-C hung up is still to be seen.
func follow(ctx context.Context, node linnet.Client) (*follower, error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	events, err := node.Events(own)
	if err != nil {
		cancel()
		return nil, err
	}
	return &follower{events, cancel}, nil
}

const endInHistory = "`linnet history` shows how the call ended once it runs again"

// lost is why there are no more events; hint says what becomes of what they were about.
func (f *follower) lost(ctx context.Context, hint string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &linnet.Error{Code: linnet.CodeNotRunning, Text: "the node stopped", Hint: hint}
}
