// Package store is the node's own database: who this device is, its network,
// the user's contacts, calls and messages, the supernodes it knows and the
// records that it keeps for others.
//
// What a method has acknowledged survives a crash of the program or the machine
// at any instant. The package decides nothing: it does not know when a record
// is stale or a contact welcome. Secret keys lie in the file unencrypted,
// readable by its owner only.
//
// # Files
//
//	HOME/linnet.db         SQLite, see package sqlite; schema in migrations/
//	HOME/linnet.db.lock    held while the store is open: one process per HOME
package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schema is the migrations at their file system's root, where goose looks.
func schema() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // embedded: it is there
	}
	return sub
}

// A Store is open on one directory. Its methods may be called by any number of
// goroutines.
type Store struct {
	db *sqlite.DB
}

// Open opens the store of a directory, making both where they are missing.
// Calls that a crash cut off get their outcome now: missed or lost.
func Open(ctx context.Context, home string) (*Store, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("the directory %s cannot be made", home),
			Hint: "check the one above it, or choose another one with --home", Err: err}
	}
	db, err := sqlite.Open(ctx, filepath.Join(home, "linnet.db"), schema(), sqlite.Options{Exclusive: true})
	if errors.Is(err, sqlite.ErrInUse) {
		return nil, &linnet.Error{
			Code: linnet.CodeInUse,
			Text: fmt.Sprintf("another linnet is using this directory (%s)", home),
			Hint: "stop it first, or choose another one with --home",
			Err:  err,
		}
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{db: db}
	if err := s.closeCalls(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

// Check reads the whole database and says what is wrong with it.
func (s *Store) Check(ctx context.Context) error {
	report, err := sqlite.One(ctx, s.db, sqlite.Column[string], "PRAGMA integrity_check")
	if err == nil && report != "ok" {
		err = &linnet.Error{Code: linnet.CodeDisk, Text: "the database is damaged", Hint: "restore it from a backup", Err: errors.New(report)}
	}
	if err != nil {
		return fmt.Errorf("store: check: %w", err)
	}
	return nil
}

// Writable says what the disk has against writing, if it had something against it last.
func (s *Store) Writable(ctx context.Context) error { return s.db.Writable(ctx) }

// TryWriting writes something that nobody reads.
func (s *Store) TryWriting(ctx context.Context) error { return s.db.TryWriting(ctx) }

// Times are kept as milliseconds since 1970; the zero time as 0.

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// bit is how a bool is kept.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
