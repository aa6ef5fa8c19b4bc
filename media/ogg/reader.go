package ogg

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/linnet-p2p/linnet/media"
)

// A Header is what the first page says of the sound.
type Header struct {
	Channels int    // 1 or 2
	PreSkip  uint16 // samples at the start that are not to be played
	Rate     uint32 // of the sound before it was coded, for information
	Gain     int16  // in 1/256 dB, for the player to apply
}

// A Reader gives the Opus packets of a file one by one. It is a media.Source;
// timestamps count from 0, pre-skip included.
type Reader struct {
	in        *bufio.Reader
	header    Header
	serial    uint32
	page      page
	open      bool   // a packet goes on in the next page
	carry     []byte // its bytes so far
	ready     []media.Frame
	position  uint64 // granule position where the last page ended
	sound     bool   // a page with sound was read
	last      bool   // the last page was read
	timestamp uint32
	err       error
}

// NewReader reads the headers of an Ogg/Opus file.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 1<<16)}
	if err := r.head(); err != nil {
		return nil, err
	}
	if err := r.tags(); err != nil {
		return nil, err
	}
	return r, nil
}

// Header is the file's header.
func (r *Reader) Header() Header { return r.header }

// head finds the first Opus stream among the first pages of all streams, which
// stand at the beginning.
func (r *Reader) head() error {
	if b, err := r.in.Peek(len(capture)); !bytes.Equal(b, capture) {
		if err != nil && err != io.EOF {
			return err
		}
		return ErrNotOgg
	}
	other := ""
	for {
		err := r.page.read(r.in)
		switch {
		case err == io.EOF || err == nil && r.page.flags&flagFirst == 0:
			if other != "" {
				return fmt.Errorf("%w but %s", ErrNotOpus, other)
			}
			return ErrNotOpus
		case err != nil:
			return err
		case !bytes.HasPrefix(r.page.body, []byte("OpusHead")):
			other = codecName(r.page.body)
			continue
		}
		r.serial = r.page.serial
		return r.header.parse(r.page.body)
	}
}

func codecName(first []byte) string {
	for _, c := range []struct{ magic, name string }{
		{"\x01vorbis", "Vorbis"}, {"\x7fFLAC", "FLAC"}, {"Speex", "Speex"}, {"\x80theora", "Theora (video)"},
	} {
		if bytes.HasPrefix(first, []byte(c.magic)) {
			return c.name
		}
	}
	return "something unknown"
}

func (h *Header) parse(b []byte) error {
	switch {
	case len(b) < 19:
		return fmt.Errorf("%w: its Opus header has %d bytes, want 19", ErrDamaged, len(b))
	case b[8]>>4 != 0:
		return fmt.Errorf("%w: version %d of Ogg/Opus is unknown", ErrNotOpus, b[8])
	case b[18] != 0 || b[9] > 2:
		return ErrChannels
	case b[9] == 0:
		return fmt.Errorf("%w: no channel", ErrDamaged)
	}
	*h = Header{
		Channels: int(b[9]),
		PreSkip:  binary.LittleEndian.Uint16(b[10:]),
		Rate:     binary.LittleEndian.Uint32(b[12:]),
		Gain:     int16(binary.LittleEndian.Uint16(b[16:])),
	}
	return nil
}

// tags skips the comments, which may hold pictures of any size.
func (r *Reader) tags() error {
	for begun := false; ; begun = true {
		if err := r.nextPage(); err != nil {
			if err == io.EOF {
				return ErrTruncated
			}
			return err
		}
		if !begun && !bytes.HasPrefix(r.page.body, []byte("OpusTags")) {
			return fmt.Errorf("%w: the comments behind its header are missing", ErrDamaged)
		}
		for i, size := range r.page.sizes {
			if size < segment {
				if i < len(r.page.sizes)-1 {
					return fmt.Errorf("%w: sound and comments share a page", ErrDamaged)
				}
				return nil
			}
		}
	}
}

// nextPage reads the next page of the stream.
func (r *Reader) nextPage() error {
	for {
		if err := r.page.read(r.in); err != nil {
			return err
		}
		if r.page.serial == r.serial {
			return nil
		}
	}
}

// Next is the next packet; io.EOF means that there is none. A file that ends
// between two pages is whole: it is the recording of a machine that went off.
func (r *Reader) Next() (media.Frame, error) {
	for len(r.ready) == 0 {
		if r.err == nil {
			r.err = r.sounds()
		}
		if r.err != nil && len(r.ready) == 0 {
			return media.Frame{}, r.err
		}
	}
	f := r.ready[0]
	r.ready = r.ready[1:]
	return f, nil
}

// sounds reads the packets that end on the next page.
func (r *Reader) sounds() error {
	if r.last {
		return io.EOF
	}
	if err := r.nextPage(); err != nil {
		if err == io.EOF && r.open {
			return ErrTruncated
		}
		return err
	}
	p := &r.page
	r.last = p.flags&flagLast != 0
	skip := false // the rest of a packet whose beginning is not in the file
	if continued := p.flags&flagContinued != 0; continued != r.open {
		if r.open {
			return fmt.Errorf("%w: page %d does not go on with the packet before", ErrDamaged, p.number)
		}
		skip = true
	}
	r.ready = r.ready[:0]
	body, samples := p.body, uint64(0)
	for _, size := range p.sizes {
		if len(r.carry)+int(size) > maxPacket {
			return fmt.Errorf("%w: a packet of more than %d bytes", ErrDamaged, maxPacket)
		}
		r.carry = append(r.carry, body[:size]...)
		body = body[size:]
		if r.open = size == segment; r.open {
			continue
		}
		if skip {
			skip, r.carry = false, r.carry[:0]
			continue
		}
		n, err := media.OpusSamples(r.carry)
		if err != nil {
			return fmt.Errorf("%w: page %d: %w", ErrDamaged, p.number, err)
		}
		r.ready = append(r.ready, media.Frame{Timestamp: r.timestamp, Samples: n, Data: bytes.Clone(r.carry)})
		r.carry = r.carry[:0]
		r.timestamp += n
		samples += uint64(n)
	}
	if p.granule == noGranule || samples == 0 {
		return nil
	}
	if r.last {
		r.trim(r.position+samples, p.granule)
	} else if !r.sound && p.granule > samples {
		r.position = p.granule - samples // a piece of a longer recording
	}
	r.position = p.granule
	r.sound = true
	return nil
}

// trim marks what the end of the last page says is not to be played.
func (r *Reader) trim(end, granule uint64) {
	if granule >= end {
		return
	}
	left := end - granule
	for i := len(r.ready) - 1; i >= 0 && left > 0; i-- {
		n := min(left, uint64(r.ready[i].Samples))
		r.ready[i].Trim = uint32(n)
		left -= n
	}
}

// A File is an Ogg/Opus file on disk.
type File struct {
	*Reader
	file *os.File
	path string
}

// Open opens an Ogg/Opus file. Its errors name it.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(f)
	if err != nil {
		f.Close()
		return nil, named(path, err)
	}
	return &File{r, f, path}, nil
}

// Next is Reader.Next.
func (f *File) Next() (media.Frame, error) {
	frame, err := f.Reader.Next()
	if err != nil && err != io.EOF {
		err = named(f.path, err)
	}
	return frame, err
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// named adds the path where the operating system has not.
func named(path string, err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// ReadAll reads a whole file.
func ReadAll(in io.Reader) (Header, []media.Frame, error) {
	r, err := NewReader(in)
	if err != nil {
		return Header{}, nil, err
	}
	var frames []media.Frame
	for {
		f, err := r.Next()
		if err == io.EOF {
			return r.header, frames, nil
		}
		if err != nil {
			return r.header, frames, err
		}
		frames = append(frames, f)
	}
}

// Duration is how long frames play behind this header.
func (h Header) Duration(frames []media.Frame) time.Duration {
	n := -int64(h.PreSkip)
	for _, f := range frames {
		n += int64(f.Samples) - int64(f.Trim)
	}
	return time.Duration(max(0, n)) * time.Second / media.OpusClock
}
