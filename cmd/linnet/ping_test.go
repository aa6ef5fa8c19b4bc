package main

import (
	"strings"
	"testing"
)

// A ping shows the path to somebody, and rings nowhere.
func TestPing(t *testing.T) {
	t.Parallel()
	n := newProcessNetwork(t, 2)
	alice, bob := n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess)
	alice.finds("bob")
	alice.do("ping", "nobody").fails(10, "nobody called nobody")
	alice.do("ping", "alice").fails(2, "is you")
	alice.do("ping", "bob", "--count", "0").fails(2, "at least one")

	var stranger pinging // who learns no address
	unmarshal(t, alice.do("ping", "bob", "--count", "2", "--json").succeeds(), &stranger)
	if stranger.Sent != 2 || stranger.Received == 0 || stranger.Direct {
		t.Errorf("a stranger's pings: %+v", stranger)
	}
	for _, p := range stranger.Pongs {
		if p.Path.Direct() || p.Addr != "" || p.RTTMS <= 0 || p.User != "bob" {
			t.Errorf("a stranger's pong: %+v", p)
		}
	}
	alice.do("ping", "bob", "--count", "1", "--until-direct").fails(1, "no direct path")

	befriend(alice, bob)
	eventually(t, "the search as strangers is over", func() bool { return alice.do("ping", "bob", "--count", "1", "--until-direct").code == 0 })
	x := alice.do("ping", "bob", "--count", "1").succeeds()
	if !strings.Contains(x.stdout.String(), "pong from bob (") || !strings.Contains(x.stdout.String(), "direct-udp, 127.0.0.1:") {
		t.Errorf("a friend's ping says %q", &x.stdout)
	}
	if calls := bob.status().Calls; len(calls) != 0 {
		t.Errorf("it rings: %+v", calls)
	}
	if list := bob.history(); len(list) != 0 {
		t.Errorf("a ping is in the history: %+v", list)
	}
	carol := n.person(t, "carol", inOwnProcess)
	alice.finds("carol")
	carol.up.end()
	var away *terminal
	eventually(t, "carol is seen to have left", func() bool {
		away = alice.do("ping", "carol", "--count", "1")
		return away.code == 11
	})
	away.fails(11, "carol is not online")
}
