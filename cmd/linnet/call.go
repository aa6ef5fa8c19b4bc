package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
)

// sound is what a call plays and keeps where there is no browser.
type sound struct {
	Play        string  `help:"Ogg/Opus file to play to the other side." placeholder:"FILE"`
	Record      string  `help:"Ogg/Opus file to record the other side to." placeholder:"FILE"`
	PlayVideo   string  `help:"IVF/VP8 file to show to the other side." placeholder:"FILE"`
	RecordVideo string  `help:"IVF/VP8 file to record what the other side shows to." placeholder:"FILE"`
	Seconds     float64 `help:"Hang up this long after the answer; 0 is at the end of --play, or of --play-video without it." placeholder:"N"`
	Stay        bool    `help:"Do not hang up then."`
}

// media makes the file names mean the same to the node, which runs elsewhere.
func (s sound) media() (m linnet.CallMedia, err error) {
	m = linnet.CallMedia{Seconds: s.Seconds, Stay: s.Stay}
	for _, f := range []struct {
		from string
		to   *string
	}{{s.Play, &m.Play}, {s.Record, &m.Record}, {s.PlayVideo, &m.PlayVideo}, {s.RecordVideo, &m.RecordVideo}} {
		if f.from == "" {
			continue
		}
		if *f.to, err = filepath.Abs(f.from); err != nil {
			return m, fmt.Errorf("file %s: %w", f.from, err)
		}
	}
	return m, nil
}

type callCmd struct {
	sound
	User      string `arg:"" help:"Whom to call."`
	Voicemail string `help:"Ogg/Opus file to leave with a contact who does not answer." placeholder:"FILE" type:"path"`
}

func (c *callCmd) Run(p *program) error {
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	m, err := c.media()
	if err != nil {
		return err
	}
	node := p.node()
	f, err := follow(p.ctx, node)
	if err != nil {
		return err
	}
	defer f.stop()
	id, err := node.Call(p.ctx, user, m)
	if err != nil {
		return err
	}
	err = p.finish(node, f, id)
	switch linnet.CodeOf(err) {
	case linnet.CodeNoAnswer, linnet.CodeOffline, linnet.CodeBusy, linnet.CodeNotFound:
		if c.Voicemail != "" && p.ctx.Err() == nil {
			p.tell("%v", err)
			return p.leaveVoicemail(user, id, c.Voicemail)
		}
	}
	return err
}

type answerCmd struct {
	sound
	Call string `arg:"" optional:"" help:"Which call; default: the one that rings, or the next one that does."`
}

func (c *answerCmd) Run(p *program) error {
	m, err := c.media()
	if err != nil {
		return err
	}
	node := p.node()
	f, err := follow(p.ctx, node)
	if err != nil {
		return err
	}
	defer f.stop()
	id, err := p.ringing(node, f, c.Call)
	if err != nil {
		return err
	}
	if err := node.Answer(p.ctx, id, m); err != nil {
		return err
	}
	return p.finish(node, f, id)
}

type hangupCmd struct {
	Call string `arg:"" optional:"" help:"Which call; default: the only one."`
}

func (c *hangupCmd) Run(p *program) error {
	node := p.node()
	if c.Call != "" {
		id, err := callID(c.Call)
		if err != nil {
			return err
		}
		return node.HangUp(p.ctx, id)
	}
	s, err := node.Status(p.ctx)
	if err != nil {
		return err
	}
	if len(s.Calls) == 0 {
		return linnet.Errorf(linnet.CodeNotFound, "there is no call to end")
	}
	if len(s.Calls) > 1 {
		return &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("there are %d calls", len(s.Calls)),
			Hint: "name the one to end; `linnet status` lists them"}
	}
	return node.HangUp(p.ctx, s.Calls[0].ID)
}

// ringing finds the call to answer, and waits for one where none rings yet.
func (p *program) ringing(node linnet.Client, f *follower, named string) (linnet.CallID, error) {
	if named != "" {
		return callID(named)
	}
	s, err := node.Status(p.ctx)
	if err != nil {
		return linnet.CallID{}, err
	}
	for _, c := range s.Calls {
		if c.Incoming && c.State == linnet.CallRinging {
			return c.ID, nil
		}
	}
	p.tell("Nobody calls yet; waiting.")
	defer context.AfterFunc(p.ctx, f.stop)() // Ctrl-C has nothing to hang up here
	for e := range f.events {
		if e.Kind == linnet.EventCallRings {
			return e.Call.ID, nil
		}
	}
	return linnet.CallID{}, f.lost(p.ctx, endInHistory)
}

// finish tells how the call goes until it ends; Ctrl-C hangs up first.
func (p *program) finish(node linnet.Client, f *follower, id linnet.CallID) error {
	interrupted := context.AfterFunc(p.ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		node.HangUp(ctx, id) // when the node is gone too, so is the call
	})
	defer interrupted()
	var told, transfer string
	var trouble error // with a file; the call goes on
	for e := range f.events {
		switch {
		case e.Kind == linnet.EventCallMerged && *e.Was == id:
			id = e.Call.ID
		case e.Kind == linnet.EventCallChanged && e.Call.ID == id && e.Call.State != linnet.CallEnded:
			if news := progress(e.Call); news != told {
				p.tell("%s", news)
				told = news
			}
			if news := transferNews(e.Call); news != transfer {
				if transfer = news; news != "" {
					p.tell("%s", news)
				}
			}
		case e.Kind == linnet.EventWarning && e.Call == nil:
			p.tell("%s", linnet.Line(e.Text))
		case e.Kind == linnet.EventWarning && e.Call.ID == id:
			trouble = &linnet.Error{Code: e.Code, Text: e.Text}
		case e.Record != nil && e.Record.ID == id:
			return cmp.Or(p.ended(e.Record), trouble)
		}
	}
	return f.lost(p.ctx, endInHistory)
}

func (p *program) ended(r *linnet.CallRecord) error {
	failure := outcomeError(r)
	if r.Outcome == linnet.OutcomeCancelled && p.ctx.Err() != nil {
		failure = p.ctx.Err() // by Ctrl-C, and not by `linnet hangup`
	}
	if failure != nil && !p.flags.JSON && r.PacketsSent+r.PacketsReceived == 0 {
		return failure // it says all there is
	}
	if err := p.print(r, func(w *tabwriter.Writer) { writeReceipt(w, r) }); err != nil {
		return err
	}
	return failure
}

func progress(c *linnet.CallInfo) string {
	switch {
	case c.State == linnet.CallLooking:
		return fmt.Sprintf("Looking for %s ...", c.Peer)
	case c.State == linnet.CallRinging && c.Incoming:
		return fmt.Sprintf("%s calls.", c.Peer)
	case c.State == linnet.CallRinging && c.Waiting:
		return fmt.Sprintf("It rings, beside another call of %s's.", c.Peer)
	case c.State == linnet.CallRinging:
		return "It rings."
	case c.HeldThere:
		return fmt.Sprintf("%s put the call on hold.", c.Peer)
	case c.State == linnet.CallHeld:
		return "On hold."
	case c.State == linnet.CallActive && c.Path == linnet.NoPath:
		return fmt.Sprintf("Talking with %s.", c.Peer)
	case c.State == linnet.CallActive:
		return fmt.Sprintf("Talking with %s (%s).", c.Peer, c.Path)
	}
	return c.State.String()
}

// writeReceipt shows people what the call was like.
func writeReceipt(w *tabwriter.Writer, r *linnet.CallRecord) {
	fmt.Fprintf(w, "%s with %s\t%s\n", r.Outcome, r.Peer, r.Talked().Round(100*time.Millisecond))
	if r.PacketsSent+r.PacketsReceived == 0 {
		return
	}
	fmt.Fprintf(w, "path\t%s\n", r.Path)
	fmt.Fprintf(w, "packets\t%d sent, %d received, %.2f %% lost\n", r.PacketsSent, r.PacketsReceived, 100*r.Loss)
	fmt.Fprintf(w, "round trip, jitter\t%.1f ms, %.1f ms\n", r.RTTMS, r.JitterMS)
	if r.MOS > 0 {
		fmt.Fprintf(w, "quality (MOS)\t%.2f of 4.5\n", r.MOS)
	}
}

// outcomeError is nil for a call that took place.
func outcomeError(r *linnet.CallRecord) error {
	failures := map[linnet.Outcome]linnet.Error{
		linnet.OutcomeMissed:    {Code: linnet.CodeNoAnswer, Text: fmt.Sprintf("%s gave up before the answer", r.Peer)},
		linnet.OutcomeNoAnswer:  {Code: linnet.CodeNoAnswer, Text: fmt.Sprintf("%s did not answer", r.Peer)},
		linnet.OutcomeCancelled: {Code: linnet.CodeNoAnswer, Text: fmt.Sprintf("the call was cancelled before %s answered", r.Peer)},
		linnet.OutcomeBusy:      {Code: linnet.CodeBusy, Text: fmt.Sprintf("%s takes no call now", r.Peer), Hint: "they talk with somebody else, do not want to be disturbed, or were called very often: try again later"},
		linnet.OutcomeRejected:  {Code: linnet.CodeRejected, Text: fmt.Sprintf("%s declined", r.Peer)},
		linnet.OutcomeOffline:   {Code: linnet.CodeOffline, Text: fmt.Sprintf("%s is not online", r.Peer)},
		linnet.OutcomeNotFound:  {Code: linnet.CodeNotFound, Text: fmt.Sprintf("nobody called %s was seen lately", r.Peer), Hint: "check the spelling"},
		linnet.OutcomeLost:      {Code: linnet.CodeLost, Text: fmt.Sprintf("the call with %s broke: their side or the network went away", r.Peer)},
		linnet.OutcomeFailed:    {Code: linnet.CodeFailed, Text: fmt.Sprintf("the call with %s failed", r.Peer), Hint: "`linnet up -v` tells more"},
	}
	if e, ok := failures[r.Outcome]; ok {
		return &e
	}
	return nil
}
