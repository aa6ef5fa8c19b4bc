package sqlite

import (
	"errors"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/linnet-p2p/linnet"
)

// Explain turns what SQLite and the operating system say of a disk into a
// sentence for people and a next step. Other errors pass unchanged.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*linnet.Error](err); ok {
		return err
	}
	disk := func(text, hint string) error {
		return &linnet.Error{Code: linnet.CodeDisk, Text: text, Hint: hint, Err: err}
	}
	code := -1
	if e, ok := errors.AsType[*driver.Error](err); ok {
		code = e.Code() & 0xff // the low byte; the rest says where it happened
	}
	switch {
	case code == lib.SQLITE_FULL, errors.Is(err, syscall.ENOSPC):
		return disk("the disk is full", "free some space and try again; nothing that was saved is lost")
	case code == lib.SQLITE_READONLY, code == lib.SQLITE_PERM, code == lib.SQLITE_CANTOPEN,
		errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return disk("the directory cannot be written", "check its owner, its mode and whether its disk is mounted read-only")
	case code == lib.SQLITE_IOERR, errors.Is(err, syscall.EIO):
		return disk("the disk fails or is full", "check its free space and health; nothing that was saved is lost")
	case code == lib.SQLITE_CORRUPT, code == lib.SQLITE_NOTADB:
		return disk("the database is damaged", "restore it from a backup, or move it away to begin anew")
	case code == lib.SQLITE_BUSY, code == lib.SQLITE_LOCKED:
		return &linnet.Error{Code: linnet.CodeInUse, Text: "another process is writing to the database", Hint: "try again", Err: err}
	}
	return err
}
