package main

import (
	"fmt"

	"github.com/linnet-p2p/linnet"
)

type holdCmd struct {
	Call string `arg:"" optional:"" help:"Which call; default: the only one that can be."`
}

func (c *holdCmd) Run(p *program) error {
	return p.onCall(c.Call, "held", func(c linnet.CallInfo) bool {
		return c.State == linnet.CallActive || c.State == linnet.CallHeld && !c.HeldHere
	},
		func(id linnet.CallID) error { return p.node().Hold(p.ctx, id, true) })
}

type resumeCmd struct {
	Call string `arg:"" optional:"" help:"Which call; default: the only one on hold."`
}

func (c *resumeCmd) Run(p *program) error {
	return p.onCall(c.Call, "taken back", func(c linnet.CallInfo) bool { return c.HeldHere },
		func(id linnet.CallID) error { return p.node().Hold(p.ctx, id, false) })
}

type transferCmd struct {
	To      transferToCmd      `cmd:"" help:"Offer the other end of a call to call somebody else instead."`
	Connect transferConnectCmd `cmd:"" help:"Offer the other ends of your two calls to talk with each other."`
	Accept  transferAcceptCmd  `cmd:"" help:"Call whom the other end of your call hands you over to."`
	Decline transferDeclineCmd `cmd:"" help:"Go on talking instead."`
}

type transferToCmd struct {
	User string `arg:"" help:"Who is to be called."`
	Call string `help:"Which call; default: the only one." placeholder:"CALL"`
}

func (c *transferToCmd) Run(p *program) error {
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	return p.onCall(c.Call, "handed over", answered, func(id linnet.CallID) error {
		return p.node().Transfer(p.ctx, id, linnet.TransferTo{User: user})
	})
}

type transferConnectCmd struct {
	Call string `arg:"" help:"Who is in this call calls."`
	With string `arg:"" help:"Who is in this one takes it."`
}

func (c *transferConnectCmd) Run(p *program) error {
	with, err := callID(c.With)
	if err != nil {
		return err
	}
	return p.onCall(c.Call, "handed over", answered, func(id linnet.CallID) error {
		return p.node().Transfer(p.ctx, id, linnet.TransferTo{With: &with})
	})
}

type transferAcceptCmd struct {
	sound
	Call string `arg:"" optional:"" help:"Which call; default: the one that is handed over."`
}

func (c *transferAcceptCmd) Run(p *program) error {
	m, err := c.media()
	if err != nil {
		return err
	}
	node := p.node()
	return p.onCall(c.Call, "handed over", handedOver, func(id linnet.CallID) error {
		f, err := follow(p.ctx, node)
		if err != nil {
			return err
		}
		defer f.stop()
		if id, err = node.AnswerTransfer(p.ctx, id, true, m); err != nil {
			return err
		}
		return p.finish(node, f, id)
	})
}

type transferDeclineCmd struct {
	Call string `arg:"" optional:"" help:"Which call; default: the one that is handed over."`
}

func (c *transferDeclineCmd) Run(p *program) error {
	return p.onCall(c.Call, "handed over", handedOver, func(id linnet.CallID) error {
		_, err := p.node().AnswerTransfer(p.ctx, id, false, linnet.CallMedia{})
		return err
	})
}

func answered(c linnet.CallInfo) bool {
	return c.State == linnet.CallActive || c.State == linnet.CallHeld
}

func handedOver(c linnet.CallInfo) bool {
	return c.Transfer != nil && !c.Transfer.Mine && c.Transfer.State == linnet.TransferAsked
}

func callID(s string) (linnet.CallID, error) { return argument(linnet.ParseCallID(s)) }

// onCall does something to the call that is named, or to the only one that fits.
func (p *program) onCall(named, done string, fits func(linnet.CallInfo) bool, do func(linnet.CallID) error) error {
	if named != "" {
		id, err := callID(named)
		if err != nil {
			return err
		}
		return do(id)
	}
	s, err := p.node().Status(p.ctx)
	if err != nil {
		return err
	}
	var ids []linnet.CallID
	for _, c := range s.Calls {
		if fits(c) {
			ids = append(ids, c.ID)
		}
	}
	switch len(ids) {
	case 0:
		return linnet.Errorf(linnet.CodeNotFound, "there is no call that can be %s", done)
	case 1:
		return do(ids[0])
	}
	return &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("there are %d calls that can be %s", len(ids), done),
		Hint: "name one; `linnet status` lists them"}
}

// transferNews is what there is to say about a transfer, or nothing.
func transferNews(c *linnet.CallInfo) string {
	t := c.Transfer
	if t == nil {
		return ""
	}
	if !t.Mine {
		if t.State == linnet.TransferAsked {
			return fmt.Sprintf("%s offers to put you through to %s: `linnet transfer accept`, or `linnet transfer decline`.", c.Peer, t.To)
		}
		return ""
	}
	switch t.State {
	case linnet.TransferAsked:
		return fmt.Sprintf("%s is asked to call %s.", c.Peer, t.To)
	case linnet.TransferAccepted:
		return fmt.Sprintf("%s calls %s.", c.Peer, t.To)
	case linnet.TransferDeclined:
		return fmt.Sprintf("%s does not want to be put through to %s.", c.Peer, t.To)
	case linnet.TransferFailed:
		return fmt.Sprintf("%s could not reach %s: %s.", c.Peer, t.To, t.Outcome)
	}
	return ""
}
