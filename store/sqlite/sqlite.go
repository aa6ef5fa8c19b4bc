// Package sqlite opens the SQLite files of Linnet (the node's own database, the
// login server's accounts) in the one way in which what was acknowledged
// survives a crash at any instant: write-ahead log, synchronous=FULL, one
// writer, versioned by numbered migrations.
//
// It knows no table. It does not hide SQL: statements are the caller's, written
// so that PostgreSQL takes them as well ($1, BIGINT, BYTEA, no triggers).
//
// # Files
//
//	NAME            the database, mode 0600
//	NAME-wal, -shm  its log, kept by SQLite with the same mode
//	NAME.lock       empty; locked while a schema is upgraded, or, if
//	                Options.Exclusive, for as long as the database is open
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver

	"github.com/linnet-p2p/linnet"
)

// Options configures a DB. The zero value opens it for several processes at once.
type Options struct {
	Exclusive bool // refuse a second process; ErrInUse says so
}

// ErrInUse says that another process has opened the database exclusively.
var ErrInUse = errors.New("another process is using it")

// A DB is an open database: any number of readers, and one writer that Write feeds.
type DB struct {
	readers *sql.DB
	writer  *writer
	writing *sql.DB // its one connection is the writer's
	lock    io.Closer
	close   func() error

	prepared sync.Map // query to *sql.Stmt of readers; the queries are the program's, hence few
}

// Open opens the database at path, makes it if it is missing, and brings its
// schema to the newest of the migrations (goose's *.sql files at the root of
// the file system).
func Open(ctx context.Context, path string, migrations fs.FS, opts Options) (_ *DB, err error) {
	db := new(DB)
	db.close = sync.OnceValue(db.closeAll)
	defer func() {
		if err != nil {
			db.Close()
			err = fmt.Errorf("open %s: %w", path, Explain(err))
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if db.lock, err = lockFile(path+".lock", opts.Exclusive); err != nil {
		return nil, err
	}
	// SQLite would make the file readable by everybody; its log takes the
	// file's mode over.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	f.Close()
	db.writing = open(path, 1, "_txlock=immediate")
	if err := migrate(ctx, db.writing, migrations); err != nil {
		return nil, err
	}
	if !opts.Exclusive {
		db.lock.Close()
		db.lock = nil
	}
	db.readers = open(path, 4, "_pragma=query_only(1)")
	conn, err := db.writing.Conn(ctx)
	if err != nil {
		return nil, err
	}
	db.writer = startWriter(conn)
	return db, nil
}

func open(path string, conns int, more string) *sql.DB {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "_pragma=busy_timeout(5000)" +
		"&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)" +
		"&_pragma=fullfsync(1)" + // macOS: past the drive's own cache
		"&_pragma=foreign_keys(1)" +
		"&_pragma=secure_delete(1)" + // erased keys and messages leave no bytes behind
		"&" + more}
	db, _ := sql.Open("sqlite", u.String()) // fails for an unknown driver only
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db
}

func migrate(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, migrations)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return &linnet.Error{Code: linnet.CodeFailed,
			Text: fmt.Sprintf("the database was written by a newer linnet (schema %d, this program knows %d)", have, want),
			Hint: "install that version or newer"}
	}
	if have == want {
		return nil
	}
	_, err = p.Up(ctx)
	return err
}

// Close ends the readers and the writer. What was acknowledged is on disk
// already; Close only tidies the log away. It may be called again.
func (db *DB) Close() error { return db.close() }

func (db *DB) closeAll() error {
	var errs []error
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	for _, d := range []*sql.DB{db.readers, db.writing} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Write runs fn in a transaction and returns once it is on disk. Writes that
// wait for the same disk share one commit, so that many of them cost little
// more than one; each fails or succeeds by itself. fn must be quick, must not
// wait for another Write, and must not keep tx. Where ctx ends before fn was
// begun, nothing was written.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.writer.write(ctx, fn)
}

// Writable says what the disk has against writing: what the last write met, which
// is tried again then with a page of nothing.
func (db *DB) Writable(ctx context.Context) error {
	if db.writer.trouble.Load() == nil {
		return nil
	}
	return db.TryWriting(ctx)
}

// TryWriting writes a page of nothing.
func (db *DB) TryWriting(ctx context.Context) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec("PRAGMA user_version = 0") // nobody reads it
		return err
	})
}

// A Row is what a scan function reads columns from.
type Row interface {
	Scan(dst ...any) error
}

// One reads one row; sql.ErrNoRows says that there is none.
func One[T any](ctx context.Context, db *DB, scan func(Row) (T, error), query string, args ...any) (T, error) {
	stmt, err := db.prepare(ctx, query)
	if err != nil {
		var none T
		return none, Explain(err)
	}
	v, err := scan(stmt.QueryRowContext(ctx, args...))
	return v, Explain(err)
}

func (db *DB) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := db.prepared.Load(query); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := db.readers.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, loaded := db.prepared.LoadOrStore(query, stmt); loaded {
		stmt.Close()
		return first.(*sql.Stmt), nil
	}
	return stmt, nil // closed with readers
}

// Column is the scan function of a query with one column.
func Column[T any](row Row) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// All reads all rows.
func All[T any](ctx context.Context, db *DB, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	stmt, err := db.prepare(ctx, query)
	if err != nil {
		return nil, Explain(err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, Explain(err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, Explain(err)
		}
		all = append(all, v)
	}
	return all, Explain(rows.Err())
}
