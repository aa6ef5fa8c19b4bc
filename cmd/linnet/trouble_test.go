package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media/sample"
	"github.com/linnet-p2p/linnet/suite"
)

// What goes wrong for people: one line that says what and what to do, the exit
// code of docs/operating.md, and exactly one outcome in each history.

func speech(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "speech.ogg")
	if err := os.WriteFile(file, sample.Speech(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAccountTroubles(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	alice := n.person(t, "alice", inProcess)
	second := n.computer(t, "nobody", inProcess)
	good, bad := passwordFile(t, testPassword), passwordFile(t, "wrong horse")

	second.do("login", "alice", "--password-file", bad).fails(6, "the name or the password is wrong", "check both")
	second.do("login", "unknown", "--password-file", good).fails(6, "the name or the password is wrong", "check both")
	second.do("register", "alice", "--password-file", good).fails(8, "taken", "another one")
	second.do("call", "alice").fails(5, "nobody is signed in", "linnet register")
	second.do("lookup", "alice").fails(5, "nobody is signed in", "linnet login")
	alice.do("login", "alice", "--password-file", good).fails(2, "signed in on this node already", "linnet logout")
	second.do("register", "bob", "--password-file", passwordFile(t, "short")).fails(2, "at least 8 characters")
	second.do("register", "b", "--password-file", good).fails(2, "3 to 32 characters")
	second.do("register", "bob", "--password-file", filepath.Join(t.TempDir(), "none")).fails(2, "password file", "no such file")
	eventually(t, "guessing is too fast", func() bool {
		x := second.do("login", "alice", "--password-file", bad)
		if x.code == 6 {
			return false
		}
		x.fails(7, "too many attempts", "try again in")
		return true
	})
	alice.do("logout").succeeds()
	alice.do("status").succeeds()
	eventually(t, "the delay is over, and the password opens", func() bool {
		return alice.do("login", "alice", "--password-file", good).code == 0
	})
}

func TestInviteTroubles(t *testing.T) {
	n := newNetwork(t, 1, suite.RegistrationInvite).run()
	good := passwordFile(t, testPassword)
	link := n.inviteText(time.Now().Add(time.Hour))
	expires := time.Now().Add(2 * time.Second)
	late := n.inviteText(expires)

	alice := n.computer(t, "alice", inProcess) // its invite has no token
	alice.do("register", "alice", "--password-file", good).fails(9, "wants an invite", "ask whoever invited you")
	time.Sleep(time.Until(expires))
	alice.do("register", "alice", "--password-file", good, "--invite", late).fails(9, "expired", "ask whoever invited you")
	alice.do("register", "alice", "--password-file", good, "--invite", link).succeeds()
	bob := n.computer(t, "bob", inProcess)
	bob.do("register", "bob", "--password-file", good, "--invite", link).fails(9, "used up", "ask whoever invited you")

	mistyped := []byte(link)
	mistyped[20] ^= 1
	for _, wrong := range []string{string(mistyped), link[:len(link)-3]} {
		do(t, "up", "--home", t.TempDir(), "--join", wrong).fails(9, "typing mistake", "copy it again")
		bob.do("register", "bob", "--password-file", good, "--invite", wrong).fails(9, "typing mistake", "copy it again")
	}
	do(t, "up", "--home", t.TempDir(), "--join", "https://example.org").fails(9, "not an invite", `"linnet:"`)

	other := newNetwork(t, 1, suite.RegistrationOpen)
	bob.up.end()
	do(t, "up", "--home", bob.home, "--join", other.invite.String()).fails(2, "another network", "--home of its own")
}

func TestClosedNetwork(t *testing.T) {
	n := newNetwork(t, 1, suite.RegistrationClosed).run()
	n.computer(t, "alice", inProcess).do("register", "alice", "--password-file", passwordFile(t, testPassword)).fails(19, "takes no new accounts", "operator")
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen) // does not run
	do(t, "up", "--home", t.TempDir(), "--join", n.invite.String()).fails(4, "no machine of the network answers", n.opts.Supernodes[0].String(), "check the connection")
}

func TestNoNode(t *testing.T) {
	home := t.TempDir()
	for _, command := range []string{"status", "call bob", "lookup bob", "history", "contacts list", "contacts add bob", "hangup", "answer", "logout"} {
		do(t, append(strings.Fields(command), "--home", home)...).fails(3, "no node is running here", "linnet up")
	}
	for _, command := range []string{"register", "login"} {
		do(t, command, "bob", "--home", home, "--password-file", passwordFile(t, testPassword)).fails(3, "no node is running here", "linnet up")
	}
	for _, command := range []string{"login-server", "network run", "network invite", "network ticket eagle"} {
		do(t, append(strings.Fields(command), "--home", home)...).fails(2, "there is no login server", "linnet network create")
	}
}

func TestInUse(t *testing.T) {
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	alice := n.computer(t, "alice", inProcess)
	do(t, "up", "--home", alice.home).fails(18, "another linnet is using this directory", "--home")
	do(t, "up", "--home", t.TempDir(), "--listen", n.opts.LoginServer.String()).fails(18, "is used by another program", "--listen")
	do(t, "network", "run", "--home", n.home).fails(18)

	l, err := net.Listen("tcp", "127.0.0.1:0") // TCP alone is in the way, too
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	do(t, "up", "--home", t.TempDir(), "--listen", l.Addr().String()).fails(18, "is used by another program", "--listen")
}

func TestDiskTroubles(t *testing.T) {
	do(t, "up", "--home", "/proc/nowhere").fails(17)
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full:", err)
	}
	do(t, "up", "--home", t.TempDir(), "--pcap", filepath.Join(t.TempDir(), "none", "x.pcap")).fails(17, "capture file", "no such file")
}

// Of the person who calls and of the one who is called.
func TestCallsThatFail(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	alice, bob := n.person(t, "alice", inProcess), n.person(t, "bob", inProcess)
	befriend(alice, bob)
	alice.finds("bob")
	bob.finds("alice")
	play := speech(t)

	t.Run("nobody", func(t *testing.T) {
		alice.do("lookup", "nobody").fails(10, "nobody called nobody", "spelling")
		alice.do("call", "nobody").fails(10, "nobody called nobody", "spelling")
		alice.hadCalls(linnet.OutcomeNotFound)
		alice.do("call", "alice").fails(2, "alice is you", "echo123")
		alice.do("hangup").fails(10, "no call")
		alice.do("answer", "what").fails(2, "call id")
	})
	t.Run("rejected", func(t *testing.T) {
		call := alice.begin("call", "bob")
		bob.rings()
		bob.do("hangup").succeeds()
		call.fails(13, "bob declined")
		alice.hadCalls(linnet.OutcomeRejected, linnet.OutcomeNotFound)
		bob.hadCalls(linnet.OutcomeRejected)
	})
	t.Run("cancelled", func(t *testing.T) {
		call := alice.begin("call", "bob")
		bob.rings()
		alice.do("hangup").succeeds()
		call.fails(14, "cancelled before bob answered")
		call = alice.begin("call", "bob")
		bob.rings()
		call.end()
		if call.code != exitInterrupted {
			t.Errorf("Ctrl-C gives exit code %d", call.code)
		}
		alice.hadCalls(linnet.OutcomeCancelled, linnet.OutcomeCancelled, linnet.OutcomeRejected, linnet.OutcomeNotFound)
		bob.hadCalls(linnet.OutcomeMissed, linnet.OutcomeMissed, linnet.OutcomeRejected)
	})
	t.Run("files", func(t *testing.T) {
		dir := t.TempDir()
		text := filepath.Join(dir, "song.ogg")
		if err := os.WriteFile(text, []byte("la la la"), 0o600); err != nil {
			t.Fatal(err)
		}
		alice.do("call", "bob", "--play", text).fails(16, "not an Ogg file", "opusenc")
		alice.do("call", "bob", "--play", filepath.Join(dir, "none.ogg")).fails(16, "none.ogg", "no such file")
		alice.do("call", "bob", "--record", filepath.Join(dir, "none", "x.ogg")).fails(17, "cannot be written", "no such file")
		if _, err := os.Stat("/dev/full"); err == nil {
			alice.do("call", "bob", "--record", "/dev/full").fails(17, "/dev/full cannot be written", "disk is full")
		}
		if got := len(alice.history()); got != 4 {
			t.Errorf("calls that were never made are in the history: %d", got)
		}
		call := alice.begin("call", "bob")
		bob.rings()
		bob.do("answer", "--play", text).fails(16, "not an Ogg file", "opusenc")
		bob.do("answer", "--record", filepath.Join(dir, "none", "x.ogg")).fails(17, "cannot be written")
		bob.rings() // still: he can try again
		bob.do("hangup").succeeds()
		call.fails(13)
	})
	t.Run("busy", func(t *testing.T) {
		carol := n.person(t, "carol", inProcess)
		carol.finds("bob")
		first := alice.begin("call", "bob", "--play", play)
		bob.rings()
		answer := bob.begin("answer")
		answer.says("Talking with alice")
		waiting := carol.begin("call", "bob")
		waiting.says("beside another call of bob's")
		bob.do("calls", "waiting", "off").succeeds()
		waiting.end()
		carol.do("call", "bob").fails(12, "bob takes no call now", "later")
		carol.hadCalls(linnet.OutcomeBusy, linnet.OutcomeCancelled)
		bob.do("hangup", answerable(bob)).succeeds()
		first.succeeds()
		answer.succeeds()
		bob.hadCalls(linnet.OutcomeBusy, linnet.OutcomeMissed, linnet.OutcomeCompleted, linnet.OutcomeRejected,
			linnet.OutcomeMissed, linnet.OutcomeMissed, linnet.OutcomeRejected)
	})
	t.Run("offline", func(t *testing.T) {
		bob.up.end() // he says good-bye to the directory
		alice.do("call", "bob").fails(11, "bob is not online")
		alice.hadCalls(linnet.OutcomeOffline, linnet.OutcomeCompleted, linnet.OutcomeRejected,
			linnet.OutcomeCancelled, linnet.OutcomeCancelled, linnet.OutcomeRejected, linnet.OutcomeNotFound)
	})
}

// answerable is the call that goes on.
func answerable(p *person) string {
	p.t.Helper()
	for _, c := range p.status().Calls {
		if c.State == linnet.CallActive {
			return c.ID.String()
		}
	}
	p.t.Fatalf("%s is in no call", p.name)
	return ""
}

// A disk that fills up ends the recording and not the call; the command says so
// when the call is over.
func TestDiskFullDuringCall(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "8k")
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	alice, bob := n.person(t, "alice", inProcess), n.person(t, "bob", inProcess)
	befriend(alice, bob)
	alice.finds("bob")
	call := alice.begin("call", "bob", "--play", speech(t), "--seconds", "4")
	bob.rings()
	record := filepath.Join(dir, "heard.ogg")
	bob.begin("answer", "--record", record).fails(17, "recording "+record+" stopped", "the disk is full")
	call.succeeds()
	alice.hadCalls(linnet.OutcomeCompleted)
	bob.hadCalls(linnet.OutcomeCompleted)
	if packets, err := opusPackets(record); err != nil || len(packets) == 0 {
		t.Errorf("what was recorded before: %d packets, %v", len(packets), err)
	}
}

// smallDisk is a file system that a test can fill.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("a small disk cannot be mounted here:", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	return dir
}

// fill leaves no byte of a disk free, and gives what frees it again.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() { os.Remove(name) }
}

// The disks of machines fill up while they run, and get room again.
func TestDiskFullAtHome(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen)
	full := smallDisk(t, "64k")
	fill(t, full)
	do(t, "up", "--home", filepath.Join(full, "home"), "--join", n.invite.String()).fails(17, "disk is full")
	do(t, "network", "create", "birds", "--home", filepath.Join(full, "network"), "--no-run").fails(17, "disk is full")

	disk := smallDisk(t, "4m")
	n.run()
	alice, bob := n.person(t, "alice", inProcess), n.computerIn(t, disk, "bob", inProcess)
	bob.register()
	befriend(alice, bob)
	alice.finds("bob")
	free := fill(t, disk)
	bob.do("contacts", "add", "carol").fails(17, "disk is full")
	alice.do("call", "bob").fails(13) // it could ring again after a crash, if it did now
	alice.hadCalls(linnet.OutcomeRejected)
	call := bob.begin("call", "alice") // that he can, and hears afterwards that it was not written down
	alice.rings()
	answer := alice.begin("answer")
	call.says("Talking with alice")
	alice.do("hangup").succeeds()
	answer.succeeds()
	call.fails(17, "history", "disk is full")
	alice.hadCalls(linnet.OutcomeCompleted, linnet.OutcomeRejected)
	free()
	bob.do("contacts", "add", "carol").succeeds()
	bob.hadCalls()
}

// The callee's machine dies while it rings there.
func TestCalleeDiesWhileRinging(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	alice, bob := n.person(t, "alice", inProcess), n.person(t, "bob", inOwnProcess)
	befriend(alice, bob)
	alice.finds("bob")
	call := alice.begin("call", "bob")
	bob.rings()
	call.says("It rings.") // before that he is not online for alice
	bob.up.kill()
	call.fails(15, "the call with bob broke")
	alice.hadCalls(linnet.OutcomeLost)
	bob.start()
	bob.hadCalls(linnet.OutcomeMissed)
}

// A signed-in node whose supernodes are all gone says so, and says it of calls.
func TestNoSupernode(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen)
	server := inProcess(t, "login-server", "--home", n.loginServerHome())
	super := inOwnProcess(t, "supernode", "--home", filepath.Join(n.home, "supernode"))
	server.says("Login server on")
	super.says("Supernode on")
	alice := n.person(t, "alice", inProcess)
	super.kill()
	eventually(t, "alice's node notices", func() bool { return !alice.status().Online })
	alice.do("call", "bob").fails(4, "supernode", "linnet status")
	if list := alice.history(); len(list) != 0 {
		t.Errorf("a call that was not made is in the history: %+v", list)
	}
}
