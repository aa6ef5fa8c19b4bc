package main

import (
	"path/filepath"
	"testing"

	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ogg"
)

func TestSamePackets(t *testing.T) {
	const toc = 31 << 3 // CELT, 20 ms
	file := func(packets ...string) string {
		path := filepath.Join(t.TempDir(), "sound.ogg")
		r, err := ogg.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range packets {
			f := media.Frame{Timestamp: uint32(960 * i), Samples: 960, Data: append([]byte{toc}, p...)}
			if err := r.Write(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name         string
		heard        []string
		same, pauses int
		ok           bool
	}{
		{"all", []string{"a", "b", "", "c"}, 4, 0, true},
		{"hung up", []string{"a", "b"}, 2, 0, true},
		{"a pause", []string{"a", "", "", "b", "", "c"}, 4, 2, true},
		{"one lost", []string{"a", "", "c"}, 1, 1, false},
		{"changed", []string{"a", "x"}, 1, 0, false},
		{"doubled", []string{"a", "a"}, 1, 0, false},
		{"more", []string{"a", "b", "", "c", "d"}, 4, 0, false},
		{"nothing", []string{"", ""}, 0, 2, false},
	}
	for _, tt := range tests {
		same, pauses, err := samePackets(file("a", "b", "", "c"), file(tt.heard...))
		if same != tt.same || pauses != tt.pauses || (err == nil) != tt.ok {
			t.Errorf("%s: %d the same, %d pauses, %v", tt.name, same, pauses, err)
		}
	}
}
