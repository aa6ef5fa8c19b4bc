package ivf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/media"
)

// key is a key picture of 640 x 480, and delta one that follows it.
var (
	key   = []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01, 0xaa}
	delta = []byte{0x11, 0, 0, 0xbb}
)

func TestRecorder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ivf")
	r, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []media.Picture{
		{Timestamp: 1, Data: delta}, // of no use before a key picture
		{Timestamp: 1<<32 - 900, Key: true, Data: key},
		{Timestamp: 5100, Data: delta},
	} {
		if err := r.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := unhex(t, `444b4946 0000 2000 56503830 8002 e001 e8030000 01000000 02000000 00000000
		0b000000 0000000000000000 1000009d012a8002e001aa
		04000000 4200000000000000 110000bb`)
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%x, %v, want %x", got, err, want)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, want := range []media.Picture{{Timestamp: 0, Key: true, Data: key}, {Timestamp: 66 * 90, Data: delta}} {
		p, err := f.Next()
		if err != nil || p.Timestamp != want.Timestamp || p.Key != want.Key || !bytes.Equal(p.Data, want.Data) {
			t.Errorf("%+v, %v, want %+v", p, err, want)
		}
	}
	if _, err := f.Next(); err != io.EOF {
		t.Errorf("behind the last picture: %v", err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("DKIF\x00\x00\x20\x00VP80\x80\x02\xe0\x01\xe8\x03\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xaa"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		for err == nil {
			_, err = r.Next()
		}
		if err != io.EOF && !errors.Is(err, ErrFormat) {
			t.Errorf("%v", err)
		}
	})
}
