package ogg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet/media"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// short is a file of three packets of 20 ms, of which the last one is trimmed to
// 10 ms. Its checksums were computed apart, bit by bit; opusinfo
// accepts it.
const short = `
	4f67675300 02 0000000000000000 01000000 00000000 1c9ff5d9 01 13
	4f70757348656164 01 01 3801 80bb0000 0000 00
	4f67675300 00 0000000000000000 01000000 01000000 4f8af96f 01 16
	4f70757354616773 06000000 4c696e6e6574 00000000
	4f67675300 04 6009000000000000 01000000 02000000 9abda3d1 03 02 01 03
	48aa 48 48bbcc`

// frame is a packet of SILK, 20 ms, mono.
func frame(data ...byte) media.Frame {
	return media.Frame{Samples: 960, Data: append([]byte{0x48}, data...)}
}

func write(t testing.TB, opts WriterOptions, frames ...media.Frame) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, opts)
	for _, f := range frames {
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBytes(t *testing.T) {
	last := frame(0xbb, 0xcc)
	last.Trim = 480
	got := write(t, WriterOptions{Serial: 1}, frame(0xaa), frame(), last)
	want := unhex(t, short)
	if !bytes.Equal(got, want) {
		t.Errorf("wrote\n%x, want\n%x", got, want)
	}
	h, frames, err := ReadAll(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if h != (Header{Channels: 1, PreSkip: 312, Rate: 48000}) {
		t.Errorf("header %+v", h)
	}
	if len(frames) != 3 || !bytes.Equal(frames[2].Data, last.Data) || frames[2].Trim != 480 || frames[2].Timestamp != 1920 {
		t.Errorf("frames %+v", frames)
	}
	if got, want := h.Duration(frames), time.Duration(2400-312)*time.Second/48000; got != want {
		t.Errorf("Duration = %v, want %v", got, want)
	}
}

// packet draws an Opus packet of any size and duration.
func packet(t *rapid.T) media.Frame {
	config := rapid.ByteRange(0, 31).Draw(t, "config")
	b := rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "bytes")
	size := rapid.SampledFrom([]int{0, 1, 60, 253, 254, 255, 256, 509, 510, 511, 1275, 30000, maxPacket - 6}).Draw(t, "size")
	data := append([]byte{config<<3 | rapid.ByteRange(0, 2).Draw(t, "count")}, append(b, make([]byte, size)...)...)
	n, err := media.OpusSamples(data)
	if err != nil {
		t.Fatal(err)
	}
	return media.Frame{Samples: n, Data: data}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		frames := rapid.SliceOfN(rapid.Custom(packet), 1, 200).Draw(rt, "packets")
		last := &frames[len(frames)-1]
		last.Trim = rapid.Uint32Range(0, last.Samples).Draw(rt, "trim")
		h, got, err := ReadAll(bytes.NewReader(write(t, WriterOptions{}, frames...)))
		if err != nil {
			rt.Fatal(err)
		}
		if len(got) != len(frames) {
			rt.Fatalf("%d packets came back of %d", len(got), len(frames))
		}
		at := uint32(0)
		for i, f := range frames {
			if g := got[i]; !bytes.Equal(g.Data, f.Data) || g.Samples != f.Samples || g.Trim != f.Trim || g.Timestamp != at {
				rt.Fatalf("packet %d of %d came back different", i, len(frames))
			}
			at += f.Samples
		}
		if a, b := h.Duration(frames), h.Duration(got); a != b {
			rt.Fatalf("%v became %v", a, b)
		}
	})
}

// paged cuts the packets of a file into pages of other sizes, so that packets
// go on from page to page, as opusenc and ffmpeg make them.
func paged(t testing.TB, b []byte, segments int) []byte {
	t.Helper()
	in, out := bytes.NewReader(b), []byte(nil)
	var p page
	for range 2 {
		if err := p.read(in); err != nil {
			t.Fatal(err)
		}
		out = p.append(out)
	}
	var sizes, body []byte
	for p.read(in) == nil {
		sizes, body = append(sizes, p.sizes...), append(body, p.body...)
	}
	end := p.granule
	p = page{serial: p.serial, number: 2}
	for len(sizes) > 0 {
		n := min(segments, len(sizes))
		p.sizes, sizes = sizes[:n], sizes[n:]
		size, whole := 0, false
		for _, s := range p.sizes {
			size += int(s)
			whole = whole || s < segment
		}
		p.body, body = body[:size], body[size:]
		p.granule = noGranule
		if len(sizes) == 0 {
			p.granule, p.flags = end, p.flags|flagLast
		} else if whole {
			p.granule = 1 << 40 // is not looked at but at the end
		}
		out = p.append(out)
		p.flags = 0
		if p.sizes[n-1] == segment {
			p.flags = flagContinued
		}
		p.number++
	}
	return out
}

func TestPacketsAcrossPages(t *testing.T) {
	var frames []media.Frame
	for _, size := range []int{1, 300, 254, 255, 256, 1275, 60000, 2} {
		frames = append(frames, frame(make([]byte, size)...))
	}
	whole := write(t, WriterOptions{}, frames...)
	for _, segments := range []int{1, 2, 3, 7, 255} {
		_, got, err := ReadAll(bytes.NewReader(paged(t, whole, segments)))
		if err != nil || len(got) != len(frames) {
			t.Fatalf("%d segments a page: %d packets, %v", segments, len(got), err)
		}
		for i := range frames {
			if !bytes.Equal(got[i].Data, frames[i].Data) {
				t.Errorf("%d segments a page: packet %d differs", segments, i)
			}
		}
	}
}

func TestGaps(t *testing.T) {
	gap := func(n uint32) media.Frame { return media.Frame{Samples: n, Lost: 1} }
	celt := func(ms25 int, data ...byte) media.Frame { // full band, 2.5 ms << ms25
		return media.Frame{Samples: 120 << ms25, Data: append([]byte{byte(28+ms25) << 3}, data...)}
	}
	tests := []struct {
		name   string
		frames []media.Frame
		want   []string // packets
		rest   uint32   // samples that no packet can stand for
	}{
		{"one packet", []media.Frame{frame(1), gap(960), frame(2)}, []string{"4801", "48", "4802"}, 0},
		{"three packets", []media.Frame{frame(1), gap(2880), frame(2)}, []string{"4801", "48", "48", "48", "4802"}, 0},
		{"at the start", []media.Frame{gap(960), frame(2)}, []string{"48", "4802"}, 0},
		{"at the end", []media.Frame{frame(1), gap(960)}, []string{"4801", "48"}, 0},
		{"shorter than a frame", []media.Frame{frame(1), gap(840), frame(2)}, []string{"4801", "f0", "e8", "e0", "4802"}, 0},
		{"not of 2.5 ms", []media.Frame{frame(1), gap(1000), frame(2)}, []string{"4801", "48", "4802"}, 40},
		{"crumbs add up", []media.Frame{frame(1), gap(60), frame(2), gap(60), frame(3)}, []string{"4801", "4802", "e0", "4803"}, 0},
		{"several frames in a packet", []media.Frame{{Samples: 1920, Data: []byte{0xfd, 1, 1}}, gap(960), celt(3, 9)}, []string{"fd0101", "fc", "f809"}, 0},
		{"only a gap", []media.Frame{gap(1920)}, []string{"f8", "f8"}, 0},
		{"nothing at all", nil, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, got, err := ReadAll(bytes.NewReader(write(t, WriterOptions{}, tt.frames...)))
			if err != nil {
				t.Fatal(err)
			}
			var packets []string
			var had uint32
			for _, f := range got {
				packets = append(packets, hex.EncodeToString(f.Data))
				had += f.Samples
			}
			if strings.Join(packets, " ") != strings.Join(tt.want, " ") {
				t.Errorf("packets %v, want %v", packets, tt.want)
			}
			var want uint32
			for _, f := range tt.frames {
				want += f.Samples
			}
			if had+tt.rest != want || h.Channels == 0 {
				t.Errorf("%d samples of %d", had, want)
			}
		})
	}
}

func TestStereo(t *testing.T) {
	h, _, err := ReadAll(bytes.NewReader(write(t, WriterOptions{}, media.Frame{Samples: 960, Data: []byte{0xfc}})))
	if err != nil || h.Channels != 2 {
		t.Errorf("%d channels, %v, want 2", h.Channels, err)
	}
}

func TestWhatIsWrong(t *testing.T) {
	good := write(t, WriterOptions{}, frame(1), frame(2), frame(3))
	first, _, _ := bytes.Cut(good[1:], capture)
	change := func(at int, to byte, repair bool) []byte {
		b := bytes.Clone(good)
		b[at] = to
		if repair { // of the first page
			clear(b[22:26])
			copy(b[22:26], le(checksum(b[:len(first)+1])))
		}
		return b
	}
	vorbis := (&page{flags: flagFirst, sizes: []byte{8}, body: []byte("\x01vorbis.")}).append(nil)
	sound := (&page{sizes: []byte{1}, body: []byte{0}}).append(nil)
	tests := []struct {
		name string
		file []byte
		want error
		says string
	}{
		{"empty", nil, ErrNotOgg, "not an Ogg file"},
		{"text", []byte("Dear diary, today I recorded"), ErrNotOgg, "not an Ogg file"},
		{"WAVE", []byte("RIFF....WAVEfmt "), ErrNotOgg, "not an Ogg file"},
		{"Vorbis", append(vorbis, sound...), ErrNotOpus, "an Ogg file, but its sound is not Opus but Vorbis"},
		{"Vorbis alone", vorbis, ErrNotOpus, "but Vorbis"},
		{"no first page", sound, ErrNotOpus, "not Opus"},
		{"cut in the first header", good[:20], ErrTruncated, "cut off"},
		{"cut behind the first header", good[:len(first)+1], ErrTruncated, "cut off"},
		{"cut in the sound", good[:len(good)-1], ErrTruncated, "cut off"},
		{"bit flipped", change(len(good)-1, 0x55, false), ErrDamaged, "checksum of page 2"},
		{"bytes between", append(bytes.Clone(good[:len(good)-1]), good...), ErrDamaged, "damaged"},
		{"six channels", change(28+9, 6, true), ErrChannels, "more than two channels"},
		{"no channels", change(28+9, 0, true), ErrDamaged, "no channel"},
		{"version of tomorrow", change(28+8, 0x10, true), ErrNotOpus, "version 16"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := ReadAll(bytes.NewReader(tt.file))
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

func le(v uint32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)} }

// What came before the damage is played.
func TestCutFileGivesItsBeginning(t *testing.T) {
	var frames []media.Frame
	for i := range 120 { // 2.4 s: three pages
		frames = append(frames, frame(byte(i)))
	}
	b := write(t, WriterOptions{}, frames...)
	_, got, err := ReadAll(bytes.NewReader(b[:len(b)-1]))
	if !errors.Is(err, ErrTruncated) || len(got) != 100 {
		t.Errorf("%d packets, %v, want 100 and ErrTruncated", len(got), err)
	}
}

func TestOtherStreamsAreSkipped(t *testing.T) {
	b := write(t, WriterOptions{Serial: 7}, frame(1), frame(2))
	first, rest, _ := bytes.Cut(b[1:], capture)
	video := (&page{flags: flagFirst, serial: 8, sizes: []byte{8}, body: []byte("\x80theora.")}).append(nil)
	picture := (&page{serial: 8, number: 1, sizes: []byte{3}, body: []byte("pic")}).append(nil)
	mixed := bytes.Join([][]byte{video, b[:1], first, picture, capture, rest, picture}, nil)
	_, got, err := ReadAll(bytes.NewReader(mixed))
	if err != nil || len(got) != 2 {
		t.Errorf("%d packets, %v, want 2", len(got), err)
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "diary.txt")
	if err := os.WriteFile(path, []byte("Dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || err.Error() != path+": not an Ogg file" {
		t.Errorf("Open = %v", err)
	}
	if _, err := Open(path + ".ogg"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of nothing = %v", err)
	}
	if _, err := Open(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("Open of a directory = %v", err)
	}
}

func TestRecorder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.ogg")
	r, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 175 {
		if err := r.Write(frame(byte(i))); err != nil {
			t.Fatal(err)
		}
	}
	// Killed now: three seconds are there, and can be played.
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		if _, err := f.Next(); err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		n++
	}
	f.Close()
	if n != 150 || r.Recorded() != 3*time.Second {
		t.Errorf("%d packets and %v are on disk, want 150 and 3s", n, r.Recorded())
	}
	if err := r.Flush(); err != nil || r.Recorded() != 3500*time.Millisecond {
		t.Errorf("Flush: %v, %v on disk", err, r.Recorded())
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := ReadAll(bytes.NewReader(b)); err != nil || len(got) != 175 {
		t.Errorf("%d packets, %v", len(got), err)
	}
	if _, err := Create(filepath.Join(path, "below-a-file.ogg")); err == nil {
		t.Error("created a file below a file")
	}
}

// fullDisk is a file on a disk with little space: like a real one, it takes the
// part of a write that fits.
type fullDisk struct {
	bytes.Buffer
	space  int
	closed bool
}

func (d *fullDisk) Write(b []byte) (int, error) {
	if n := d.space - d.Len(); len(b) > n {
		d.Buffer.Write(b[:n])
		return n, &os.PathError{Op: "write", Path: "b.ogg", Err: syscall.ENOSPC}
	}
	return d.Buffer.Write(b)
}

func (d *fullDisk) Truncate(size int64) error { d.Buffer.Truncate(int(size)); return nil }

func (d *fullDisk) Close() error { d.closed = true; return nil }

func TestDiskFull(t *testing.T) {
	for _, space := range []int{0, 10, 60, 100, 1000, 5000, 9999} {
		disk := &fullDisk{space: space}
		r := newRecorder(disk, "b.ogg", WriterOptions{})
		var errs []error
		for range 1000 {
			if err := r.Write(frame(make([]byte, 60)...)); err != nil {
				errs = append(errs, err)
			}
		}
		if err := r.Close(); err != nil {
			errs = append(errs, err)
		}
		if len(errs) != 1 || !errors.Is(errs[0], media.ErrDiskFull) || !disk.closed {
			t.Errorf("%d bytes: %d errors, %v, want ErrDiskFull once", space, len(errs), errs)
		}
		if space >= 5000 {
			if _, got, err := ReadAll(&disk.Buffer); err != nil || len(got) < 50 || len(got)%50 != 0 {
				t.Errorf("%d bytes: %d packets can be played, %v", space, len(got), err)
			}
			if want := "recording b.ogg stopped after 1s, which are kept: the disk is full"; space == 5000 && errs[0].Error() != want {
				t.Errorf("says %q, want %q", errs[0], want)
			}
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, WriterOptions{Serial: 1}, frame(1), frame(2)))
	f.Add(paged(f, write(f, WriterOptions{Serial: 1}, frame(make([]byte, 600)...), frame(2)), 1))
	f.Add([]byte("OggS"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Checksums are put right: else the fuzzer would test little more than them.
		for at := 0; at+pageHeader < len(b); {
			end := at + pageHeader + int(b[at+26])
			if end > len(b) || !bytes.Equal(b[at:at+4], capture) {
				break
			}
			for _, s := range b[at+pageHeader : end] {
				end += int(s)
			}
			if end > len(b) {
				break
			}
			b = bytes.Clone(b)
			clear(b[at+22 : at+26])
			copy(b[at+22:], le(checksum(b[at:end])))
			at = end
		}
		h, frames, err := ReadAll(bytes.NewReader(b))
		if h.Duration(frames) < 0 {
			t.Error("a negative duration")
		}
		if err != nil {
			return
		}
		_, again, err := ReadAll(bytes.NewReader(write(t, WriterOptions{}, frames...)))
		if err != nil || len(again) != len(frames) {
			t.Fatalf("%d packets became %d, %v", len(frames), len(again), err)
		}
		for i := range frames {
			if !bytes.Equal(frames[i].Data, again[i].Data) {
				t.Fatalf("packet %d changed", i)
			}
		}
	})
}
