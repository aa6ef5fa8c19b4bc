package main

import (
	"os"
	"testing"
	"time"
)

// A computer sleeps, as a laptop does whose lid is closed, and can be called when it
// wakes. In the long form it sleeps for a minute, and has two seconds to be back.
func TestSleepOfAComputer(t *testing.T) {
	t.Parallel()
	long := os.Getenv("LINNET_LONG") != ""
	sleep := 3 * time.Second
	if long {
		sleep = time.Minute
	}
	n := newProcessNetwork(t, 2)
	alice, bob := n.person(t, "alice", inOwnProcess), n.person(t, "bob", inOwnProcess)
	befriend(alice, bob)
	bob.up.freeze()
	time.Sleep(sleep)
	bob.up.thaw()
	woke := time.Now()
	call := alice.begin("call", "bob", "--seconds", "1", "--play", speech(t))
	bob.rings()
	took := time.Since(woke)
	t.Logf("it rings %v after a sleep of %v", took, sleep)
	if long && took > 2*time.Second {
		t.Errorf("it rings after %v", took)
	}
	bob.do("answer").succeeds()
	call.succeeds()
}
