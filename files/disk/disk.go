// Package disk has the bytes of files that are sent and received. It knows no network
// and decides nothing: which file, and when, is the business of package files.
//
// A file that comes is written to a part beside the place where it will be, from its
// beginning on, a verified piece after the other. How far it is on disk is kept
// elsewhere; what is taken up again is verified again. When all of it is there and the
// whole was verified, it gets its name, and never takes that of another file.
package disk

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/files"
	"github.com/linnet-p2p/linnet/spare"
)

// LeastRoom is what a file has to leave free of the disk.
const LeastRoom = 64 << 20

// Sums are what a file is verified by.
type Sums struct {
	Size   int64
	Whole  [32]byte
	Tree   [32]byte
	Pieces []byte // the SHA-256 of each piece, in order
}

// Sum reads all of r.
func Sum(ctx context.Context, r io.Reader) (s Sums, err error) {
	whole := sha256.New()
	buf := make([]byte, files.PieceSize)
	for {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if s.Size += int64(n); s.Size > linnet.MaxFile {
				return s, linnet.Errorf(linnet.CodeUsage, "a file of more than %d GiB cannot be sent", linnet.MaxFile>>30)
			}
			whole.Write(buf[:n])
			piece := sha256.Sum256(buf[:n])
			s.Pieces = append(s.Pieces, piece[:]...)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			whole.Sum(s.Whole[:0])
			s.Tree = sha256.Sum256(s.Pieces)
			return s, nil
		case err != nil:
			return s, err
		}
	}
}

// A Source is a file of this machine that is sent.
type Source struct {
	Sums
	Path     string // absolute
	Name     string
	Modified time.Time
}

// Read looks at a file that is to be sent, and reads all of it.
func Read(ctx context.Context, path string) (s Source, err error) {
	f, info, err := open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	if info.Size() > linnet.MaxFile {
		return s, linnet.Errorf(linnet.CodeUsage, "%s has more than %d GiB, which cannot be sent", path, linnet.MaxFile>>30)
	}
	sums, err := Sum(ctx, f)
	if err != nil {
		return s, unreadable(path, err)
	}
	if after, err := f.Stat(); err != nil || after.Size() != sums.Size || !after.ModTime().Equal(info.ModTime()) {
		return s, &linnet.Error{Code: linnet.CodeBadFile, Text: path + " is changing", Hint: "send it when nobody writes to it", Err: err}
	}
	return Source{Sums: sums, Path: path, Name: filepath.Base(path), Modified: info.ModTime()}, nil
}

// open opens a regular file. Others (pipes, devices) have no end, or wait for somebody.
func open(path string) (*os.File, os.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, nil, &linnet.Error{Code: linnet.CodeBadFile, Text: path + " is not a file", Hint: "pack a folder into an archive first"}
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err == nil {
		info, err = f.Stat()
	}
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	return f, info, nil
}

func unreadable(path string, err error) error {
	if _, ok := errors.AsType[*linnet.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return &linnet.Error{Code: linnet.CodeBadFile, Text: path + " cannot be read", Hint: "check that it is there and may be read", Err: err}
}

// OpenSource opens a file that was read before, if it is as it was.
func OpenSource(path string, size int64, modified time.Time) (*os.File, error) {
	f, info, err := open(path)
	if err != nil {
		return nil, err
	}
	if info.Size() != size || info.ModTime().UnixMilli() != modified.UnixMilli() {
		f.Close()
		return nil, &linnet.Error{Code: linnet.CodeBadFile, Text: path + " was changed since it was offered", Hint: "cancel, and send it again"}
	}
	return f, nil
}

// Spool keeps what r gives, which has to be size bytes, in a new file at path.
func Spool(ctx context.Context, path string, size int64, r io.Reader) (s Source, err error) {
	if err := CheckRoom(ctx, filepath.Dir(path), size); err != nil {
		return s, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return s, Full(err)
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(path)
		}
	}()
	out := bufio.NewWriterSize(f, files.PieceSize)
	if s.Sums, err = Sum(ctx, io.TeeReader(io.LimitReader(r, size+1), out)); err != nil {
		return s, Full(err)
	}
	if s.Size != size {
		return s, linnet.Errorf(linnet.CodeUsage, "of %d bytes %d came", size, s.Size)
	}
	err = out.Flush()
	if err == nil {
		err = f.Sync()
	}
	var info os.FileInfo
	if err == nil {
		info, err = f.Stat()
	}
	if err != nil {
		return s, Full(err)
	}
	s.Path, s.Modified = path, info.ModTime()
	return s, nil
}

// CheckRoom says why a disk cannot take so many bytes more.
func CheckRoom(ctx context.Context, dir string, size int64) error {
	room, err := spare.Room(ctx, dir)
	if err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: "the folder " + dir + " cannot be used", Hint: "check that it is there and may be written", Err: err}
	}
	if room < uint64(size)+LeastRoom {
		return &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("the disk of %s is too full: %d MiB are needed and %d MiB free", dir, (uint64(size)+LeastRoom)>>20, room>>20),
			Hint: "free some space"}
	}
	return nil
}

// Full puts trouble with writing into words for people.
func Full(err error) error {
	if _, ok := errors.AsType[*linnet.Error](err); ok || err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	text := "the file cannot be written"
	if errors.Is(err, syscall.ENOSPC) {
		text = "the disk is full"
	}
	return &linnet.Error{Code: linnet.CodeDisk, Text: text, Hint: "free some space, or check the folder; then resume", Err: err}
}

// PartPath is where a file of this name is written while it comes. The id, all of which
// the sender chose, keeps it apart from any other.
func PartPath(dir, name string, id linnet.FileID) string {
	return filepath.Join(dir, name+"."+id.String()+".part")
}

// Free is a place in dir, for a file of this name, where none is.
func Free(dir, name string) (string, error) {
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for n := 1; n < 10_000; n++ {
		if n > 1 {
			name = fmt.Sprintf("%s (%d)%s", stem, n, ext)
		}
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
	}
	return "", &linnet.Error{Code: linnet.CodeDisk, Text: "there are too many files called " + name + " in " + dir, Hint: "tidy up"}
}

// Settle gives a part its place. It says fs.ErrExist if another file has come to be
// there. After a crash in the middle it may be called again.
func Settle(part, place string) error {
	was, err := os.Lstat(part)
	if err != nil {
		return Full(err)
	}
	if is, err := os.Lstat(place); err == nil {
		if !os.SameFile(was, is) {
			return fs.ErrExist
		}
	} else if err := os.Link(part, place); errors.Is(err, fs.ErrExist) {
		return fs.ErrExist
	} else if err != nil { // a file system without links
		return Full(move(part, place))
	}
	if err := os.Remove(part); err != nil {
		return Full(err)
	}
	return syncDir(filepath.Dir(place))
}

// Settled says whether a file was put in its place before a crash: the part is gone,
// and the whole is there.
func Settled(ctx context.Context, part, place string, whole [32]byte) bool {
	if _, err := os.Lstat(part); place == "" || !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	f, _, err := open(place)
	if err != nil {
		return false
	}
	defer f.Close()
	s, err := Sum(ctx, f)
	return err == nil && s.Whole == whole
}

// move is for file systems without links: what it replaces is an empty file of its own.
func move(part, place string) error {
	f, err := os.OpenFile(place, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	if err := os.Rename(part, place); err != nil {
		os.Remove(place)
		return err
	}
	return syncDir(filepath.Dir(place))
}

// syncDir has a new name survive a crash of the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return Full(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return Full(err)
	}
	return nil
}

// Open opens a file that came.
func Open(path string) (*os.File, error) {
	f, _, err := open(path)
	return f, err
}
