package ogg

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/linnet-p2p/linnet/media"
)

// WriterOptions configures a Writer. The zero value is for recording a call.
type WriterOptions struct {
	Channels int    // 0 means those of the first packet
	PreSkip  uint16 // 0 means 312 samples: what libopus needs
	Serial   uint32 // of the stream; 0 means at random
}

const (
	defaultPreSkip = 312
	// pageSamples is how much sound a page holds at most: what a crash can cost.
	pageSamples = media.OpusClock
)

// A Writer writes an Ogg/Opus file. It makes a page of each second and writes
// it with one call of Write, so that what is written can always be played.
type Writer struct {
	out     io.Writer
	opts    WriterOptions
	page    page
	samples uint32 // in page
	granule uint64
	trim    uint32 // of the last packet
	gap     uint32 // samples to be filled before the next packet
	toc     byte   // of the last packet
	begun   bool
	buf     []byte
}

// NewWriter makes a Writer. The headers are written with the first packet.
func NewWriter(out io.Writer, opts WriterOptions) *Writer {
	if opts.PreSkip == 0 {
		opts.PreSkip = defaultPreSkip
	}
	return &Writer{out: out, opts: opts}
}

// Write writes a frame, or fills a gap.
func (w *Writer) Write(f media.Frame) error {
	if f.Data == nil {
		w.gap += f.Samples
		if !w.begun {
			return nil // of which form the gap is to be, the first packet will say
		}
		return w.fill()
	}
	n, err := media.OpusSamples(f.Data)
	if err != nil {
		return err
	}
	if len(f.Data) > maxPacket {
		return fmt.Errorf("%w: a packet of %d bytes", media.ErrOpus, len(f.Data))
	}
	if err := w.begin(f.Data[0]); err != nil {
		return err
	}
	if err := w.fill(); err != nil {
		return err
	}
	w.toc = f.Data[0]
	return w.packet(f.Data, n, f.Trim)
}

// begin writes the headers.
func (w *Writer) begin(toc byte) error {
	if w.begun {
		return nil
	}
	if w.opts.Channels == 0 {
		w.opts.Channels = 1
		if media.OpusStereo(toc) {
			w.opts.Channels = 2
		}
	}
	if w.opts.Serial == 0 {
		var b [4]byte
		rand.Read(b[:])
		w.opts.Serial = binary.LittleEndian.Uint32(b[:])
	}
	w.page.serial = w.opts.Serial
	w.toc = toc
	w.begun = true

	head := append([]byte("OpusHead"), 1, byte(w.opts.Channels))
	head = binary.LittleEndian.AppendUint16(head, w.opts.PreSkip)
	head = binary.LittleEndian.AppendUint32(head, media.OpusClock)
	head = append(head, 0, 0, 0)
	tags := text([]byte("OpusTags"), "Linnet")
	tags = binary.LittleEndian.AppendUint32(tags, 0)

	w.page.add(head)
	w.page.flags = flagFirst
	if err := w.writePage(); err != nil {
		return err
	}
	w.page.add(tags)
	return w.writePage()
}

func text(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

// fill writes packets without content for the gap: of the form of the last
// packet as far as they fit, then in frames of CELT, which can be as short as
// 2.5 ms. What is left over waits for the next gap.
func (w *Writer) fill() error {
	const celt = 28 << 3 // full band, 2.5 ms; a step of 1<<3 doubles it
	form := w.toc & 0xfc
	forms := []byte{form, celt | 3<<3 | form&4, celt | 2<<3 | form&4, celt | 1<<3 | form&4, celt | form&4}
	for _, toc := range forms {
		for n := media.OpusFrameSamples(toc); w.gap >= n; w.gap -= n {
			if err := w.packet([]byte{toc}, n, 0); err != nil {
				w.gap = 0
				return err
			}
		}
	}
	return nil
}

func (w *Writer) packet(data []byte, samples, trim uint32) error {
	if w.samples+samples > pageSamples || len(w.page.sizes)+len(data)/segment+1 > maxSegments {
		if err := w.writePage(); err != nil {
			return err
		}
	}
	w.page.add(data)
	w.samples += samples
	w.granule += uint64(samples)
	w.page.granule = w.granule
	w.trim = trim
	return nil
}

func (p *page) add(data []byte) {
	p.sizes = lace(p.sizes, len(data))
	p.body = append(p.body, data...)
}

// writePage writes what is in the page and begins the next one.
func (w *Writer) writePage() error {
	w.buf = w.page.append(w.buf[:0])
	w.page = page{
		granule: w.granule,
		serial:  w.page.serial,
		number:  w.page.number + 1,
		sizes:   w.page.sizes[:0],
		body:    w.page.body[:0],
	}
	w.samples = 0
	n, err := w.out.Write(w.buf)
	if err == nil && n < len(w.buf) {
		err = io.ErrShortWrite
	}
	return err
}

// Flush writes what has come so far, without waiting for a whole second.
func (w *Writer) Flush() error {
	if len(w.page.sizes) == 0 {
		return nil
	}
	return w.writePage()
}

// Close ends the stream, without closing what is written to. A file without any
// sound has its headers at least.
func (w *Writer) Close() error {
	if err := w.begin(defaultForm); err != nil {
		return err
	}
	if err := w.fill(); err != nil {
		return err
	}
	w.page.flags |= flagLast
	w.page.granule = w.granule - min(uint64(w.trim), w.granule)
	return w.writePage()
}

// defaultForm is the first byte of packets where nothing was heard: CELT, full
// band, 20 ms, mono.
const defaultForm = 31 << 3
