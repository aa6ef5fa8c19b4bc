package ogg

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/linnet-p2p/linnet/media"
)

// A Recorder records frames into a file. A page of each second is written at
// once, so that of a machine that goes off one second is missing, and what is
// there can be played.
type Recorder struct {
	file   file
	path   string
	w      *Writer
	whole  int64 // bytes of whole pages in the file
	kept   uint64
	failed bool
	closed bool
}

// file is the part of *os.File that a Recorder uses.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
}

// Create begins a recording, in place of the file that may be there.
func Create(path string) (*Recorder, error) {
	// What people say is theirs alone to read.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return newRecorder(f, path, WriterOptions{}), nil
}

func newRecorder(f file, path string, opts WriterOptions) *Recorder {
	r := &Recorder{file: f, path: path}
	r.w = NewWriter(pages{r}, opts)
	return r
}

// pages writes whole pages or nothing.
type pages struct{ *Recorder }

func (p pages) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	if err != nil {
		// Best effort: half a page at the end would make the file look damaged.
		p.file.Truncate(p.whole)
		return n, err
	}
	p.whole += int64(n)
	p.kept = p.w.granule
	return n, nil
}

// Write records frames. When that fails it says so once, and later frames are
// dropped in silence: a call does not end because a disk is full. What was
// recorded before can be played.
func (r *Recorder) Write(frames ...media.Frame) error {
	for _, f := range frames {
		if r.failed || r.closed {
			return nil
		}
		if err := r.w.Write(f); err != nil && !errors.Is(err, media.ErrOpus) {
			return r.fail(err)
		}
	}
	return nil
}

// Flush writes what is not yet in the file.
func (r *Recorder) Flush() error {
	if r.failed || r.closed {
		return nil
	}
	if err := r.w.Flush(); err != nil {
		return r.fail(err)
	}
	return nil
}

func (r *Recorder) fail(err error) error {
	r.failed = true
	return fmt.Errorf("recording %s stopped after %v, which are kept: %w", r.path, r.Recorded().Round(100*time.Millisecond), media.WriteError(err))
}

// Recorded is how much is in the file.
func (r *Recorder) Recorded() time.Duration {
	return time.Duration(r.kept) * time.Second / media.OpusClock
}

// Close ends the recording.
func (r *Recorder) Close() error {
	if r.closed {
		return nil
	}
	var err error
	if !r.failed {
		if err = r.w.Close(); err != nil {
			err = r.fail(err)
		}
	}
	r.closed = true
	return errors.Join(err, r.file.Close())
}
