package main

import (
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
)

// Alice publishes a card, bob finds it; she withdraws it, and he does not.
func TestWhitePages(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2, suite.RegistrationOpen).run()
	alice, bob := n.person(t, "alice", inProcess), n.person(t, "bob", inProcess)
	if out := alice.do("card").succeeds().stdout.String(); !strings.Contains(out, "You have no card") {
		t.Errorf("no card: %s", out)
	}
	if x := alice.do("card", "set"); x.code != exitCode(linnet.CodeUsage) {
		t.Errorf("a card that says nothing: exit code %d", x.code)
	}
	alice.do("card", "set", "--name", "Alice María", "--city", "Zürich").succeeds()
	alice.do("card", "set", "--city", "Bern", "--about", "choir").succeeds() // the name stays
	var status linnet.CardStatus
	unmarshal(t, alice.do("card", "--json").succeeds(), &status)
	if want := (linnet.Card{Name: "Alice María", City: "Bern", About: "choir"}); !status.Known || status.Card == nil || *status.Card != want {
		t.Errorf("card: %+v", status)
	}

	var page linnet.SearchPage
	unmarshal(t, bob.do("search", "MARIA", "choir", "--json").succeeds(), &page)
	if len(page.Hits) != 1 || page.Hits[0].User != "alice" || page.Hits[0].Card == nil || page.Hits[0].Card.City != "Bern" || page.More || page.Page != 1 {
		t.Errorf("found %+v", page)
	}
	if out := bob.do("search", "bern").succeeds().stdout.String(); !strings.Contains(out, "alice") || !strings.Contains(out, "Alice María") {
		t.Errorf("found:\n%s", out)
	}
	nobody := func(words ...string) {
		t.Helper()
		if x := bob.do(append([]string{"search"}, words...)...); x.code != exitCode(linnet.CodeNotFound) {
			t.Errorf("search %v: exit code %d, found\n%s", words, x.code, &x.stdout)
		}
	}
	nobody("zurich")
	alice.do("card", "withdraw").succeeds()
	for _, words := range []string{"maria", "bern", "choir", "zurich"} {
		nobody(words)
	}
	if out := bob.do("search", "alice").succeeds().stdout.String(); !strings.Contains(out, "(no card)") {
		t.Errorf("the user name alone:\n%s", out)
	}
}
