package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
)

type chatCmd struct {
	User   string `arg:"" optional:"" help:"Whom to write with; none lists the conversations."`
	Send   string `help:"Send this, and end when it is on disk; linnet brings it there." placeholder:"TEXT"`
	Follow bool   `short:"f" help:"Print what is written from now on, until Ctrl-C; send nothing."`
	Limit  int    `help:"How many earlier messages to print at the most." default:"20"`
}

func (c *chatCmd) Run(p *program) error {
	if c.User == "" {
		return p.conversations()
	}
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	node := p.node()
	if c.Send != "" {
		id, err := node.SendMessage(p.ctx, user, c.Send, linnet.MessageID{})
		if err != nil || !p.flags.JSON {
			return err
		}
		return p.printJSON(map[string]linnet.MessageID{"message": id})
	}
	f, err := follow(p.ctx, node) // first, so that nothing is missed between
	if err != nil {
		return err
	}
	defer f.stop()
	list, err := node.Messages(p.ctx, user, linnet.MessageID{}, max(c.Limit, 1))
	if err != nil {
		return err
	}
	if p.flags.JSON && !c.Follow {
		return p.printJSON(list)
	}
	for _, m := range list {
		if err := p.printMessage(&m); err != nil {
			return err
		}
	}
	t := talk{p, node, user}
	if !p.flags.JSON {
		if err := t.read(); err != nil {
			return err
		}
	}
	if c.Follow {
		return t.follow(p.ctx, f)
	}
	return t.converse(f)
}

func (p *program) conversations() error {
	list, err := p.node().Conversations(p.ctx)
	if err != nil {
		return err
	}
	return p.print(list, func(w *tabwriter.Writer) {
		for _, c := range list {
			unread := ""
			if c.Unread > 0 {
				unread = fmt.Sprintf("%d unread", c.Unread)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.User, unread, c.Last.Sent.Local().Format(time.DateTime), shorten(linnet.Line(words(c.Last))))
		}
	})
}

// shorten is the beginning of a line.
func shorten(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// words is what a message says in a terminal.
func words(m *linnet.Message) string {
	switch {
	case !m.Deleted.IsZero():
		return "(deleted)"
	case m.Kind != linnet.TextMessage:
		return strings.TrimSpace("(" + m.Kind.String() + ") " + m.Text)
	}
	return m.Text
}

// printMessage prints a message with all of its lines under one another.
func (p *program) printMessage(m *linnet.Message) error {
	if p.flags.JSON {
		return p.printJSON(m)
	}
	var more []string
	if m.Own() && m.State < linnet.MessageDelivered {
		more = append(more, m.State.String())
	}
	if !m.Edited.IsZero() {
		more = append(more, "edited")
	}
	for _, r := range m.Reactions {
		more = append(more, fmt.Sprintf("%s: %s", r.User, r.Emoji))
	}
	tail := ""
	if more != nil {
		tail = "  [" + strings.Join(more, ", ") + "]"
	}
	head := fmt.Sprintf("%s  %s  ", m.Sent.Local().Format(time.DateTime), m.Author)
	text := strings.ReplaceAll(linnet.Lines(words(m)), "\n", "\n"+strings.Repeat(" ", len(head)))
	_, err := fmt.Fprintf(p.stdout, "%s%s%s\n", head, text, tail)
	return err
}

// talk is a conversation in the terminal.
type talk struct {
	*program
	node linnet.Client
	user linnet.UserName
}

// read says that what was printed was read.
func (t *talk) read() error { return t.node.MarkRead(t.ctx, t.user, linnet.MessageID{}) }

// follow prints what is written from now on.
func (t *talk) follow(ctx context.Context, f *follower) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, more := <-f.events:
			if !more {
				return f.lost(ctx, "what was sent is on disk, and goes on once it runs again")
			}
			if err := t.show(e); err != nil {
				return err
			}
		}
	}
}

func (t *talk) show(e linnet.Event) error {
	m := e.Message
	if m == nil || m.User != t.user {
		return nil
	}
	switch {
	case t.flags.JSON:
		return t.printJSON(m)
	case e.Kind == linnet.EventMessage && !m.Own():
		if err := t.printMessage(m); err != nil {
			return err
		}
		return t.read()
	case e.Kind == linnet.EventMessageChanged && !m.Own() && (!m.Edited.IsZero() || !m.Deleted.IsZero()):
		return t.printMessage(m)
	}
	return nil
}

// converse sends the lines of the standard input, and prints what the other side
// writes meanwhile.
func (t *talk) converse(f *follower) error {
	ctx, stop := context.WithCancel(t.ctx)
	defer stop()
	sent := make(chan error, 1)
	go func() { sent <- t.sendLines(ctx) }() // a read of the terminal cannot be ended; the program can
	shown := make(chan error, 1)
	go func() { shown <- t.follow(ctx, f) }()
	select {
	case err := <-sent:
		stop()
		return cmp.Or(err, <-shown)
	case err := <-shown:
		return err
	}
}

func (t *talk) sendLines(ctx context.Context) error {
	lines := bufio.NewScanner(t.stdin)
	lines.Buffer(nil, linnet.MaxMessage+2)
	for lines.Scan() {
		text := strings.TrimRight(lines.Text(), "\r")
		if strings.TrimSpace(text) == "" {
			continue
		}
		if _, err := t.node.SendMessage(ctx, t.user, text, linnet.MessageID{}); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil && err != io.EOF {
		return linnet.Errorf(linnet.CodeUsage, "a line cannot be sent: %v; a message has at most %d bytes", err, linnet.MaxMessage)
	}
	return nil
}
