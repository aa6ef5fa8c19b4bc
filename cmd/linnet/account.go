package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
)

// account is what registering and signing in ask for.
type account struct {
	User         string `arg:"" help:"User name: 3 to 32 letters, digits, '.', '_' or '-', a letter first."`
	PasswordFile string `help:"Read the password from the first line of this file; '-' is standard input." placeholder:"FILE"`
	Device       string `help:"What to call this device." placeholder:"NAME"`
	Invite       string `help:"An invite with a token, where the network wants one for each account." placeholder:"LINK"`
}

type registerCmd struct {
	account
}

func (c *registerCmd) Run(p *program) error {
	cred, err := c.credentials(p, true)
	if err != nil {
		return err
	}
	if err := p.node().Register(p.ctx, cred); err != nil {
		return err
	}
	p.tell("%s is yours; this device is signed in.", cred.User)
	return nil
}

type loginCmd struct {
	account
}

func (c *loginCmd) Run(p *program) error {
	cred, err := c.credentials(p, false)
	if err != nil {
		return err
	}
	if err := p.node().Login(p.ctx, cred); err != nil {
		return err
	}
	p.tell("This device is signed in as %s.", cred.User)
	return nil
}

type logoutCmd struct{}

func (*logoutCmd) Run(p *program) error {
	if err := p.node().Logout(p.ctx); err != nil {
		return err
	}
	p.tell("This device is signed out.")
	return nil
}

func (a *account) credentials(p *program, fresh bool) (linnet.Credentials, error) {
	user, err := userName(a.User)
	if err != nil {
		return linnet.Credentials{}, err
	}
	c := linnet.Credentials{User: user, Device: a.Device}
	if a.Invite != "" {
		invite, err := suite.ParseInvite(a.Invite)
		if err != nil {
			return c, &linnet.Error{Code: linnet.CodeInvite, Text: err.Error()}
		}
		c.Token = invite.Token
	}
	c.Password, err = p.password(a.PasswordFile, fresh)
	return c, err
}

// password asks at a terminal, twice for a new one, and otherwise reads a line.
func (p *program) password(file string, fresh bool) (string, error) {
	in := p.stdin
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("the password file cannot be read: %v", err)}
		}
		defer f.Close()
		in = f
	}
	tty, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return checkPassword(strings.TrimRight(line, "\r\n"))
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(p.stderr, prompt)
		b, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(p.stderr)
		return string(b), err
	}
	first, err := ask("Password: ")
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if fresh {
		again, err := ask("The same again: ")
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if again != first {
			return "", linnet.Errorf(linnet.CodeUsage, "the two passwords differ; nothing was done")
		}
	}
	return checkPassword(first)
}

// minPassword is the shortest password taken, in characters.
const minPassword = 8

func checkPassword(s string) (string, error) {
	if len([]rune(s)) < minPassword {
		return "", &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("a password has at least %d characters", minPassword),
			Hint: "give it on standard input, at the prompt or, where there is one, with --password-file"}
	}
	return s, nil
}

func userName(s string) (linnet.UserName, error) { return argument(linnet.ParseUserName(s)) }

// argument is what an argument says; what cannot be is a mistake of the command line.
func argument[T any](v T, err error) (T, error) {
	if err != nil {
		err = &linnet.Error{Code: linnet.CodeUsage, Text: err.Error()}
	}
	return v, err
}
