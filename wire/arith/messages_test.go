package arith

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// messages are the plain lists of commands in one of the two files of testdata:
// every fourth command that the nodes of `linnet demo --headless` sent, each
// file from a run of its own, with other keys and identities. A line is the
// command's name and the list in hexadecimal.
func messages(t testing.TB, file string) (all []message) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		name, wire, _ := strings.Cut(strings.TrimSpace(line), " ")
		m := message{name: name, plain: unhex(t, wire)}
		if m.list, err = objlist.Parse(m.plain); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, m)
	}
	return all
}

type message struct {
	name  string
	plain []byte
	list  objlist.List
}

const (
	train   = "testdata/train.txt"
	measure = "testdata/messages.txt"
)

func TestMessages(t *testing.T) {
	longer := 0
	for _, m := range append(messages(t, train), messages(t, measure)...) {
		packed := pack(t, m.list)
		if got, err := Parse(packed); err != nil || !reflect.DeepEqual(got, m.list) {
			t.Errorf("%s: %v, %v, want %v", m.name, got, err, m.list)
		}
		if want := reference(m.list); !bytes.Equal(packed[1:], want) {
			t.Errorf("%s: %x, want 42%x", m.name, packed, want)
		}
		if len(packed) > len(m.plain) {
			longer++
		}
	}
	if longer > 0 {
		t.Errorf("packed, %d messages are longer", longer)
	}
}

// A form is a way to write a list and to read it.
type form struct {
	name string
	pack func(b []byte, l objlist.List) []byte
	read func(b []byte) error
}

func forms(t testing.TB) []form {
	var samples [][]byte
	for _, m := range messages(t, train) {
		samples = append(samples, m.plain)
	}
	trained, err := dict.BuildZstdDict(samples, dict.Options{MaxDictSize: 16 << 10, HashBytes: 6, ZstdDictID: 1})
	if err != nil {
		t.Fatal(err)
	}
	history := slices.Concat(samples...)
	history = history[max(0, len(history)-32<<10):]

	var arithmetic Decoder
	return []form{
		{"plain", func(b []byte, l objlist.List) []byte { return l.Append(b) }, readPlain()},
		{"packed", func(b []byte, l objlist.List) []byte { b, _ = Append(b, l); return b },
			func(b []byte) error { _, err := arithmetic.Decode(b); return err }},
		deflate(t, "deflate", nil),
		deflate(t, "deflate-dictionary", history),
		brotli11(),
		zstandard(t, "zstd", nil, nil),
		zstandard(t, "zstd-dictionary", []zstd.EOption{zstd.WithEncoderDict(trained)}, []zstd.DOption{zstd.WithDecoderDicts(trained)}),
	}
}

func readPlain() func([]byte) error {
	var d objlist.Decoder
	return func(b []byte) error { _, _, err := d.Decode(b); return err }
}

func deflate(t testing.TB, name string, dictionary []byte) form {
	var out bytes.Buffer
	w, err := flate.NewWriterDict(&out, flate.BestCompression, dictionary)
	if err != nil {
		t.Fatal(err)
	}
	r, read := flate.NewReaderDict(bytes.NewReader(nil), dictionary), readPlain()
	var plain []byte
	return form{name,
		func(b []byte, l objlist.List) []byte {
			plain = l.Append(plain[:0])
			out.Reset()
			w.Reset(&out)
			w.Write(plain)
			w.Close()
			return append(b, out.Bytes()...)
		},
		func(b []byte) error {
			if err := r.(flate.Resetter).Reset(bytes.NewReader(b), dictionary); err != nil {
				return err
			}
			out.Reset()
			if _, err := out.ReadFrom(r); err != nil {
				return err
			}
			return read(out.Bytes())
		},
	}
}

func brotli11() form {
	var out bytes.Buffer
	w, r, read := brotli.NewWriterLevel(&out, brotli.BestCompression), brotli.NewReader(nil), readPlain()
	var plain []byte
	return form{"brotli",
		func(b []byte, l objlist.List) []byte {
			plain = l.Append(plain[:0])
			out.Reset()
			w.Reset(&out)
			w.Write(plain)
			w.Close()
			return append(b, out.Bytes()...)
		},
		func(b []byte) error {
			if err := r.Reset(bytes.NewReader(b)); err != nil {
				return err
			}
			out.Reset()
			if _, err := out.ReadFrom(r); err != nil {
				return err
			}
			return read(out.Bytes())
		},
	}
}

// zstandard leaves out the four bytes that begin every frame, as a protocol would.
func zstandard(t testing.TB, name string, e []zstd.EOption, d []zstd.DOption) form {
	w, err := zstd.NewWriter(nil, append(e, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zstd.NewReader(nil, append(d, zstd.WithDecoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	magic, read := []byte{0x28, 0xb5, 0x2f, 0xfd}, readPlain()
	var plain, frame []byte
	return form{name,
		func(b []byte, l objlist.List) []byte {
			plain = l.Append(plain[:0])
			frame = w.EncodeAll(plain, frame[:0])
			return append(b, frame[len(magic):]...)
		},
		func(b []byte) error {
			frame = append(append(frame[:0], magic...), b...)
			var err error
			if plain, err = r.DecodeAll(frame, plain[:0]); err != nil {
				return err
			}
			return read(plain)
		},
	}
}

// The network's own messages in each form, with the size against the plain one:
// of all together, of those of at most 64 bytes (they are what travels most),
// and of the public lists of the old network, for which the tables were made.
// The limit for a list of 200 bytes is 10 microseconds.
func BenchmarkMessages(b *testing.B) {
	all := messages(b, measure)
	var short, old []message
	for _, m := range all {
		if len(m.plain) <= 64 {
			short = append(short, m)
		}
	}
	for _, tt := range vectors {
		l, err := Parse(unhex(b, "42"+tt.wire))
		if err != nil {
			b.Fatal(err)
		}
		old = append(old, message{tt.source, l.Append(nil), l})
	}
	for _, f := range forms(b) {
		b.Run(f.name+"/write", func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				for i := range all {
					buf = f.pack(buf[:0], all[i].list)
				}
			}
			perMessage(b, len(all))
			b.ReportMetric(f.size(all), "size")
			b.ReportMetric(f.size(short), "size-short")
			b.ReportMetric(f.size(old), "size-old")
		})
		b.Run(f.name+"/read", func(b *testing.B) {
			var wires [][]byte
			for _, m := range all {
				wires = append(wires, f.pack(nil, m.list))
			}
			for b.Loop() {
				for _, wire := range wires {
					if err := f.read(wire); err != nil {
						b.Fatal(err)
					}
				}
			}
			perMessage(b, len(all))
		})
	}
}

// size is that of all messages in the form, of the plain one.
func (f *form) size(all []message) float64 {
	before, after := 0, 0
	for _, m := range all {
		before, after = before+len(m.plain), after+len(f.pack(nil, m.list))
	}
	return float64(after) / float64(before)
}

func perMessage(b *testing.B, n int) {
	b.ReportMetric(0, "ns/op") // of all messages together: nobody asks
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/message")
}
