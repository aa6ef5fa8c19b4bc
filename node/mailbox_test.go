package node

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// mail is what a user's device finds in the mailbox.
func (m *computer) mail() (boxes []string, ids []message.MailID) {
	m.w.t.Helper()
	entries, err := m.node.ListMail(m.w.t.Context())
	if err != nil {
		m.w.t.Fatalf("%s lists the mail: %v", m.name, err)
	}
	for _, e := range entries {
		ids = append(ids, e.Mail)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	items, err := m.node.FetchMail(m.w.t.Context(), ids...)
	if err != nil {
		m.w.t.Fatalf("%s fetches the mail: %v", m.name, err)
	}
	for _, i := range items {
		boxes = append(boxes, string(i.Box))
	}
	slices.Sort(boxes)
	return boxes, ids
}

// TestKillMailbox leaves mail for somebody who is away while supernodes are
// killed and come back with nothing but their disks.
func TestKillMailbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		pass := must(bob.node.MailPass(t.Context(), "alice"))
		bob.stop()

		var want []string
		leave := func(box string) {
			t.Helper()
			if _, err := alice.node.PutMail(t.Context(), "bob", linnet.NodeID{}, []byte(box), pass); err != nil {
				t.Fatalf("leave %s: %v", box, err)
			}
			want = append(want, box)
		}
		leave("before")
		victim := w.supernodes[0]
		victim.kill()
		leave("while one of three is dead")
		leave(fmt.Sprintf("large %050000d", 1))
		victim.start()
		for _, m := range w.supernodes { // all, one after the other
			time.Sleep(time.Minute)
			m.kill()
			m.start()
			leave("after a restart of " + m.name)
		}
		time.Sleep(time.Minute)

		bob.start()
		bob.online()
		slices.Sort(want)
		got, ids := bob.mail()
		if !slices.Equal(got, want) {
			t.Errorf("bob found %d items, want %d", len(got), len(want))
		}
		if err := bob.node.RemoveMail(t.Context(), ids...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Minute) // the supernodes have compared what they have
		if got, _ := bob.mail(); len(got) != 0 {
			t.Errorf("%q is back", got)
		}
		for _, m := range w.supernodes {
			for _, id := range ids {
				if b := must(m.node.store.Mail(t.Context(), id)); len(b) != 0 {
					t.Errorf("%s still keeps %x", m.name, id)
				}
			}
		}
		if _, err := alice.node.PutMail(t.Context(), "bob", linnet.NodeID{}, make([]byte, 70_000), pass); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("too large: %v", err)
		}
	})
}
