package store

import (
	"database/sql"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
	"github.com/linnet-p2p/linnet/files"
	"github.com/linnet-p2p/linnet/presence"
)

// A store that an older linnet left is upgraded with everything in it. Each
// schema that was ever released has its file in testdata.
func TestUpgrade(t *testing.T) {
	tests := []struct {
		file  string
		check func(t *testing.T, s *Store)
	}{
		{"v1.sql", func(t *testing.T, s *Store) {
			id := must(s.Identity(t.Context()))(t)
			if want := (&Identity{"alice", "laptop", []byte("keys"), []byte("certificate")}); !reflect.DeepEqual(id, want) {
				t.Errorf("identity: %+v", id)
			}
			n := must(s.Network(t.Context()))(t)
			if want := (&Network{linnet.NetworkID{1}, [32]byte{2}, 7, []byte("descriptor")}); !reflect.DeepEqual(n, want) {
				t.Errorf("network: %+v", n)
			}
			if v := must(s.Setting(t.Context(), "relay", "ask"))(t); v != "off" {
				t.Errorf("setting: %q", v)
			}
			if got := must(s.HostCache(t.Context()))(t); string(got) != "hosts" {
				t.Errorf("host cache: %q", got)
			}
			if got, want := must(s.Records(t.Context()))(t), []Record{{node(4), at(1), []byte("record")}}; !reflect.DeepEqual(got, want) {
				t.Errorf("records: %v", got)
			}
		}},
		{"v4.sql", func(t *testing.T, s *Store) {
			id := must(s.Identity(t.Context()))(t)
			if id == nil || id.User != "alice" {
				t.Errorf("identity: %+v", id)
			}
			// Contacts of one side's list are to be asked; who has no state that ever was is nobody.
			want := []presence.KeptPerson{
				{User: "bob", Name: "Bobby", Added: at(1), State: linnet.Asked}, {User: "carol", Added: at(2), State: linnet.Asked},
			}
			if got := must(s.Presence(t.Context(), "alice"))(t).People; !reflect.DeepEqual(got, want) {
				t.Errorf("people: %+v", got)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			home := t.TempDir()
			statements, err := os.ReadFile(filepath.Join("testdata", tt.file))
			ok(t, err)
			db, err := sql.Open("sqlite", "file:"+filepath.Join(home, "linnet.db"))
			ok(t, err)
			_, err = db.Exec(string(statements))
			ok(t, err)
			ok(t, db.Close())

			s := openTest(t, home)
			tt.check(t, s)
			// What the old schema did not have works as well.
			ok(t, s.SavePresence(t.Context(), "eve", presence.Save{Self: []byte("self"), People: []presence.KeptPerson{{User: "bob"}}}))
			ok(t, s.ChangeMail(t.Context(), MailChange{Put: Mail{[16]byte{1}, []byte("head"), []byte("mail")}}))
			ok(t, s.ChangeCards(t.Context(), Card{"bob", []byte("card")}))
			ok(t, s.SetOwnCard(t.Context(), "alice", []byte("wish")))
			must(s.SaveChat(t.Context(), "alice", chat.Save{Messages: []linnet.Message{{ID: linnet.MessageID{1}, User: "bob", Author: "alice", Text: "hi"}}}))(t)
			ok(t, s.SaveFile(t.Context(), "alice", files.Save{Kept: fileOf(1)}))
			s = reopen(t, s, home)
			tt.check(t, s)
			if heads := must(s.MailHeads(t.Context()))(t); len(heads) != 1 {
				t.Errorf("%d heads of mail", len(heads))
			}
		})
	}
}
