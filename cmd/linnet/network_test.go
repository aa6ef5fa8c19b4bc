package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/suite"
)

// A testNetwork is a whole network on loopback, with passwords that are cheap to try.
type testNetwork struct {
	t      testing.TB
	home   string
	invite *suite.Invite
	opts   node.NetworkOptions
}

// newNetwork makes a network; nothing runs yet.
func newNetwork(t testing.TB, supernodes int, registration suite.Registration) *testNetwork {
	t.Helper()
	addrs, err := loopbackAddrs(t.Context(), 1+supernodes)
	if err != nil {
		t.Fatal(err)
	}
	n := &testNetwork{t: t, home: t.TempDir(), opts: node.NetworkOptions{
		Name: "test", Registration: registration, Password: suite.PasswordParams{Time: 1, Memory: 64, Threads: 1},
		LoginServer: addrs[0], Supernodes: addrs[1:],
	}}
	if n.invite, err = node.CreateNetwork(t.Context(), n.home, n.opts); err != nil {
		t.Fatal(err)
	}
	return n
}

// run starts all of it in this process.
func (n *testNetwork) run() *testNetwork {
	n.t.Helper()
	x := inProcess(n.t, "network", "run", "--home", n.home)
	x.says("Login server on")
	for range n.opts.Supernodes {
		x.says("Supernode on")
	}
	return n
}

func (n *testNetwork) loginServerHome() string { return filepath.Join(n.home, node.LoginServerHome) }

// A person has a node of her own.
type person struct {
	t    testing.TB
	name string
	home string
	up   *terminal
	with launch
	args []string // of `linnet up`, to start it again
}

const testPassword = "correct horse"

// computer starts a node on which nobody is signed in.
func (n *testNetwork) computer(t testing.TB, name string, with launch, flags ...string) *person {
	t.Helper()
	return n.computerIn(t, t.TempDir(), name, with, flags...)
}

// computerIn does so in a home directory that is there.
func (n *testNetwork) computerIn(t testing.TB, home, name string, with launch, flags ...string) *person {
	t.Helper()
	p := &person{t: t, name: name, home: home, with: with}
	p.args = append([]string{"up", "--home", p.home, "--join", n.invite.String(), "--listen", "127.0.0.1:0"}, flags...)
	p.start()
	return p
}

func (p *person) start() {
	p.t.Helper()
	p.up = p.with(p.t, p.args...)
	p.up.says("Network test")
	eventually(p.t, "the node of "+p.name+" answers", func() bool { return p.do("status").code == 0 })
}

// person has an account, and is online when it returns.
func (n *testNetwork) person(t testing.TB, name string, with launch, flags ...string) *person {
	t.Helper()
	p := n.computer(t, name, with, flags...)
	p.register()
	return p
}

// register makes an account, and waits until its owner is online.
func (p *person) register() {
	p.t.Helper()
	p.do("register", p.name, "--password-file", passwordFile(p.t, testPassword)).succeeds()
	p.online()
}

func passwordFile(t testing.TB, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// do runs a command against the node.
func (p *person) do(args ...string) *terminal {
	p.t.Helper()
	return do(p.t, append(args, "--home", p.home)...)
}

// begin is do for a command that takes its time.
func (p *person) begin(args ...string) *terminal {
	return inProcess(p.t, append(args, "--home", p.home)...)
}

func (p *person) status() (s linnet.Status) {
	p.t.Helper()
	unmarshal(p.t, p.do("status", "--json").succeeds(), &s)
	return s
}

func (p *person) history() (list []linnet.CallRecord) {
	p.t.Helper()
	unmarshal(p.t, p.do("history", "--json").succeeds(), &list)
	return list
}

func unmarshal(t testing.TB, x *terminal, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(x.stdout.String()), v); err != nil {
		t.Fatalf("linnet %s: %v in %q", strings.Join(x.args, " "), err, &x.stdout)
	}
}

func (p *person) online() {
	p.t.Helper()
	eventually(p.t, p.name+" is online", func() bool { return p.status().Online })
}

// finds waits until the directory shows somebody online.
func (p *person) finds(name string) {
	p.t.Helper()
	eventually(p.t, p.name+" finds "+name, func() bool {
		var l linnet.Listing
		time.Sleep(250 * time.Millisecond) // a supernode answers five a second
		x := p.do("lookup", name, "--json")
		return x.code == 0 && json.Unmarshal([]byte(x.stdout.String()), &l) == nil && l.Online
	})
}

// rings waits for a call that rings here.
func (p *person) rings() {
	p.t.Helper()
	eventually(p.t, "it rings at "+p.name+"'s", func() bool {
		calls := p.status().Calls
		return len(calls) == 1 && calls[0].Incoming && calls[0].State == linnet.CallRinging
	})
}

// hadCalls wants the outcomes of the history, the newest first, and nothing else in it.
func (p *person) hadCalls(outcomes ...linnet.Outcome) {
	p.t.Helper()
	var list []linnet.CallRecord
	eventually(p.t, p.name+"'s calls are over", func() bool {
		list = p.history()
		open := func(r linnet.CallRecord) bool { return r.Ended.IsZero() }
		return len(list) >= len(outcomes) && !slices.ContainsFunc(list, open) && len(p.status().Calls) == 0
	})
	if len(list) != len(outcomes) {
		p.t.Errorf("%s's history has %d calls, want %d: %+v", p.name, len(list), len(outcomes), list)
		return
	}
	for i, r := range list {
		if r.Outcome != outcomes[i] {
			p.t.Errorf("%s's history: call %d is %s, want %s", p.name, i, r.Outcome, outcomes[i])
		}
	}
}

// befriend lets calls between two go directly.
func befriend(a, b *person) {
	a.t.Helper()
	a.do("contacts", "add", b.name).succeeds()
	b.do("contacts", "add", a.name).succeeds()
}

// inviteText is an invite to the network for one person, good until expires.
func (n *testNetwork) inviteText(expires time.Time) string {
	n.t.Helper()
	invite, err := node.CreateInvite(n.t.Context(), n.loginServerHome(), 1, expires)
	if err != nil {
		n.t.Fatal(err)
	}
	return invite.String()
}

// The whole path of an operator and a new user, by the commands of docs/operating.md.
func TestNetworkOfOnesOwn(t *testing.T) {
	home, alice := t.TempDir(), t.TempDir()
	made := do(t, "network", "create", "birds", "--home", home, "--address", "127.0.0.1", "--port", portsInARow(t, 3), "--supernodes", "2", "--no-run", "--json").succeeds()
	var answer struct{ Invite string }
	unmarshal(t, made, &answer)
	if _, err := suite.ParseInvite(answer.Invite); err != nil {
		t.Fatal(err)
	}
	do(t, "network", "create", "birds", "--home", home).fails(2, "there is a network", "another --home")

	// A node that is started with the network, or before it, waits for it.
	up := inProcess(t, "up", "--home", alice, "--join", answer.Invite)
	up.says("Listening on")
	server := inProcess(t, "login-server", "--home", filepath.Join(home, "login-server"))
	super := inProcess(t, "supernode", "--home", filepath.Join(home, "supernode"))
	second := inProcess(t, "supernode", "--home", filepath.Join(home, "supernode-2"))
	up.says("Network birds. Nobody is signed in")
	do(t, "register", "alice", "--home", alice, "--password-file", passwordFile(t, testPassword)).succeeds()
	up.says("Online.")
	for _, x := range []*terminal{up, server, super, second} {
		x.end()
		if x.code != 0 {
			t.Errorf("linnet %s: exit code %d after Ctrl-C: %s", strings.Join(x.args, " "), x.code, &x.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(home, "supernode-3")); err == nil {
		t.Error("there is a third supernode")
	}
}

// A classic network is made with a warning.
func TestClassicNetwork(t *testing.T) {
	t.Parallel()
	made := do(t, "network", "create", "museum", "--suite", "classic", "--home", t.TempDir(), "--address", "127.0.0.1", "--port", portsInARow(t, 2), "--no-run").succeeds()
	if !strings.Contains(made.stderr.String(), "WARNING: a classic network is for study and protects nobody.") {
		t.Errorf("no warning: %s", &made.stderr)
	}
	made = do(t, "network", "create", "birds", "--home", t.TempDir(), "--address", "127.0.0.1", "--port", portsInARow(t, 2), "--no-run").succeeds()
	if strings.Contains(made.stderr.String(), "WARNING") {
		t.Errorf("a warning of a modern network: %s", &made.stderr)
	}
	do(t, "network", "create", "birds", "--suite", "rot13", "--home", t.TempDir()).fails(2, "suite", "modern")
}

// An operator adds a supernode elsewhere: its keys are made there.
func TestTicket(t *testing.T) {
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	var answer struct{ Ticket string }
	unmarshal(t, do(t, "network", "ticket", "eagle", "--home", n.home, "--json").succeeds(), &answer)
	eagle := t.TempDir()
	addrs, err := loopbackAddrs(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	super := inProcess(t, "supernode", "--home", eagle, "--join", answer.Ticket, "--address", addrs[0].String(), "--listen", addrs[0].String())
	super.says("Supernode on")
	alice := n.person(t, "alice", inProcess)
	attached := func() (list []netip.AddrPort) {
		for _, a := range alice.status().Supernodes {
			list = append(list, a.Addr)
		}
		return list
	}
	isThere := func() bool { s := alice.status(); return s.Known == 2 && len(s.Supernodes) == 2 }
	eventually(t, "alice is attached to both supernodes", isThere)
	if list := attached(); !slices.Contains(list, addrs[0]) {
		t.Errorf("attached to %v, and not to %v", list, addrs[0])
	}
	do(t, "supernode", "--home", t.TempDir(), "--join", answer.Ticket).fails(9, "used up")

	// It remembers all that it was told.
	super.end()
	super = inProcess(t, "supernode", "--home", eagle)
	super.says("Supernode on " + addrs[0].String())
	eventually(t, "alice is attached to both again", isThere)

	do(t, "supernode", "--home", t.TempDir()).fails(2, "no supernode was made", "linnet network ticket")
	do(t, "supernode", "--home", t.TempDir(), "--join", n.invite.String()).fails(9, "no ticket")
	do(t, "network", "ticket", "not a name", "--home", n.home).fails(2, "not a name")
}
