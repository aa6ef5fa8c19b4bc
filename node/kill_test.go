package node

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// TestKillLoginServer shows that nobody needs the authority to call, and that
// it loses nothing of what it promised.
func TestKillLoginServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		befriend(alice, bob)
		w.login.kill()
		if _, err := alice.node.Lookup(t.Context(), "bob"); err != nil {
			t.Errorf("look bob up: %v", err)
		}
		if same := w.compare(talk(alice, bob)); same < 1 {
			t.Errorf("%.2f %% of the packets are those that were played", 100*same)
		}

		w.login.start()
		who := linnet.Credentials{User: "alice", Password: password, Device: "second"}
		second := w.newcomer("second", w.atHome())
		if err := second.node.Login(t.Context(), who); err != nil {
			t.Errorf("alice's account after the login server's death: %v", err)
		}
		who.User = "bob"
		third := w.newcomer("third", w.atHome())
		if err := third.node.Register(t.Context(), who); linnet.CodeOf(err) != linnet.CodeTaken {
			t.Errorf("bob's name after the login server's death: %v, want that it is taken", err)
		}
	})
}

// TestKillSupernode kills one of three supernodes during a call.
func TestKillSupernode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		friends bool
		relays  bool // the victim, for this call
		heard   float64
	}{
		{"call that needs none", true, false, 1},
		{"call by another relay", false, false, 1},
		{"call by this relay", false, true, .95}, // one second of twenty at the most, until the other relay takes over
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				alice, bob, carol := w.user("alice", w.atHome()), w.user("bob", w.atHome()), w.user("carol", w.atHome())
				if tt.friends {
					befriend(alice, bob)
				}
				id := alice.call("bob", linnet.CallMedia{Play: w.speech()})
				bob.rings()
				heard := filepath.Join(w.dir, "heard.ogg")
				bob.answer(id, linnet.CallMedia{Record: heard})
				alice.reaches(id, linnet.CallActive)
				time.Sleep(3 * time.Second)
				paths := alice.status().Calls[0].Receipt.Paths
				relays := func(m *computer) bool { return paths[len(paths)-1].Via == m.id().Short() }
				victim := w.supernodes[slices.IndexFunc(w.supernodes, func(m *computer) bool { return relays(m) == tt.relays })]

				records := must(victim.node.store.Records(t.Context()))
				victim.kill()
				for _, m := range []*computer{alice, bob, carol} {
					for _, user := range []linnet.UserName{"alice", "bob", "carol"} {
						begin := time.Now()
						_, err := m.node.Lookup(t.Context(), user)
						if took := time.Since(begin); err != nil || took > 3*time.Second {
							t.Errorf("%s looks %s up: %v after %v, want an answer within 3 s", m.name, user, err, took)
						}
					}
				}
				for _, m := range []*computer{alice, bob} {
					if r := m.ended(id); r.Outcome != linnet.OutcomeCompleted {
						t.Errorf("%s: %v, want completed", m.name, r.Outcome)
					}
				}
				same := w.compare(heard)
				t.Logf("%.2f %% of the packets arrived", 100*same)
				if same < tt.heard {
					t.Errorf("want %.0f %%", 100*tt.heard)
				}

				victim.start()
				if got := must(victim.node.store.Records(t.Context())); !sameJSON(got, records) {
					t.Errorf("%d records after the restart, %d before", len(got), len(records))
				}
				victim.eventually("is a supernode again", func() bool { return victim.status().Known == len(w.supernodes) })
				if same := w.compare(talk(bob, carol)); same < 1 {
					t.Errorf("a call after the restart: %.2f %%", 100*same)
				}
			})
		})
	}
}

// TestKillUser kills a device in the middle of a call: it has all that it had
// before, and both histories say of the call that it was lost.
func TestKillUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", netsim.HostOptions{})
		befriend(alice, bob)
		talk(alice, bob)
		was := alice.status()
		history, contacts := alice.calls(), must(alice.node.Contacts(t.Context()))

		id := alice.call("bob", linnet.CallMedia{Play: w.speech()})
		alice.reaches(id, linnet.CallRinging)
		bob.answer(id, linnet.CallMedia{})
		alice.reaches(id, linnet.CallActive)
		time.Sleep(3 * time.Second)
		alice.kill()
		alice.start()
		alice.online()
		if is := alice.status(); is.Node != was.Node || is.User != was.User || !is.Certificate.Equal(was.Certificate) {
			t.Errorf("it is %+v and was %+v", is, was)
		}
		for _, m := range []*computer{alice, bob} {
			m.eventually("has the outcome of the call", func() bool { return m.calls()[0].Outcome != linnet.OutcomeNone })
			if r := m.history(id); r.Outcome != linnet.OutcomeLost || r.Answered.IsZero() {
				t.Errorf("%s: %+v, want that an answered call was lost", m.name, r)
			}
		}
		if got := alice.calls()[1:]; !sameJSON(got, history) {
			t.Errorf("the history is %+v, was %+v", got, history)
		}
		if got := must(alice.node.Contacts(t.Context())); !sameJSON(got, contacts) {
			t.Errorf("the contacts are %+v, were %+v", got, contacts)
		}
		if same := w.compare(talk(bob, alice)); same < 1 {
			t.Errorf("a call after the restart: %.2f %%", 100*same)
		}
	})
}
