package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/linnet-p2p/linnet"
)

var migrations = fstest.MapFS{
	"00001_numbers.sql": {Data: []byte("-- +goose Up\nCREATE TABLE numbers (n BIGINT PRIMARY KEY, filler BYTEA);")},
}

func openTest(t *testing.T, path string, opts Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, migrations, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func count(t *testing.T, db *DB) int {
	t.Helper()
	n, err := One(t.Context(), db, Column[int], "SELECT COUNT(*) FROM numbers")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func insert(n int) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO numbers (n) VALUES ($1)", n)
		return err
	}
}

// Writes that share a commit stand or fall each by itself.
func TestWritesShareACommit(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	mine := errors.New("mine")
	begun, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		// Holds the writer until the others wait behind it.
		err := db.Write(t.Context(), func(tx *Tx) error {
			close(begun)
			<-release
			return insert(1000)(tx)
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	const writes = 40
	for i := range writes {
		wg.Go(func() {
			err := db.Write(t.Context(), func(tx *Tx) error {
				if err := insert(i)(tx); err != nil {
					return err
				}
				if i%4 == 0 {
					return mine
				}
				return nil
			})
			if want := i%4 == 0; errors.Is(err, mine) != want {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	close(release)
	wg.Wait()
	if got, want := count(t, db), 1+writes*3/4; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
}

func TestWriteAfterItsContext(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	begun, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		db.Write(t.Context(), func(*Tx) error { close(begun); <-release; return nil })
	})
	<-begun
	wg.Go(func() { cancel() })
	if err := db.Write(ctx, insert(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v, want it cancelled", err)
	}
	close(release)
	wg.Wait()
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows of a write that was cancelled before it began", n)
	}
	db.Close()
	if err := db.Write(t.Context(), insert(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close = %v", err)
	}
}

func TestExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := openTest(t, path, Options{Exclusive: true})
	if _, err := Open(t.Context(), path, migrations, Options{Exclusive: true}); !errors.Is(err, ErrInUse) {
		t.Errorf("second Open = %v, want ErrInUse", err)
	}
	db.Close()
	openTest(t, path, Options{})
	openTest(t, path, Options{}) // two processes may share what is not exclusive
}

func TestFilesAreTheOwners(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, filepath.Join(dir, "with space & ? sign.db"), Options{})
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 { // database, log, its index, lock
		t.Errorf("files: %v", files)
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), "with space & ? sign.db") {
			t.Errorf("%s is not ours", f.Name())
		}
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", f.Name(), info.Mode(), err)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	newer := fstest.MapFS{
		"00001_numbers.sql": migrations["00001_numbers.sql"],
		"00002_more.sql":    {Data: []byte("-- +goose Up\nCREATE TABLE more (n BIGINT);")},
	}
	db, err := Open(t.Context(), path, newer, Options{})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := Open(t.Context(), path, migrations, Options{}); err == nil || !strings.Contains(err.Error(), "newer linnet (schema 2, this program knows 1)") {
		t.Errorf("Open = %v", err)
	}
}

// A migration that fails leaves the database as it was.
func TestUpgradeIsAllOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	openTest(t, path, Options{}).Close()
	broken := fstest.MapFS{
		"00001_numbers.sql": migrations["00001_numbers.sql"],
		"00002_more.sql":    {Data: []byte("-- +goose Up\nCREATE TABLE more (n BIGINT);\nINSERT INTO nowhere VALUES (1);")},
	}
	if _, err := Open(t.Context(), path, broken, Options{}); err == nil {
		t.Fatal("a broken migration succeeded")
	}
	db := openTest(t, path, Options{})
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Error(err)
	}
	n, err := One(t.Context(), db, Column[int], "SELECT COUNT(*) FROM sqlite_master WHERE name = 'more'")
	if err != nil || n != 0 {
		t.Errorf("half of the migration stayed: %d, %v", n, err)
	}
}

func TestDiskTrouble(t *testing.T) {
	tests := []struct {
		name   string
		pragma string
		undo   string
		says   string
	}{
		// SQLite answers as it does when the file system has no room left.
		{"full", "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "the disk is full; free some space and try again"},
		{"read-only", "PRAGMA query_only = 1", "PRAGMA query_only = 0", "the directory cannot be written; check its owner"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
			pragma := func(p string) {
				if err := db.Write(t.Context(), func(tx *Tx) error { _, err := tx.conn.ExecContext(t.Context(), p); return err }); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Write(t.Context(), insert(0)); err != nil {
				t.Fatal(err)
			}
			pragma(tt.pragma)
			acked := 1
			var err error
			for i := 1; err == nil && i < 100; i++ {
				err = db.Write(t.Context(), func(tx *Tx) error {
					_, err := tx.Exec("INSERT INTO numbers (n, filler) VALUES ($1, $2)", i, make([]byte, 10_000))
					return err
				})
				if err == nil {
					acked++
				}
			}
			if linnet.CodeOf(err) != linnet.CodeDisk || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("Write = %v, want %q", err, tt.says)
			}
			if n := count(t, db); n != acked {
				t.Errorf("%d rows, %d were acknowledged", n, acked)
			}
			db.writer.tx.conn.ExecContext(t.Context(), tt.undo) // nothing else writes now
			if err := db.Write(t.Context(), insert(1000)); err != nil {
				t.Errorf("once the trouble is over: %v", err)
			}
		})
	}
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, migrations, Options{}); linnet.CodeOf(err) != linnet.CodeDisk {
		t.Errorf("Open = %v, want a damaged database", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, parallel := range []int{1, 32} {
		b.Run(fmt.Sprintf("writers=%d", parallel), func(b *testing.B) {
			db, err := Open(b.Context(), filepath.Join(b.TempDir(), "x.db"), migrations, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			next := make(chan int)
			var wg sync.WaitGroup
			for range parallel {
				wg.Go(func() {
					for n := range next {
						if err := db.Write(b.Context(), insert(n)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			n := 0
			for b.Loop() {
				next <- n
				n++
			}
			close(next)
			wg.Wait()
		})
	}
}
