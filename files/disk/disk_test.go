package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/files"
)

func content(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	ok(t, os.WriteFile(path, b, 0o600))
}

func sums(t *testing.T, b []byte) Sums {
	t.Helper()
	s, err := Sum(t.Context(), bytes.NewReader(b))
	ok(t, err)
	return s
}

func TestSum(t *testing.T) {
	for _, size := range []int{0, 1, files.PieceSize - 1, files.PieceSize, files.PieceSize + 1, 3*files.PieceSize + 7} {
		b := content(size)
		s := sums(t, b)
		if s.Size != int64(size) || s.Whole != sha256.Sum256(b) || len(s.Pieces) != files.Pieces(int64(size))*sha256.Size || s.Tree != sha256.Sum256(s.Pieces) {
			t.Errorf("%d bytes: %d, %d hashes", size, s.Size, len(s.Pieces)/sha256.Size)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Sum(ctx, bytes.NewReader(content(1))); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// What a crash leaves is verified: as much as is good counts.
func TestPartIsTakenUpAgain(t *testing.T) {
	const pieces = 4
	whole := content(pieces*files.PieceSize - 100)
	size, s := int64(len(whole)), sums(t, whole)
	for _, tt := range []struct {
		name string
		disk []byte
		done int64 // as it was kept
		want int
	}{
		{"nothing", nil, 0, 0},
		{"two pieces", whole[:2*files.PieceSize], 2 * files.PieceSize, 2},
		{"two pieces, and more than was kept", whole[:3*files.PieceSize+5], 2 * files.PieceSize, 2},
		{"less than was kept", whole[:files.PieceSize+5], 3 * files.PieceSize, 1},
		{"nothing of what was kept", nil, 3 * files.PieceSize, 0},
		{"a bad second piece", flip(whole[:3*files.PieceSize], files.PieceSize+1), 3 * files.PieceSize, 1},
		{"zeros, as after a power cut", make([]byte, 3*files.PieceSize), 3 * files.PieceSize, 0},
		{"not a whole piece", whole, files.PieceSize + 7, 1},
		{"everything", whole, size, pieces},
		{"more than everything", append(bytes.Clone(whole), 1, 2, 3), size + 3, pieces},
	} {
		path := filepath.Join(t.TempDir(), "part")
		if tt.disk != nil {
			write(t, path, tt.disk)
		}
		p, err := OpenPart(t.Context(), path, size, tt.done, s.Pieces)
		ok(t, err)
		if want := min(int64(tt.want*files.PieceSize), size); p.Done() != want {
			t.Errorf("%s: %d bytes are good, want %d", tt.name, p.Done(), want)
		}
		rest := bytes.NewReader(whole[p.Done():])
		for p.Done() < size {
			ok(t, p.ReadPiece(rest))
		}
		if err := p.Complete(t.Context(), s.Whole); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		ok(t, p.Close())
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, whole) {
			t.Errorf("%s: the file is another one", tt.name)
		}
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x80
	return b
}

func TestPartTakesNothingBad(t *testing.T) {
	whole := content(2 * files.PieceSize)
	s := sums(t, whole)
	path := filepath.Join(t.TempDir(), "part")
	p, err := OpenPart(t.Context(), path, s.Size, 0, s.Pieces)
	ok(t, err)
	defer p.Close()
	if err := p.ReadPiece(bytes.NewReader(flip(whole, 3))); !errors.Is(err, files.ErrMismatch) || p.Done() != 0 {
		t.Errorf("a bad piece: %v, %d bytes", err, p.Done())
	}
	if err := p.ReadPiece(bytes.NewReader(whole[:100])); !errors.Is(err, io.ErrUnexpectedEOF) || p.Done() != 0 {
		t.Errorf("a piece that ends early: %v, %d bytes", err, p.Done())
	}
	r := bytes.NewReader(whole)
	ok(t, p.ReadPiece(r))
	ok(t, p.ReadPiece(r))
	if err := p.Complete(t.Context(), [32]byte{1}); !errors.Is(err, files.ErrMismatch) {
		t.Errorf("another whole: %v", err)
	}
	write(t, path, flip(whole, 5)) // behind its back
	if err := p.Complete(t.Context(), s.Whole); !errors.Is(err, files.ErrMismatch) {
		t.Errorf("bytes that changed on disk: %v", err)
	}
}

func TestSettle(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("a.part"), []byte("a"))
	write(t, path("b.txt"), []byte("b"))
	if err := Settle(path("a.part"), path("b.txt")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a place that is taken: %v", err)
	}
	place, err := Free(dir, "b.txt")
	ok(t, err)
	if place != path("b (2).txt") {
		t.Errorf("free is %s", place)
	}
	// A crash between the new name and the end of the old one.
	ok(t, os.Link(path("a.part"), place))
	ok(t, Settle(path("a.part"), place))
	if b, err := os.ReadFile(place); err != nil || string(b) != "a" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(path("a.part")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the part is still there: %v", err)
	}
	if !Settled(t.Context(), path("a.part"), place, sha256.Sum256([]byte("a"))) {
		t.Error("it was settled, and that is not seen")
	}
	if Settled(t.Context(), path("a.part"), path("b.txt"), sha256.Sum256([]byte("a"))) || Settled(t.Context(), path("a.part"), "", [32]byte{}) {
		t.Error("another file was taken for it")
	}
	write(t, path("c.part"), []byte("c"))
	if err := move(path("c.part"), path("b.txt")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("without links, a place that is taken: %v", err)
	}
	ok(t, move(path("c.part"), path("c.txt")))
	if b, _ := os.ReadFile(path("b.txt")); string(b) != "b" {
		t.Errorf("a file was replaced: %q", b)
	}
	ok(t, os.Symlink("/nowhere", path("link.txt")))
	if free, err := Free(dir, "link.txt"); err != nil || free != path("link (2).txt") {
		t.Errorf("a link that leads nowhere is taken for a free place: %s, %v", free, err)
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	write(t, path, []byte("hello"))
	s, err := Read(t.Context(), path)
	ok(t, err)
	if s.Size != 5 || s.Name != "a.txt" {
		t.Errorf("%+v", s)
	}
	f, err := OpenSource(path, s.Size, s.Modified)
	ok(t, err)
	f.Close()
	for _, tt := range []struct {
		name   string
		change func()
	}{
		{"touched", func() { ok(t, os.Chtimes(path, time.Time{}, s.Modified.Add(time.Second))) }},
		{"longer", func() { write(t, path, []byte("hello!")) }},
		{"gone", func() { ok(t, os.Remove(path)) }},
		{"a folder", func() { ok(t, os.Mkdir(path, 0o700)) }},
	} {
		tt.change()
		if _, err := OpenSource(path, s.Size, s.Modified); linnet.CodeOf(err) != linnet.CodeBadFile {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, bad := range []string{path, filepath.Join(dir, "none")} {
		if _, err := Read(t.Context(), bad); linnet.CodeOf(err) != linnet.CodeBadFile {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestSpool(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "spooled")
	whole := content(files.PieceSize + 3)
	s, err := Spool(t.Context(), path, int64(len(whole)), bytes.NewReader(whole))
	ok(t, err)
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, whole) || s.Whole != sha256.Sum256(whole) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := Spool(t.Context(), path, 1, bytes.NewReader(whole[:1])); linnet.CodeOf(err) != linnet.CodeDisk {
		t.Errorf("a name that is taken: %v", err)
	}
	if b, _ := os.ReadFile(path); !bytes.Equal(b, whole) {
		t.Error("what was there is gone")
	}
	for _, size := range []int64{int64(len(whole)) - 1, int64(len(whole)) + 1} {
		if _, err := Spool(t.Context(), path+"2", size, bytes.NewReader(whole)); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("%d of %d bytes: %v", size, len(whole), err)
		}
	}
	if _, err := Spool(t.Context(), path+"2", 1<<60, bytes.NewReader(nil)); linnet.CodeOf(err) != linnet.CodeDisk {
		t.Errorf("more than any disk has: %v", err)
	}
	left, err := os.ReadDir(dir)
	ok(t, err)
	if len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}

// A disk that gets full in the middle is told in words, and what came is kept.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	_, err = full.Write([]byte("x"))
	if e := new(linnet.Error); !errors.As(Full(err), &e) || e.Code != linnet.CodeDisk || e.Text != "the disk is full" {
		t.Errorf("%v", Full(err))
	}
}

// Who chooses names and ids has no two files written into one part.
func TestPartPath(t *testing.T) {
	if a, b := PartPath("d", "x", linnet.FileID{15: 1}), PartPath("d", "x", linnet.FileID{15: 2}); a == b {
		t.Errorf("two files come to %s", a)
	}
}
