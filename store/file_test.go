package store

import (
	"reflect"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/files"
)

func fileOf(n byte) files.Kept {
	return files.Kept{
		File: linnet.File{
			ID: linnet.FileID{n}, Peer: "bob", Incoming: true, Name: "a.txt", Size: 5, State: linnet.FileActive, Told: true, Done: 3,
			PausedHere: true, PausedThere: true, Why: "why", Code: linnet.CodeDisk, Place: "/b", Offered: at(1), Ended: at(2),
			SHA256: "0200000000000000000000000000000000000000000000000000000000000000",
		},
		Device: linnet.NodeID{1}, Sum: [32]byte{2}, Tree: [32]byte{3}, Part: "/a", Spooled: true, Modified: at(3),
	}
}

func TestFiles(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	want := fileOf(1)
	ok(t, s.SaveFile(t.Context(), "alice", files.Save{Kept: want, Pieces: []byte("pieces")}))
	ok(t, s.SaveFile(t.Context(), "alice", files.Save{Kept: files.Kept{File: linnet.File{ID: linnet.FileID{2}, Offered: at(2)}}}))
	ok(t, s.SaveFile(t.Context(), "carol", files.Save{Kept: files.Kept{File: linnet.File{ID: linnet.FileID{3}}}}))
	ok(t, s.SetProgress(t.Context(), want.ID, 4))
	ok(t, s.SaveFile(t.Context(), "alice", files.Save{Kept: want})) // of an earlier moment
	want.Done, want.State, want.Device = 4, linnet.FileDone, linnet.NodeID{9}
	ok(t, s.SaveFile(t.Context(), "alice", files.Save{Kept: want}))
	ok(t, s.ForgetFile(t.Context(), linnet.FileID{2}))
	s = reopen(t, s, home)
	if got := must(s.Files(t.Context(), "alice"))(t); !reflect.DeepEqual(got, []files.Kept{want}) {
		t.Errorf("files: %+v, want %+v", got, want)
	}
	if got := must(s.Pieces(t.Context(), linnet.FileID{1}))(t); string(got) != "pieces" {
		t.Errorf("pieces: %q", got)
	}
	if got := must(s.Pieces(t.Context(), linnet.FileID{2}))(t); got != nil {
		t.Errorf("pieces of nothing: %q", got)
	}
}
