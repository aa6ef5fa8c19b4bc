package main

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/suite"
)

// Whole networks of real processes, in which some are killed.

// A processNetwork is a network each of whose machines is a process.
type processNetwork struct {
	*testNetwork
	server     *terminal
	supernodes []*terminal
	watched    []netip.AddrPort // where each supernode shows its metrics
}

func newProcessNetwork(t testing.TB, supernodes int) *processNetwork {
	t.Helper()
	n := &processNetwork{testNetwork: newNetwork(t, supernodes, suite.RegistrationOpen), supernodes: make([]*terminal, supernodes)}
	var err error
	if n.watched, err = loopbackAddrs(t.Context(), supernodes); err != nil {
		t.Fatal(err)
	}
	n.startServer()
	for i := range n.supernodes {
		n.startSupernode(i)
	}
	return n
}

func (n *processNetwork) startServer() {
	n.server = inOwnProcess(n.t, "login-server", "--home", n.loginServerHome())
	n.server.says("Login server on")
}

func (n *processNetwork) startSupernode(i int) {
	n.supernodes[i] = inOwnProcess(n.t, "supernode", "--home", node.SupernodePath(n.home, i), "--metrics", n.watched[i].String())
	n.supernodes[i].says("Supernode on")
}

// supernodeOf is which supernode is the one of somebody's that fits.
func (n *processNetwork) supernodeOf(of *person, fits func(linnet.Attachment) bool) int {
	n.t.Helper()
	for _, a := range of.status().Supernodes {
		for i, addr := range n.opts.Supernodes {
			if addr.Port() == a.Addr.Port() && fits(a) {
				return i
			}
		}
	}
	n.t.Fatalf("none of %s's supernodes fits", of.name)
	return 0
}

func TestLoginServerIsKilled(t *testing.T) {
	t.Parallel()
	n := newProcessNetwork(t, 3)
	alice, bob := n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess, "--auto-answer")
	alice.finds("bob")
	n.server.kill()

	alice.do("lookup", "bob").succeeds()
	call := alice.do("call", "bob", "--play", speech(t), "--seconds", "1").succeeds()
	if strings.Contains(call.stderr.String(), "linnet:") {
		t.Errorf("the call complains: %s", &call.stderr)
	}
	alice.hadCalls(linnet.OutcomeCompleted)
	bob.hadCalls(linnet.OutcomeCompleted)
	carol := n.computer(t, "carol", inOwnProcess) // a supernode knows the network, too
	carol.do("register", "carol", "--password-file", passwordFile(t, testPassword)).fails(4, "no login server can be reached", "check the connection")

	n.startServer() // nothing to repair
	carol.do("register", "carol", "--password-file", passwordFile(t, testPassword)).succeeds()
	carol.finds("bob")
	carol.do("logout").succeeds()
	carol.do("login", "carol", "--password-file", passwordFile(t, testPassword)).succeeds()
}

// The call goes on whatever path it has, and look-ups are answered.
func TestSupernodeEndsDuringCall(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		friends bool
		drained bool // or killed
	}{{"killed, direct", true, false}, {"killed, relayed", false, false}, {"drained, relayed", false, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newProcessNetwork(t, 3)
			record := filepath.Join(t.TempDir(), "heard.ogg")
			alice, bob := n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess)
			n.person(t, "carol", inOwnProcess)
			alice.finds("bob")
			bob.finds("carol")
			if tt.friends {
				befriend(alice, bob)
			}
			play := speech(t)
			call := alice.begin("call", "bob", "--play", play, "--seconds", "6", "--json")
			bob.rings()
			answer := bob.begin("answer", "--record", record)
			var via string
			eventually(t, "the call has a path", func() bool {
				calls := alice.status().Calls
				if len(calls) == 0 || calls[0].PacketsSent < 20 || len(calls[0].Paths) == 0 {
					return false
				}
				via = calls[0].Paths[len(calls[0].Paths)-1].Via
				return tt.friends == (via == "")
			})
			super := n.supernodes[n.supernodeOf(alice, func(a linnet.Attachment) bool { return via == "" || a.Node.Short() == via })]
			if tt.drained {
				super.interrupt()
				super.succeeds()
			} else {
				super.kill()
			}

			begin := time.Now()
			var l linnet.Listing
			for !l.Online { // nobody has asked for carol before
				if x := alice.do("lookup", "carol", "--json"); x.code == 0 {
					unmarshal(t, x, &l)
				}
				if time.Since(begin) > testPatience {
					t.Fatal("carol is not found any more")
				}
			}
			t.Logf("the look-up took %v", time.Since(begin)) // package node tests how long it may take
			call.succeeds()
			answer.succeeds()
			var r linnet.CallRecord
			unmarshal(t, call, &r)
			if r.Outcome != linnet.OutcomeCompleted || r.Talked() < 5*time.Second {
				t.Errorf("the call: %+v", r)
			}
			alice.hadCalls(linnet.OutcomeCompleted)
			bob.hadCalls(linnet.OutcomeCompleted)
			played, err := opusPackets(play)
			if err != nil {
				t.Fatal(err)
			}
			heard, err := opusPackets(record)
			if err != nil {
				t.Fatal(err)
			}
			// What comes after a death is heard, and all that comes during a drain.
			last, least := heard[max(0, len(heard)-50):], 45
			if tt.drained {
				last, least = heard, 290 // of six seconds
			}
			same := 0
			for _, b := range last {
				if slices.ContainsFunc(played, func(p []byte) bool { return bytes.Equal(p, b) }) {
					same++
				}
			}
			if same < least {
				t.Errorf("of the last %d packets %d are alice's, want %d; paths %+v", len(last), same, least, r.Paths)
			}
		})
	}
}

// Whatever dies, in the middle of a call, starts again with nothing lost and
// nothing to repair.
func TestEveryNodeIsKilled(t *testing.T) {
	t.Parallel()
	n := newProcessNetwork(t, 3)
	alice, bob := n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess, "--auto-answer")
	befriend(alice, bob)
	eventually(t, "bob says yes", func() bool { return alice.contact("bob").State == linnet.Approved })
	alice.finds("bob")
	alice.do("call", "bob", "--play", speech(t), "--seconds", "1").succeeds()
	bob.hadCalls(linnet.OutcomeCompleted)
	friend := func() linnet.Contact {
		c := alice.contact("bob")
		c.Presence, c.Mood, c.Since = 0, "", time.Time{} // the news of a moment
		return c
	}
	before, history, contact := alice.status(), alice.history(), friend()

	call := alice.begin("call", "bob", "--play", speech(t))
	call.says("Talking with bob")
	for _, kill := range []func(){alice.up.kill, bob.up.kill, n.server.kill, n.supernodes[0].kill, n.supernodes[1].kill, n.supernodes[2].kill} {
		kill()
	}
	call.fails(3, "the node stopped", "linnet history")
	n.startServer()
	for i := range n.supernodes {
		n.startSupernode(i)
	}
	alice.start()
	alice.up.says("Network test, signed in as alice.")
	bob.start()
	alice.online()
	bob.online()
	after := alice.status()
	if after.User != "alice" || after.Node != before.Node || !after.Certificate.Equal(before.Certificate) {
		t.Errorf("alice was %+v and is %+v", before, after)
	}
	alice.hadCalls(linnet.OutcomeLost, linnet.OutcomeCompleted)
	bob.hadCalls(linnet.OutcomeLost, linnet.OutcomeCompleted)
	if old := alice.history()[1:]; !reflect.DeepEqual(old, history) {
		t.Errorf("the history was %+v and is %+v", history, old)
	}
	if c := friend(); c != contact {
		t.Errorf("the contact was %+v and is %+v", contact, c)
	}
	alice.finds("bob")
	alice.do("call", "bob", "--play", speech(t), "--seconds", "1").succeeds()
	alice.hadCalls(linnet.OutcomeCompleted, linnet.OutcomeLost, linnet.OutcomeCompleted)
	bob.hadCalls(linnet.OutcomeCompleted, linnet.OutcomeLost, linnet.OutcomeCompleted)
	second := n.computer(t, "second", inOwnProcess)
	second.do("login", "bob", "--password-file", passwordFile(t, testPassword)).succeeds()
}
