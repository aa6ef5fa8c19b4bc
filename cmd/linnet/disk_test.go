package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/suite"
)

// moveHome brings a home directory onto a small disk.
func moveHome(t *testing.T, from string) (home, disk string) {
	t.Helper()
	disk = smallDisk(t, strconv.Itoa(2*node.LeastRoom))
	home = filepath.Join(disk, "home")
	if err := os.CopyFS(home, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return home, disk
}

// readyz waits for the answer of a server that is watched.
func readyz(t *testing.T, at string, want int, words string) {
	t.Helper()
	eventually(t, "readyz: "+words, func() bool {
		status, body := get(t, at, "/readyz")
		return status == want && strings.Contains(body, words)
	})
}

// A supernode whose disk is full keeps what it has, promises nothing, says so,
// and takes up again by itself.
func TestSupernodeWithAFullDisk(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen)
	home, disk := moveHome(t, node.SupernodePath(n.home, 0))
	server := inOwnProcess(t, "login-server", "--home", n.loginServerHome())
	server.says("Login server on")
	at := "127.0.0.1:" + portsInARow(t, 1)
	start := func() *terminal {
		x := inOwnProcess(t, "supernode", "--home", home, "--metrics", at)
		x.says("Supernode on")
		return x
	}
	found := func(by *person, name string) bool {
		var l linnet.Listing
		x := by.do("lookup", name, "--json")
		if x.code == 0 {
			unmarshal(t, x, &l)
		}
		return l.Online
	}
	super := start()
	readyz(t, at, http.StatusOK, "ok")
	alice, bob := n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess)
	alice.finds("bob")
	bob.finds("alice")

	free := fill(t, disk)
	readyz(t, at, http.StatusServiceUnavailable, "the disk of "+home+" is full")
	if status, body := get(t, at, "/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d %s", status, body)
	}
	carol := n.person(t, "carol", inOwnProcess)
	super.says("records and cards cannot be kept")
	alice.do("lookup", "carol").fails(10, "nobody called carol")
	if !found(alice, "bob") || !found(bob, "alice") {
		t.Error("what was stored is not found any more")
	}
	super.kill()
	super = start() // a disk that is full does not keep it down
	alice.online()
	bob.online()
	eventually(t, "alice finds bob as before", func() bool { return found(alice, "bob") })
	readyz(t, at, http.StatusServiceUnavailable, "is full")

	free()
	readyz(t, at, http.StatusOK, "ok")
	eventually(t, "carol is found", func() bool { return found(alice, "carol") })
	super.kill()
	start()
	for _, p := range []*person{alice, bob, carol} {
		eventually(t, p.name+" is found after all", func() bool { return found(alice, p.name) })
	}
}

// The same of a login server.
func TestLoginServerWithAFullDisk(t *testing.T) {
	t.Parallel()
	n := newProcessNetwork(t, 1)
	alice := n.person(t, "alice", inOwnProcess)
	n.server.end()
	home, disk := moveHome(t, n.loginServerHome())
	at := "127.0.0.1:" + portsInARow(t, 1)
	server := inOwnProcess(t, "login-server", "--home", home, "--metrics", at)
	server.says("Login server on")
	readyz(t, at, http.StatusOK, "ok")
	free := fill(t, disk)
	readyz(t, at, http.StatusServiceUnavailable, "is full")
	bob := n.computer(t, "bob", inOwnProcess)
	password := passwordFile(t, testPassword)
	bob.do("register", "bob", "--password-file", password).fails(4, "no login server can be reached")
	server.says("the disk is full")
	free()
	readyz(t, at, http.StatusOK, "ok")
	bob.do("register", "bob", "--password-file", password).succeeds()
	second := n.computer(t, "second", inOwnProcess)
	second.do("login", "alice", "--password-file", password).succeeds()
	alice.finds("bob")
}
