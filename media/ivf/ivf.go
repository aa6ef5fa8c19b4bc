// Package ivf reads and writes IVF files of VP8 pictures, as vpxenc and ffmpeg
// make and play them. They hold video alone: what was said meanwhile is in an Ogg
// file beside them.
//
// It codes and decodes nothing.
//
// # Wire form
//
// All numbers are little-endian:
//
//	"DKIF" 4 | version 2 | header 2 | "VP80" 4 | width 2 | height 2 | rate 4 | scale 4 | pictures 4 | 0 4
//	size 4 | time 8 | picture, for each; time is in scale/rate seconds
package ivf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/linnet-p2p/linnet/media"
)

const (
	header  = 32
	before  = 12      // each picture
	largest = 1 << 20 // picture
)

// ErrFormat says that a file is no IVF file of VP8 pictures.
var ErrFormat = errors.New("not an IVF file of VP8 pictures")

// A Reader gives the pictures of a file.
type Reader struct {
	r           io.Reader
	rate, scale uint64
}

// NewReader reads the header.
func NewReader(r io.Reader) (*Reader, error) {
	var b [header]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	x := &Reader{r: r, rate: uint64(binary.LittleEndian.Uint32(b[16:])), scale: uint64(binary.LittleEndian.Uint32(b[20:]))}
	size := int64(binary.LittleEndian.Uint16(b[6:]))
	switch {
	case string(b[:4]) != "DKIF" || string(b[8:12]) != "VP80" || size < header:
		return nil, ErrFormat
	case x.rate == 0 || x.scale == 0:
		return nil, fmt.Errorf("%w: its pictures have no time", ErrFormat)
	}
	if _, err := io.CopyN(io.Discard, r, size-header); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return x, nil
}

// Next is the next picture, with its time in the file as timestamp; io.EOF follows
// the last one.
func (x *Reader) Next() (media.Picture, error) {
	var b [before]byte
	if _, err := io.ReadFull(x.r, b[:]); errors.Is(err, io.EOF) {
		return media.Picture{}, io.EOF
	} else if err != nil {
		return media.Picture{}, fmt.Errorf("%w: it ends within a picture", ErrFormat)
	}
	size, at := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint64(b[4:])
	if size == 0 || size > largest || at > 1<<32 {
		return media.Picture{}, fmt.Errorf("%w: a picture of %d bytes at %d", ErrFormat, size, at)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(x.r, data); err != nil {
		return media.Picture{}, fmt.Errorf("%w: it ends within a picture", ErrFormat)
	}
	return media.Picture{Timestamp: uint32(at * x.scale * media.VideoClock / x.rate), Key: media.KeyPicture(data), Data: data}, nil
}

// A File is an IVF file that is read.
type File struct {
	*Reader
	file *os.File
}

// Open opens an IVF file. Its errors name it.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(bufio.NewReader(f))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &File{r, f}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// A Recorder writes pictures into a file; their times count from the first one.
type Recorder struct {
	file     *os.File
	pictures uint32
	first    uint32 // timestamp
	width    int
	height   int
	err      error // after which nothing is written
}

// Create begins a recording, in place of the file that may be there.
func Create(path string) (*Recorder, error) {
	// What people show is theirs alone to see.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	r := &Recorder{file: f}
	if err := r.writeHeader(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *Recorder) writeHeader() error {
	b := append(make([]byte, 0, header), "DKIF\x00\x00\x20\x00VP80"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(r.width))
	b = binary.LittleEndian.AppendUint16(b, uint16(r.height))
	b = binary.LittleEndian.AppendUint32(b, uint32(time.Second/time.Millisecond))
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, r.pictures)
	_, err := r.file.WriteAt(append(b, 0, 0, 0, 0), 0)
	return err
}

// Write adds a picture. After an error, which it tells once, it writes nothing.
func (r *Recorder) Write(p media.Picture) error {
	if r.err != nil || r.pictures == 0 && !p.Key {
		return nil
	}
	if r.pictures == 0 {
		r.first = p.Timestamp
		r.width, r.height = p.Size()
		if _, r.err = r.file.Seek(header, io.SeekStart); r.err != nil {
			return r.err
		}
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, before+len(p.Data)), uint32(len(p.Data)))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Timestamp-r.first)*1000/media.VideoClock)
	_, err := r.file.Write(append(b, p.Data...))
	r.err = media.WriteError(err)
	r.pictures++
	return r.err
}

// Close writes the number of pictures into the header, and closes the file.
func (r *Recorder) Close() error {
	return errors.Join(r.writeHeader(), r.file.Close())
}
