package node

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// finds is whom a search finds; a '*' stands behind those without a card.
func (m *computer) finds(words string) (users []string) {
	m.w.t.Helper()
	for page := 1; ; page++ {
		p, err := m.node.Search(m.w.t.Context(), words, page)
		if err != nil {
			m.w.t.Fatalf("%s searches for %q: %v", m.name, words, err)
		}
		for _, h := range p.Hits {
			user := string(h.User)
			if h.Card == nil {
				user += "*"
			}
			users = append(users, user)
		}
		if !p.More {
			return users
		}
	}
}

func (m *computer) card() linnet.CardStatus { return must(m.node.Card(m.w.t.Context())) }

// TestWhitePages is the life of a card while supernodes and its owner's device
// are killed and come back.
func TestWhitePages(t *testing.T) { inBothSuites(t, testWhitePages) }

func testWhitePages(t *testing.T, suiteName string) {
	w := newWorld(t, worldOptions{suite: suiteName})
	alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
	found := func(words string, want ...string) {
		t.Helper()
		if got := bob.finds(words); !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", words, got, want)
		}
		time.Sleep(3 * time.Minute) // 30 an hour
	}
	found("alice", "alice*")
	found("maria")
	if s := alice.card(); s.Card != nil || s.Known {
		t.Errorf("a card before there is one: %+v", s)
	}
	card := linnet.Card{Name: "Alice María", City: "Zürich"}
	s := must(alice.node.PublishCard(t.Context(), card))
	if !s.Known || s.Card == nil || *s.Card != card || s.Published.IsZero() || s.Trouble != "" {
		t.Errorf("published: %+v", s)
	}
	for _, words := range []string{"alice", "maria", "ZURICH", "zur mari"} {
		found(words, "alice")
	}

	// Supernodes go one after the other, with nothing left but their disks; alice is away.
	alice.kill()
	for _, m := range w.supernodes {
		m.kill()
		found("maria", "alice")
		m.start()
		time.Sleep(time.Minute)
	}
	alice.start()
	alice.online()
	if s := alice.card(); !s.Known || s.Card == nil || *s.Card != card {
		t.Errorf("after a crash: %+v", s)
	}

	// One supernode misses that she withdraws it.
	w.supernodes[0].kill()
	if s := must(alice.node.WithdrawCard(t.Context())); !s.Known || s.Card != nil || !s.Withdrawn {
		t.Errorf("withdrawn: %+v", s)
	}
	found("maria")
	w.supernodes[0].start()
	found("zurich")
	alice.kill()
	alice.start()
	alice.online()
	found("alice", "alice*")
	if s := alice.card(); !s.Known || s.Card != nil {
		t.Errorf("after another crash: %+v", s)
	}

	for _, bad := range []linnet.Card{{Name: "two\nlines"}, {City: string(make([]byte, 100))}} {
		if _, err := alice.node.PublishCard(t.Context(), bad); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := alice.node.Search(t.Context(), "x", 1); linnet.CodeOf(err) != linnet.CodeUsage {
		t.Errorf("a search for nothing: %v", err)
	}
	for i := range 40 {
		if _, err := alice.node.Search(t.Context(), fmt.Sprint("somebody", i), 1); err != nil {
			if linnet.CodeOf(err) != linnet.CodeTooSoon || i != 30 {
				t.Errorf("search number %d: %v", i+1, err)
			}
			return
		}
	}
	t.Error("40 searches at once were answered")
}

// What is said while there is no network is done when there is one.
func TestCardOffline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 1})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		w.supernodes[0].kill()
		time.Sleep(5 * time.Minute)
		if _, err := alice.node.PublishCard(t.Context(), linnet.Card{City: "Bern"}); linnet.CodeOf(err) != linnet.CodeNoNetwork {
			t.Errorf("published without a network: %v", err)
		}
		if s := alice.card(); s.Known || s.Card == nil || s.Trouble == "" {
			t.Errorf("not published yet: %+v", s)
		}
		alice.kill()
		w.supernodes[0].start()
		alice.start()
		time.Sleep(2 * time.Minute) // bob looks again every 90 s at the latest
		alice.online()
		bob.online()
		alice.eventually("publishes the card", func() bool { return alice.card().Known })
		if got := bob.finds("bern"); !slices.Equal(got, []string{"alice"}) {
			t.Errorf("found %v", got)
		}
		if err := alice.node.Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b := must(alice.node.store.OwnCard(t.Context(), "alice")); b != nil {
			t.Error("who signs out leaves his card on this device")
		}
	})
}

// The second page costs one search, as the first one did.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 1})
		bob := w.user("bob", w.atHome())
		s := w.supernodes[0]
		const users = 110
		for i := range users {
			w.plantCard(s, linnet.UserName(fmt.Sprintf("user%03d", i)), linnet.Card{Name: "Maria"})
		}
		if got := bob.finds("maria"); len(got) != users || !slices.IsSorted(got) {
			t.Errorf("found %d: %v", len(got), got)
		}
		p := must(bob.node.Search(t.Context(), "maria", 3))
		if p.Page != 3 || p.More || len(p.Hits) == 0 {
			t.Errorf("page 3: %d hits, more: %v", len(p.Hits), p.More)
		}
		if p := must(bob.node.Search(t.Context(), "maria", 9)); len(p.Hits) != 0 || p.More {
			t.Errorf("page 9: %+v", p)
		}
	})
}

// plantCard puts a card on a supernode's shelf, without a device of its user.
func (w *world) plantCard(m *computer, user linnet.UserName, text linnet.Card) {
	w.t.Helper()
	authority := must(LoadAuthority(w.login.opts.Home))
	keys := must(suite.Modern().NewKeys())
	certificate, _, err := authority.IssueCertificate(user, "device", keys.Public(), 1, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	card := directory.Card{Certificate: certificate, User: user, Edition: uint64(time.Now().UnixMilli()), Time: time.Now(), Text: text}
	b := must(card.Sign(keys))
	m.within(func(now time.Time, s *station) {
		if !s.member.Received(now, s.id, 1, &message.StoreCard{Card: b, Member: true}) || s.member.Cards() == 0 {
			w.t.Fatal("the card was not taken")
		}
	})
}
