package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
)

type doctorCmd struct{}

// Run looks through the node that runs, or with its sockets where none does.
func (*doctorCmd) Run(p *program) error {
	list := p.examine()
	list = append(list, firewall(os.DirFS("/"), rulesOfThisMachine(p.ctx), list))
	sick := 0
	for _, f := range list {
		if f.State == linnet.VerdictBad {
			sick++
		}
	}
	err := p.print(list, func(w *tabwriter.Writer) {
		for _, f := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.State, f.About, f.Text)
			if f.Do != "" {
				fmt.Fprintf(w, "\t\t-> %s\n", f.Do)
			}
		}
	})
	if err == nil && sick > 0 {
		err = &linnet.Error{Code: linnet.CodeFailed, Text: fmt.Sprintf("%d of %d looks found something wrong", sick, len(list)), Hint: "do what the lines marked bad say"}
	}
	return err
}

func (p *program) examine() []linnet.Finding {
	const about = "node"
	list, err := p.node().Examine(p.ctx)
	if err == nil {
		findings := append([]linnet.Finding{{About: about, State: linnet.VerdictGood, Text: "runs"}}, list...)
		if s, err := p.node().Status(p.ctx); err == nil && s.NAT != nil {
			findings = append(findings, linnet.Finding{About: "calls", State: linnet.VerdictGood, Text: meaning(s.NAT)})
		}
		return findings
	}
	if linnet.CodeOf(err) != linnet.CodeNotRunning {
		return []linnet.Finding{finding(about, err, "stop `linnet up` and start it again")}
	}
	stopped := linnet.Finding{About: about, State: linnet.VerdictBad, Text: "does not run: nobody can call", Do: "start it with `linnet up`"}
	if _, err := os.Stat(filepath.Join(p.home(), "linnet.db")); errors.Is(err, fs.ErrNotExist) {
		stopped.Text, stopped.Do = "there is none in "+p.home(), "make one with `linnet up --join INVITE`"
		return []linnet.Finding{stopped}
	}
	list, err = node.Examine(p.ctx, node.Options{Home: p.home(), Log: p.log, Version: version})
	switch {
	case linnet.CodeOf(err) == linnet.CodeInUse: // by a server, which has no local socket
		return []linnet.Finding{{About: about, State: linnet.VerdictUnknown, Text: "a supernode or another program uses " + p.home(), Do: "ask its /readyz (--metrics), or stop it first"}}
	case err != nil:
		return []linnet.Finding{stopped, finding("disk", err, "check the directory and its disk")}
	}
	return slices.Insert(list, 0, stopped)
}

// finding is an error as one.
func finding(about string, err error, do string) linnet.Finding {
	f := linnet.Finding{About: about, State: linnet.VerdictBad, Text: err.Error(), Do: do}
	if e, ok := errors.AsType[*linnet.Error](err); ok {
		f.Text, f.Do = e.Text, cmp.Or(e.Hint, do)
	}
	return f
}
