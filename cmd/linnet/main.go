// Command linnet is the whole of Linnet in one program: the telephone, the
// supernode, the login server, and the tools. Each subcommand is a short file here;
// what they do is in the packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/linnet-p2p/linnet"
)

// version is set by the linker in released builds.
var version = "dev"

// commands is the command line. Every flag can also be set by an environment
// variable LINNET_<FLAG> and in linnet.toml (see config.go), in this order.
type commands struct {
	Home    string `help:"Keep everything of this node in this directory." placeholder:"DIR" type:"path"`
	JSON    bool   `help:"Print one JSON object or array for programs."`
	Verbose bool   `short:"v" help:"Tell on stderr what the node does."`

	Demo demoCmd `cmd:"" help:"A whole network on this machine: login server, supernodes, alice, bob, echo123."`

	Up        upCmd        `cmd:"" help:"Run your node: be reachable, make and take calls."`
	Page      pageCmd      `cmd:"" help:"Print a link that opens the node's page in a browser, once, and open it."`
	Register  registerCmd  `cmd:"" help:"Make an account and sign this device in."`
	Login     loginCmd     `cmd:"" help:"Sign this device in to an account that exists."`
	Logout    logoutCmd    `cmd:"" help:"Sign this device out."`
	Call      callCmd      `cmd:"" help:"Call somebody."`
	Answer    answerCmd    `cmd:"" help:"Take the call that rings."`
	Hangup    hangupCmd    `cmd:"" help:"End, cancel or reject a call."`
	Hold      holdCmd      `cmd:"" help:"Put a call on hold."`
	Resume    resumeCmd    `cmd:"" help:"Take a call back that is on hold; another one is held."`
	Transfer  transferCmd  `cmd:"" help:"Hand a call over to somebody else: to, connect; take or refuse that: accept, decline."`
	Chat      chatCmd      `cmd:"" help:"Write with somebody: type lines, or --send one; alone: the conversations."`
	Lookup    lookupCmd    `cmd:"" help:"Ask the directory for a user."`
	Search    searchCmd    `cmd:"" help:"Find people by words of their cards in the white pages, or by their user names."`
	Card      cardCmd      `cmd:"" help:"Your card in the white pages: show, set, withdraw."`
	Contacts  contactsCmd  `cmd:"" help:"People you know: list, add, accept, decline, block, unblock, remove."`
	Presence  presenceCmd  `cmd:"" help:"Whether you want to be called: online, away, dnd, invisible; alone: how it stands."`
	Send      sendCmd      `cmd:"" help:"Send a contact a file."`
	Files     filesCmd     `cmd:"" help:"Files you sent and were offered: list, accept, decline, pause, resume, cancel."`
	Calls     callsCmd     `cmd:"" help:"Past calls, and how you take new ones: list, waiting."`
	Voicemail voicemailCmd `cmd:"" help:"What contacts said when you did not answer: list, play, save, delete; leave one."`
	History   historyCmd   `cmd:"" help:"Past calls."`
	Status    statusCmd    `cmd:"" help:"How this node stands."`
	Volunteer volunteerCmd `cmd:"" help:"Let this machine serve as a supernode while the network needs one: on, off; alone: how that stands."`
	Netcheck  netcheckCmd  `cmd:"" help:"What stands between this node and the others, and what it means for calls."`
	Ping      pingCmd      `cmd:"" help:"How packets get to somebody, and how long they take; rings nowhere."`
	Doctor    doctorCmd    `cmd:"" help:"What keeps this node from working, and what to do: disk, network, clock, certificate, firewall."`

	Network     networkCmd     `cmd:"" help:"Start and run a network of your own."`
	LoginServer loginServerCmd `cmd:"" help:"Run a login server (the authority of a network) and echo123."`
	Supernode   supernodeCmd   `cmd:"" help:"Run a supernode: it keeps the directory, helps through NATs and relays."`

	Detect     detectCmd     `cmd:"" help:"Tell calls and signalling of the classic network from other traffic in captures."`
	Synthesise synthesiseCmd `cmd:"" help:"Write a capture of made-up calls for linnet detect, and a label for each as JSON to stdout."`
	Dissect    dissectCmd    `cmd:"" help:"Explain captured traffic, and single lists and frames."`

	Bench benchCmd `cmd:"" help:"Measure this machine and program."`

	Sim simCmd `cmd:"" help:"Simulate a network, a hundred thousand nodes and more, and the outages of 2007 and 2010."`

	Version versionCmd `cmd:"" help:"Print the version."`
}

// program is what a command gets to work with.
type program struct {
	ctx    context.Context
	flags  *commands
	stdin  io.Reader
	stdout io.Writer // data
	stderr io.Writer // people
	log    *slog.Logger
}

func main() {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		signals = append(signals, syscall.SIGHUP) // the window of the terminal was closed
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with everything it touches as arguments, for tests.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	var flags commands
	exited := -1
	parser, err := kong.New(&flags,
		kong.Name("linnet"),
		kong.Description("An open peer-to-peer telephone network. Exit codes and examples: docs/operating.md."),
		kong.DefaultEnvars("LINNET"),
		kong.Vars{"scenarios": scenarioNames()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(c int) { exited = c }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		panic(err) // the struct tags above are wrong
	}
	resolver, err := settingsFile(args)
	if err != nil {
		return report(stderr, &linnet.Error{Code: linnet.CodeUsage, Text: err.Error(), Hint: "correct or remove that line"}, false)
	}
	if err := kong.Resolvers(resolver).Apply(parser); err != nil {
		panic(err)
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		return report(stderr, &linnet.Error{Code: linnet.CodeUsage, Text: err.Error(), Hint: "see `" + command(err) + " --help`"}, false)
	}
	level := slog.LevelWarn
	if flags.Verbose {
		level = slog.LevelDebug
	}
	p := &program{
		ctx: ctx, flags: &flags, stdin: stdin, stdout: stdout, stderr: stderr,
		log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	}
	return report(stderr, parsed.Run(p), flags.Verbose)
}

// command is the one whose arguments could not be parsed.
func command(err error) string {
	if e, ok := errors.AsType[*kong.ParseError](err); ok && e.Context.Selected() != nil {
		return e.Context.Selected().FullPath()
	}
	return "linnet"
}

// report tells people what went wrong, in one line, and gives the exit code.
// The causes are for operators, who ask for them with -v.
func report(stderr io.Writer, err error, verbose bool) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	text := err.Error()
	if e, ok := errors.AsType[*linnet.Error](err); ok && !verbose {
		text = (&linnet.Error{Text: e.Text, Hint: e.Hint}).Error()
	}
	fmt.Fprintln(stderr, "linnet:", linnet.Line(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))) // others say why
	return exitCode(linnet.CodeOf(err))
}
