package store

import (
	"reflect"
	"testing"
)

func TestCards(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	ok(t, s.ChangeCards(t.Context(), Card{"bob", []byte("b1")}, Card{"alice", []byte("a1")}, Card{"carol", []byte("c1")}))
	ok(t, s.ChangeCards(t.Context(), Card{"bob", []byte("b2")}, Card{"carol", nil}, Card{"nobody", nil}))
	if b := must(s.OwnCard(t.Context(), "alice"))(t); b != nil {
		t.Errorf("own card before there is one: %q", b)
	}
	ok(t, s.SetOwnCard(t.Context(), "alice", []byte("first")))
	ok(t, s.SetOwnCard(t.Context(), "alice", []byte("second")))
	s = reopen(t, s, home)
	if got, want := must(s.Cards(t.Context()))(t), [][]byte{[]byte("a1"), []byte("b2")}; !reflect.DeepEqual(got, want) {
		t.Errorf("cards %q, want %q", got, want)
	}
	if got, want := must(s.CardsOf(t.Context(), "bob", "carol"))(t), [][]byte{[]byte("b2")}; !reflect.DeepEqual(got, want) {
		t.Errorf("cards of bob and carol %q, want %q", got, want)
	}
	if b := must(s.OwnCard(t.Context(), "alice"))(t); string(b) != "second" {
		t.Errorf("own card %q", b)
	}
	if b := must(s.OwnCard(t.Context(), "bob"))(t); b != nil {
		t.Errorf("another user's own card: %q", b)
	}
	ok(t, s.ForgetIdentity(t.Context()))
	if b := must(s.OwnCard(t.Context(), "alice"))(t); b != nil {
		t.Errorf("own card of who signed out: %q", b)
	}
}
