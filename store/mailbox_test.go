package store

import (
	"reflect"
	"slices"
	"testing"
)

func TestMailbox(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	mail := func(n byte) Mail { return Mail{[16]byte{n}, []byte{n, 'h'}, []byte{n, 'b'}} }
	ok(t, s.ChangeMail(t.Context(), MailChange{Put: mail(1)}, MailChange{Put: mail(2)}, MailChange{Put: mail(3)}))
	ok(t, s.ChangeMail(t.Context(), MailChange{Put: mail(1)})) // again
	ok(t, s.ChangeMail(t.Context(),
		MailChange{Put: mail(4), Forget: [][16]byte{{2}, {9}}}, MailChange{Forget: [][16]byte{{4}}}, MailChange{Put: mail(5)}, MailChange{}))
	s = reopen(t, s, home)
	if got, want := must(s.MailHeads(t.Context()))(t), [][]byte{{1, 'h'}, {3, 'h'}, {5, 'h'}}; !reflect.DeepEqual(got, want) {
		t.Errorf("heads %v, want %v", got, want)
	}
	got := must(s.Mail(t.Context(), [16]byte{5}, [16]byte{2}, [16]byte{1}))(t)
	if want := [][]byte{{5, 'b'}, {1, 'b'}}; !reflect.DeepEqual(got, want) {
		t.Errorf("mail %v, want %v", got, want)
	}
	// One that fails takes all of its call with it.
	if err := s.ChangeMail(t.Context(), MailChange{Put: mail(6)}, MailChange{Put: Mail{ID: [16]byte{7}, Head: []byte{7}}}); err == nil {
		t.Error("mail without bytes was kept")
	}
	if heads := must(s.MailHeads(t.Context()))(t); slices.ContainsFunc(heads, func(h []byte) bool { return h[0] == 6 }) {
		t.Error("half of the changes were made")
	}
}
