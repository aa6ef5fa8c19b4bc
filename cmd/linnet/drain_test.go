package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/suite"
)

// get asks a server that is watched; no answer is status 0.
func get(t testing.TB, addr, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	r, err := client.Get("http://" + addr + path)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen)
	port := portsInARow(t, 2)
	at := "127.0.0.1:" + port
	server := inProcess(t, "login-server", "--home", n.loginServerHome())
	server.says("Login server on")
	super := inProcess(t, "supernode", "--home", node.SupernodePath(n.home, 0), "--metrics", ":"+port)
	eventually(t, "the supernode is ready", func() bool { status, _ := get(t, at, "/readyz"); return status == http.StatusOK })
	n.person(t, "alice", inProcess).finds("alice")
	if status, body := get(t, at, "/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d %s", status, body)
	}
	eventually(t, "the metrics show what alice did", func() bool {
		_, body := get(t, at, "/metrics")
		for _, line := range []string{
			"linnet_ready 1", "linnet_clients 2", "linnet_supernodes 1", "linnet_records 2", `linnet_shedding{service="attaching"} 0`,
			"linnet_relay_reservations 0", "go_goroutines ", "process_resident_memory_bytes ",
		} {
			if !strings.Contains(body, "\n"+line) {
				return false
			}
		}
		return !strings.Contains(body, "\nlinnet_searches_total 0\n")
	})
	super.interrupt()
	super.succeeds()
	if status, _ := get(t, at, "/readyz"); status != 0 {
		t.Errorf("readyz after the end: %d", status)
	}
}

// A client that does not move holds a drain up: operators see that the supernode
// lives and takes nobody any more, and can end it at once.
func TestDrainOfAClientThatStays(t *testing.T) {
	t.Parallel()
	n := newProcessNetwork(t, 3)
	alice := n.person(t, "alice", inOwnProcess)
	eventually(t, "alice has two supernodes", func() bool { return len(alice.status().Supernodes) == 2 })
	n.server.interrupt() // with echo123: the client that a supernode counts is alice
	n.server.succeeds()
	i := n.supernodeOf(alice, func(linnet.Attachment) bool { return true })
	at, super := n.watched[i].String(), n.supernodes[i]
	if status, body := get(t, at, "/readyz"); status != http.StatusOK {
		t.Errorf("readyz before: %d %s", status, body)
	}
	eventually(t, "the supernode has alice and the others", func() bool { // else there is nothing that it drains
		_, body := get(t, at, "/metrics")
		return strings.Contains(body, "\nlinnet_clients 1\n") && strings.Contains(body, "\nlinnet_supernodes 3\n")
	})
	alice.up.freeze()
	super.interrupt()
	super.says("A second Ctrl-C stops at once")
	eventually(t, "the supernode is not ready", func() bool {
		status, body := get(t, at, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "draining")
	})
	if status, body := get(t, at, "/healthz"); status != http.StatusOK {
		t.Errorf("healthz while it drains: %d %s", status, body)
	}
	_, body := get(t, at, "/metrics")
	for _, line := range []string{"linnet_ready 0", "linnet_clients 1"} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("the metrics while it drains lack %q; supernode: %s", line, &super.stderr)
		}
	}
	super.interrupt()
	super.wait()
	if super.code != -1 { // of the signal, and not in the end of the drain
		t.Errorf("exit code %d", super.code)
	}
	alice.up.kill()
}

// Every supernode in turn is stopped, as for an upgrade, and started again,
// while people look each other up: nobody notices.
func TestRollingUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("a client takes half a minute to find that a supernode is back")
	}
	t.Parallel()
	n := newProcessNetwork(t, 3)
	alice, bob := n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess)
	people := []*person{alice, bob}
	alice.finds("bob")
	bob.finds("alice")
	for _, p := range people {
		eventually(t, p.name+" has two supernodes", func() bool { return len(p.status().Supernodes) == 2 })
	}

	var group sync.WaitGroup
	over := make(chan struct{})
	counts := make([]int, len(people))
	for i, p := range people {
		other := people[1-i].name
		group.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(250 * time.Millisecond): // a supernode answers five a second
				}
				counts[i]++
				x := p.do("lookup", other, "--json")
				var l linnet.Listing
				if x.code != 0 || json.Unmarshal([]byte(x.stdout.String()), &l) != nil || !l.Online {
					t.Errorf("%s's look-up %d of %s: exit code %d, %s%s", p.name, counts[i], other, x.code, &x.stdout, &x.stderr)
				}
			}
		})
	}
	for i, x := range n.supernodes {
		begin := time.Now()
		x.interrupt()
		x.succeeds()
		t.Logf("supernode %d took %v to drain", i, time.Since(begin).Round(10*time.Millisecond))
		n.startSupernode(i)
		for _, p := range people { // the next one only when this one is back
			eventually(t, p.name+" has two supernodes again", func() bool {
				s := p.status()
				return len(s.Supernodes) == 2 && s.Known == len(n.supernodes)
			})
		}
	}
	close(over)
	group.Wait()
	if counts[0] < 10 || counts[1] < 10 {
		t.Errorf("only %v look-ups", counts)
	}
	t.Logf("%v look-ups", counts)
}
