package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/linnet-p2p/linnet/files"
)

// A Part is a file that comes, as far as it is.
type Part struct {
	f      *os.File
	size   int64
	pieces []byte
	done   int64 // verified, from the beginning
	buf    []byte
}

// OpenPart opens a part, or makes it, and verifies what it should have, done bytes: of
// them as much counts as is good, in whole pieces. What is behind is cut off.
func OpenPart(ctx context.Context, path string, size, done int64, pieces []byte) (*Part, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, Full(err)
	}
	p := &Part{f: f, size: size, pieces: pieces, buf: make([]byte, files.PieceSize)}
	if err := p.verify(ctx, done); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func (p *Part) verify(ctx context.Context, done int64) error {
	info, err := p.f.Stat()
	if err != nil {
		return Full(err)
	}
	if !info.Mode().IsRegular() {
		return Full(fmt.Errorf("%s is not a file", p.f.Name()))
	}
	for done = min(done, info.Size(), p.size); p.done < done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := p.next()
		if p.done+int64(n) > done {
			break
		}
		if _, err := p.f.ReadAt(p.buf[:n], p.done); err != nil || !p.good(n) {
			break
		}
		p.done += int64(n)
	}
	if err := p.f.Truncate(p.done); err != nil {
		return Full(err)
	}
	return nil
}

// next is the size of the piece after done.
func (p *Part) next() int { return int(min(files.PieceSize, p.size-p.done)) }

// good says whether the first n bytes of buf are the piece after done.
func (p *Part) good(n int) bool {
	i := p.done / files.PieceSize * sha256.Size
	sum := sha256.Sum256(p.buf[:n])
	return i+sha256.Size <= int64(len(p.pieces)) && bytes.Equal(sum[:], p.pieces[i:i+sha256.Size])
}

// Done is how many bytes are verified.
func (p *Part) Done() int64 { return p.done }

// ReadPiece reads the next piece and writes it, if it is what it should be: else it
// returns files.ErrMismatch, and nothing has happened.
func (p *Part) ReadPiece(r io.Reader) error {
	n := p.next()
	if _, err := io.ReadFull(r, p.buf[:n]); err != nil {
		return err
	}
	if !p.good(n) {
		return files.ErrMismatch
	}
	if _, err := p.f.WriteAt(p.buf[:n], p.done); err != nil {
		return Full(err)
	}
	p.done += int64(n)
	return nil
}

// Sync brings to the disk what was written.
func (p *Part) Sync() error { return Full(p.f.Sync()) }

// Complete reads all of it from the disk once more.
func (p *Part) Complete(ctx context.Context, whole [32]byte) error {
	if err := p.Sync(); err != nil {
		return err
	}
	s, err := Sum(ctx, io.NewSectionReader(p.f, 0, p.size+1))
	if err != nil {
		return Full(err)
	}
	if s.Size != p.size || s.Whole != whole {
		return files.ErrMismatch
	}
	return nil
}

// Close closes the part, which stays.
func (p *Part) Close() error { return p.f.Close() }
