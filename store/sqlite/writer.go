package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/linnet-p2p/linnet"
)

// maxBatch bounds how many writes wait for one commit.
const maxBatch = 64

// ErrClosed says that the database was closed.
var ErrClosed = errors.New("the database is closed")

// Tx is what a write runs its statements on. It prepares each of them once.
type Tx struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt // of the program, hence few
}

func (tx *Tx) statement(query string) (*sql.Stmt, error) {
	if s, ok := tx.statements[query]; ok {
		return s, nil
	}
	s, err := tx.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	tx.statements[query] = s
	return s, nil
}

// Exec runs a statement and says how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	s, err := tx.statement(query)
	if err != nil {
		return 0, err
	}
	r, err := s.Exec(args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// One reads one row; sql.ErrNoRows says that there is none.
func (tx *Tx) One(query string, args ...any) Row {
	s, err := tx.statement(query)
	if err != nil {
		return failed{err}
	}
	return s.QueryRow(args...)
}

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

type job struct {
	fn   func(*Tx) error
	err  error
	done chan struct{}
}

// writer is the one goroutine that writes.
//
//	wait for a write ─▶ begin ─▶ run it, and all that wait by now ─▶ commit ─▶ answer them
type writer struct {
	jobs chan *job
	stop chan struct{}
	done chan struct{}
	tx   *Tx // touched by run alone

	trouble atomic.Pointer[linnet.Error] // with the disk, of the last write
}

func startWriter(conn *sql.Conn) *writer {
	w := &writer{
		jobs: make(chan *job),
		stop: make(chan struct{}),
		done: make(chan struct{}),
		tx:   &Tx{conn: conn, statements: make(map[string]*sql.Stmt)},
	}
	go w.run()
	return w
}

func (w *writer) close() error {
	close(w.stop)
	<-w.done
	for _, s := range w.tx.statements {
		s.Close()
	}
	return w.tx.conn.Close()
}

func (w *writer) write(ctx context.Context, fn func(*Tx) error) error {
	j := &job{fn: fn, done: make(chan struct{})}
	select {
	case w.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
		return ErrClosed
	}
	// Begun is soon ended; to leave now would leave the caller in doubt.
	<-j.done
	err := Explain(j.err)
	if e, ok := errors.AsType[*linnet.Error](err); err == nil || ok && e.Code == linnet.CodeDisk {
		w.trouble.Store(e)
	}
	return err
}

func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case j := <-w.jobs:
			batch := w.batch(j)
			for _, j := range batch {
				close(j.done)
			}
		case <-w.stop:
			return
		}
	}
}

// batch runs first and whatever waits behind it in one transaction.
func (w *writer) batch(first *job) []*job {
	batch := []*job{first}
	if _, err := w.tx.Exec("BEGIN IMMEDIATE"); err != nil {
		first.err = err
		return batch
	}
	err := w.one(first)
	for err == nil && len(batch) < maxBatch {
		var next *job
		select {
		case next = <-w.jobs:
		default:
		}
		if next == nil {
			break
		}
		batch = append(batch, next)
		err = w.one(next)
	}
	if err == nil {
		_, err = w.tx.Exec("COMMIT")
	}
	if err != nil {
		// None of them is on disk. SQLite may have rolled back already.
		w.tx.Exec("ROLLBACK")
		for _, j := range batch {
			if j.err == nil {
				j.err = err
			}
		}
	}
	return batch
}

// one runs a job so that its failure undoes its own changes only. An error
// means that the whole transaction is lost.
func (w *writer) one(j *job) error {
	if _, err := w.tx.Exec("SAVEPOINT job"); err != nil {
		return err
	}
	if j.err = j.fn(w.tx); j.err != nil {
		if _, err := w.tx.Exec("ROLLBACK TO job"); err != nil {
			return fmt.Errorf("%w (after %w)", err, j.err)
		}
	}
	_, err := w.tx.Exec("RELEASE job")
	return err
}
