package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/linnet-p2p/linnet"
)

type sendCmd struct {
	User string `arg:"" help:"User name of a contact."`
	File string `arg:"" help:"File to send. It has to stay as it is until it is done." type:"path"`
	Wait bool   `help:"Wait until it is done."`
}

func (c *sendCmd) Run(p *program) error {
	user, err := userName(c.User)
	if err != nil {
		return err
	}
	news, err := follow(p.ctx, p.node())
	if err != nil {
		return err
	}
	defer news.stop()
	id, err := p.node().SendFile(p.ctx, user, c.File)
	if err != nil {
		return err
	}
	if c.Wait {
		return p.awaitFile(id, news)
	}
	p.tell("%s is offered to %s; `linnet files` tells how it stands.", filepath.Base(c.File), user)
	return p.showFile(id)
}

type filesCmd struct {
	List    filesListCmd    `cmd:"" default:"1" help:"List the files that you offered and were offered."`
	Accept  filesAcceptCmd  `cmd:"" help:"Take a file that is offered."`
	Decline filesDeclineCmd `cmd:"" help:"Say no to one."`
	Pause   filesPauseCmd   `cmd:"" help:"Stop a file for a while."`
	Resume  filesResumeCmd  `cmd:"" help:"Let it go on."`
	Cancel  filesCancelCmd  `cmd:"" help:"End a file; what has come of it is deleted."`
}

type filesListCmd struct{}

func (*filesListCmd) Run(p *program) error {
	list, err := p.node().Files(p.ctx)
	if err != nil {
		return err
	}
	return p.print(list, func(w *tabwriter.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(w, "No files yet: `linnet send USER FILE` offers one.")
		}
		for _, f := range list {
			way := "to"
			if f.Incoming {
				way = "from"
			}
			fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\n", f.ID, way, f.Peer, f.Name, byteCount(f.Size), fileStands(f))
		}
	})
}

// fileStands is how a file stands, for people.
func fileStands(f linnet.File) string {
	s := f.State.String()
	switch {
	case f.State == linnet.FileOffered && f.Incoming:
		s = "offered to you"
	case f.State == linnet.FileOffered && !f.Told && f.Why != "":
		s = "waits"
	case f.State == linnet.FileOffered && !f.Told:
		s = "waits until they are online"
	case f.State == linnet.FileOffered:
		s = "they are asked"
	case f.State == linnet.FileDone && f.Incoming:
		s = f.Place
	case f.State == linnet.FileActive || f.State == linnet.FilePaused:
		if f.State == linnet.FileActive && !f.Flows {
			s = "waits for the other device"
		}
		s = fmt.Sprintf("%s, %d %%", s, percent(f))
		if f.Flows {
			s += fmt.Sprintf(", %s/s, %s", byteCount(f.BPS), f.Path)
		}
	}
	if f.Why != "" {
		s += ": " + f.Why
	}
	return linnet.Line(s)
}

func percent(f linnet.File) int64 {
	if f.Size == 0 {
		return 0
	}
	return 100 * f.Done / f.Size
}

func byteCount(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// fileArg names a file: by its id, the beginning of it, or not at all where there is
// only one that it can be.
type fileArg struct {
	ID string `arg:"" optional:"" help:"Of the file, or its beginning; not needed where there is only one."`
}

// find finds it among those that fit.
func (a fileArg) find(p *program, fits func(linnet.File) bool) (linnet.File, error) {
	list, err := p.node().Files(p.ctx)
	if err != nil {
		return linnet.File{}, err
	}
	var found []linnet.File
	for _, f := range list {
		if fits(f) && strings.HasPrefix(f.ID.String(), strings.ToLower(a.ID)) {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 0:
		return linnet.File{}, &linnet.Error{Code: linnet.CodeNotFound, Text: "there is no such file", Hint: "`linnet files` lists them"}
	case 1:
		return found[0], nil
	}
	return linnet.File{}, &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("it may be any of %d files", len(found)), Hint: "give the id that `linnet files` prints"}
}

type filesAcceptCmd struct {
	fileArg
	Wait bool `help:"Wait until it is done."`
}

func (c *filesAcceptCmd) Run(p *program) error {
	f, err := c.find(p, isOffered)
	if err != nil {
		return err
	}
	news, err := follow(p.ctx, p.node())
	if err != nil {
		return err
	}
	defer news.stop()
	if err := p.node().AnswerFile(p.ctx, f.ID, true); err != nil {
		return err
	}
	if c.Wait {
		return p.awaitFile(f.ID, news)
	}
	p.tell("%s is taken.", f.Name)
	return p.showFile(f.ID)
}

func isOffered(f linnet.File) bool { return f.Incoming && f.State == linnet.FileOffered }

type filesDeclineCmd struct{ fileArg }

func (c *filesDeclineCmd) Run(p *program) error {
	return c.about(p, isOffered, func(id linnet.FileID) error { return p.node().AnswerFile(p.ctx, id, false) }, "%s is declined.")
}

type filesPauseCmd struct{ fileArg }

func (c *filesPauseCmd) Run(p *program) error {
	return c.about(p, func(f linnet.File) bool { return !f.State.Final() && f.State != linnet.FileOffered && !f.PausedHere },
		func(id linnet.FileID) error { return p.node().PauseFile(p.ctx, id, true) }, "%s is paused.")
}

type filesResumeCmd struct{ fileArg }

func (c *filesResumeCmd) Run(p *program) error {
	return c.about(p, func(f linnet.File) bool { return f.State == linnet.FilePaused },
		func(id linnet.FileID) error { return p.node().PauseFile(p.ctx, id, false) }, "%s goes on.")
}

type filesCancelCmd struct{ fileArg }

func (c *filesCancelCmd) Run(p *program) error {
	return c.about(p, func(f linnet.File) bool { return !f.State.Final() },
		func(id linnet.FileID) error { return p.node().CancelFile(p.ctx, id) }, "%s is cancelled.")
}

// about does something about a file, and says so.
func (a fileArg) about(p *program, fits func(linnet.File) bool, do func(linnet.FileID) error, words string) error {
	f, err := a.find(p, fits)
	if err != nil {
		return err
	}
	if err := do(f.ID); err != nil {
		return err
	}
	p.tell(words, f.Name)
	return nil
}

// showFile gives programs a file as it stands.
func (p *program) showFile(id linnet.FileID) error {
	if !p.flags.JSON {
		return nil
	}
	f, err := fileArg{ID: id.String()}.find(p, func(linnet.File) bool { return true })
	if err != nil {
		return err
	}
	return p.printJSON(f)
}

// awaitFile waits until a file is over, and shows how far it is.
func (p *program) awaitFile(id linnet.FileID, news *follower) error {
	f, err := fileArg{ID: id.String()}.find(p, func(linnet.File) bool { return true })
	if err != nil {
		return err
	}
	tty, onTerminal := p.stderr.(*os.File)
	onTerminal = onTerminal && term.IsTerminal(int(tty.Fd()))
	said := ""
	for !f.State.Final() {
		if line := f.Name + ": " + fileStands(f); onTerminal {
			fmt.Fprintf(p.stderr, "\r\x1b[K%s", line)
		} else if state := f.State.String() + f.Why; state != said {
			said = state
			p.tell("%s", line)
		}
		select {
		case e, more := <-news.events:
			if !more {
				return news.lost(p.ctx, "the file goes on when it runs again")
			}
			if e.File != nil && e.File.ID == id {
				f = *e.File
			}
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
	if onTerminal {
		fmt.Fprint(p.stderr, "\r\x1b[K")
	}
	p.tell("%s: %s", f.Name, fileStands(f))
	if p.flags.JSON {
		if err := p.printJSON(f); err != nil {
			return err
		}
	}
	switch f.State {
	case linnet.FileDone:
		return nil
	case linnet.FileDeclined:
		return linnet.Errorf(linnet.CodeRejected, "%s does not want it", f.Peer)
	case linnet.FileFailed:
		return linnet.Errorf(f.Code, "%s", f.Why)
	}
	return linnet.Errorf(linnet.CodeLost, "the file was cancelled")
}
